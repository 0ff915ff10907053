"""A kernel of one's own, in memory and in this process: the same daemon and messages, without a home.

Its folder (checkpoints, the archive) is a temporary one, gone with it.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import trio

from agentos.daemon.clients import Clients
from agentos.daemon.server import taken_over
from agentos.home import Home
from agentos.kernel import Kernel, open_kernel
from agentos.runtime.system import System


class Private:
    """The daemon in this process. `dial` gives a client's end of a new session."""

    def __init__(self, system: System) -> None:
        self.home = system.home
        self.kernel: Kernel = system.kernel
        self._system = system
        self._clients = Clients(system)
        self._numbers = count(1)

    async def dial(self) -> socket.socket:
        """Opens a session and returns the client's end of it."""
        ours, theirs = socket.socketpair()
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        self._system.nursery.start_soon(self._clients.serve, stream, f"private-{next(self._numbers)}")
        return theirs


@asynccontextmanager
async def private(clock: Callable[[], int] | None = None) -> AsyncIterator[Private]:
    """Runs it for the length of the block. `clock` gives UTC microseconds; default is the system's."""
    with tempfile.TemporaryDirectory(prefix="agentos-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder).resolve() / "home")
        home.create()
        async with open_kernel(None, clock=clock) as kernel, taken_over(home, kernel) as system:
            yield Private(system)
