"""Hands the events of a running agent to everybody who watches it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio

Event = dict[str, Any]


class Feed:
    """Events in order, from the moment of subscribing on.

    A watcher that is slow delays nobody: what it has not read yet waits in memory, and a run says a bounded
    amount (its turns and their lengths are).
    """

    def __init__(self) -> None:
        self._watchers: list[trio.MemorySendChannel[Event]] = []
        self._closed = False

    def send(self, event: Event) -> None:
        """Give `event` to every watcher."""
        for watcher in self._watchers:
            watcher.send_nowait(event)

    def close(self) -> None:
        """No more events; watchers come to their end, later ones at once."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()
        self._watchers.clear()

    @contextmanager
    def watch(self) -> Iterator[trio.MemoryReceiveChannel[Event]]:
        """Subscribe for the length of the block."""
        send, receive = trio.open_memory_channel[Event](math.inf)
        if self._closed:
            send.close()
        else:
            self._watchers.append(send)
        try:
            yield receive
        finally:
            if send in self._watchers:
                self._watchers.remove(send)
            send.close()
            receive.close()
