"""Starts processes through `agentos-runner launch`, confined to what an `Exec` ticket's mandate names.

The launcher gets one end of a socket pair: its specification goes in, its reports come out, and when this end
closes (on a time limit, a cancellation, or because the daemon died) every process of the launch is killed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agentos.drivers.launch import Exit, LaunchSpec, Level, PathGrant, Report
from agentos.drivers.runner import find_runner
from agentos.errors import MissingMechanism

if TYPE_CHECKING:
    import subprocess

    import trio

    from agentos.home import Home

Output = Callable[[bytes], Awaitable[None]]

_CHUNK = 1 << 16


async def run(
    spec: LaunchSpec,
    *,
    home: Home | None = None,
    ticket: str | None = None,
    output: Output | None = None,
    stdin: bytes = b"",
    cancel: trio.Event | None = None,
    timeout: float | None = None,
) -> Exit:
    """Runs `spec` to its end and returns it; by then every process it started is dead, also on cancellation.

    `output` gets stdout and stderr as one stream. `home.run` gets a record named `ticket` while it lives, for
    `kill_leftovers`. `timeout` is in seconds. Raises MissingMechanism where the level cannot be
    had, UsageError where the specification cannot be followed.
    """
    from agentos.drivers.confined_process import ConfinedProcess

    require(spec.level)
    began = time.monotonic()
    if home is not None:
        spec = hide_home(spec, home)
    async with ConfinedProcess(spec, find_runner(), home.run if home else None, ticket, stdin) as process:
        timed_out, cancelled = await process.communicate(output, cancel, timeout)
        report = process.report
    seconds = time.monotonic() - began
    return report.exit(seconds=seconds, timed_out=timed_out, cancelled=cancelled)


def run_foreground(
    spec: LaunchSpec,
    *,
    cut: Callable[[Callable[[], None]], None] | None = None,
    capture: bytearray | None = None,
) -> Exit:
    """Runs `spec` with this process's own standard streams, blocking, and returns its end.

    Keyboard signals go to the command. `cut` is given a function that kills the launch, to be called from any
    thread. `capture` gets stdout and stderr instead of the terminal. Raises as `run` does.
    """
    require(spec.level)
    began = time.monotonic()
    report = Report()
    ours, theirs = socket.socketpair()
    with ours, _signals_to_the_command():
        launcher = _start(theirs, piped=capture is not None)
        if cut is not None:
            cut(lambda: ours.shutdown(socket.SHUT_RDWR))
        with contextlib.suppress(OSError):  # the launcher is gone; what it said before counts
            ours.sendall(msgspec.json.encode(spec) + b"\n")
            _follow(ours, launcher, report, capture)
        launcher.wait()
    return report.exit(seconds=time.monotonic() - began)


def _start(theirs: socket.socket, *, piped: bool) -> subprocess.Popen[bytes]:
    import subprocess

    with theirs:
        return subprocess.Popen(
            [find_runner(), "launch", str(theirs.fileno())],
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.STDOUT if piped else None,
            pass_fds=[theirs.fileno()],
            env={},
            cwd="/",
        )


def _follow(
    ours: socket.socket, launcher: subprocess.Popen[bytes], report: Report, capture: bytearray | None
) -> None:
    """Reads reports, and output if it is captured, until both have ended."""
    import select

    waiting = {ours.fileno(): lambda: ours.recv(_CHUNK)}
    if launcher.stdout is not None and capture is not None:
        output = launcher.stdout.fileno()
        waiting[output] = lambda: os.read(output, _CHUNK)
    while waiting:
        for ready in select.select(list(waiting), [], [])[0]:
            data = waiting[ready]()
            if not data:
                del waiting[ready]
            elif ready == ours.fileno():
                report.feed(data)
            elif capture is not None:
                capture += data
    if launcher.stdout is not None:
        launcher.stdout.close()


@contextlib.contextmanager
def _signals_to_the_command() -> Iterator[None]:
    """Keyboard signals reach the launcher by themselves, and through it the command: this process lets them
    pass. With a handler, not SIG_IGN, which the command would inherit."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def require(level: Level) -> None:
    """Raises MissingMechanism for a level that is not to be had in this version."""
    if level == "standard":
        raise MissingMechanism(
            "the confinement level `standard` comes with a later version",
            hint="use `strict`, or `none` to run without confinement",
        )


def hide_home(spec: LaunchSpec, home: Home) -> LaunchSpec:
    """Where a granted path would show the home's own files (its socket, its journal), hides them."""
    root = os.path.realpath(os.fsencode(home.root))
    shown = any(root.startswith(grant.path.rstrip(b"/") + b"/") for grant in spec.paths)
    return msgspec.structs.replace(spec, hidden=[*spec.hidden, root]) if shown else spec


def kill_leftovers(run_dir: Path) -> int:
    """Kills every process that an earlier daemon recorded in `run_dir`, waits until all are gone, removes the
    records and returns how many launches were found alive. Raises InternalError if one cannot be killed."""
    from agentos.drivers.process_record import settle

    found = 0
    for file in sorted(run_dir.glob("*")) if run_dir.is_dir() else []:
        found += settle(file)
        file.unlink(missing_ok=True)
    return found


__all__ = [
    "Exit",
    "LaunchSpec",
    "Level",
    "Output",
    "PathGrant",
    "find_runner",
    "hide_home",
    "kill_leftovers",
    "require",
    "run",
    "run_foreground",
]
