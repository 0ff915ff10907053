"""Jobs as data: times, catching up, overlap, failures in a row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from agentos.automation import cron
from agentos.automation.cron import CAUGHT_UP, ERRORS, HOME_JOBS, Job, State
from agentos.automation.task import Ended
from agentos.errors import UsageError

NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * 1_000_000
SECOND = 1_000_000
HOUR = 3600 * SECOND
DONE = Ended(ok=True)
WRONG = Ended(ok=False, message="no")


def job(**given: Any) -> Job:
    return msgspec.convert({"name": "j", "program": "true", **given}, Job)


def waiting(next_us: int | None = NOON, **given: Any) -> State:
    state = State(
        id="d/j", document="d", file="/d.toml", definition="0", kind="program", when="", next_us=next_us
    )
    return msgspec.structs.replace(state, **given)


def test_what_is_due_fires_and_its_next_time_is_set_in_the_same_state() -> None:
    after = cron.due(waiting(), job(cron="0 * * * *"), NOON + 5, "f-1")
    assert after.firing is not None
    assert (after.firing.id, after.firing.planned_us) == ("f-1", NOON)
    assert after.next_us == NOON + HOUR


def test_what_is_not_due_stays() -> None:
    state = waiting()
    assert cron.due(state, job(cron="0 * * * *"), NOON - 1, "f-1") is state
    for still in ("disabled", "done", "removed"):
        state = waiting(state=still)
        assert cron.due(state, job(cron="0 * * * *"), NOON, "f-1") is state


@pytest.mark.parametrize(
    ("policy", "late", "planned", "pending", "skipped"),
    [
        ("skip", 30 * SECOND, NOON, 0, 0),  # a little late is not missed
        ("skip", 5 * HOUR, None, 0, 1),
        ("once", 5 * HOUR, NOON, 0, 0),
        ("all", 5 * HOUR, NOON, 5, 0),
        ("all", 500 * HOUR, NOON, CAUGHT_UP - 1, 0),
    ],
)
def test_what_was_missed_is_caught_up_with_by_policy(
    policy: str, late: int, planned: int | None, pending: int, skipped: int
) -> None:
    after = cron.due(waiting(), job(cron="0 * * * *", catch_up=policy), NOON + late, "f")
    assert (after.firing and after.firing.planned_us) == planned
    assert after.pending == tuple(NOON + HOUR * number for number in range(1, pending + 1))
    assert after.skipped == skipped
    assert after.next_us == NOON + (late // HOUR + 1) * HOUR


def test_what_was_missed_runs_one_after_the_other_each_for_its_time() -> None:
    state = cron.due(waiting(), job(cron="0 * * * *", catch_up="all"), NOON + 2 * HOUR, "f-0")
    planned = []
    for number in range(1, 5):
        if state.firing is None:
            break
        planned.append(state.firing.planned_us)
        state = cron.ended(state, DONE, NOON + 2 * HOUR + number, f"f-{number}")
    assert planned == [NOON, NOON + HOUR, NOON + 2 * HOUR]
    assert (state.runs, state.pending, state.next_us) == (3, (), NOON + 3 * HOUR)


def test_a_run_that_goes_on_is_not_overlapped() -> None:
    state = cron.due(waiting(), job(cron="0 * * * *"), NOON, "f-1")
    later = cron.due(state, job(cron="0 * * * *"), NOON + HOUR, "f-2")
    assert later.firing == state.firing
    assert (later.skipped, later.next_us) == (1, NOON + 2 * HOUR)


def test_failures_in_a_row_disable_a_job_and_a_success_forgives_them() -> None:
    def run(state: State, how: Ended) -> State:
        return cron.ended(cron.due(state, job(cron="0 * * * *"), state.next_us or 0, "f"), how, NOON, "f")

    state = waiting()
    for _ in range(ERRORS - 1):
        state = run(state, WRONG)
    state = run(state, DONE)
    assert (state.errors, state.state) == (0, "active")
    for number in range(ERRORS):
        assert state.state == "active"
        state = run(state, WRONG)
        assert state.errors == number + 1
    assert (state.state, state.next_us, state.last and state.last.message) == ("disabled", None, "no")


def test_a_long_message_is_cut_so_that_the_record_fits_an_entry() -> None:
    state = cron.due(
        waiting(id="d" * 128 + "/" + "j" * 128), job(every="1m", catch_up="all"), NOON + HOUR, "f"
    )
    ended = cron.ended(state, Ended(ok=False, message="x" * 10_000), NOON, "f", "0" * 64)
    assert len(msgspec.json.encode(ended)) < 3_000
    assert HOME_JOBS == 500


def test_an_interval_keeps_its_beat_over_a_time_away() -> None:
    after = cron.due(waiting(), job(every="90s"), NOON + HOUR + 1, "f")
    assert after.next_us == NOON + HOUR + 90 * SECOND


def test_one_time_is_done_after_it() -> None:
    moment = job(at="2026-03-02T12:00:00Z")
    state = cron.due(waiting(), moment, NOON + 1, "f")
    assert (state.state, state.next_us) == ("active", None)
    assert cron.ended(state, DONE, NOON + 2, "f").state == "done"
    missed = cron.due(waiting(), job(at="2026-03-02T12:00:00Z", catch_up="skip"), NOON + HOUR, "f")
    assert (missed.state, missed.skipped, missed.firing) == ("done", 1, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "0 kinds of times"),
        ({"cron": "* * * * *", "every": "1m"}, "2 kinds of times"),
        ({"cron": "* * * *"}, "five fields"),
        ({"cron": "* * * * *", "zone": "Mars/Olympus"}, "no time zone `Mars/Olympus`"),
        ({"cron": "* * * * *", "zone": ""}, "no time zone ``"),
        ({"every": "59s"}, "60 to 86400 seconds"),
        ({"every": "25h"}, "60 to 86400 seconds"),
        ({"every": "soon"}, "no duration"),
        ({"every": "1m", "zone": "Europe/Berlin"}, "belongs to `cron`"),
        ({"at": "2026-03-02T11:59:59Z"}, "has passed"),
        ({"at": "2028-01-01T00:00:00Z"}, "more than a year ahead"),
        ({"at": "2026-03-02T13:00:00"}, "no offset"),
        ({"at": "tomorrow"}, "no time"),
        ({"cron": "* * * * *", "name": ""}, "no name"),
        ({"cron": "* * * * *", "name": "a/b"}, "contains '/'"),
        ({"cron": "* * * * *", "name": "x" * 129}, "1 to 128 characters"),
    ],
)
def test_times_that_are_not_to_be_had_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        job(**given).check_times(NOON)
    assert said in refused.value.message


@pytest.mark.parametrize("name", ["Bericht für Anna", "レポート", "a-b_c 1", "x" * 128])
def test_names_of_every_script_are_taken(name: str) -> None:
    job(cron="* * * * *", name=name).check_times(NOON)
