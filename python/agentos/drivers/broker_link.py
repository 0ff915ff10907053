"""One running broker process and the socket to it: frames out, reports in, calls by ticket.

The socket's closing is the broker's end, and the broker's end closes the socket: neither outlives the other.
"""

from __future__ import annotations

import contextlib
import math
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import trio

from agentos import __version__
from agentos.drivers.model_events import Done, Error, ModelEvent
from agentos.errors import InternalError, MissingMechanism

FRAME_BYTES = 64 << 20
"""Largest frame in either direction."""

SEND_SECONDS = 20.0
"""How long a broker may take to read one order."""

READY_SECONDS = 30.0
"""How long a new broker may take to say that it is ready."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session's calls to `provider` go."""

    provider: str
    wire: Literal["anthropic", "openai"]
    base_url: str
    host: str
    port: int


class _Ready(msgspec.Struct, frozen=True, tag_field="type", tag="ready"):
    version: str


class _Credentials(msgspec.Struct, frozen=True, tag_field="type", tag="credentials"):
    session: str
    endpoints: tuple[Endpoint, ...]


class _Events(msgspec.Struct, frozen=True, tag_field="type", tag="events"):
    ticket: int
    events: list[ModelEvent]


_REPORTS: msgspec.json.Decoder[_Ready | _Credentials | _Events] = msgspec.json.Decoder(
    _Ready | _Credentials | _Events
)

EventsSender = trio.MemorySendChannel[list[ModelEvent]]


def frame(message: bytes) -> bytes:
    """`message` with its length before it."""
    return len(message).to_bytes(4, "big") + message


class Link:
    """A broker process. `read` serves it until it ends."""

    def __init__(self, process: trio.Process, stream: trio.SocketStream) -> None:
        self.process = process
        self.endpoints: dict[str, tuple[Endpoint, ...]] = {}
        self.sessions: set[str] = set()
        self._stream = stream
        self._sending = trio.Lock()
        self._calls: dict[int, EventsSender] = {}
        self._buffer = bytearray()

    @classmethod
    async def start(cls, runner: Path) -> Link:
        """Start a broker and wait until it is ready. Raises MissingMechanism when it does not come up."""
        ours, theirs = socket.socketpair()
        with theirs:
            # No environment: what this process inherited is not the broker's business.
            process = await trio.lowlevel.open_process(
                [str(runner), "broker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={},
                cwd="/",
                # Ctrl-C in the daemon's terminal is for the daemon, which lets its calls end.
                start_new_session=True,
            )
        link = cls(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        try:
            await link._greet(runner)
        except BaseException:
            await link.close()
            raise
        return link

    async def _greet(self, runner: Path) -> None:
        try:
            with trio.fail_after(READY_SECONDS):
                ready = await self._report()
        except (trio.TooSlowError, trio.BrokenResourceError, msgspec.DecodeError) as error:
            raise MissingMechanism("the broker did not come up", where=str(runner)) from error
        if not isinstance(ready, _Ready):
            raise MissingMechanism("the broker did not come up", where=str(runner))
        if ready.version != __version__:
            raise MissingMechanism(
                f"the broker is AgentOS {ready.version}, its daemon {__version__}",
                where=str(runner),
                hint="the installation changed under a running daemon: let its work finish, or stop it",
            )

    async def read(self, on_credentials: Callable[[], None]) -> None:
        """Pass reports on until the broker has gone. `on_credentials` hears when `endpoints` has changed."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while (report := await self._report()) is not None:
                if isinstance(report, _Events):
                    self._pass_on(report)
                elif isinstance(report, _Credentials) and report.session in self.sessions:
                    self.endpoints[report.session] = report.endpoints
                    on_credentials()

    def begin(self, ticket: int) -> trio.MemoryReceiveChannel[list[ModelEvent]]:
        """The channel on which the events of `ticket` will come."""
        if ticket in self._calls:
            raise InternalError(f"ticket {ticket} has a model call already")
        # Unbounded here, bounded there: the broker cuts a reply at its size limit.
        send, receive = trio.open_memory_channel[list[ModelEvent]](math.inf)
        self._calls[ticket] = send
        return receive

    def forget(self, ticket: int) -> None:
        """Take no more events of `ticket`."""
        sender = self._calls.pop(ticket, None)
        if sender is not None:
            sender.close()

    async def send(
        self, message: dict[str, Any], *, body: bytes | None = None, fd: int | None = None
    ) -> None:
        """Send one order, whole even when cancelled half-way. Raises trio.BrokenResourceError; a broker that
        takes nothing for long is ended."""
        data = frame(msgspec.json.encode(message))
        if body is not None:
            data += frame(body)
        async with self._sending:
            # Half a frame would be taken for the beginning of the next.
            with trio.move_on_after(SEND_SECONDS, shield=True) as patience:
                if fd is not None:
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
                    try:
                        sent = await self._stream.socket.sendmsg([data], rights)
                    except OSError as error:
                        raise trio.BrokenResourceError("the broker has gone") from error
                    data = data[sent:]
                if data:
                    await self._stream.send_all(data)
            if patience.cancelled_caught:
                self.process.kill()
                raise trio.BrokenResourceError("the broker has stopped")

    async def close(self) -> None:
        """End the process and every call it had."""
        with trio.CancelScope(shield=True):
            for ticket, sender in list(self._calls.items()):
                with contextlib.suppress(trio.BrokenResourceError):
                    sender.send_nowait([Error(kind="broker_lost", message="the broker went away"), Done()])
                self.forget(ticket)
            await trio.aclose_forcefully(self._stream)
            # It ends by itself when its socket closes; a stopped one would not.
            self.process.kill()
            await self.process.wait()

    def _pass_on(self, report: _Events) -> None:
        sender = self._calls.get(report.ticket)
        if sender is None:
            return
        try:
            sender.send_nowait(report.events)
        except trio.BrokenResourceError:
            self.forget(report.ticket)
        if isinstance(report.events[-1], Done):
            self.forget(report.ticket)

    async def _report(self) -> _Ready | _Credentials | _Events | None:
        while True:
            size = int.from_bytes(self._buffer[:4], "big") + 4
            if size > FRAME_BYTES:
                raise trio.BrokenResourceError("the broker sent a frame that is too long")
            if len(self._buffer) >= max(size, 5):
                break
            data = await self._stream.receive_some(1 << 18)
            if not data:
                return None
            self._buffer += data
        report = _REPORTS.decode(memoryview(self._buffer)[4:size].tobytes())
        del self._buffer[:size]
        return report
