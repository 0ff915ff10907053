"""What a person does with a batch: look, review, merge, take back, interrupt, come back to it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from tests.batches import Repository, nothing_left_over, run
from tests.command import Command
from tests.endurance.kills import Stream, kill

from agentos.daemon.client import connect
from agentos.errors import Interrupted
from agentos.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.needs("git", "namespaces", "landlock")]

ADD = "for d in {paths}; do echo more >> $d/value.txt; done"
UNIT_KEYS = {
    "id", "title", "paths", "pid", "state", "attempts", "branch", "commit", "files_changed", "verify",
    "cost_usd", "review", "failure", "pull_request",
}  # fmt: skip
BATCH_KEYS = {
    "batch", "name", "repo", "state", "base", "created", "budget_usd", "spent_usd", "reserved_usd", "level",
    "baseline", "units",
}  # fmt: skip


@pytest.fixture
def repository(agentos: Command) -> Repository:
    return Repository.make(agentos.cwd, 4)


def _flags(program: str = ADD, *more: str) -> list[str]:
    return ["--units", "src/*/", "--program", program, *more]


def _plan(agentos: Command, text: str) -> str:
    file = agentos.home.parent / "plan.yaml"
    file.write_text(text)
    return str(file)


def _endless(agentos: Command, *more: str) -> Stream:
    """A batch at work that does not end by itself."""
    stream = Stream(agentos.start("batch", "run", "--yes", "--json", *_flags("exec sleep 1000"), *more))
    assert _running(stream)
    return stream


def _running(stream: Stream) -> bool:
    """Reads on until a unit's program runs; False where that never happens."""
    while found := stream.events():
        rows = [event["unit"] for event in found if event["event"] == "unit"]
        rows += [row for event in found if event["event"] == "status" for row in event["status"]["units"]]
        if any(row["state"] == "running" for row in rows):
            return True
    return False


# --- looking ----------------------------------------------------------------------------------------------


def test_the_documents_have_the_contracts_shape(agentos: Command, repository: Repository) -> None:
    program = f"test {{unit}} != u-src-03 && {ADD}"
    summary = run(agentos, *_flags(program, "--verify", "true", "--budget", "2.5"), code=3)
    assert {"event", "batch", "units", "landed", "failed", "seconds", "spent_usd"} <= set(summary)
    status = agentos.json("batch", "status")
    assert set(status) >= BATCH_KEYS
    assert (status["budget_usd"], status["spent_usd"], status["state"]) == ("2.50", "0.00", "partial")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", status["created"])
    for unit in status["units"]:
        assert set(unit) == UNIT_KEYS
    landed, failed = status["units"][0], status["units"][3]
    assert landed["commit"] == repository.git("rev-parse", landed["branch"]).strip()
    assert set(landed["verify"]) == {"command", "exit_code", "seconds"} and landed["failure"] is None
    assert set(failed["failure"]) == {"kind", "message"} and failed["commit"] is None
    (row,) = agentos.json("batch", "list")
    assert set(row) == {"batch", "name", "state", "repo", "created", "units", "landed"}
    # The start of an id is enough.
    assert agentos.json("batch", "status", status["batch"][:8]) == status


def test_every_reading_verb_gives_one_document(agentos: Command, repository: Repository) -> None:
    run(agentos, *_flags(f"echo said; {ADD}", "--verify", "true"))
    status = agentos.json("batch", "status")
    assert agentos.json("batch", "report") == status
    assert agentos.json("batch", "report", "--html") == status
    assert agentos.json("batch", "logs", "u-src-00")["phases"]["agent"] == "said\n"
    assert agentos.json("batch", "logs", "baseline")["unit"] == "baseline"
    assert [row["unit"] for row in agentos.json("batch", "diff")] == [unit["id"] for unit in status["units"]]
    assert agentos.json("batch", "conflicts") == []
    assert agentos("batch", "report", "--html").stdout.startswith("<!doctype html>")
    for arguments in (("--attempt", "2"), ("--attempt", "0"), ("--attempt=-1",)):
        done = agentos("batch", "logs", "u-src-00", *arguments)
        assert done.returncode == 2 and "has no attempt" in done.stderr
    done = agentos("batch", "logs", "baseline", "--follow")
    assert done.returncode == 2 and "without --follow" in done.stderr


def test_where_patches_are_is_said(agentos: Command, repository: Repository) -> None:
    done = agentos("batch", "run", "--yes", *_flags(ADD, "--deliver", "patch"))
    folder = Path(agentos.json("batch", "status")["patches"])
    assert f"patches: {folder}\n" in done.stdout
    assert len(list(folder.glob("*.patch"))) == 4


