"""Jobs at their times, through the command and a real daemon, also one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command, wait_gone

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]


def soon(seconds: float = 2) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def add(agentos: Command, *jobs: dict[str, Any], name: str = "jobs") -> None:
    document = {"jobs": [{"program": "true", "write": ["."], **job} for job in jobs]}
    # What is JSON is YAML, too.
    (agentos.cwd / f"{name}.yaml").write_text(json.dumps(document))
    done = agentos("cron", "add", f"{name}.yaml")
    assert done.returncode == 0, done.stderr


def job(agentos: Command, id: str = "jobs/j") -> dict[str, Any]:
    [found] = [row for row in agentos.json("cron", "list") if row["id"] == id]
    return dict(found)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        os.sched_yield()


def serve(agentos: Command) -> tuple[subprocess.Popen[str], list[dict[str, Any]]]:
    """A client that keeps a daemon, and what it has said so far."""
    client = agentos.start("cron", "serve", "--json")
    events: list[dict[str, Any]] = []
    read(client, events, "serving")
    return client, events


def read(client: subprocess.Popen[str], events: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The next event of this kind."""
    assert client.stdout is not None
    for line in client.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == wanted:
            return events[-1]
    raise AssertionError(f"no `{wanted}` in {events}: {client.stderr and client.stderr.read()}")


def kill_daemon(agentos: Command) -> None:
    watched = os.pidfd_open(agentos.daemon)
    os.kill(agentos.daemon, signal.SIGKILL)
    wait_gone(watched)
    os.close(watched)


def leave(client: subprocess.Popen[str]) -> str:
    """Ctrl-C; what the client says to it. One that comes while a client changes daemons can be lost, as a
    person sees and presses it again."""
    os.killpg(client.pid, signal.SIGINT)
    try:
        _, err = client.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(client.pid, signal.SIGINT)
        _, err = client.communicate(timeout=60)
    assert client.returncode == 130, err
    return err


def test_a_job_fires_at_its_time_while_somebody_serves(agentos: Command) -> None:
    add(agentos, {"name": "j", "at": soon(), "program": "echo for {input}; cat; touch ran"})
    client, events = serve(agentos)
    ended = read(client, events, "ended")
    assert [event["event"] for event in events] == ["serving", "started", "ended"]
    assert ended["ok"] and ended["output"] == f"for {ended['planned']}\n{ended['planned']}"
    assert "no longer serving" in leave(client)
    row = job(agentos)
    assert (row["state"], row["runs"], row["errors"]) == ("done", 1, 0)
    assert agentos("cron", "show", "jobs/j").stdout == f"{ended['output']}\n"


def test_what_came_due_while_no_daemon_lived_is_caught_up_with(agentos: Command) -> None:
    at = soon()
    add(agentos, {"name": "j", "at": at, "program": "echo once >> ran"})
    kill_daemon(agentos)
    while datetime.now(UTC) < datetime.fromisoformat(at) + timedelta(milliseconds=100):
        os.sched_yield()
    assert job(agentos)["runs"] == 0
    client, events = serve(agentos)
    if job(agentos)["runs"] == 0:
        read(client, events, "ended")
    leave(client)
    kill_daemon(agentos)
    client, _ = serve(agentos)
    leave(client)
    assert (agentos.cwd / "ran").read_text() == "once\n"
    assert job(agentos)["runs"] == 1


def test_a_repeatable_program_that_was_cut_off_is_run_again_for_the_same_time(agentos: Command) -> None:
    line = "echo begun >> log; [ -e go ] || { touch under-way; sleep 600; }; echo ended >> log"
    add(agentos, {"name": "j", "at": soon(), "program": line, "recovery": "repeatable"})
    client, events = serve(agentos)
    wait_for(agentos.cwd / "under-way")
    (agentos.cwd / "go").touch()
    kill_daemon(agentos)
    # The client has started another daemon, which goes on.
    ended = read(client, events, "ended") if job(agentos)["runs"] == 0 else None
    leave(client)
    assert (agentos.cwd / "log").read_text().split() == ["begun", "begun", "ended"]
    row = job(agentos)
    assert (row["runs"], row["errors"], row["state"]) == (1, 0, "done")
    assert ended is None or ended["ok"]


