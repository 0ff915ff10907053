"""The daemon's side of a launch: output, time limits, cancellation, and what a dead daemon leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from agentos.drivers import process_record
from agentos.drivers.confinement import Exit, LaunchSpec, kill_leftovers, run
from agentos.drivers.launch import Level
from agentos.errors import MissingMechanism, UsageError
from agentos.home import Home
from agentos.messages import Path as PathScope
from security.launching import Place
from security.test_lifecycle import holders

pytestmark = pytest.mark.needs("namespaces", "landlock")

UP = "trap '' TERM; (setsid sleep 600 &) ; echo up; sleep 600"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


def spec(own: Place, script: str, level: Level = "strict", **more: Any) -> LaunchSpec:
    mandate = [PathScope(path=str(own.work), rights="read_write")]
    env = {"PATH": "/usr/bin:/bin"}
    return LaunchSpec.from_mandate(mandate, ["sh", "-c", script], cwd=own.work, env=env, level=level, **more)


def collect(into: bytearray, up: trio.Event | None = None) -> Callable[[bytes], Awaitable[None]]:
    async def take(data: bytes) -> None:
        into.extend(data)
        if up is not None and b"up\n" in into:
            up.set()

    return take


def test_output_is_one_stream_in_order(own: Place, home: Home) -> None:
    said = bytearray()
    script = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; exit 3"
    ended = trio.run(lambda: run(spec(own, script), home=home, output=collect(said)))
    assert (ended.code, ended.exit_code) == (3, 3)
    assert said.decode() == "".join(f"out {i}\nerr {i}\n" for i in range(1, 6))


def test_a_flood_of_output_and_input_passes(own: Place, home: Home) -> None:
    said = bytearray()
    data = os.urandom(1 << 20)
    ended = trio.run(lambda: run(spec(own, "head -c 1000; cat"), home=home, output=collect(said), stdin=data))
    assert ended.code == 0
    assert bytes(said) == data


def test_nobody_needs_to_read_the_output(own: Place) -> None:
    assert trio.run(lambda: run(spec(own, "head -c 1000000 /dev/zero"))).code == 0


@pytest.mark.parametrize("level", ["strict", "none"])
def test_a_time_limit_ends_everything(own: Place, home: Home, level: Level) -> None:
    said = bytearray()
    ended = trio.run(lambda: run(spec(own, UP, level), home=home, output=collect(said), timeout=0.3))
    assert (ended.timed_out, ended.signal, bytes(said)) == (True, 9, b"up\n")
    assert holders(own) == set()
    assert list(home.run.iterdir()) == []


@pytest.mark.parametrize("level", ["strict", "none"])
def test_cancelling_ends_everything(own: Place, home: Home, level: Level) -> None:
    async def scenario() -> Exit:
        up = trio.Event()
        return await run(spec(own, UP, level), home=home, output=collect(bytearray(), up), cancel=up)

    ended = trio.run(scenario)
    assert (ended.cancelled, ended.timed_out, ended.exit_code) == (True, False, 137)
    assert holders(own) == set()


@pytest.mark.parametrize("level", ["strict", "none"])
def test_a_cancelled_caller_leaves_nothing(own: Place, home: Home, level: Level) -> None:
    async def scenario() -> None:
        up = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run(spec(own, UP, level), home=home, output=collect(bytearray(), up)))
            await up.wait()
            assert holders(own) != set()
            nursery.cancel_scope.cancel()

    trio.run(scenario)
    assert holders(own) == set()
    assert list(home.run.iterdir()) == []


def test_an_output_that_cannot_be_kept_ends_everything(own: Place, home: Home) -> None:
    async def full(data: bytes) -> None:
        raise OSError(28, "no space left")

    with pytest.raises(OSError, match="no space left"):
        trio.run(lambda: run(spec(own, UP), home=home, output=full))
    assert holders(own) == set()


def test_many_at_once(own: Place, home: Home) -> None:
    async def scenario() -> list[int | None]:
        codes: list[int | None] = []

        async def one(code: int) -> None:
            codes.append((await run(spec(own, f"exit {code}"), home=home)).code)

        async with trio.open_nursery() as nursery:
            for code in range(20):
                nursery.start_soon(one, code)
        return codes

    assert sorted(code or 0 for code in trio.run(scenario)) == list(range(20))
    assert list(home.run.iterdir()) == []


def test_what_cannot_be_had_is_an_error_that_names_it(own: Place, home: Home) -> None:
    missing = spec(own, "true")
    with pytest.raises(UsageError, match="/no/such/path"):
        grants = [msgspec.structs.replace(missing.paths[0], path=b"/no/such/path")]
        trio.run(lambda: run(msgspec.structs.replace(missing, paths=grants), home=home))
    with pytest.raises(MissingMechanism, match="later version"):
        trio.run(lambda: run(spec(own, "true", "standard"), home=home))
    ended = trio.run(lambda: run(msgspec.structs.replace(missing, argv=[b"no-such-command"]), home=home))
    assert (ended.code, ended.error) == (127, "no-such-command: command not found")


def test_a_level_that_the_machine_refuses_is_never_weakened(own: Place, home: Home) -> None:
    # Under a user namespace in which no further one may be made, as many containers are.
    script = "import sys; exec(sys.stdin.read())"
    program = f"""
