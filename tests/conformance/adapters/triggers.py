"""Shows events to triggers, one after the other."""

from __future__ import annotations

from typing import Any

import msgspec

from agentos.automation import trigger
from agentos.automation.cron import Last
from agentos.automation.trigger import State, Trigger
from agentos.errors import UsageError


def run(given: dict[str, Any]) -> dict[str, Any]:
    try:
        wanted = msgspec.convert({"name": "t", "program": "true", **given["trigger"]}, Trigger)
        wanted.check_event()
    except (UsageError, msgspec.ValidationError):
        return {"registered": False}
    state = State(
        id="d/t", document="d", file="d.toml", definition="", kind="program", when=wanted.when,
        max_fires=wanted.max_fires, state=given.get("state", "active"),
    )  # fmt: skip
    fired = []
    for number, event in enumerate(given.get("events", [])):
        if event == "restart":
            state = msgspec.json.decode(msgspec.json.encode(state), type=State)
            continue
        before = state.fires
        if trigger.matches(wanted, _whole(event)):
            state = trigger.fired(state, "blob", f"f{number}")
            if given.get("busy", False) is False and state.firing is not None:
                state = trigger.ended(state, Last(planned_us=0, ended_us=0, ok=True), f"f{number}")
        fired.append(state.fires > before)
    return {
        "registered": True,
        "fired": fired,
        "fires": state.fires,
        "state": state.state,
        "waiting": len(state.pending),
    }


def _whole(event: dict[str, Any]) -> dict[str, Any]:
    return {"process": "", "pid": "p-1", **event}