def test_another_program_that_was_cut_off_is_told_and_not_repeated(agentos: Command) -> None:
    line = "echo begun >> log; touch under-way; sleep 600"
    add(agentos, {"name": "j", "at": soon(), "program": line})
    client, _ = serve(agentos)
    wait_for(agentos.cwd / "under-way")
    kill_daemon(agentos)
    leave(client)
    # Any command that acts starts a daemon, which settles what the last one left before it answers.
    agentos("kill", "p-none")
    row = job(agentos)
    assert (row["runs"], row["errors"]) == (1, 1)
    assert "cut off" in row["last"]["message"]
    assert (agentos.cwd / "log").read_text() == "begun\n"


def test_kills_at_any_moment_neither_double_nor_lose_a_firing(agentos: Command) -> None:
    for attempt in range(4):
        id, log = f"jobs/j{attempt}", agentos.cwd / f"log{attempt}"
        line = f"echo begun >> log{attempt}"
        add(agentos, {"name": f"j{attempt}", "at": soon(), "program": line, "recovery": "repeatable"})
        client = agentos.start("cron", "serve", "--json")
        due = datetime.fromisoformat(job(agentos, id)["when"].removeprefix("at "))
        while datetime.now(UTC) < due + timedelta(milliseconds=8 * attempt):
            os.sched_yield()
        kill_daemon(agentos)
        wait_for(log)
        while job(agentos, id)["runs"] == 0:
            os.sched_yield()
        leave(client)
        row = job(agentos, id)
        # It ran for its one time; where the daemon died under it, what was cut off was run again.
        assert (row["runs"], row["state"]) == (1, "done")
        assert log.read_text() in ("begun\n", "begun\nbegun\n")


def test_a_failing_job_is_disabled_after_five_failures_and_says_so(agentos: Command) -> None:
    add(agentos, {"name": "j", "every": "1h", "program": "echo out; exit 3"})
    for number in range(1, 6):
        done = agentos("cron", "run", "jobs/j")
        assert done.returncode == 1
        assert done.stdout == "out\n" and "exit code 3" in done.stderr
        assert job(agentos)["errors"] == number
    row = job(agentos)
    assert (row["state"], row["next"]) == ("disabled", None)
    add(agentos, {"name": "j", "every": "1h", "program": "true"})
    assert (job(agentos)["state"], job(agentos)["errors"]) == ("active", 0)
    assert agentos.json("cron", "run", "jobs/j")["ok"]


def test_ctrl_c_ends_a_run_by_hand_and_settles_it(agentos: Command) -> None:
    add(agentos, {"name": "j", "every": "1h", "program": "touch begun; sleep 600"})
    client = agentos.start("cron", "run", "jobs/j")
    wait_for(agentos.cwd / "begun")
    assert agentos("cron", "run", "jobs/j").returncode == 2, "it runs"
    os.killpg(client.pid, signal.SIGINT)
    client.communicate(timeout=60)
    assert client.returncode == 130
    row = job(agentos)
    assert (row["state"], row["last"]["message"]) == ("active", "it was interrupted")
    assert not list((agentos.home / "run").iterdir())


def test_a_document_is_the_truth_about_its_jobs(agentos: Command) -> None:
    add(agentos, {"name": "a", "every": "1h"}, {"name": "b", "every": "2h"})
    first = job(agentos, "jobs/a")
    add(agentos, {"name": "a", "every": "1h", "program": "echo other"}, {"name": "c", "at": soon(3600)})
    assert [row["id"] for row in agentos.json("cron", "list")] == ["jobs/a", "jobs/c"]
    assert job(agentos, "jobs/a")["next"] == first["next"], "the beat is kept"
    other = agentos.cwd / "other"
    other.mkdir()
    (other / "jobs.yaml").write_text('jobs: [{name: a, every: 1h, program: "true"}]')
    done = agentos("cron", "add", "other/jobs.yaml")
    assert done.returncode == 2
    assert f"{agentos.cwd}/jobs.yaml" in done.stderr and "remove" in done.stderr
    assert agentos.json("cron", "remove", "jobs/c")["removed"] == ["jobs/c"]
    assert agentos.json("cron", "remove", "jobs")["removed"] == ["jobs/a"]
    assert agentos.json("cron", "list") == []
    assert agentos("cron", "add", "other/jobs.yaml").returncode == 0


