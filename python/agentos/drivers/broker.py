"""The broker as the daemon sees it: the process through which everything leaves for the network.

The daemon never holds a provider's key: `open_session` gives a socket that is passed to the client, which
sends its keys over it straight to the broker. A broker that dies is replaced; its calls end with
`broker_lost`, and its sessions must send their keys again (`on_restart`).
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from agentos.drivers.broker_link import FRAME_BYTES, Endpoint, Link
from agentos.drivers.model_events import Done, Error, ModelEvent
from agentos.drivers.runner import find_runner
from agentos.errors import MissingMechanism, UsageError

_CUT_SECONDS = 1.0
_WAIT_SECONDS = 10.0
_CALM_SECONDS = 10.0
_LONGEST_PAUSE = 5.0

OnRestart = Callable[[frozenset[str]], None]


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one call, in milliseconds: to connect, to the first byte of the reply (a local model may
    read a long prompt first), between two pieces of it, and in all."""

    connect_ms: int = 15_000
    first_byte_ms: int = 600_000
    idle_ms: int = 180_000
    total_ms: int = 3_600_000


class ModelEvents:
    """The events of one call, `Done` the last; iterate over it."""

    def __init__(self, batches: trio.MemoryReceiveChannel[list[ModelEvent]]) -> None:
        self._batches = batches
        self._ahead: deque[ModelEvent] = deque()
        self.done = False
        """Whether `Done` has been given out."""

    def __aiter__(self) -> ModelEvents:
        return self

    async def __anext__(self) -> ModelEvent:
        if self.done:
            raise StopAsyncIteration
        if not self._ahead:
            self._ahead.extend(await self._batches.receive())
        event = self._ahead.popleft()
        self.done = isinstance(event, Done)
        return event


