"""What a kill leaves behind is met with care and cleaned up: locks, folders, a git that still runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.batches import Repository, nothing_left_over, run
from tests.command import Command, wait_gone
from tests.endurance.kills import Stream, children

import repositories
from agentos.batch import git
from agentos.batch import repository as users
from agentos.batch.removal import remove
from agentos.daemon.takeover import HeldByAnother, hold
from agentos.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.needs("git")]
confined = pytest.mark.needs("namespaces", "landlock")


def test_the_home_is_held_until_the_last_git_of_a_killed_daemon_has_ended(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    repositories.make(tmp_path / "repository", {"a": "a"})
    holder = (
        "import sys; from pathlib import Path; from agentos.batch import git; from agentos.home import Home\n"
        "from agentos.daemon.takeover import hold\n"
        "git.keep_open(hold(Home(Path(sys.argv[1]))))\n"
        "print('ready', flush=True)\n"
        "git.run(git.Place(git_dir=Path(sys.argv[2])), 'hash-object', sys.argv[3])"
    )
    place = tmp_path / "repository" / ".git"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(home.root), str(place), str(pipe)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    with pipe.open("wb") as writing:  # opens once git reads, and git reads until it is closed
        (reader,) = children(process.pid)
        watched = os.pidfd_open(reader)
        process.kill()
        process.wait()
        with pytest.raises(HeldByAnother):
            hold(home)
        writing.write(b"content")
    process.stdout.close()
    wait_gone(watched)
    os.close(watched)
    os.close(hold(home))


def test_an_old_lock_on_a_ref_of_ours_is_in_nobodys_way(tmp_path: Path) -> None:
    checkout = repositories.make(tmp_path / "repository", {"a": "a"})
    repository = users.Repository.open(checkout.top, repositories.ENVIRONMENT)
    head = repository.resolve()
    for name in (f"{users.BRANCHES}b-1/u-1", f"{users.SALVAGE}b-1/u-1/1"):
        lock = repository.common_dir / f"{name}.lock"
        lock.parent.mkdir(parents=True)
        lock.touch()
        old = time.time() - git.LOCK_SECONDS - 1
        os.utime(lock, (old, old))
        repository.update([users.RefUpdate(name=name, new=head, old=None)], "test")
        assert repository.ref(name) == head
        assert not lock.exists()


def test_a_removal_that_was_cut_is_finished_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".batch.removed" / "part").mkdir(parents=True)
    (tmp_path / ".batch.removed" / "part" / "file").write_text("x")
    remove(tmp_path / "batch")
    assert list(tmp_path.iterdir()) == []


@confined
def test_folders_of_a_batch_that_has_ended_go_with_the_next_daemon(agentos: Command) -> None:
    Repository.make(agentos.cwd, 2)
    batch = run(agentos, "--units", "src/*/*", "--program", "for f in {paths}; do echo x > $f; done")["batch"]
    agentos.end()
    for name in (batch, f".{batch}.removed"):
        (agentos.home / "workspaces" / name / "u-1").mkdir(parents=True)
    assert agentos("batch", "resume").returncode == 0
    nothing_left_over(agentos)


@confined
def test_a_batch_is_resumed_at_once_when_its_client_has_been_killed(agentos: Command) -> None:
    Repository.make(agentos.cwd, 2)
    client = agentos.start(
        "batch", "run", "--yes", "--json", "--units", "src/*/*", "--program", "exec sleep 1000"
    )
    _until_running(Stream(client))
    os.kill(client.pid, signal.SIGKILL)
    client.communicate()
    resumed = agentos.start("batch", "resume", "--json")
    _until_running(Stream(resumed))
    assert agentos.json("batch", "stop")["state"] == "stopped"
    assert resumed.wait() == 130
    resumed.communicate()
    nothing_left_over(agentos)


def _until_running(stream: Stream) -> None:
    while found := stream.events():
        if any(event["event"] == "unit" and event["unit"]["state"] == "running" for event in found):
            return
    raise AssertionError(json.dumps(stream.last))