def test_units_have_what_is_promised_them(agentos: Command, repository: Repository) -> None:
    repository.write(".gitignore", "*.local\n")
    repository.write(".worktreeinclude", "*.local\n")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "ignore")
    repository.write("secret.local", "42\n")
    talk = (
        "import os, socket; port = int(os.environ['AGENTOS_PORT_9']); "
        "server = socket.create_server(('127.0.0.1', port)); "
        "socket.create_connection(('127.0.0.1', port)); print('talked')"
    )
    program = (
        'test "$GREETING" = hi && test "$(cat secret.local)" = 42 && test -w "$HOME" && test -w "$TMPDIR" && '
        f'test "$AGENTOS_UNIT" = {{unit}} && test -n "$AGENTOS_SLUG" && python3 -c "{talk}" && '
        "printf '%s' {title} {prompt} && cat {prompt_file} && env | grep -c -e KEY && exit 9; true"
    )
    plan = _plan(
        agentos,
        'version: 1\nunits: [{id: one, title: "it\'s $(one)", paths: [src/00/], prompt: "do \'it\'"}]\n'
        f"agent: {{program: {json.dumps(program)}}}\nallow_empty: true\nlimits: {{attempts: 1}}\n"
        "workspace: {env: {GREETING: hi}}\n",
    )
    agentos.environment["SOME_KEY"] = "not for units"
    summary = run(agentos, plan)
    assert summary["landed"] == 1  # nothing changed, which `allow_empty` says is fine
    said = agentos.json("batch", "logs", "one")["phases"]["agent"]
    assert said == "talked\nit's $(one)do 'it'do 'it'0\n"


# --- reviewing --------------------------------------------------------------------------------------------


def test_review_merge_and_their_undoing(agentos: Command, repository: Repository) -> None:
    batch = run(agentos, *_flags())["batch"]
    before = repository.fingerprint()
    assert agentos.json("batch", "accept", "u-src-00")["units"][0]["review"] == "accepted"
    agentos.json("batch", "reject", "src/03/")
    merged = agentos.json("batch", "merge")
    assert (merged["branch"], len(merged["units"])) == (f"agentos/{batch}/merged", 3)
    assert repository.fingerprint() == before
    assert repository.git("show", f"{merged['branch']}:src/03/value.txt") == "3\n"
    # A repeat is the same commit, and only `--into` moves a branch of the person's, files and all.
    taken = agentos.json("batch", "merge", "--into", "main")
    assert taken["commit"] == merged["commit"] == repository.git("rev-parse", "main").strip()
    assert repository.git("status", "--porcelain") == ""
    assert (repository.path / "src/00/value.txt").read_text() == "0\nmore\n"
    states = [unit["state"] for unit in agentos.json("batch", "status")["units"]]
    assert states == ["merged"] * 3 + ["committed"]
    agentos.json("batch", "undo")
    # The index knows new times of files; all else is as it was.
    assert repository.git("status", "--porcelain") == ""
    assert repository.fingerprint() | {"index": ""} == before | {"index": ""}
    assert repository.git("for-each-ref", f"refs/heads/{merged['branch']}") == ""
    assert agentos("batch", "undo").returncode == 2
    # What was rejected can be tried again; what landed cannot.
    assert agentos("batch", "retry", "u-src-00").returncode == 2
    assert agentos("batch", "retry", "u-src-03").returncode == 0
    assert len(agentos.json("batch", "merge")["units"]) == 4


def test_a_merge_that_cannot_be_moves_nothing(agentos: Command, repository: Repository) -> None:
    batch = run(agentos, *_flags())["batch"]
    done = agentos("batch", "merge", "--into", "nowhere")
    assert done.returncode == 2 and "no branch `nowhere`" in done.stderr
    assert repository.git("for-each-ref", f"refs/heads/agentos/{batch}/merged") == ""
    assert agentos("batch", "undo").returncode == 2
    repository.write("src/00/value.txt", "not committed\n")
    before = repository.fingerprint()
    done = agentos("batch", "merge", "--into", "main", "--json")
    assert done.returncode == 5 and "not committed" in done.stderr
    assert json.loads(done.stdout)["error"]["hint"].endswith(f" merge agentos/{batch}/merged")
    repository.git("commit", "-qam", "mine")
    before = repository.fingerprint()
    done = agentos("batch", "merge", "--into", "main")
    assert done.returncode == 5 and "moved on" in done.stderr
    assert repository.fingerprint() == before


# --- interrupting -----------------------------------------------------------------------------------------


