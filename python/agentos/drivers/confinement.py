"""Starts processes through `agentos-runner launch`, confined to what an `Exec` ticket's mandate names.

The launcher gets one end of a socket pair: its specification goes in, its reports come out, and when this end
closes (on a time limit, a cancellation, or because the daemon died) every process of the launch is killed.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agentos.drivers.launch import Exit, LaunchSpec, Level, PathGrant, Report
from agentos.drivers.runner import find_runner
from agentos.errors import MissingMechanism

if TYPE_CHECKING:
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
    async with ConfinedProcess(spec, find_runner(), home.run if home else None, ticket, stdin) as process:
        timed_out, cancelled = await process.communicate(output, cancel, timeout)
        report = process.report
    seconds = time.monotonic() - began
    return report.exit(seconds=seconds, timed_out=timed_out, cancelled=cancelled)


def run_foreground(spec: LaunchSpec, *, cut: Callable[[Callable[[], None]], None] | None = None) -> Exit:
    """Runs `spec` with this process's own standard streams, blocking, and returns its end.

    Keyboard signals go to the command. `cut` is given a function that kills the launch, to be called from
    any thread. Raises as `run` does.
    """
    import signal
    import subprocess
    import threading

    require(spec.level)
    began = time.monotonic()
    ours, theirs = socket.socketpair()
    report = Report()
    # A handler, not SIG_IGN, which the command would inherit. The launcher gets the terminal's signal itself.
    old = None
    if threading.current_thread() is threading.main_thread():
        old = [(number, signal.signal(number, lambda *_: None)) for number in (signal.SIGINT, signal.SIGQUIT)]
    try:
        with ours:
            with theirs:
                launcher = subprocess.Popen(
                    [find_runner(), "launch", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={},
                    cwd="/",
                )
            if cut is not None:
                cut(lambda: ours.shutdown(socket.SHUT_RDWR))
            try:
                ours.sendall(msgspec.json.encode(spec) + b"\n")
                while data := ours.recv(_CHUNK):
                    report.feed(data)
            except OSError:
                pass  # the launcher is gone; what it said before counts
        launcher.wait()
    finally:
        for number, handler in old or []:
            signal.signal(number, handler)
    return report.exit(seconds=time.monotonic() - began)


def require(level: Level) -> None:
    """Raises MissingMechanism for a level that is not to be had in this version."""
    if level == "standard":
        raise MissingMechanism(
            "the confinement level `standard` comes with a later version",
            hint="use `strict`, or `none` to run without confinement",
        )


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
    "kill_leftovers",
    "require",
    "run",
    "run_foreground",
]
