"""Back-pressure of model providers, shared by all who call the same one.

A provider that answers 429 tells every agent to wait, not only the one that was answered: each asks here
before it calls, and holds no reservation meanwhile.
"""

from __future__ import annotations

import msgspec
import trio


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often and when a failed call is tried again: a fixed series of pauses in seconds, no dice."""

    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    longest_wait: float = 600.0
    """A provider that asks for more than this is not waited for."""


class Pressure:
    """Until when each lane is to be left alone."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def hold(self, lane: str, seconds: float) -> None:
        """Nobody calls on `lane` for that long; a longer hold stands."""
        until = trio.current_time() + seconds
        self._until[lane] = max(until, self._until.get(lane, until))

    async def wait(self, lane: str) -> None:
        """Returns once `lane` may be called."""
        while (until := self._until.get(lane)) is not None and until > trio.current_time():
            await trio.sleep_until(until)
