"""What happens in a running batch, for everybody who watches it. Derived, never durable: who misses some
events asks for the status again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

BACKLOG = 4096
"""Events that a follower may be behind; then it is told that it has lagged."""

LAGGED: dict[str, Any] = {"event": "lagged"}


class Feed:
    """Hands every event to all followers, and never waits for one."""

    def __init__(self) -> None:
        self._followers: set[trio.MemorySendChannel[dict[str, Any]]] = set()

    def publish(self, event: dict[str, Any]) -> None:
        """Gives `event` to all followers; one whose backlog is full loses it and is told."""
        for follower in self._followers:
            room = follower.statistics()
            try:
                if room.current_buffer_used == BACKLOG - 1:
                    follower.send_nowait(LAGGED)
                else:
                    follower.send_nowait(event)
            except trio.WouldBlock:
                pass

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[trio.MemoryReceiveChannel[dict[str, Any]]]:
        """A channel of the events from now on; it ends when the batch comes to rest."""
        send, receive = trio.open_memory_channel[dict[str, Any]](BACKLOG)
        self._followers.add(send)
        try:
            async with receive:
                yield receive
        finally:
            self._followers.discard(send)
            send.close()

    def close(self) -> None:
        """Ends all followers' channels."""
        for follower in self._followers:
            follower.close()
        self._followers.clear()
