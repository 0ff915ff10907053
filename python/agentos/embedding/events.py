"""The events of an agent, for whoever watches it."""

from __future__ import annotations

import trio

from agentos.embedding.result import Event


class Events:
    """What an agent does from now on, one event after the other; ends after the summary of a task.

    What is not read yet waits in memory: a task is bounded, and so is this.
    """

    def __init__(self, receive: trio.MemoryReceiveChannel[Event]) -> None:
        self._receive = receive

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._receive.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Stops watching."""
        self._receive.close()
