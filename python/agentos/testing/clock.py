"""Time that moves when it is told to."""

from __future__ import annotations

from collections.abc import Callable


class Clock:
    """A clock for a kernel: UTC microseconds that stand still until `advance`."""

    def __init__(self, now_us: int = 1_767_225_600_000_000) -> None:
        self.now_us = now_us
        self.watchers: list[Callable[[], None]] = []
        """Called when it has moved."""

    def __call__(self) -> int:
        return self.now_us

    def advance(self, seconds: float) -> None:
        """Moves on by `seconds`; what the kernel does at a time that has come, it does before the caller next
        waits for it."""
        self.now_us += round(seconds * 1e6)
        for watcher in list(self.watchers):
            watcher()
