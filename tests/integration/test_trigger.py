"""Triggers through the command and a real daemon."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command, wait_gone

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]


def add(agentos: Command, *triggers: dict[str, Any], name: str = "t") -> None:
    usual = {"program": "cat >> log; echo >> log", "write": ["."]}
    document = [one if "workflow" in one else {**usual, **one} for one in triggers]
    (agentos.cwd / f"{name}.yaml").write_text(json.dumps({"triggers": document}))
    done = agentos("trigger", "add", f"{name}.yaml")
    assert done.returncode == 0, done.stderr


def flow(agentos: Command, name: str = "flow", program: str = "true") -> None:
    (agentos.cwd / f"{name}.yaml").write_text(json.dumps({"steps": [{"name": "a", "program": program}]}))
    assert agentos("workflow", "add", f"{name}.yaml").returncode == 0


def settled(agentos: Command, id: str, fires: int) -> dict[str, Any]:
    """The trigger once it has fired so often and nothing of it goes on."""
    deadline = time.monotonic() + 60
    while True:
        [row] = [row for row in agentos.json("trigger", "list") if row["id"] == id]
        if row["fires"] >= fires and row["state"] != "running" and row["pending"] == 0:
            return dict(row)
        assert time.monotonic() < deadline, row


def log(agentos: Command) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (agentos.cwd / "log").read_text().splitlines()]


def kill_daemon(agentos: Command) -> None:
    watched = os.pidfd_open(agentos.daemon)
    os.kill(agentos.daemon, signal.SIGKILL)
    wait_gone(watched)
    os.close(watched)


def test_a_process_that_exits_fires_with_its_name_and_status(agentos: Command) -> None:
    add(agentos, {"name": "x", "on": "exited", "process": "workflow f*", "status": "failed"})
    flow(agentos, "fine")
    flow(agentos, "foul", "exit 3")
    agentos("workflow", "run", "fine")
    agentos("workflow", "run", "foul")
    row = settled(agentos, "t/x", 1)
    assert row["last"]["ok"], row
    [event] = log(agentos)
    assert (event["process"], event["status"]) == ("workflow foul", "failed")
    assert agentos("trigger", "show", "t/x").returncode == 0


def test_each_kind_of_event_fires_its_trigger(agentos: Command) -> None:
    add(
        agentos,
        {"name": "born", "on": "spawned", "process": "workflow *"},
        {"name": "run", "on": "workflow", "process": "flow", "state": "done"},
        {"name": "job", "on": "cron", "state": "failed"},
        {"name": "put", "on": "record", "record": "workflow", "id": "fl?w"},
        {"name": "text", "on": "workflow", "contains": "DONE"},
    )
    flow(agentos)
    assert agentos("workflow", "run", "flow").returncode == 0
    (agentos.cwd / "jobs.yaml").write_text('jobs: [{name: j, every: 1h, program: "false"}]')
    assert agentos("cron", "add", "jobs.yaml").returncode == 0
    assert agentos("cron", "run", "jobs/j").returncode == 1
    fired = {
        name: settled(agentos, f"t/{name}", 1)["fires"] for name in ("born", "run", "job", "put", "text")
    }
    assert fired == dict.fromkeys(fired, 1)
    assert {event["event"] for event in log(agentos)} == {"spawned", "workflow", "cron", "record"}


def test_a_trigger_is_disabled_after_as_many_fires_as_it_may_have(agentos: Command) -> None:
    add(agentos, {"name": "two", "on": "workflow", "state": "done", "max_fires": 2})
    flow(agentos)
    for _ in range(3):
        assert agentos("workflow", "run", "flow").returncode == 0
    assert settled(agentos, "t/two", 2)["state"] == "disabled"
    assert len(log(agentos)) == 2
    done = agentos("trigger", "run", "t/two")
    assert done.returncode == 2 and "disabled" in done.stderr
    add(agentos, {"name": "two", "on": "workflow", "state": "done", "max_fires": 2})
    assert agentos("trigger", "run", "t/two").returncode == 0
    assert settled(agentos, "t/two", 1)["fires"] == 1


def test_triggers_outlive_their_daemon(agentos: Command) -> None:
    add(agentos, {"name": "r", "on": "workflow", "state": "done"})
    flow(agentos)
    kill_daemon(agentos)
    assert agentos("workflow", "run", "flow").returncode == 0
    assert settled(agentos, "t/r", 1)["fires"] == 1


@pytest.mark.parametrize(("recovery", "lines", "ok"), [("repeatable", 2, True), ("once", 1, False)])
def test_work_that_was_cut_off_goes_on_by_what_it_declares(
    agentos: Command, recovery: str, lines: int, ok: bool
) -> None:
    line = "echo '{}' >> log; [ -e go ] || { touch cut; sleep 600; }"
    add(agentos, {"name": "r", "on": "workflow", "state": "done", "program": line, "recovery": recovery})
    flow(agentos)
    assert agentos("workflow", "run", "flow").returncode == 0
    wait_for(agentos.cwd / "cut")
    (agentos.cwd / "go").touch()
    kill_daemon(agentos)
    agentos("kill", "p-none")
    row = settled(agentos, "t/r", 1)
    assert (row["fires"], row["last"]["ok"], len(log(agentos))) == (1, ok, lines)


def test_triggers_do_not_turn_in_circles(agentos: Command) -> None:
    flow(agentos)
    add(
        agentos,
        {"name": "self", "on": "workflow", "state": "done", "workflow": "flow"},
        {"name": "ping", "on": "exited", "process": "trigger t/pong"},
        {"name": "pong", "on": "exited", "process": "trigger t/ping"},
    )
    assert agentos("workflow", "run", "flow").returncode == 0
    assert settled(agentos, "t/self", 1)["fires"] == 1
    assert agentos("trigger", "run", "t/ping").returncode == 0
    # `ping` by hand led to `pong`, and that back to nothing.
    assert settled(agentos, "t/pong", 1)["fires"] == 1
    assert settled(agentos, "t/ping", 1)["fires"] == 1
    assert settled(agentos, "t/self", 1)["fires"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("triggers: [{name: t, on: noon, program: x}]", "invalid enum value"),
        ("triggers: [{name: t, program: x}]", "missing required field `on`"),
        ("triggers: [{name: t, on: run}]", "does nothing"),
        ("triggers: [{name: t, on: run, state: lost, program: x}]", "no state of a run"),
        ("triggers: [{name: t, on: spawned, status: done, program: x}]", "`status` says nothing"),
        ("triggers: [{name: t, on: run, max_fires: -2, program: x}]", "negative"),
        ("triggers: [{name: t, on: record, program: x}]", "every record"),
        ("triggers: []", "0 triggers"),
    ],
)
def test_a_wrong_document_is_refused_whole(agentos: Command, text: str, said: str) -> None:
    (agentos.cwd / "bad.yaml").write_text(text)
    done = agentos("trigger", "add", "bad.yaml")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "bad.yaml" in done.stderr
    assert agentos.json("trigger", "list") == []


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        os.sched_yield()
