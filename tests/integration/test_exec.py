"""`agentos exec` and `doctor` from the command line: what passes, what is refused, what is recorded."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
from tests.command import AGENTOS, Command, wait_gone

from agentos.kernel import audit_entries

pytestmark = pytest.mark.needs("namespaces", "landlock")


def test_the_exit_code_and_the_streams_pass_through(agentos: Command) -> None:
    done = agentos("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (done.returncode, done.stdout, done.stderr) == (42, "out\n", "err\n")
    assert agentos("exec", "--", "sh", "-c", "kill -KILL $$").returncode == 137


def test_failures_of_its_own_cannot_be_taken_for_the_commands(agentos: Command) -> None:
    for arguments, code, said in [
        (["--", "no-such-command"], 127, "no-such-command: command not found"),
        (["--", "/etc/passwd"], 126, "/etc/passwd"),
        (["--read", "missing", "--", "true"], 125, "there is no missing"),
        (["--read", "/", "--", "true"], 125, "/ cannot be granted"),
        (["--level", "standard", "--", "true"], 125, "later version"),
        (["--no-such-flag", "--", "true"], 125, "--no-such-flag"),
        ([], 125, "COMMAND"),
    ]:
        done = agentos("exec", *arguments)
        assert (done.returncode, done.stdout) == (code, ""), arguments
        assert said in done.stderr and "Traceback" not in done.stderr


def test_a_dry_run_says_what_would_be_given_and_starts_nothing(agentos: Command) -> None:
    (agentos.cwd / "data").mkdir()
    agentos.environment["SECRET"] = "value"
    command = ["--write", "data", "--dry-run", "--", "touch", "data/made"]
    shown = json.loads(agentos("exec", "--json", *command).stdout)
    assert (shown["level"], shown["command"]) == ("strict", ["touch", "data/made"])
    assert (shown["read"], shown["write"]) == ([str(agentos.cwd)], [str(agentos.cwd / "data")])
    assert "PATH" in shown["environment"] and "SECRET" not in shown["environment"]
    words = agentos("exec", *command).stdout
    assert str(agentos.cwd / "data") in words and "network      none" in words
    assert "not confined" in agentos("exec", "--level", "none", *command).stdout
    assert not (agentos.cwd / "data" / "made").exists() and not agentos.home.exists()
    assert agentos("exec", "--dry-run", "--read", "missing", "--", "true").returncode == 125


def test_the_current_folder_is_readable_and_writable_only_when_said(agentos: Command) -> None:
    (agentos.cwd / "file").write_text("text\n")
    assert agentos("exec", "--", "cat", "file").stdout == "text\n"
    refused = agentos("exec", "--", "touch", "new")
    assert refused.returncode == 1 and "Read-only file system" in refused.stderr
    assert agentos("exec", "--write", ".", "--", "touch", "new").returncode == 0
    assert (agentos.cwd / "new").exists()


def test_paths_outside_show_only_when_granted(agentos: Command, tmp_path: Path) -> None:
    secret = tmp_path / "outside" / "secret"
    secret.parent.mkdir()
    secret.write_text("text\n")
    assert agentos("exec", "--", "cat", str(secret)).returncode == 1
    assert agentos("exec", "--read", str(secret), "--", "cat", str(secret)).stdout == "text\n"
    # A link is granted as what it points to when it is granted.
    (agentos.cwd / "link").symlink_to(secret)
    assert agentos("exec", "--read", "link", "--", "cat", "link").stdout == "text\n"


@pytest.mark.needs("/usr/bin/python3")
def test_the_home_of_agentos_is_hidden_even_below_a_granted_folder(agentos: Command, tmp_path: Path) -> None:
    connect = (
        "import socket, sys; sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1]); print('open')"
    )
    target = str(agentos.home / "kernel.sock")
    python = os.path.realpath("/usr/bin/python3")
    done = agentos("exec", "--write", str(tmp_path), "--", python, "-c", connect, target)
    assert done.returncode == 1 and "open" not in done.stdout
    assert agentos("exec", "--write", str(tmp_path), "--", "ls", "-A", str(agentos.home)).stdout == ""


def test_json_tells_how_it_ended(agentos: Command) -> None:
    done = agentos("exec", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    said = json.loads(done.stdout)
    assert done.returncode == 3
    assert said.pop("seconds") > 0
    assert said == {"exit_code": 3, "signal": None, "error": None, "level": "strict", "output": "out\nerr\n"}
    failed = agentos("exec", "--json", "--read", "missing", "--", "true")
    assert json.loads(failed.stdout)["error"]["code"] == "usage"


def test_environment_is_emptied_but_for_the_few_that_are_named(agentos: Command) -> None:
    agentos.environment |= {"SECRET_KEY": "marker", "JAVA_HOME": "/opt/java", "LD_PRELOAD": ""}
    lines = agentos("exec", "--", "env").stdout.splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert {"PATH", "HOME", "TMPDIR", "JAVA_HOME"} <= names
    assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "TERM", "TZ", "TMPDIR", "JAVA_HOME"}


def test_the_level_comes_from_the_flag_then_from_the_settings(agentos: Command) -> None:
    agentos.environment["AGENTOS_LEVEL"] = "none"
    assert "not confined" in agentos("exec", "--", "true").stderr
    assert agentos("exec", "--level", "strict", "--", "true").stderr == ""
    agentos.environment["AGENTOS_LEVEL"] = "standard"
    assert agentos("exec", "--", "true").returncode == 125
    agentos.environment["AGENTOS_LEVEL"] = "auto"
    assert agentos("exec", "--", "true").returncode == 0


def test_the_persons_umask_holds(agentos: Command) -> None:
    old = os.umask(0o007)
    try:
        assert agentos("exec", "--", "sh", "-c", "umask").stdout == "0007\n"
    finally:
        os.umask(old)


def test_the_journal_names_the_command_its_mandate_and_its_level(agentos: Command) -> None:
    assert agentos("exec", "--write", ".", "--level", "none", "--", "true").returncode == 0
    entries = [row["entry"] for row in audit_entries(agentos.home / "kernel.db")]
    actions = [entry["action"] for entry in entries if entry.get("action", {}).get("type") == "exec"]
    granted = {"type": "path", "path": str(agentos.cwd), "rights": "read_write"}
    assert actions == [{"type": "exec", "command": "true", "mandate": [granted]}]
    records = [json.loads(entry["body"]) for entry in entries if entry.get("kind") == "exec"]
    assert [record["level"] for record in records] == ["none"]


@pytest.mark.parametrize("level", ["strict", "none"])
def test_killing_its_process_in_the_table_ends_the_command(agentos: Command, level: str) -> None:
    running = agentos.start("exec", "--level", level, "--", "sh", "-c", "echo up; sleep 600")
    assert running.stdout is not None and running.stdout.readline() == "up\n"
    people = [
        row["pid"] for row in agentos.json("ps") if row["name"] == "person" and row["state"] != "exited"
    ]
    assert agentos("kill", people[0]).returncode == 0
    assert running.wait(timeout=30) == 137
    running.communicate()


def test_it_goes_on_when_the_daemon_is_killed(agentos: Command) -> None:
    running = agentos.start(
        "exec", "--write", ".", "--", "sh", "-c", "echo up; until test -e go; do sleep 0.05; done; echo done"
    )
    assert running.stdout is not None and running.stdout.readline() == "up\n"
    watched = os.pidfd_open(agentos.daemon)
    os.kill(agentos.daemon, signal.SIGKILL)
    wait_gone(watched)
    os.close(watched)
    (agentos.cwd / "go").touch()
    out, err = running.communicate(timeout=60)
    assert (out, running.returncode) == ("done\n", 0), err


def test_ctrl_c_reaches_the_command_and_its_answer_counts(agentos: Command) -> None:
    script = "trap 'echo stopping; exit 5' INT; echo up; while :; do sleep 0.02; done"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(agentos.cwd)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "AGENTOS_HOME": str(agentos.home),
        }
        os.execve(sys.executable, [*AGENTOS, "exec", "--", "sh", "-c", script], environment)
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        said = b""
        while b"up" not in said:
            said += shown.read(1000)
        os.write(terminal, b"\x03")
        while b"stopping" not in said:
            said += shown.read(1000)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert b"confined: strict" in said


def test_a_killed_client_takes_its_command_along(agentos: Command) -> None:
    fifo = agentos.cwd / "fifo"
    os.mkfifo(fifo)
    running = agentos.start(
        "exec", "--write", ".", "--", "sh", "-c", "exec 3<>fifo 4>fifo; echo up; sleep 600 & sleep 600"
    )
    assert running.stdout is not None and running.stdout.readline() == "up\n"
    running.kill()
    # The stream ends once the last process that holds it is dead.
    assert running.stdout.read() == ""
    running.communicate()


def test_doctor_tells_what_the_contract_names(agentos: Command) -> None:
    agentos.environment["ANTHROPIC_API_KEY"] = "marker"
    done = agentos("doctor", "--json")
    said = json.loads(done.stdout)
    assert said["levels"] == {"strict": True, "standard": False, "none": True}
    assert said["default"] == "strict"
    assert said["mechanisms"]["landlock"]["abi"] >= 1
    assert said["mechanisms"]["seccomp"] is True and said["mechanisms"]["namespaces"] is True
    assert [model["provider"] for model in said["models"]] == ["anthropic"]
    assert "marker" not in done.stdout
    human = agentos("doctor")
    assert human.returncode == 0 and "strict (default)" in human.stdout and "marker" not in human.stdout