import sys, trio
sys.path[:0] = {sys.path!r}
from agentos.drivers.confinement import LaunchSpec, run
from agentos.errors import MissingMechanism
spec = LaunchSpec.from_mandate([], ["touch", "/tmp/ran"], cwd="/", env={{"PATH": "/usr/bin:/bin"}})
try:
    trio.run(lambda: run(spec))
except MissingMechanism as error:
    print(error.message)
"""
    limit = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh", sys.executable, "-c", script]
    done = subprocess.run(command, input=program, capture_output=True, text=True)
    assert "`strict` cannot be had: namespaces" in done.stdout, done.stderr


DAEMON = """
import os, sys, trio, msgspec
from pathlib import Path
from agentos.drivers.confinement import LaunchSpec, run
from agentos.home import Home
async def up(data): os.write(1, data)
spec = msgspec.json.decode(sys.argv[1], type=LaunchSpec)
trio.run(lambda: run(spec, home=Home(Path(sys.argv[2])), output=up))
"""


@pytest.mark.parametrize("level", ["strict", "none"])
def test_a_killed_daemon_leaves_nothing(own: Place, home: Home, level: Level) -> None:
    launch = msgspec.json.encode(spec(own, UP, level)).decode()
    command = [sys.executable, "-c", DAEMON, launch, str(home.root)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ) as daemon:
        assert daemon.stdout is not None and daemon.stdout.readline() == b"up\n"
        [record] = home.run.iterdir()
        daemon.kill()
        daemon.wait()
        kill_leftovers(home.run)
        assert holders(own) == set()
        assert not record.exists()


@pytest.mark.parametrize("level", ["strict", "none"])
def test_leftovers_are_killed_even_with_their_lifeline_held(own: Place, home: Home, level: Level) -> None:
    launcher, lifeline = own.start(spec(own, UP, level))
    with lifeline, launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"up\n"
        init = msgspec.json.decode(lifeline.recv(1000).splitlines()[0])["init"]
        process_record.write(home.run / "ticket", [init, launcher.pid])
        if level == "none":
            # Nothing but the lifeline reaches it in time; then its launcher is killed, and its child with it.
            lifeline.close()
        assert kill_leftovers(home.run) == 1
    assert holders(own) == set()
    assert kill_leftovers(home.run) == 0


def test_another_process_with_an_old_number_is_spared(home: Home) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        started = process_record.start_time(other.pid)
        assert started is not None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        for record in (
            process_record.Record(boot, [(other.pid, started - 1)]),
            process_record.Record("another boot", [(other.pid, started)]),
        ):
            (home.run / "ticket").write_bytes(msgspec.json.encode(record))
            assert kill_leftovers(home.run) == 0
        (home.run / "half").write_bytes(b'{"boot": "')
        assert kill_leftovers(home.run) == 0
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)
    assert list(home.run.iterdir()) == []
