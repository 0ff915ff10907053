"""Triggers as data: patterns, counting, what waits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agentos.automation import trigger
from agentos.automation.cron import Last
from agentos.automation.trigger import PENDING, State, Trigger
from agentos.errors import UsageError

EXITED = {"event": "exited", "process": "reviewer", "status": "failed", "pid": "p-1"}
BATCH = {"event": "batch", "process": "modernise", "id": "b-1", "state": "partial"}
RECORD = {"event": "record", "record": "agent", "id": "a-1"}


def made(**given: Any) -> Trigger:
    return msgspec.convert({"name": "t", "program": "true", **given}, Trigger)


@pytest.mark.parametrize(
    ("given", "event", "expected"),
    [
        ({"on": "exited"}, EXITED, True),
        ({"on": "spawned"}, EXITED, False),
        ({"on": "exited", "process": "review*"}, EXITED, True),
        ({"on": "exited", "process": "review"}, EXITED, False),
        ({"on": "exited", "process": "*view*"}, EXITED, True),
        ({"on": "exited", "process": "Review*"}, EXITED, False),
        ({"on": "exited", "status": "failed"}, EXITED, True),
        ({"on": "exited", "status": "done"}, EXITED, False),
        ({"on": "batch", "state": "partial"}, BATCH, True),
        ({"on": "batch", "state": "done"}, BATCH, False),
        ({"on": "batch", "contains": "MODERN"}, BATCH, True),
        ({"on": "batch", "contains": "ancient"}, BATCH, False),
        ({"on": "record", "record": "agent"}, RECORD, True),
        ({"on": "record", "record": "ag*", "id": "a-?"}, RECORD, True),
        ({"on": "record", "record": "batch"}, RECORD, False),
    ],
)
def test_a_pattern_takes_what_it_says(given: dict[str, Any], event: dict[str, Any], expected: bool) -> None:
    assert trigger.matches(made(**given), event) is expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"on": "spawned", "status": "done"}, "`status` says nothing about `spawned`"),
        ({"on": "record", "process": "x"}, "`process` says nothing about `record`"),
        ({"on": "batch", "state": "running"}, "no state of a batch"),
        ({"on": "record"}, "every record"),
        ({"on": "run", "max_fires": -1}, "negative"),
        ({"on": "run", "name": "a:b"}, "contains ':'"),
    ],
)
def test_events_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        made(**given).check_event()
    assert said in refused.value.message


def state(**given: Any) -> State:
    base = State(id="d/t", document="d", file="/d.toml", definition="0", kind="program", when="run")
    return msgspec.structs.replace(base, **given)


def last() -> Last:
    return Last(planned_us=1, ended_us=1, ok=True)


def test_events_are_worked_on_one_after_the_other() -> None:
    one = trigger.fired(state(), "e1", "f1")
    two = trigger.fired(one, "e2", "f2")
    assert (two.firing, two.firing_id, two.pending, two.fires) == ("e1", "f1", ("e2",), 2)
    after = trigger.ended(two, last(), "f3")
    assert (after.firing, after.firing_id, after.pending) == ("e2", "f3", ())
    assert trigger.ended(after, last(), "f4").firing is None


def test_a_limit_counts_what_waits_and_disables() -> None:
    now = state(max_fires=2)
    for number in range(4):
        now = trigger.fired(now, f"e{number}", f"f{number}")
    assert (now.fires, now.state, now.pending) == (2, "disabled", ("e1",))
    # What was counted is still worked on.
    assert trigger.ended(now, last(), "f").firing == "e1"


def test_too_many_events_are_counted_and_dropped() -> None:
    now = state()
    for number in range(PENDING + 3):
        now = trigger.fired(now, f"{number:064}", "f")
    assert (now.fires, len(now.pending), now.dropped) == (PENDING + 1, PENDING, 2)
    assert len(msgspec.json.encode(now)) < 3_000
