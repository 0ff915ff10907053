"""Fires triggers on what the kernel tells, for as long as a daemon lives.

INVARIANT: a trigger never fires on what came of itself, directly or through other triggers: what is born
below its process, and what bears its key, is known by the chain of triggers that led there.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.automation import trigger
from agentos.automation.clock import CUT_OFF
from agentos.automation.cron import MESSAGE_CHARACTERS, Last, instant
from agentos.automation.firing import fire
from agentos.automation.origin import Origins
from agentos.automation.task import Ended, Prepared, Program
from agentos.automation.trigger import State, Trigger
from agentos.errors import Failed, UsageError
from agentos.messages import AnyEvent, RestartedEvent, SpawnedEvent, StateEvent, WrittenEvent
from agentos.runtime.feed import Feed

if TYPE_CHECKING:
    from agentos.kernel import ReadOnlyKernel
    from agentos.runtime.system import System, Work

_RUNS = {"agent": "run", "batch": "batch", "workflow_run": "workflow"}
_OWN = "trigger"
"""Records of this kind are never an event."""

Happened = tuple[dict[str, Any], frozenset[str]]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger with its task, as the journal keeps them."""

    trigger: Trigger
    prepared: Prepared


class Watch:
    """The triggers of a home, in the daemon that lives."""

    def __init__(self, system: System) -> None:
        self.feed = Feed()
        self._system = system
        self._kernel = system.kernel
        self._known: dict[str, Trigger] = {}
        self._states: dict[tuple[str, str], object] = {}
        self._origins = Origins(system.kernel)
        self._send, self._receive = trio.open_memory_channel[Happened](math.inf)

    async def recover(self) -> None:
        """Watches from now on, and goes on with what the last daemon left under way."""
        self.learn()
        self._kernel.watchers.append(self._hear)
        self._system.nursery.start_soon(self._serve)
        for state in states(self._kernel):
            if state.firing is None:
                continue
            task = definition(self._kernel, state).prepared.task
            if isinstance(task, Program) and task.recovery == "once":
                await self._settle(state, Ended(ok=False, message=CUT_OFF))
            else:
                self._start(state, frozenset())

    def learn(self) -> None:
        """Takes the triggers that there are now."""
        active = [state for state in states(self._kernel) if state.state == "active"]
        if active and not self._known:
            self._origins.learn()
            self._states = {
                (kind, id): _state(kind, body)
                for kind in (*_RUNS, "cron")
                for id, body in self._kernel.records(kind).items()
            }
        self._known = {state.id: definition(self._kernel, state).trigger for state in active}

    def _hear(self, event: AnyEvent) -> None:
        if not self._known:
            return
        for happened in self._told(event):
            self._send.send_nowait(happened)

    def _told(self, event: AnyEvent) -> list[Happened]:
        shown: dict[str, Any]
        match event:
            case SpawnedEvent(pid=pid, parent=parent, name=name):
                self._origins.born(pid, parent, name)
                return [
                    (
                        {"event": "spawned", "process": name, "pid": self._kernel.name("p", pid)},
                        self._origins.of_process(pid),
                    )
                ]
            case RestartedEvent(old=old, pid=pid, name=name):
                self._origins.again(old, pid, name)
                shown = {"event": "spawned", "process": name, "pid": self._kernel.name("p", pid)}
                return [(shown, self._origins.of_process(pid))]
            case StateEvent(pid=pid, state=state) if state.state == "exited":
                name, chain = self._origins.gone(pid)
                shown = {
                    "event": "exited",
                    "process": name,
                    "status": state.status,
                    "pid": self._kernel.name("p", pid),
                }
                return [(shown, chain)]
            case WrittenEvent(kind=kind, id=id) if kind != _OWN:
                return self._written(kind, id)
        return []

    def _written(self, kind: str, id: str) -> list[Happened]:
        body = self._kernel.record(kind, id) or {}
        chain = self._origins.of_record(kind, id, body)
        found: list[Happened] = [({"event": "record", "record": kind, "id": id}, chain)]
        before, now = self._states.get((kind, id)), _state(kind, body)
        if now is None or now == before:
            return found
        self._states[kind, id] = now
        if kind == "cron":
            last = body["last"]
            shown = {"state": "done" if last["ok"] else "failed", "message": last.get("message", "")}
            return [*found, ({"event": "cron", "process": id, **shown}, chain)]
        name = body.get("name", id)
        return [*found, ({"event": _RUNS[kind], "process": name, "id": id, "state": now}, chain)]

    async def _serve(self) -> None:
        async for event, chain in self._receive:
            for id, known in list(self._known.items()):
                if id not in chain and trigger.matches(known, event):
                    await self.fire(id, event, chain)

    async def fire(self, id: str, event: dict[str, Any], chain: frozenset[str] = frozenset()) -> None:
        """Counts the event, makes it durable, and starts on it or lets it wait."""
        state = find(self._kernel, id)
        if state is None:
            return
        blob = await self._kernel.blob_put(msgspec.json.encode(event))
        await self._save(state, trigger.fired(state, blob, self._kernel.new_id("f")), chain)

    async def _save(self, before: State, after: State, chain: frozenset[str]) -> None:
        if after == before:
            return
        await self._kernel.put("trigger", after.id, msgspec.to_builtins(after))
        if after.state != "active":
            self._known.pop(after.id, None)
        if after.firing is not None and after.firing_id != before.firing_id:
            self._start(after, chain)

    def _start(self, state: State, chain: frozenset[str]) -> None:
        assert state.firing_id is not None
        self._origins.begun(state.id, state.firing_id, chain)
        self._system.start(f"trigger {state.firing_id}", partial(self._work, state), detached=True)

    async def _work(self, state: State, work: Work) -> None:
        assert state.firing is not None
        event = self._kernel.blob(state.firing) or b""
        self.feed.send({"event": "started", "trigger": state.id, "input": event.decode()})
        prepared = definition(self._kernel, state).prepared
        key = f"trigger {state.firing_id}"
        # Cut off with its daemon, it goes on with the next one: only an end is settled.
        ended = await fire(self._system, f"trigger {state.id}", key, prepared, {"input": event.decode()})
        with trio.CancelScope(shield=True):
            await self._settle(state, ended)

    async def _settle(self, state: State, ended: Ended) -> None:
        kernel = self._kernel
        output = await kernel.blob_put(ended.output.encode(errors="replace"))
        known = find(kernel, state.id, removed=True)
        if known is None or known.firing_id != state.firing_id:
            return
        now = kernel.now_us()
        message = ended.message[:MESSAGE_CHARACTERS]
        last = Last(planned_us=now, ended_us=now, ok=ended.ok, message=message, output=output)
        await self._save(known, trigger.ended(known, last, kernel.new_id("f")), frozenset())
        self.feed.send({"event": "ended", **summary(kernel, msgspec.structs.replace(known, last=last))})


