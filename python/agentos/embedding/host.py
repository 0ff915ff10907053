"""A system in a trio of its own, in a thread: for programs that are not written in trio.

INVARIANT: whoever waits for a call and stops waiting has it cancelled, and goes on once it has ended.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

from agentos.embedding.system import System
from agentos.errors import UsageError

Opening = Callable[[], AbstractAsyncContextManager[System]]


class Call:
    """A call under way in the host; `future` is what comes of it, cancelled where the call was."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.future: Future[Any] = Future()
        self.scope = trio.CancelScope()
        self._work = work

    async def perform(self) -> None:
        """Does the work."""
        try:
            with self.scope:
                found = await self._work()
            if self.scope.cancelled_caught:
                self.future.cancel()
            else:
                self.future.set_result(found)
        except trio.Cancelled:
            self.future.set_exception(_closed())
            raise
        except BaseException as error:
            self.future.set_exception(error)


class Host:
    """The thread; it begins to open the system at once. `opened` tells when that is done, or failed."""

    def __init__(self, opening: Opening) -> None:
        self.opened: Future[System] = Future()
        self._opening = opening
        self._process = os.getpid()
        self._token: trio.lowlevel.TrioToken
        self._scope: trio.CancelScope
        self._nursery: trio.Nursery | None = None
        self._closing: trio.Event
        running = threading.Event()
        # A daemon thread: a program that forgets to close must end all the same.
        self._thread = threading.Thread(
            target=lambda: trio.run(self._serve, running), name="agentos", daemon=True
        )
        self._thread.start()
        running.wait()

    def submit(self, work: Callable[[], Awaitable[Any]]) -> Call:
        """Begins `work` in the host. Raises UsageError in a fork, and once the system is closed."""
        if os.getpid() != self._process:
            raise UsageError("this system was opened before a fork", hint="open another one in this process")
        call = Call(work)
        try:
            self._token.run_sync_soon(self._begin, call)
        except trio.RunFinishedError:
            raise _closed() from None
        return call

    def cancel(self, call: Call) -> None:
        """Asks for the end of a call; its future tells when that has come."""
        self._soon(call.scope.cancel)

    def end(self) -> None:
        """Closes the system and returns when the thread has ended; calls under way are cut."""
        self._soon(self._end)
        self._thread.join()

    def _soon(self, work: Callable[[], Any]) -> None:
        try:
            self._token.run_sync_soon(work)
        except trio.RunFinishedError:
            return

    def _begin(self, call: Call) -> None:
        if self._nursery is None:
            call.future.set_exception(_closed())
        else:
            self._nursery.start_soon(call.perform)

    def _end(self) -> None:
        if self._nursery is None:
            self._scope.cancel()
        else:
            self._closing.set()

    async def _serve(self, running: threading.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._closing = trio.Event()
        self._scope = trio.CancelScope()
        running.set()
        try:
            with self._scope:
                async with self._opening() as system, trio.open_nursery() as self._nursery:
                    self.opened.set_result(system)
                    await self._closing.wait()
                    self._nursery.cancel_scope.cancel()
        except BaseException as error:
            if self.opened.done():
                raise
            self.opened.set_exception(error)
        finally:
            self._nursery = None
            # Cancelled while it was opening.
            self.opened.cancel()


def _closed() -> UsageError:
    return UsageError("this system is closed", hint="use it inside its `with` block")
