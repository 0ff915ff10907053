"""Runs a workflow: reads it from the top, and does what the journal does not say was done."""

from __future__ import annotations

import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec
import trio

from agentos.automation import workflow_records as records
from agentos.automation.performing import NAME_BYTES, Place
from agentos.automation.task import Ended, WorkflowTask
from agentos.automation.workflow_steps import StepFailed, Steps
from agentos.errors import AgentOSError, Failed, InternalError, NeedsPerson
from agentos.messages import AnyEvent, Everything, ExitStatus, Limit, Pid, StateEvent
from agentos.runtime.feed import Feed

if TYPE_CHECKING:
    from agentos.automation.workflow_records import Run, RunState
    from agentos.runtime.system import Submission, System, Work

DEPTH = 8
"""How many workflows may run one another."""

Decision = Literal["repeat", "skip"]
_EXIT: dict[RunState, ExitStatus] = {"done": "done", "failed": "failed", "waiting": "failed"}


class Runner:
    """One run at work. `error` is a question that it waits with, if it does."""

    def __init__(
        self, system: System, run: Run, decision: Decision | None = None, parent: Pid | None = None
    ) -> None:
        self.run = run
        self.feed = Feed()
        self.error: AgentOSError | None = None
        self._system = system
        self._kernel = system.kernel
        self._decision = decision
        self._parent = system.kernel.root if parent is None else parent
        self._killed = trio.CancelScope()

    async def work(self, work: Work) -> None:
        """The run as a work of its own."""
        live(self._system)[self.run.id] = self
        try:
            await self._system.enforce()
            await self.execute()
        except AgentOSError as error:
            self.error = error
            if not isinstance(error, NeedsPerson):
                await self._rest("failed", error.message)
        except Exception as error:
            # One run's failure must not be the daemon's.
            traceback.print_exception(error, file=sys.stderr)
            self.error = InternalError(
                f"{type(error).__name__}: {error}", where=str(self._system.home.daemon_log)
            )
            await self._rest("failed", self.error.message)
        finally:
            del live(self._system)[self.run.id]
            self.feed.close()

    async def execute(self) -> Ended:
        """Goes on with the run until it ends. Raises NeedsPerson where a step was cut off that is not to be
        repeated by itself."""
        await self._put(state="running", message="", ended_us=None)
        definition = records.definition(self._kernel, self.run.definition)
        budget = definition.budget_micros
        child = await self._kernel.spawn(
            self._parent,
            f"workflow {self.run.name}".encode()[:NAME_BYTES].decode(errors="ignore"),
            key=f"workflow {self._kernel.new_id('x')}",
            grants=[Everything()],
            budget=Limit(usd_micros=None if budget is None else max(0, budget - self.run.spent_micros)),
        )
        ended: Ended | None = None
        state: RunState = "interrupted"
        watch = partial(self._hear, child.pid)
        self._kernel.watchers.append(watch)
        try:
            with self._killed:
                place = Place(
                    self._system,
                    child.pid,
                    self.run.name,
                    self.run.id,
                    records.submission(self._kernel, self.run),
                    {"input": records.text(self._kernel, self.run.input)},
                    self.feed.send,
                    self._decision,
                )
                steps = Steps(place, self.run.id, self.feed)
                ended = Ended(ok=True, output=await steps.run(definition.steps))
            if self._killed.cancelled_caught:
                ended, state = Ended(ok=False, message="it was ended by a signal"), "cancelled"
            else:
                state = "done"
        except StepFailed as failure:
            ended, state = Ended(ok=False, message=failure.message), "failed"
        except NeedsPerson as question:
            state = "waiting"
            await self._rest(state, question.message)
            raise
        except AgentOSError as error:
            ended, state = Ended(ok=False, message=error.message), "failed"
        finally:
            self._kernel.watchers.remove(watch)
            with trio.CancelScope(shield=True):
                await self._finish(child.pid, state, ended)
        assert ended is not None
        return ended

    async def _finish(self, pid: Pid, state: RunState, ended: Ended | None) -> None:
        kernel = self._kernel
        row = next((row for row in kernel.processes() if row.pid == pid), None)
        spent = self.run.spent_micros + (0 if row is None else row.spent.usd_micros)
        await self._put(spent_micros=spent)
        if row is not None and row.state != "exited":
            await kernel.exit(pid, _EXIT.get(state, "cancelled"))
        if ended is not None:
            output = await kernel.blob_put(ended.output.encode(errors="replace"))
            await self._rest(state, ended.message, output=output, ended_us=kernel.now_us())
        elif state == "interrupted" and not self.run.detached:
            # Cut off; a detached run stays `running`, and the next daemon goes on with it.
            await self._rest(state, "")

    async def _rest(self, state: RunState, message: str, **changes: object) -> None:
        await self._put(state=state, message=message[: records.MESSAGE_CHARACTERS], **changes)

    async def _put(self, **changes: object) -> None:
        self.run = msgspec.structs.replace(self.run, **changes)
        await records.put(self._kernel, self.run)

    def _hear(self, pid: Pid, event: AnyEvent) -> None:
        if isinstance(event, StateEvent) and event.pid == pid:
            self._killed.cancel()

    async def detach(self) -> None:
        """Keeps the run going without a client, also past the end of this daemon."""
        await self._put(detached=True)


