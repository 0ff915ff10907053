"""Triggers: which event they wait for, and whether one is it. Nothing here acts."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from agentos.automation.cron import Last, instant
from agentos.automation.work import Work, check_name
from agentos.errors import UsageError

DOCUMENT_TRIGGERS = 50
HOME_TRIGGERS = 500
PENDING = 16
"""Events that wait while a trigger's work goes on; what comes beyond them is counted and dropped."""

Kind = Literal["spawned", "exited", "run", "batch", "workflow", "cron", "record"]
_KEYS: dict[str, set[str]] = {
    "spawned": {"process"},
    "exited": {"process", "status"},
    "run": {"process", "state"},
    "batch": {"process", "state"},
    "workflow": {"process", "state"},
    "cron": {"process", "state"},
    "record": {"record", "id"},
}
STATES: dict[str, set[str]] = {
    "run": {"done", "failed", "cancelled", "interrupted"},
    "batch": {"done", "partial", "failed", "stopped", "interrupted", "waiting"},
    "workflow": {"done", "failed", "waiting", "interrupted", "cancelled"},
    "cron": {"done", "failed"},
}


class Trigger(Work, frozen=True, kw_only=True):
    """A trigger as its document says it: work, and the event `on` which it is done.

    `process` is a pattern (`*`, `?`, `[…]`) for the name of the process, agent, batch, workflow or job;
    `status` of one that exited; `state` that a run came to; `record` and `id` of a record that is written;
    `contains` is text, in whatever case, that the event has. `max_fires` 0 is no limit.
    """

    name: str
    on: Kind
    process: str = "*"
    status: Literal["done", "failed", "cancelled", "killed", "lost"] | None = None
    state: str | None = None
    record: str = "*"
    id: str = "*"
    contains: str = ""
    max_fires: int = 0

    def check_event(self) -> None:
        """Raises UsageError where what is said of the event makes no sense."""
        check_name(self.name)
        defaults = {field.name: field.default for field in msgspec.structs.fields(Trigger)}
        for key in ("process", "status", "state", "record", "id"):
            if getattr(self, key) != defaults[key] and key not in _KEYS[self.on]:
                raise UsageError(
                    f"`{key}` says nothing about `{self.on}`",
                    hint=f"it has: {', '.join(sorted(_KEYS[self.on]))}",
                )
        if self.state is not None and self.state not in STATES[self.on]:
            raise UsageError(
                f"`{self.state}` is no state of a {self.on}",
                hint=f"one of: {', '.join(sorted(STATES[self.on]))}",
            )
        if self.max_fires < 0:
            raise UsageError("`max_fires` is negative", hint="0 is no limit")
        if self.on == "record" and self.record == "*" and self.id == "*":
            raise UsageError("it would fire on every record there is", hint="give a `record`, its kind")

    @property
    def when(self) -> str:
        """The event in a few words."""
        said = [
            self.on,
            *(
                f"{key}={getattr(self, key)}"
                for key in sorted(_KEYS[self.on])
                if getattr(self, key) not in ("*", None)
            ),
        ]
        return " ".join([*said, f"containing {self.contains!r}"] if self.contains else said)


class Triggers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document of triggers. Its name is that of its file where it gives none."""

    triggers: tuple[Trigger, ...]
    name: str | None = None


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trigger's durable state: the record of kind `trigger`, one journal entry. `definition`, `firing` and
    `pending` are blobs: what it is, the event whose work goes on, the events that wait."""

    id: str
    document: str
    file: str
    definition: str
    kind: str
    when: str
    state: Literal["active", "disabled", "removed"] = "active"
    max_fires: int = 0
    fires: int = 0
    firing: str | None = None
    firing_id: str | None = None
    pending: tuple[str, ...] = ()
    dropped: int = 0
    last: Last | None = None


def matches(trigger: Trigger, event: dict[str, Any]) -> bool:
    """Whether `event` is what the trigger waits for."""
    if event["event"] != trigger.on:
        return False
    if trigger.contains and trigger.contains.lower() not in msgspec.json.encode(event).decode().lower():
        return False
    if trigger.on == "record":
        return fnmatchcase(event["record"], trigger.record) and fnmatchcase(event["id"], trigger.id)
    wanted = {"status": trigger.status, "state": trigger.state}
    return fnmatchcase(event["process"], trigger.process) and all(
        value is None or event.get(key) == value for key, value in wanted.items()
    )


def fired(state: State, event: str, id: str) -> State:
    """The state once an event, a blob, has come that it waited for: at work on it as `id`, or with it
    waiting."""
    if state.state != "active":
        return state
    if state.firing is not None and len(state.pending) >= PENDING:
        return msgspec.structs.replace(state, dropped=state.dropped + 1)
    fires = state.fires + 1
    reached = state.max_fires and fires >= state.max_fires
    counted = msgspec.structs.replace(state, fires=fires, state="disabled" if reached else "active")
    if state.firing is not None:
        return msgspec.structs.replace(counted, pending=(*state.pending, event))
    return msgspec.structs.replace(counted, firing=event, firing_id=id)


def ended(state: State, last: Last, id: str) -> State:
    """The state once its work has ended; the next event that waits, if any, is worked on as `id`."""
    after = msgspec.structs.replace(state, firing=None, firing_id=None, last=last)
    if not state.pending:
        return after
    return msgspec.structs.replace(after, firing=state.pending[0], firing_id=id, pending=state.pending[1:])


def row(state: State) -> dict[str, Any]:
    """A trigger as `trigger list --json` shows it."""
    last = state.last
    return {
        "id": state.id,
        "file": state.file,
        "kind": state.kind,
        "on": state.when,
        "state": "running" if state.firing is not None else state.state,
        "fires": state.fires,
        "max_fires": state.max_fires,
        "pending": len(state.pending),
        "dropped": state.dropped,
        "last": None
        if last is None
        else {"ended": instant(last.ended_us), "ok": last.ok, "message": last.message},
    }
