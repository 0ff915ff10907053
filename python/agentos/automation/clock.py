"""Runs jobs at their times, for as long as a daemon lives, and catches up with the time when none did."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.automation import cron
from agentos.automation.cron import Firing, Job, State
from agentos.automation.firing import fire
from agentos.automation.task import Ended, Prepared, Program
from agentos.errors import Failed, UsageError
from agentos.messages import AnyEvent, DueEvent
from agentos.runtime.feed import Feed

if TYPE_CHECKING:
    from agentos.kernel import ReadOnlyKernel
    from agentos.runtime.system import System, Work

TIMER = "cron/"
CUT_OFF = "it was cut off when its daemon ended, and a program is not run again by itself (`recovery`)"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its task, as the journal keeps them."""

    job: Job
    prepared: Prepared


class Clock:
    """The jobs of a home, in the daemon that lives."""

    def __init__(self, system: System) -> None:
        self.feed = Feed()
        self._system = system
        self._kernel = system.kernel
        self._kernel.watchers.append(self._hear)

    def _hear(self, event: AnyEvent) -> None:
        if isinstance(event, DueEvent) and event.id.startswith(TIMER):
            self._system.nursery.start_soon(self.due, event.id.removeprefix(TIMER))

    async def recover(self) -> None:
        """Goes on where the last daemon stopped: runs that were under way, times that passed meanwhile."""
        for state in states(self._kernel):
            if state.firing is not None:
                task = definition(self._kernel, state).prepared.task
                if state.firing.by_hand or (isinstance(task, Program) and task.recovery == "once"):
                    await self._settle(state, Ended(ok=False, message=CUT_OFF))
                else:
                    self._start(state)
            await self.due(state.id)

    async def due(self, id: str) -> None:
        """The job's time may have come."""
        state = find(self._kernel, id)
        if state is None or state.state != "active":
            return
        job = definition(self._kernel, state).job
        await self.save(state, cron.due(state, job, self._kernel.now_us(), self._kernel.new_id("f")))

    async def save(self, before: State | None, after: State) -> None:
        """Makes `after` durable, then starts the run that it begins, if it does."""
        if after != before:
            self._kernel.put_nowait("cron", after.id, msgspec.to_builtins(after))
        await self._kernel.timer(f"{TIMER}{after.id}", after.next_us if after.state == "active" else None)
        begun = after.firing is not None and (before is None or before.firing != after.firing)
        if begun:
            self._start(after)
        elif before is not None and after.skipped > before.skipped:
            self.feed.send({"event": "skipped", "job": after.id, "running": after.firing is not None})

    async def by_hand(self, id: str) -> Work:
        """Runs the job now, whatever its times. Raises UsageError where it runs."""
        state = find(self._kernel, id)
        if state is None:
            raise UsageError(f"there is no job `{id}`", hint="`agentos cron list` shows them")
        if state.firing is not None:
            raise UsageError(f"`{id}` is running")
        now = self._kernel.now_us()
        firing = Firing(id=self._kernel.new_id("f"), planned_us=now, started_us=now, by_hand=True)
        await self.save(state, msgspec.structs.replace(state, firing=firing))
        return self._system.works[_work_id(firing)]

    def _start(self, state: State) -> None:
        assert state.firing is not None
        by_hand = state.firing.by_hand
        self._system.start(
            _work_id(state.firing), partial(self._work, state, state.firing), detached=not by_hand
        )

    async def _work(self, state: State, firing: Firing, work: Work) -> None:
        planned = cron.instant(firing.planned_us)
        self.feed.send({"event": "started", "job": state.id, "planned": planned})
        ended: Ended | None = None
        try:
            prepared = definition(self._kernel, state).prepared
            key = f"cron {firing.id}"
            ended = await fire(self._system, f"cron {state.id}", key, prepared, {"input": planned or ""})
        finally:
            # Cut off with its daemon, it goes on with the next one; by hand, its person has had enough.
            if ended is None and firing.by_hand:
                ended = Ended(ok=False, message="it was interrupted")
            if ended is not None:
                with trio.CancelScope(shield=True):
                    await self._settle(state, ended)

    async def _settle(self, state: State, ended: Ended) -> None:
        output = await self._kernel.blob_put(ended.output.encode(errors="replace"))
        known = find(self._kernel, state.id, removed=True)
        if known is None or known.firing is None or known.firing != state.firing:
            return
        after = cron.ended(known, ended, self._kernel.now_us(), self._kernel.new_id("f"), output)
        await self.save(known, after)
        self.feed.send({"event": "ended", **summary(self._kernel, after)})


def summary(kernel: ReadOnlyKernel, state: State) -> dict[str, Any]:
    """How the job's last run ended."""
    last = state.last
    if last is None:
        raise UsageError(f"`{state.id}` has not run yet")
    data = kernel.blob(last.output) if last.output else None
    return {
        "job": state.id,
        "ok": last.ok,
        "message": last.message,
        "planned": cron.instant(last.planned_us),
        "ended": cron.instant(last.ended_us),
        "output": (data or b"").decode(errors="replace"),
        "disabled": state.state == "disabled",
    }


def states(kernel: ReadOnlyKernel) -> list[State]:
    """Every job of the home, by name."""
    found = [msgspec.convert(body, State) for _, body in sorted(kernel.records("cron").items())]
    return [state for state in found if state.state != "removed"]


def find(kernel: ReadOnlyKernel, id: str, *, removed: bool = False) -> State | None:
    """The job `id`, if there is one."""
    body = kernel.record("cron", id)
    state = None if body is None else msgspec.convert(body, State)
    return state if state is None or removed or state.state != "removed" else None


def definition(kernel: ReadOnlyKernel, state: State) -> Definition:
    """What the job is. Raises Failed where its blob is gone."""
    data = kernel.blob(state.definition)
    if data is None:
        raise Failed("what the job is was deleted", where=state.id, hint=f"agentos cron add {state.file}")
    return msgspec.json.decode(data, type=Definition)


def _work_id(firing: Firing) -> str:
    return f"cron {firing.id}"