def _state(kind: str, body: dict[str, Any]) -> object:
    """What a record of a run has come to; None where that is no state that ends or stops it."""
    if kind == "cron":
        last = body.get("last")
        return None if last is None else last["ended_us"]
    if kind not in _RUNS:
        return None
    state = body.get("state", "running")
    return state if state in trigger.STATES[_RUNS[kind]] else None


def summary(kernel: ReadOnlyKernel, state: State) -> dict[str, Any]:
    """How the trigger's last work ended."""
    last = state.last
    if last is None:
        raise UsageError(f"`{state.id}` has not fired yet")
    data = kernel.blob(last.output) if last.output else None
    return {
        "trigger": state.id,
        "ok": last.ok,
        "message": last.message,
        "ended": instant(last.ended_us),
        "output": (data or b"").decode(errors="replace"),
    }


def states(kernel: ReadOnlyKernel) -> list[State]:
    """Every trigger of the home, by name."""
    found = [msgspec.convert(body, State) for _, body in sorted(kernel.records("trigger").items())]
    return [state for state in found if state.state != "removed"]


def find(kernel: ReadOnlyKernel, id: str, *, removed: bool = False) -> State | None:
    """The trigger `id`, if there is one."""
    body = kernel.record("trigger", id)
    state = None if body is None else msgspec.convert(body, State)
    return state if state is None or removed or state.state != "removed" else None


def definition(kernel: ReadOnlyKernel, state: State) -> Definition:
    """What the trigger is. Raises Failed where its blob is gone."""
    data = kernel.blob(state.definition)
    if data is None:
        raise Failed(
            "what the trigger is was deleted", where=state.id, hint=f"agentos trigger add {state.file}"
        )
    return msgspec.json.decode(data, type=Definition)