def test_an_interruption_hurts_no_other_client(agentos: Command, repository: Repository) -> None:
    first = _endless(agentos)
    second = Stream(agentos.start("batch", "resume", "--json"))
    assert second.events()[0]["event"] == "started"
    other = run(agentos, *_flags(ADD, "--name", "other"))
    assert other["landed"] == 4
    first.process.send_signal(signal.SIGINT)
    printed, complaint = first.process.communicate()
    assert first.process.returncode == 130 and "goes on without you" in complaint
    assert json.loads(printed.splitlines()[-1])["error"]["code"] == "interrupted"
    batch = agentos.json("batch", "list")[1]["batch"]
    assert agentos.json("batch", "status", batch)["state"] == "running"
    second.process.send_signal(signal.SIGINT)
    _, complaint = second.process.communicate()
    assert second.process.returncode == 130 and f"agentos batch resume {batch}" in complaint
    assert agentos.json("batch", "status", batch)["state"] == "interrupted"
    nothing_left_over(agentos)


def test_ctrl_c_counts_whatever_the_client_is_at(agentos: Command, repository: Repository) -> None:
    done = agentos("batch", "run", "--yes", "--detach", "--json", *_flags("exec sleep 1000"))
    batch = json.loads(done.stdout.splitlines()[-1])["batch"]
    with connect(Home(agentos.home)) as daemon, pytest.raises(BaseException) as caught:
        events = daemon.stream("batch.resume", {"batch": batch})
        next(events)
        signal.raise_signal(signal.SIGINT)  # while the client is not waiting for the daemon
        list(events)
    assert isinstance(caught.value, Interrupted) and "goes on without you" in str(caught.value.hint)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert agentos.json("batch", "stop", batch)["state"] == "stopped"
    nothing_left_over(agentos)


def test_without_a_daemon_nothing_is_said_to_run(agentos: Command, repository: Repository) -> None:
    stream = _endless(agentos)
    kill(agentos, stream.process, "everything")
    status = agentos.json("batch", "status")
    assert status["state"] == "interrupted"
    assert {(unit["state"], unit["pid"]) for unit in status["units"]} == {("queued", None)}
    assert [row["state"] for row in agentos.json("batch", "list")] == ["interrupted"]
    assert "agentos batch resume" in agentos("batch", "status").stdout
    # It stays so when a daemon comes by for something else, and nothing of it runs.
    agentos("kill", "p-none")
    assert agentos.json("batch", "status")["state"] == "interrupted"
    nothing_left_over(agentos)


def test_a_batch_waits_for_a_repository_that_was_moved_away(agentos: Command, repository: Repository) -> None:
    stream = _endless(agentos)
    stream.process.send_signal(signal.SIGINT)
    stream.process.communicate()
    (row,) = agentos.json("batch", "list")
    away = repository.path.rename(repository.path.with_name("away"))
    agentos.cwd = away
    for verb in (("resume", row["batch"]), ("diff", "--batch", row["batch"])):
        done = agentos("batch", *verb)
        assert done.returncode == 2 and "not there any more" in done.stderr
    assert agentos.json("batch", "status", row["batch"])["state"] == "interrupted"
    agentos.cwd = away.rename(repository.path)
    assert agentos("batch", "resume", "--detach").returncode == 0
    assert agentos.json("batch", "stop")["state"] == "stopped"
    nothing_left_over(agentos)


def test_a_detached_batch_without_its_repository_is_in_no_other_ones_way(
    agentos: Command, repository: Repository
) -> None:
    program = "echo more >> src/00/value.txt; exec sleep 1000"
    done = agentos("batch", "run", "--yes", "--detach", "--json", *_flags(program))
    batch = json.loads(done.stdout.splitlines()[-1])["batch"]
    watching = Stream(agentos.start("batch", "watch", "--json"))
    assert _running(watching)
    kill(agentos, watching.process, "everything")
    away = repository.path.rename(repository.path.with_name("away"))
    agentos.cwd = away
    # Another daemon comes up and serves, and says what is wrong with the batch.
    assert agentos("kill", "p-none").returncode == 2
    status = agentos.json("batch", "status", batch)
    assert status["state"] == "interrupted" and status["failure"]["message"]
    agentos.cwd = away.rename(repository.path)
    assert agentos("batch", "resume", "--detach").returncode == 0
    assert agentos.json("batch", "stop")["state"] == "stopped"
    nothing_left_over(agentos)


def test_detached_work_outlives_its_client_and_its_daemon(agentos: Command, repository: Repository) -> None:
    program = f"find /usr -xdev -type f | head -20000 | cksum; {ADD}"
    done = agentos("batch", "run", "--yes", "--detach", *_flags(program))
    assert done.returncode == 0 and "agentos batch watch" in done.stdout
    watching = subprocess.Popen(["true"])
    watching.wait()
    kill(agentos, watching, "daemon")
    done = agentos("batch", "watch", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["landed"] == 4
    assert {unit["attempts"] for unit in agentos.json("batch", "status")["units"]} == {1}
    nothing_left_over(agentos)
