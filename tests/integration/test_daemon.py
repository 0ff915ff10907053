"""One home, one daemon: starting, sharing, dying and being replaced."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command import AGENTOS, Command, wait_gone

from agentos.daemon.client import attempt
from agentos.daemon.connection import ConnectionLost
from agentos.home import Home

ACT = ("kill", "p-none")
"""A verb that acts, and so starts a daemon; it fails, for there is no such process."""


def test_an_acting_verb_starts_the_daemon_and_reading_ones_share_it(agentos: Command) -> None:
    assert agentos.json("ps") == []
    assert not (agentos.home / "lock").exists()
    assert agentos(*ACT).returncode == 2
    daemon = agentos.daemon
    assert [row["name"] for row in agentos.json("ps")] == ["root"]
    assert agentos(*ACT).returncode == 2
    assert agentos.daemon == daemon


def test_two_commands_at_once_get_one_daemon(agentos: Command) -> None:
    commands = [agentos.start(*ACT) for _ in range(6)]
    assert [command.communicate()[0] for command in commands] == [""] * 6
    assert {command.returncode for command in commands} == {2}
    epochs = [entry for entry in _entries(agentos) if entry["type"] == "epoch"]
    assert len(epochs) == 1


def test_an_idle_daemon_goes_and_leaves_no_socket(agentos: Command) -> None:
    agentos(*ACT)
    watched = os.pidfd_open(agentos.daemon)
    wait_gone(watched)
    os.close(watched)
    assert not (agentos.home / "kernel.sock").exists()
    assert [row["name"] for row in agentos.json("ps")] == ["root"]


def test_a_killed_daemon_is_replaced_and_the_journal_holds(agentos: Command) -> None:
    agentos(*ACT)
    first = agentos.daemon
    watched = os.pidfd_open(first)
    os.kill(first, signal.SIGKILL)
    wait_gone(watched)
    os.close(watched)
    assert (agentos.home / "kernel.sock").exists()
    assert agentos(*ACT).returncode == 2
    assert agentos.daemon != first
    verdict = agentos.json("audit", "verify")
    assert verdict["ok"] and verdict["first_bad"] is None
    assert [entry["epoch"] for entry in _entries(agentos) if entry["type"] == "epoch"] == [1, 2]


def test_a_stopped_daemon_is_named(agentos: Command) -> None:
    agentos(*ACT)
    os.kill(agentos.daemon, signal.SIGSTOP)
    done = agentos(*ACT)
    assert done.returncode == 7
    assert f"process {agentos.daemon}" in done.stderr
    assert "kill -CONT" in done.stderr


def test_a_long_home_path_works(tmp_path: Path) -> None:
    home = tmp_path / ("h" * 120) / ("o" * 120)
    agentos = Command(home, tmp_path)
    try:
        assert agentos(*ACT).returncode == 2
        assert [row["name"] for row in agentos.json("ps")] == ["root"]
    finally:
        agentos.end()


def test_a_client_of_another_version_is_told_so(agentos: Command) -> None:
    agentos(*ACT)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(agentos.home / "kernel.sock"))
        hello = {"version": "0.0.1", "protocol": "agentos 0.0.1"}
        sock.sendall(json.dumps({"hello": hello}).encode() + b"\n")
        error = json.loads(sock.makefile().readline())["error"]
    assert error["code"] == "missing_mechanism"
    assert str(agentos.daemon) in error["message"] and "0.0.1" in error["message"]


@pytest.mark.parametrize(
    "nonsense",
    [b"no json\n", b'{"id": "one"}\n', b"\xff\n", b"[" * 100_000 + b"\n", b" " * (17 << 20)],
    ids=["text", "type", "bytes", "depth", "length"],
)
def test_a_client_that_talks_nonsense_is_nobody_elses_end(agentos: Command, nonsense: bytes) -> None:
    agentos(*ACT)
    daemon = agentos.daemon
    other = attempt(Home(agentos.home))
    client = attempt(Home(agentos.home))
    assert other is not None and client is not None
    # It stops reading in the middle of what is too long.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client._socket.sendall(nonsense)
    with pytest.raises(ConnectionLost):
        client.receive()
    client.close()
    other.begin("process.list", {})
    assert "root" in {row["name"] for row in other.receive().result}
    other.close()
    assert agentos.daemon == daemon


def test_a_confined_client_is_refused(agentos: Command) -> None:
    agentos(*ACT)
    script = "import ctypes,sys,runpy; ctypes.CDLL(None).prctl(38,1,0,0,0); "
    script += "sys.argv=['agentos','kill','p-x']; runpy.run_module('agentos', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script], env=agentos._environment(), capture_output=True, text=True
    )
    assert done.returncode == 6, done.stderr
    assert "confined" in done.stderr


@pytest.mark.needs("namespaces")
def test_a_client_in_another_namespace_is_refused(agentos: Command) -> None:
    agentos(*ACT)
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", *AGENTOS, *ACT]
    done = subprocess.run(command, env=agentos._environment(), capture_output=True, text=True)
    assert done.returncode == 6, done.stderr
    assert "namespace" in done.stderr


@pytest.mark.needs("root")
def test_the_home_of_another_user_is_refused(agentos: Command) -> None:
    agentos.home.mkdir()
    os.chown(agentos.home, 65534, 65534)
    for arguments in (ACT, ("ps",)):
        done = agentos(*arguments)
        assert done.returncode == 2
        assert "another user" in done.stderr
    assert list(agentos.home.iterdir()) == []


@pytest.mark.parametrize("name", ["archive", "daemon.log", "lock", "kernel.sock"])
def test_a_home_with_something_else_in_a_place_is_named(agentos: Command, name: str) -> None:
    place = agentos.home / name
    place.parent.mkdir(mode=0o700)
    if name == "archive":
        place.write_text("")
    else:
        place.mkdir()
    done = agentos(*ACT, "--json")
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert name in error["where"] and "Traceback" not in done.stderr


def test_a_daemon_that_is_killed_while_it_starts_has_a_successor(agentos: Command) -> None:
    client = agentos.start(*ACT)
    # It says who holds the home long before it listens.
    while not (agentos.home / "lock").exists() or not (agentos.home / "lock").read_text():
        os.sched_yield()
    first = agentos.daemon
    os.kill(first, signal.SIGKILL)
    _, err = client.communicate(timeout=60)
    assert client.returncode == 2, err
    assert "no process" in err and agentos.daemon != first


def test_the_daemon_never_has_a_key_of_the_environment(agentos: Command) -> None:
    agentos.environment["ANTHROPIC_API_KEY"] = "sk-marker-0123456789"
    agentos(*ACT)
    environment = Path(f"/proc/{agentos.daemon}/environ").read_bytes()
    assert b"sk-marker" not in environment


def test_state_is_the_persons_alone(agentos: Command) -> None:
    agentos(*ACT)
    modes = {path.name: path.stat().st_mode & 0o077 for path in agentos.home.rglob("*")}
    assert set(modes.values()) == {0}, modes


def test_a_signal_reaches_the_journal_and_an_unknown_process_does_not(agentos: Command) -> None:
    done = agentos("kill", "p-nothing", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
    assert "signalled" not in {entry["type"] for entry in _entries(agentos)}


def _entries(agentos: Command) -> list[dict[str, object]]:
    from agentos.kernel import audit_entries

    return [line["entry"] for line in audit_entries(agentos.home / "kernel.db")]
