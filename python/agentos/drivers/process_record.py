"""Records of live launches, so that a daemon can end what its predecessor left behind."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agentos.errors import InternalError

GRACE = 5.0  # seconds that a launcher gets to end by itself, its lifeline being cut
PATIENCE = 30.0  # seconds after SIGKILL within which the kernel must have removed a process


class Record(msgspec.Struct, frozen=True):
    """A launch: the boot it belongs to, and (process id, start time in clock ticks) of the pid 1 of its
    namespaces, where there is one, and of its launcher, in this order."""

    boot: str
    processes: list[tuple[int, int]]


def write(file: Path, pids: Sequence[int]) -> None:
    """Records the launch made of `pids`, in place of what the file held."""
    processes = [(pid, started) for pid in pids if pid > 0 and (started := start_time(pid)) is not None]
    fresh = file.with_name(f".{file.name}")
    fresh.write_bytes(msgspec.json.encode(Record(_boot(), processes)))
    fresh.replace(file)


def settle(file: Path) -> bool:
    """Ends the launch that `file` records and waits until it is gone; whether any of it was alive."""
    try:
        record = msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return False  # written by half when its daemon died: its launcher was never told what to run
    if record.boot != _boot():
        return False
    alive = [handle for pid, started in record.processes if (handle := _handle(pid, started)) is not None]
    try:
        *inits, launcher = alive or [-1]
        for init in inits:
            signal.pidfd_send_signal(init, signal.SIGKILL)
        if alive and not _gone(launcher, GRACE):
            signal.pidfd_send_signal(launcher, signal.SIGKILL)
        if not all(_gone(handle, PATIENCE) for handle in alive):
            raise InternalError("a process of an earlier daemon cannot be killed", where=str(file))
    finally:
        for handle in alive:
            os.close(handle)
    return bool(alive)


def start_time(pid: int) -> int | None:
    """When `pid` started, in clock ticks since boot; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])


def _handle(pid: int, started: int) -> int | None:
    """A pidfd of the process, unless it is gone or another has its number."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if start_time(pid) == started:
        return handle
    os.close(handle)
    return None


def _gone(handle: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