def test_a_program_sees_its_folder_and_no_more(agentos: Command, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    line = f"cat {tmp_path}/secret || echo none; touch there 2>/dev/null || echo read-only; ls jobs.yaml"
    add(agentos, {"name": "j", "every": "1h", "program": line, "write": []})
    done = agentos.json("cron", "run", "jobs/j")
    assert done["output"].splitlines()[-3:] == ["none", "read-only", "jobs.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs: [{name: j, every: 1h}]", "does nothing"),
        ("jobs: [{name: j, every: 1h, program: x, task: y}]", "several things"),
        ("jobs: [{name: j, program: x}]", "0 kinds of times"),
        ("jobs: [{name: j, every: 10s, program: x}]", "60 to 86400"),
        ("jobs: [{name: j, cron: '* * *', program: x}]", "five fields"),
        ("jobs: [{name: j, cron: '61 * * * *', program: x}]", "`61` is no minute"),
        ("jobs: [{name: j, cron: '0 0 31 2 *', program: x}]", "no year"),
        ("jobs: [{name: j, cron: '* * * * *', zone: Nowhere, program: x}]", "no time zone"),
        ("jobs: [{name: j, at: '2020-01-01T00:00:00Z', program: x}]", "has passed"),
        ("jobs: [{name: 'j/k', every: 1h, program: x}]", "no name"),
        ("jobs: [{name: j, every: 1h, program: x}, {name: j, every: 1h, program: x}]", "stands twice"),
        ("jobs: []", "0 jobs"),
        ("name: 'a/b'\njobs: [{name: j, every: 1h, program: x}]", "no name"),
        ("jobs: [{name: j, every: 1h, program: x, read: [nothing]}]", "there is no nothing"),
        ("jobs: [{name: j, every: 1h, program: x, catch_up: maybe}]", "invalid enum value"),
        ("jobs: [" + "{name: j, every: 1h, program: x}, " * 51 + "]", "stands twice"),
        ("jobs: [" + ", ".join(f"{{name: j{n}, every: 1h, program: x}}" for n in range(51)) + "]", "51 jobs"),
    ],
)
def test_a_wrong_document_is_refused_whole(agentos: Command, text: str, said: str) -> None:
    (agentos.cwd / "bad.yaml").write_text(text)
    done = agentos("cron", "add", "bad.yaml", "--json")
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert said in error["message"]
    assert f"{agentos.cwd}/bad.yaml" in error["where"] or error["where"].startswith("bad.yaml")
    assert agentos.json("cron", "list") == []


@pytest.mark.parametrize(
    "arguments", [("run", "none"), ("remove", "none"), ("show", "none"), ("add", "none.toml"), ("add", ".")]
)
def test_what_is_not_there_is_named(agentos: Command, arguments: tuple[str, ...]) -> None:
    done = agentos("cron", *arguments)
    assert done.returncode == 2
    assert "→" in done.stderr or "cannot be read" in done.stderr or "ends in" in done.stderr


def test_there_are_only_so_many_jobs_in_a_home(agentos: Command) -> None:
    for number in range(10):
        add(agentos, *({"name": f"j{at}", "every": "1h"} for at in range(50)), name=f"d{number}")
    assert len(agentos.json("cron", "list")) == 500
    (agentos.cwd / "more.yaml").write_text("jobs: [{name: j, every: 1h, program: x}]")
    done = agentos("cron", "add", "more.yaml")
    assert done.returncode == 2 and "more than 500" in done.stderr
    add(agentos, {"name": "j0", "every": "1h"}, name="d0")
    assert agentos("cron", "add", "more.yaml").returncode == 0