async def begin(
    system: System, name: str, input: str | None, key: str, submission: Submission, *, nested: bool = False
) -> Run:
    """A durable run of the workflow `name`, or the one that `key` names already."""
    kernel = system.kernel
    known = next((run for run in records.runs(kernel) if run.key == key), None)
    if known is not None:
        return known
    kept = records.find_workflow(kernel, name)
    run = records.Run(
        id=kernel.new_id("w"),
        key=key,
        name=name,
        definition=kept.definition,
        input=await kernel.blob_put((input or "").encode(errors="replace")),
        submission=await kernel.blob_put(msgspec.json.encode(submission)),
        created_us=kernel.now_us(),
        state="interrupted",
        nested=nested,
    )
    await records.put(kernel, run)
    return run


async def nested(place: Place, task: WorkflowTask) -> Ended:
    """Runs a workflow as part of other work, or goes on with it."""
    if _depth(place.system, place.key) > DEPTH:
        raise Failed(f"workflows run one another more than {DEPTH} deep", where=task.name)
    given = place.values.get("input", "") if task.input is None else task.input
    run = await begin(place.system, task.name, given, place.key, place.submission, nested=True)
    if run.state in ("done", "failed", "cancelled"):
        kernel = place.system.kernel
        return Ended(ok=run.state == "done", output=records.text(kernel, run.output), message=run.message)
    return await Runner(place.system, run, _decision(place), place.parent).execute()


def _decision(place: Place) -> Decision | None:
    found: dict[str | None, Decision] = {"repeat": "repeat", "skip": "skip"}
    return found.get(place.decision)


def _depth(system: System, key: str) -> int:
    """How many runs of workflows lie above the work that `key` names."""
    depth = 0
    while key.startswith("workflow ") and depth <= DEPTH:
        body = system.kernel.record("workflow_run", key.removeprefix("workflow ").partition("/")[0])
        key, depth = "" if body is None else body["key"], depth + 1
    return depth


def live(system: System) -> dict[str, Runner]:
    """The runs at work in this daemon."""
    found = system.areas.setdefault("workflow", {})
    assert isinstance(found, dict)
    return found


async def recover(system: System) -> None:
    """What a new daemon does with runs that were under way: detached ones go on, others wait for somebody or
    for the work that they are part of."""
    for run in records.runs(system.kernel):
        if run.state != "running":
            continue
        if run.detached:
            runner = Runner(system, run)
            system.start(run.id, runner.work, detached=True)
        else:
            await records.put(system.kernel, msgspec.structs.replace(run, state="interrupted"))