class Broker:
    """Starts, owns and restarts the broker process. Use `Broker.start()`."""

    def __init__(self, runner: Path, on_restart: OnRestart | None) -> None:
        self.on_restart = on_restart
        """Called with the sessions whose clients must send their keys again; must not block."""
        self._runner = runner
        self._link: Link | None = None
        self._changed = trio.Event()
        self._sessions: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def start(
        cls, *, runner: Path | None = None, on_restart: OnRestart | None = None
    ) -> AsyncIterator[Broker]:
        """Run a broker while the block does. Raises MissingMechanism when it cannot be started."""
        broker = cls(runner or Path(find_runner()), on_restart)
        first = await broker._launch()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broker._supervise, first)
            try:
                yield broker
            finally:
                nursery.cancel_scope.cancel()

    @property
    def process_id(self) -> int | None:
        """The process id of the running broker; None while it is being replaced."""
        return self._link.process.pid if self._link else None

    def endpoints(self, session: str) -> tuple[Endpoint, ...]:
        """Where the session's calls can go; empty until its client has sent its credentials."""
        return self._link.endpoints.get(session, ()) if self._link else ()

    async def wait_credentials(self, session: str) -> tuple[Endpoint, ...]:
        """Wait until the client of `session` has sent its credentials to the running broker, which may have
        been replaced just now; the wait is over, with nothing, when the client has gone or says nothing."""
        with trio.move_on_after(_WAIT_SECONDS):
            while session in self._sessions and not self.endpoints(session):
                await self._changed.wait()
        return self.endpoints(session)

    async def open_session(self, session: str) -> socket.socket:
        """Begin `session`, or begin it again: its earlier keys are dropped.

        Returns the client's end of its private channel to the broker, for the caller to pass on and close.
        """
        link = await self._running()
        ours, client = socket.socketpair()
        try:
            with ours:
                self._sessions.add(session)
                link.sessions.add(session)
                link.endpoints.pop(session, None)
                await link.send({"type": "session_open", "session": session}, fd=ours.fileno())
        except BaseException as error:
            client.close()
            if isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError):
                raise MissingMechanism("the broker went away", hint="try again") from error
            raise
        return client

    async def close_session(self, session: str) -> None:
        """End `session`: its keys are wiped and its calls cut. Nothing happens if it was not open."""
        if session not in self._sessions:
            return
        self._sessions.discard(session)
        self._wake()
        if self._link is not None:
            self._link.endpoints.pop(session, None)
            self._link.sessions.discard(session)
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._link.send({"type": "session_close", "session": session})

    @asynccontextmanager
    async def model_call(
        self,
        ticket: int,
        session: str,
        provider: str,
        path: str,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        host: str | None = None,
        port: int | None = None,
        timeouts: Timeouts | None = None,
    ) -> AsyncIterator[ModelEvents]:
        """Perform a model call for `ticket` and give its events.

        `path` lies beneath the base URL of the session's credential for `provider` (`/v1/messages` for
        Anthropic, `/chat/completions` for OpenAI); `body` is the request as JSON. `host` and `port` are what
        the ticket was granted for: a session whose base URL is elsewhere is refused. Failures are events,
        never exceptions. Leaving the block early, or cancelling it, cuts the connection before it returns.
        """
        if len(body) > FRAME_BYTES:
            raise UsageError(f"the request is larger than {FRAME_BYTES >> 20} MiB")
        link = self._link
        if link is None:
            yield _lost()
            return
        order: dict[str, Any] = {
            "type": "model_call",
            "ticket": ticket,
            "session": session,
            "provider": provider,
            "path": path,
            "headers": list(headers),
            "host": host,
            "port": port,
            "timeouts": timeouts or Timeouts(),
        }
        batches = link.begin(ticket)
        events = ModelEvents(batches)
        try:
            # When the broker has gone, its end reports the call as lost.
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await link.send(order, body=body)
            yield events
        finally:
            await _cut(link, ticket, batches, events)

    async def _running(self) -> Link:
        with trio.move_on_after(_WAIT_SECONDS):
            while self._link is None:
                await self._changed.wait()
        if self._link is None:
            raise MissingMechanism("the broker cannot be started", where=str(self._runner))
        return self._link

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _launch(self) -> Link:
        link = await Link.start(self._runner)
        self._link = link
        self._wake()
        return link

    async def _relaunch(self, pause: float) -> Link:
        """A new broker, however long it takes: what needs none goes on meanwhile."""
        while True:
            await trio.sleep(pause)
            try:
                return await self._launch()
            except (MissingMechanism, OSError) as error:
                print(f"agentos: no broker can be started: {error}", file=sys.stderr)
            pause = min(_LONGEST_PAUSE, 2 * pause + 0.05)

    async def _supervise(self, link: Link) -> None:
        pause = 0.0
        while True:
            began = trio.current_time()
            try:
                await link.read(self._wake)
            except msgspec.DecodeError as error:
                print(f"agentos: the broker does not speak as agreed: {error}", file=sys.stderr)
            finally:
                self._link = None
                await link.close()
            # One that dies at once, again and again, must not take the machine with it.
            calm = trio.current_time() - began > _CALM_SECONDS
            pause = 0.0 if calm else min(_LONGEST_PAUSE, 2 * pause + 0.05)
            link = await self._relaunch(pause)
            if self.on_restart is not None and self._sessions:
                self.on_restart(frozenset(self._sessions))


async def _cut(
    link: Link, ticket: int, batches: trio.MemoryReceiveChannel[list[ModelEvent]], events: ModelEvents
) -> None:
    """Make sure that the call is over, and forget it."""
    try:
        if events.done:
            return
        with trio.move_on_after(_CUT_SECONDS, shield=True):
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await link.send({"type": "cancel", "ticket": ticket})
                async for batch in batches:
                    if isinstance(batch[-1], Done):
                        break
    finally:
        link.forget(ticket)
        batches.close()


def _lost() -> ModelEvents:
    send, receive = trio.open_memory_channel[list[ModelEvent]](1)
    send.send_nowait([Error(kind="broker_lost", message="the broker is being restarted"), Done()])
    send.close()
    return ModelEvents(receive)
