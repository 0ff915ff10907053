"""One client's connection: reads its calls, runs them, writes what comes of them in order."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos import __version__
from agentos.daemon import verbs
from agentos.daemon.gate_verbs import enforce
from agentos.daemon.outbox import Outbox
from agentos.daemon.protocol import LINE_BYTES, PROTOCOL, Request, Response, decode_request
from agentos.errors import AgentOSError, InternalError, Interrupted, MissingMechanism, UsageError, to_dict
from agentos.kernel import Child
from agentos.messages import Everything
from agentos.runtime.system import Submission

if TYPE_CHECKING:
    from agentos.messages import Pid
    from agentos.runtime.system import System


class ClientSession:
    """Implements `agentos.runtime.system.Session`. Closes when the client does."""

    def __init__(self, system: System, stream: trio.SocketStream, id: str) -> None:
        self.id = id
        self.submission: Submission
        self._system = system
        self._stream = stream
        self._outbox = Outbox(stream)
        self._nursery: trio.Nursery | None = None
        self._child: Child | None = None
        self._calls: dict[int, trio.CancelScope] = {}
        self._buffer = bytearray()

    @property
    def pid(self) -> Pid:
        """The person's kernel process."""
        if self._child is None:
            raise InternalError("a reading verb has no process of its own")
        return self._child.pid

    async def serve(self) -> None:
        """Runs until the client is gone; then its calls are cancelled and its process exits."""
        try:
            if await self._greet():
                await self._converse()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except* (UsageError, msgspec.DecodeError, RecursionError) as wrong:
            # One client's nonsense is nobody else's end.
            reason = wrong.exceptions[0]
            print(f"agentos: a client does not speak as agreed: {reason}", file=sys.stderr, flush=True)
        finally:
            with trio.CancelScope(shield=True):
                await self._system.close_session(self.id)
                if self._child is not None:
                    await self._system.kernel.exit(self._child.pid, "done")
                await trio.aclose_forcefully(self._stream)

    async def _converse(self) -> None:
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._outbox.run)
            while (line := await self._line()) is not None:
                if line:
                    self._accept(self._nursery, decode_request(line))
            self._nursery.cancel_scope.cancel()

    async def _greet(self) -> bool:
        line = await self._line()
        if line is None:
            return False
        said = decode_request(line).hello or {}
        if said.pop("protocol", None) != PROTOCOL:
            import os

            error = MissingMechanism(
                f"this command is AgentOS {said.get('version', '?')}, the home's daemon "
                f"(process {os.getpid()}) is {__version__}",
                where=str(self._system.home.root),
                hint=f"let its work finish, or stop it with `kill {os.getpid()}`; then try again",
            )
            await self._outbox.write(Response(error=to_dict(error)))
            return False
        self.submission = msgspec.convert(said, Submission)
        import os

        await self._outbox.write(Response(hello={"version": __version__, "pid": os.getpid()}))
        return True

    def _accept(self, nursery: trio.Nursery, request: Request) -> None:
        if request.interrupt is not None:
            scope = self._calls.get(request.interrupt)
            if scope is not None:
                scope.cancel()
        elif request.id is not None and request.verb is not None:
            self._calls[request.id] = trio.CancelScope()
            nursery.start_soon(self._run, request.id, request.verb, request.params)

    async def _run(self, id: int, verb: str, params: dict[str, Any]) -> None:
        """Runs one call. A call that an interruption cut ends as `Interrupted`."""
        emitter = _Emitter(self, id)
        try:
            with self._calls[id] as scope:
                result = await self._perform(emitter, verb, params)
                await self._outbox.put(Response(id=id, result=result, done=True))
            if scope.cancelled_caught:
                hint = emitter.hint or "it can be started again"
                error = to_dict(Interrupted("interrupted", hint=hint))
                await self._outbox.put(Response(id=id, error=error))
        except AgentOSError as error:
            await self._outbox.put(Response(id=id, error=to_dict(error)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            bug = InternalError(
                f"{type(error).__name__}: {error}",
                where=str(self._system.home.daemon_log),
                hint="this is a bug of AgentOS; that file has the details for a report",
            )
            await self._outbox.put(Response(id=id, error=to_dict(bug)))
        finally:
            self._calls.pop(id, None)

    async def _perform(self, emitter: _Emitter, verb: str, params: dict[str, Any]) -> Any:
        handler = verbs.reading(verb)
        if handler is not None:
            read = handler(self._system.view, params)
            if not isinstance(read, Iterator):
                return read
            for event in read:
                await emitter.emit(event)
            return None
        if self._child is None:
            self._child = await self._system.kernel.spawn(
                self._system.kernel.root, "person", key=f"session {self.id}", grants=[Everything()]
            )
        if verb in verbs.STARTING:
            await enforce(self._system)
        return await verbs.acting(verb)(self._system, emitter, params)

    async def ask_keys(self) -> None:
        """Passes the client a channel to the broker, for its provider keys. Raises MissingMechanism."""
        channel = await self._system.broker.open_session(self.id)
        await self._outbox.put(Response(keys=True), channel)

    def ask_keys_again(self) -> None:
        """There is a new broker, without keys. It ends with the session, and never waits."""
        if self._nursery is not None:
            self._nursery.start_soon(self._ask_keys_again)

    async def _ask_keys_again(self) -> None:
        # A broker that went away has a successor, for which we are called again.
        with suppress(MissingMechanism):
            await self.ask_keys()

    async def _line(self) -> bytes | None:
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > LINE_BYTES:
                raise UsageError("the message is too long")
            chunk = await self._stream.receive_some(1 << 16)
            if not chunk:
                return None
            self._buffer += chunk


class _Emitter:
    """The session as one call sees it: events go out under the call's number."""

    def __init__(self, session: ClientSession, call: int) -> None:
        self._session = session
        self._call = call
        self.id = session.id
        self.submission = session.submission
        self.parent: Pid | None = None
        self.hint: str | None = None
        """What the client is told to do after an interruption."""

    @property
    def pid(self) -> Pid:
        """The person's kernel process."""
        return self._session.pid

    async def emit(self, event: dict[str, Any]) -> None:
        """Sends one event of this call."""
        await self._session._outbox.put(Response(id=self._call, event=event))

    async def ask_keys(self) -> None:
        """Asks the client to send its provider keys to the broker."""
        await self._session.ask_keys()
