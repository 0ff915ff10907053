"""Asks for next instants, checks jobs, and plays them through time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from tests.conformance.adapters.texts import text

from agentos.automation import cron
from agentos.automation.adding import check
from agentos.automation.cron import Job, State
from agentos.automation.task import Ended
from agentos.automation.work import check_name
from agentos.errors import UsageError
from agentos.kernel import next_instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = "2026-03-02T12:00:00Z"


def run(given: dict[str, Any]) -> dict[str, Any]:
    [(kind, about)] = given.items()
    outcome: dict[str, Any] = {
        "next": _next, "job": _job, "name": _name, "play": _play, "limits": _limits, "kept": _kept,
    }[kind](about)  # fmt: skip
    return outcome


def _us(moment: str) -> int:
    return (datetime.fromisoformat(moment) - EPOCH) // timedelta(microseconds=1)


def _shown(us: int | None) -> str | None:
    return cron.instant(us)


def _next(about: dict[str, Any]) -> dict[str, Any]:
    found, us = [], _us(about.get("after", NOW))
    try:
        for _ in range(about.get("times", 1)):
            us = next_instant(about["cron"], about.get("zone", "UTC"), us)
            found.append(_shown(us))
    except UsageError as error:
        return {"refused": True, "said": error.message}
    return {"next": found[0] if len(found) == 1 else found}


def _made(about: dict[str, Any]) -> Job:
    return msgspec.convert({"name": "j", "program": "true", **about}, Job)


def _job(about: dict[str, Any]) -> dict[str, Any]:
    """Whether a job is taken, and when it is due first."""
    about = {key: text(value) if key in ("program", "task") else value for key, value in about.items()}
    about = {**({"program": None} if "task" in about else {}), **about}
    try:
        job = _made(about)
        job.check()
        job.check_times(_us(NOW))
    except (UsageError, msgspec.ValidationError):
        return {"taken": False}
    return {
        "taken": True,
        "next": _shown(cron.next_us(job, _us(NOW))),
        "catch_up": job.catch_up,
        "zone": job.zone,
    }


def _name(about: Any) -> dict[str, Any]:
    try:
        return {"taken": check_name(text(about)) == text(about)}
    except UsageError:
        return {"taken": False}


def _play(about: dict[str, Any]) -> dict[str, Any]:
    """Each step is a time at which the clock looks, or how the run ends that goes on."""
    job = _made(about["job"])
    state = State(
        id="d/j", document="d", file="d.toml", definition="", kind="program", when=job.when,
        next_us=cron.next_us(job, _us(about.get("added", NOW))),
    )  # fmt: skip
    ran: list[str | None] = []
    for number, step in enumerate(about["steps"]):
        before = state.firing
        if step in ("ok", "fails"):
            ended = Ended(ok=step == "ok", message="" if step == "ok" else text(about.get("message", "no")))
            state = cron.ended(state, ended, state.firing.started_us if state.firing else 0, f"f{number}")
        elif step == "restart":
            state = msgspec.json.decode(msgspec.json.encode(state), type=State)
        else:
            state = cron.due(state, job, _us(step), f"f{number}")
        if state.firing is not None and state.firing != before:
            ran.append(_shown(state.firing.planned_us))
    last = state.last.message if state.last else ""
    return {
        "ran": ran,
        "state": state.state,
        "running": state.firing is not None,
        "next": _shown(state.next_us),
        "runs": state.runs,
        "errors": state.errors,
        "skipped": state.skipped,
        "listed": state.state != "removed",
        "message": last,
        "message_cut": len(last) == cron.MESSAGE_CHARACTERS,
    }


def _limits(about: dict[str, Any]) -> dict[str, Any]:
    ids = [f"mine/j{number}" for number in range(about["document"])]
    known = {f"other{number}/j": (f"other{number}", "o.toml") for number in range(about.get("others", 0))}
    if about.get("taken"):
        known["mine/j0"] = ("mine", "elsewhere.toml")
    try:
        check([*ids, *ids[: about.get("twice", 0)]], known, "mine", "mine.toml", "jobs")
    except UsageError:
        return {"taken": False}
    return {"taken": True}


def _kept(about: dict[str, Any]) -> dict[str, Any]:
    """A job in the form in which it is stored, and back."""
    job = _made(about)
    again = msgspec.json.decode(msgspec.json.encode(job), type=Job)
    return {"same": job == again, "when": again.when}
