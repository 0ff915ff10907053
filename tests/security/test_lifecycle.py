"""How launches start and end: exit codes, failures by name, and that nothing outlives them."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

import msgspec
import pytest

from security.launching import Place

pytestmark = pytest.mark.needs("namespaces", "landlock")

LEVELS = ["strict", "none"]


def holders(scene: Place) -> set[int]:
    """Processes of the host, in whatever namespace, that have the scene's workspace open or run in it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [process / "cwd", *(process / "fd").iterdir()]
            if any(str(link.readlink()).startswith(str(scene.work)) for link in links):
                found.add(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_the_end_of_the_command_is_reported(scene: Place, level: str) -> None:
    for script, last, code in [
        ("exit 0", {"event": "exited", "code": 0}, 0),
        ("exit 125", {"event": "exited", "code": 125}, 125),
        ("exit 255", {"event": "exited", "code": 255}, 255),
        ("kill -TERM $$", {"event": "signalled", "signal": 15}, 143),
        ("kill -KILL $$", {"event": "signalled", "signal": 9}, 137),
    ]:
        ended = scene.run(scene.spec("sh", "-c", script, level=level))
        assert (ended.last, ended.launcher_code) == (last, code)
        assert [event["event"] for event in ended.events] == ["started", last["event"]]


@pytest.mark.parametrize("level", LEVELS)
def test_a_command_that_cannot_run_is_not_an_exit_code(scene: Place, level: str) -> None:
    (scene.work / "data").write_text("no program\n")
    for command, kind, code in [
        ("no-such-command", "not_found", 127),
        ("/no/such/command", "not_found", 127),
        ("", "not_found", 127),
        (str(scene.work / "data"), "cannot_run", 126),
        (str(scene.work), "cannot_run", 126),
    ]:
        ended = scene.run(scene.spec(command, level=level))
        assert (ended.last["event"], ended.last["kind"]) == ("failed", kind), command
        assert ended.launcher_code == code


def test_a_script_without_interpreter_line_runs_in_the_shell(scene: Place) -> None:
    script = scene.work / "script"
    script.write_text("echo $1; exit 7\n")
    script.chmod(0o755)
    ended = scene.run(scene.spec("./script", "word"))
    assert (ended.code, ended.output) == (7, b"word\n")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"paths": [{"path": b"/no/such/path", "access": "read"}]}, "/no/such/path"),
        ({"paths": [{"path": b"/", "access": "read_write"}]}, "cannot be granted"),
        ({"paths": [{"path": b"relative", "access": "read"}]}, "not an absolute path"),
        ({"paths": [{"path": b"/usr/../root", "access": "read"}]}, "not an absolute path"),
        ({"folder": b"/no/such/folder"}, "/no/such/folder"),
        ({"argv": []}, "no command"),
        ({"level": "standard"}, "standard"),
        ({"network": True}, "network"),
    ],
)
def test_a_specification_that_cannot_be_followed_runs_nothing(scene: Place, change: dict, part: str) -> None:
    spec = msgspec.to_builtins(scene.spec("touch", "ran"), builtin_types=(bytes,)) | change
    ended = scene.run(spec)  # type: ignore[arg-type]
    assert (ended.last["event"], ended.last["kind"]) == ("failed", "input")
    assert part in ended.last["message"]
    assert ended.launcher_code == 125
    assert not (scene.work / "ran").exists()


def test_a_grant_through_a_symbolic_link_is_refused(scene: Place) -> None:
    (scene.work / "inner").symlink_to(scene.outside)
    for path in (scene.work / "inner", scene.work / "inner" / "secret"):
        ended = scene.run(scene.spec("true", grants={path: "read"}))
        assert (ended.last["event"], ended.last["kind"], ended.last["errno"]) == ("failed", "input", 40)


DAEMONIZE = """
import os, signal, sys, time
if os.fork():
    while not os.path.exists("ready"):
        time.sleep(0.01)
    os._exit(3)
os.setsid()
if os.fork():
    os._exit(0)
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
kept = open("ready", "w")
time.sleep(600)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_outlives_the_command(scene: Place, level: str) -> None:
    ended = scene.run(scene.spec(scene.python, "-c", DAEMONIZE, level=level))
    assert ended.code == 3
    assert (scene.work / "ready").exists()
    assert holders(scene) == set()


@pytest.mark.parametrize("level", LEVELS)
def test_a_cut_lifeline_ends_everything(scene: Place, level: str) -> None:
    # As when the daemon is killed: the kernel closes its end of the socket.
    script = "trap '' TERM INT HUP; (setsid sleep 600 & sleep 600) & echo up; sleep 600"
    launcher, lifeline = scene.start(scene.spec("sh", "-c", script, level=level))
    with launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"up\n"
        lifeline.close()
        launcher.wait(timeout=30)
        assert launcher.stdout.read() == b""  # every holder of the stream is gone
    assert holders(scene) == set()


def test_a_killed_launcher_takes_everything_along(scene: Place) -> None:
    launcher, lifeline = scene.start(scene.spec("sh", "-c", "(setsid sleep 600 &) ; echo up; sleep 600"))
    with lifeline, launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"up\n"
        init = msgspec.json.decode(lifeline.recv(1000).splitlines()[0])["init"]
        handle = os.pidfd_open(init)
        launcher.kill()
        assert select.select([handle], [], [], 30)[0] == [handle]
        os.close(handle)
    assert holders(scene) == set()


def test_a_killed_pid_1_takes_everything_along(scene: Place) -> None:
    launcher, lifeline = scene.start(scene.spec("sh", "-c", "(setsid sleep 600 &) ; echo up; sleep 600"))
    with lifeline, launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"up\n"
        os.kill(msgspec.json.decode(lifeline.recv(1000).splitlines()[0])["init"], signal.SIGKILL)
        assert launcher.wait(timeout=30) == 125
        assert lifeline.recv(1000) == b""
    assert holders(scene) == set()


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_specification_cut_short_runs_nothing(scene: Place, length: int) -> None:
    begun = msgspec.json.encode(scene.spec("touch", "ran"))[:length]
    launcher, lifeline = scene.start(begun)
    with launcher:
        lifeline.close()
        assert launcher.wait(timeout=30) == 125
    assert not (scene.work / "ran").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_signals_to_the_launcher_reach_the_command(scene: Place, level: str) -> None:
    script = "trap 'echo got; exit 9' INT; echo up; while :; do sleep 0.02; done"
    launcher, lifeline = scene.start(scene.spec("sh", "-c", script, level=level))
    with lifeline, launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"up\n"
        launcher.send_signal(signal.SIGINT)
        assert launcher.stdout.readline() == b"got\n"
        assert launcher.wait(timeout=30) == 9


def test_background_jobs_of_a_shell_are_reaped(scene: Place) -> None:
    script = (
        "for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.01 &' &) ; done; sleep 0.3; ps -eo stat= | grep -c Z"
    )
    began = time.monotonic()
    ended = scene.run(scene.spec("sh", "-c", script))
    assert (ended.output, ended.code) == (b"0\n", 1)
    assert time.monotonic() - began < 30
