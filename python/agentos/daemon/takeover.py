"""Taking a home over, in the order that keeps one kernel per home.

Lock; then a durable epoch; then every process of earlier epochs is killed and gone; then what they held
is settled; then, and only then, the socket is bound.
"""

from __future__ import annotations

import fcntl
import os

from agentos.home import Home


class HeldByAnother(Exception):
    """Another daemon holds the home. `holder` is its process id as the lock file gives it."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


def hold(home: Home) -> int:
    """Takes the home's lock and writes this process's id into it; the lock lasts as long as the
    descriptor. Raises HeldByAnother."""
    lock = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        raise HeldByAnother(holder) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock
