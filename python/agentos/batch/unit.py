"""One unit from its place in the queue to its landing: prepare, run the agent, capture, verify, commit.

Every transition is put before what it announces happens, so a crash at any point leaves a record from which
`reconcile` goes on. INVARIANT: a unit's branch is moved only to a commit that its record names, and a record
names a commit only after the engine itself has verified it.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.batch import commands, delivery
from agentos.batch.changeset import Changeset, capture, describe, out_of_scope
from agentos.batch.execution import AttemptFailed, Ended, Execution, UnitCancelled, require
from agentos.batch.log import whole
from agentos.batch.records import ENDED, Attempt, Failure, Unit, Verification, attempts, stream
from agentos.batch.removal import remove
from agentos.errors import AgentOSError, BudgetExceeded, Denied, JournalError
from agentos.messages import AnyScope, Exec, ExitStatus, Limit, Publish, exactly
from agentos.messages import Path as PathScope

if TYPE_CHECKING:
    from agentos.batch.engine import Engine
    from agentos.batch.resolved import ResolvedUnit

# Failures that another try with the same input cannot mend.
_FINAL = frozenset({"denied", "budget", "conflict", "disk"})


class UnitRun:
    """Takes one unit as far as it gets. `ended` is set when it has landed, failed or was cut."""

    def __init__(self, engine: Engine, unit: Unit, planned: ResolvedUnit) -> None:
        self.engine = engine
        self.unit = unit
        self.planned = planned
        self.ended = trio.Event()
        self._ports = range(0)

    @property
    def folder(self) -> Path:
        """Where this unit's working trees are."""
        return self.engine.folder / self.unit.id

    async def run(self) -> None:
        """Runs the unit; every failure of its own ends in its record. Cancellation leaves it to `rest`."""
        try:
            blocker = await self.engine.dependencies(self.planned)
            if blocker is not None:
                message = f"`{blocker}`, which it comes after, did not land"
                await self._put(state="cancelled", failure=Failure.of("conflict", message))
                return
            await self._in_process()
        finally:
            self.ended.set()

    async def _in_process(self) -> None:
        engine, unit = self.engine, self.unit
        kernel = engine.system.kernel
        try:
            child = await kernel.spawn(
                engine.process,
                f"unit {unit.id}",
                key=f"unit:{unit.id}:{engine.batch.stint}",
                grants=self._grants(),
                budget=Limit(usd_micros=engine.unit_budget(unit)),
                lane="exec",
                on_low_disk=engine.tell_low_disk,
                # Nobody but a check and a person reads what it makes: the units after it stay as they are.
                isolated=True,
            )
        except (Denied, BudgetExceeded) as error:
            await self._put(state="failed", failure=_refused(error))
            return
        status: ExitStatus = "cancelled"
        try:
            with engine.ports.lease() as self._ports:
                await self._put(process=child.pid)
                await self._tries(child.pid)
            status = "done" if self.unit.state == "committed" else "failed"
            await trio.to_thread.run_sync(remove, self.folder)
        finally:
            with trio.CancelScope(shield=True):
                await kernel.exit(child.pid, status)

    def _grants(self) -> list[AnyScope]:
        repository = exactly(self.engine.repository_name)
        return [
            Exec(),
            PathScope(path=str(self.folder), rights="read_write"),
            *(PathScope(path=path, rights="read") for path in self.engine.resolved.readable),
            Publish(repository=repository, reference=delivery.branch_of(self.unit.batch, self.unit.id)),
        ]

    async def _tries(self, pid: int) -> None:
        log = await self._last_log()
        while True:
            number = self.unit.attempt + 1
            await self._put(state="preparing", attempt=number, failure=None, verify=None)
            attempt = Attempt(batch=self.unit.batch, unit=self.unit.id, number=number, started_us=_now_us())
            await self.engine.put(attempt)
            try:
                await self._attempt(pid, attempt, log)
                return
            except AttemptFailed as ended:
                failure, log = ended.failure, ended.log or log
            except UnitCancelled:
                failure = Failure.of("crash", "its process was ended by a person")
                await self._close(attempt, failure)
                await self._put(state="cancelled", failure=failure)
                return
            except (AgentOSError, OSError) as error:
                if isinstance(error, JournalError):
                    raise
                failure = _refused(error)
            await self._close(attempt, failure)
            counted = self.unit.attempts + 1
            again = counted < self.engine.plan.limits.attempts and failure.kind not in _FINAL
            await self._put(state="queued" if again else "failed", attempts=counted, failure=failure)
            if not again:
                return

    async def _attempt(self, pid: int, attempt: Attempt, failure_log: str) -> None:
        """One try, to a landed commit. Raises AttemptFailed, UnitCancelled or what a driver raises."""
        engine = self.engine
        values = self._values(failure_log)
        execution = Execution(engine, self.unit, attempt.number, pid, values, self._ports)
        workspace = await execution.prepare(self.folder / f"{attempt.number}-agent")
        await self._put(state="running")
        ended = await execution.run("agent", engine.plan.agent.program, workspace)
        await engine.put(
            msgspec.structs.replace(attempt, agent_exit=ended.exit_code, agent_ended_us=_now_us())
        )
        require(ended, "exit", "the program")
        changes = await trio.to_thread.run_sync(capture, workspace)
        self._check(changes, ended)
        await self._put(state="verifying", files_changed=len(changes.changes))
        await execution.tear_down(workspace)
        verified = await self._verify(execution, attempt, changes)
        message = delivery.message_for(self.planned.title, self.unit.batch, self.unit.id)
        commit = await trio.to_thread.run_sync(
            delivery.commit, engine.private, changes.tree, (engine.batch.base,), message,
            engine.resolved.identity, attempt.started_us,
        )  # fmt: skip
        # From here on this is the unit's commit: whoever finds this record finishes the landing.
        await self._put(commit=commit, verify=verified)
        await engine.put(
            msgspec.structs.replace(
                attempt, outcome="landed", agent_exit=0, agent_ended_us=_now_us(), ended_us=_now_us()
            )
        )
        await engine.land(self.unit, pid)
        await self._put(state="committed", attempts=self.unit.attempts + 1)

    def _check(self, changes: Changeset, ended: Ended) -> None:
        outside = out_of_scope(changes, self.planned.paths, self.planned.allow)
        if outside:
            message = describe(outside)
            raise AttemptFailed(Failure.of("out_of_scope", message), f"{ended.log}\n{message}\n")
        if changes.empty and not self.engine.plan.allow_empty:
            raise AttemptFailed(Failure.of("empty_diff", "the program changed nothing"), ended.log)

    async def _verify(
        self, execution: Execution, attempt: Attempt, changes: Changeset
    ) -> Verification | None:
        """Runs the verification on base, set-up and change set alone, in a workspace of its own."""
        if self.engine.plan.verify is None:
            return None
        workspace = await execution.prepare(self.folder / f"{attempt.number}-verify", phase="verify")
        await trio.to_thread.run_sync(workspace.apply, changes.workspace_tree)
        ended = await execution.run("verify", self.engine.plan.verify.run, workspace)
        found = Verification(exit_code=ended.exit_code, seconds=round(ended.seconds, 3))
        await self._put(verify=found)
        require(ended, "verify", "verification")
        return found

    def _values(self, failure_log: str) -> commands.Values:
        planned = self.planned
        return commands.Values(
            paths=planned.paths,
            tests=planned.tests,
            unit=self.unit.id,
            title=planned.title,
            prompt=planned.prompt,
            prompt_file=str(self.folder / "given" / "prompt"),
            failure=failure_log,
        )

    async def _last_log(self) -> str:
        """The log of the last failed attempt, for a unit that is tried again after a restart."""
        kernel = self.engine.system.kernel
        tried = [a for a in attempts(kernel, self.unit.batch, self.unit.id) if a.outcome == "failed"]
        if not tried or tried[-1].failure is None:
            return ""
        phase = {"verify": "verify", "setup": "setup"}.get(tried[-1].failure.kind, "agent")
        name = stream(self.unit.batch, self.unit.id, tried[-1].number, phase)
        return commands.tail(whole(kernel, name).decode("utf-8", "replace"))

    async def _close(self, attempt: Attempt, failure: Failure) -> None:
        """Ends a failed attempt: its work goes to a salvage ref, its folders go."""
        with trio.CancelScope(shield=True):
            salvaged = await self.engine.salvage(self.unit, attempt.number)
            ended = msgspec.structs.replace(
                attempt, outcome="failed", failure=failure, ended_us=_now_us(), salvage=salvaged
            )
            await self.engine.put(ended)

    async def _put(self, **changes: Any) -> None:
        if "state" in changes:
            changes["since_us"] = _now_us()
            if changes["state"] in ENDED:
                changes["process"] = None
        self.unit = msgspec.structs.replace(self.unit, **changes)
        await self.engine.put(self.unit)


def _refused(error: AgentOSError | OSError) -> Failure:
    """What a refusal or a broken driver means for the unit."""
    if isinstance(error, BudgetExceeded):
        return Failure.of("budget", error.message)
    if isinstance(error, Denied):
        return Failure.of("denied", error.message)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Failure.of("disk" if full else "crash", str(error))
    full = "No space left" in error.message or "Disk quota" in error.message
    return Failure.of("disk" if full else "crash", error.message)


def _now_us() -> int:
    return time.time_ns() // 1000
