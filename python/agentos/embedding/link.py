"""A connection to a kernel's daemon on which many calls run at once, for programs in trio.

INVARIANT: a call ends here only when it has ended there, or when nobody can know: a call that is cancelled
asks the daemon to bring it to rest and waits for that. A message is sent whole, whatever is cancelled.
"""

from __future__ import annotations

import math
import os
import socket
from array import array
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio

from agentos.daemon.client import DEATHS, SILENCE
from agentos.daemon.connection import Connection, ConnectionLost
from agentos.daemon.protocol import LINE_BYTES, Request, Response, decode_response, encode
from agentos.errors import AgentOSError, MissingMechanism, UsageError, from_dict

REST = 30.0
"""Seconds that a daemon may take to bring a call to rest."""

Event = dict[str, Any]
Take = Callable[[Event], Awaitable[None]]
Resume = Callable[[], Awaitable[tuple[str, dict[str, Any]]]]
"""What to call instead on the next daemon, once the last one has gone."""


async def _ignore(_: Event) -> None:
    pass


class Link:
    """Calls verbs. `dial` makes a new connection, greeted; `give_keys` sends the provider keys over the
    channel to the broker that it is given."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[Connection]],
        give_keys: Callable[[socket.socket], Awaitable[None]],
        nursery: trio.Nursery,
    ) -> None:
        self._dial = dial
        self._give_keys = give_keys
        self._nursery = nursery
        self._process = os.getpid()
        self._stream: trio.SocketStream | None = None
        self._dialling = trio.Lock()
        self._sending = trio.Lock()
        self._calls: dict[int, trio.MemorySendChannel[Response]] = {}
        self._count = 0
        self._daemon: int | None = None
        self._given = trio.Event()
        self._refused: AgentOSError | None = None

    async def connect(self) -> None:
        """Connects, unless that is done. Raises UsageError where the broker does not take the keys."""
        if os.getpid() != self._process:
            raise UsageError(
                f"this system was opened in process {self._process}, and this is a fork of it",
                hint="open another one after the fork",
            )
        async with self._dialling:
            for deaths in range(DEATHS):
                try:
                    return await self._connected()
                except ConnectionLost:
                    if deaths + 1 == DEATHS:
                        raise

    async def _connected(self) -> None:
        if self._stream is not None:
            return
        connection = await self._dial()
        self._daemon = connection.hello.get("pid")
        sock = connection.detach()
        sock.setblocking(False)
        stream = self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self._given, self._refused = trio.Event(), None
        self._nursery.start_soon(self._read, stream)
        try:
            await self._once("session.keys", {}, _ignore)
            await self._given.wait()
            if self._refused is not None:
                raise self._refused
        except BaseException:
            await trio.aclose_forcefully(stream)
            self._stream = None
            raise

    async def close(self) -> None:
        """Ends the session."""
        if self._stream is not None:
            await trio.aclose_forcefully(self._stream)

    async def call(
        self,
        verb: str,
        params: dict[str, Any] | None = None,
        *,
        take: Take = _ignore,
        resume: Resume | None = None,
    ) -> Any:
        """The result of a verb, after its events were taken in order; raises its error.

        With `resume` a daemon that died is replaced, and the call goes on there.
        """
        wanted = params or {}
        deaths = 0

        async def taken(event: Event) -> None:
            nonlocal deaths
            deaths = 0
            await take(event)

        while True:
            await self.connect()
            try:
                return await self._once(verb, wanted, taken)
            except ConnectionLost:
                deaths += 1
                # So many in a row die of this very call.
                if resume is None or deaths > DEATHS:
                    raise
                verb, wanted = await resume()

    async def _once(self, verb: str, params: dict[str, Any], take: Take) -> Any:
        self._count += 1
        number = self._count
        send, receive = trio.open_memory_channel[Response](math.inf)
        self._calls[number] = send
        try:
            await self._send(Request(id=number, verb=verb, params=params))
            return await self._result(receive, take)
        except BaseException:
            # Cancelled, or what took an event failed: the call goes on there, and must not.
            await self._bring_to_rest(number, receive)
            raise
        finally:
            self._calls.pop(number, None)
            send.close()
            receive.close()

    async def _result(self, responses: trio.MemoryReceiveChannel[Response], take: Take) -> Any:
        async for response in responses:
            if response.error is not None:
                raise from_dict(response.error)
            if response.done:
                return response.result
            if response.event is not None:
                await take(response.event)
        raise ConnectionLost

    async def _bring_to_rest(self, number: int, responses: trio.MemoryReceiveChannel[Response]) -> None:
        if number not in self._calls:
            return
        with trio.move_on_after(REST, shield=True), suppress(ConnectionLost):
            await self._send(Request(interrupt=number))
            async for response in responses:
                if response.error is not None or response.done:
                    return

    async def _send(self, request: Request) -> None:
        data = encode(request) + b"\n"
        if len(data) > LINE_BYTES:
            raise UsageError(f"the message is longer than {LINE_BYTES >> 20} MiB")
        async with self._sending:
            if self._stream is None:
                raise ConnectionLost
            with trio.CancelScope(shield=True, deadline=trio.current_time() + SILENCE) as sending:
                try:
                    await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    raise ConnectionLost from None
            if sending.cancelled_caught:
                # Half a message went out: nothing more can be said on this connection.
                await trio.aclose_forcefully(self._stream)
                raise MissingMechanism(
                    f"the daemon (process {self._daemon}) does not answer",
                    hint=f"continue it with `kill -CONT {self._daemon}`, or end it and try again",
                )

    async def _read(self, stream: trio.SocketStream) -> None:
        """Hands responses to the calls they belong to, until the daemon goes away."""
        buffer = bytearray()
        descriptors: deque[int] = deque()
        with suppress(OSError, trio.ClosedResourceError):
            while True:
                chunk, ancillary, _, _ = await stream.socket.recvmsg(
                    1 << 16, socket.CMSG_SPACE(array("i").itemsize), socket.MSG_CMSG_CLOEXEC
                )
                for level, kind, data in ancillary:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        descriptors.extend(array("i", data))
                if not chunk:
                    break
                looked = len(buffer)
                buffer += chunk
                while (end := buffer.find(b"\n", looked)) >= 0:
                    self._hand_on(decode_response(bytes(buffer[:end])), descriptors)
                    del buffer[: end + 1]
                    looked = 0
        if self._stream is stream:
            self._stream = None
        await trio.aclose_forcefully(stream)
        for descriptor in descriptors:
            os.close(descriptor)
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.close()

    def _hand_on(self, response: Response, descriptors: deque[int]) -> None:
        if response.keys:
            self._nursery.start_soon(self._give, socket.socket(fileno=descriptors.popleft()))
        if response.id is None:
            return
        call = self._calls.get(response.id)
        if call is not None:
            with suppress(trio.BrokenResourceError):
                call.send_nowait(response)
            if response.done or response.error is not None:
                self._calls.pop(response.id, None)

    async def _give(self, channel: socket.socket) -> None:
        """Sends the keys; whether they were taken matters to who connects. A later broker's refusal shows in
        its calls."""
        try:
            await self._give_keys(channel)
        except AgentOSError as refused:
            self._refused = refused
        finally:
            self._given.set()
