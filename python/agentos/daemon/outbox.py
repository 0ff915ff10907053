"""What the daemon says to one client: whole lines, in order.

INVARIANT: a line is written to its end, or the connection is over. So calls put their lines here and one task
writes them: a call that is cancelled half-way through a long line would leave the next one unreadable.
"""

from __future__ import annotations

import socket
import sys

import trio

from agentos.daemon.protocol import Response, encode

LINES = 64
"""Lines that wait for a client; whoever says more waits until it has read some."""

Line = tuple[bytes, socket.socket | None]


class Outbox:
    """The lines to one client. `run` writes them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._in, self._out = trio.open_memory_channel[Line](LINES)

    async def put(self, response: Response, descriptor: socket.socket | None = None) -> None:
        """Queues a line, and the descriptor that goes with it, which is closed once it is sent.

        Raises trio.BrokenResourceError once nothing is written any more.
        """
        try:
            await self._in.send((encode(response) + b"\n", descriptor))
        except BaseException:
            if descriptor is not None:
                descriptor.close()
            raise

    async def run(self) -> None:
        """Writes until cancelled. Raises trio.BrokenResourceError when the client has gone."""
        try:
            async for data, descriptor in self._out:
                await self._write(data, descriptor)
        finally:
            self._close()

    async def write(self, response: Response) -> None:
        """Writes a line at once: before `run`."""
        await self._write(encode(response) + b"\n", None)

    async def _write(self, data: bytes, descriptor: socket.socket | None) -> None:
        if descriptor is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor.fileno().to_bytes(4, sys.byteorder))]
            with descriptor:
                try:
                    sent = await self._stream.socket.sendmsg([data], rights)
                except OSError as error:
                    raise trio.BrokenResourceError("the client has gone") from error
            data = data[sent:]
        if data:
            await self._stream.send_all(data)

    def _close(self) -> None:
        while True:
            try:
                _, descriptor = self._out.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                break
            if descriptor is not None:
                descriptor.close()
        self._out.close()
