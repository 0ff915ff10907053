"""The daemon: takes the home over, listens, and goes when nobody is attached and nothing is detached."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import import_module

import trio

from agentos.daemon.clients import Clients
from agentos.daemon.gate_verbs import enforce
from agentos.daemon.peer import refusal
from agentos.daemon.protocol import Response, encode, socket_address
from agentos.daemon.verbs import RECOVERING
from agentos.drivers.broker import Broker
from agentos.drivers.confinement import kill_leftovers
from agentos.errors import Denied, to_dict
from agentos.home import Home
from agentos.kernel import Kernel, open_kernel
from agentos.runtime.system import System

LINGER = 3.0
"""Seconds that an idle daemon stays, so that a series of commands is served by one."""


async def serve(home: Home, ready: Callable[[], None]) -> None:
    """Runs the home's daemon until it has nothing left to do, or is told to end (SIGTERM, SIGINT)."""
    async with open_kernel(home.database) as kernel, taken_over(home, kernel) as system:
        listener = _listen(home)
        try:
            await _Server(system, listener).run(ready)
        finally:
            listener.close()
            home.socket.unlink(missing_ok=True)


@asynccontextmanager
async def taken_over(home: Home, kernel: Kernel) -> AsyncIterator[System]:
    """The system of `home` on `kernel`, with what an earlier daemon left settled; its works come to rest when
    the block ends."""
    await kernel.epoch()
    await trio.to_thread.run_sync(kill_leftovers, home.run)
    await _exit_people(kernel)
    await kernel.lane("exec", max(8, 2 * (os.cpu_count() or 1)))
    async with Broker.start() as broker, trio.open_nursery() as nursery:
        system = System(home, kernel, broker, nursery)
        system.enforce = partial(enforce, system)
        for name in RECOVERING:
            await import_module(name).recover(system)
        try:
            yield system
        finally:
            with trio.CancelScope(shield=True):
                await _come_to_rest(system)
            nursery.cancel_scope.cancel()


async def _exit_people(kernel: Kernel) -> None:
    """Sessions ended with the daemon that had them."""
    for row in kernel.processes():
        if row.parent == kernel.root and row.name == "person" and row.state != "exited":
            await kernel.exit(row.pid, "lost")


async def _come_to_rest(system: System) -> None:
    for work in list(system.works.values()):
        work.interrupt()
        await work.done.wait()


def _listen(home: Home) -> trio.socket.SocketType:
    """Binds the socket. A stale one is in nobody's way: the home's lock is ours."""
    home.socket.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    with socket_address(home) as address:
        sock.bind(address)
    home.socket.chmod(0o600)
    sock.listen(128)
    return trio.socket.from_stdlib_socket(sock)


class _Server:
    """Accepts clients, and knows when there is nothing left to do."""

    def __init__(self, system: System, listener: trio.socket.SocketType) -> None:
        self._system = system
        self._listener = listener
        self._clients = Clients(system)
        self._count = 0
        self._changed = trio.Event()
        system.idle = self._wake

    async def run(self, ready: Callable[[], None]) -> None:
        """Serves until idle for `LINGER` seconds or signalled."""
        async with trio.open_nursery() as serving:
            serving.start_soon(self._accept)
            serving.start_soon(self._await_signal, serving.cancel_scope)
            serving.start_soon(self._await_idle, serving.cancel_scope)
            ready()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _accept(self) -> None:
        while True:
            peer, _ = await self._listener.accept()
            self._count += 1
            self._system.nursery.start_soon(self._serve, peer, f"s{os.getpid()}-{self._count}")

    async def _serve(self, peer: trio.socket.SocketType, id: str) -> None:
        stream = trio.SocketStream(peer)
        reason = refusal(socket.socket(fileno=os.dup(peer.fileno())))
        if reason is not None:
            error = Denied(
                reason, stage="process", name="peer", hint="agents reach the kernel by their own channel"
            )
            with suppress(trio.BrokenResourceError):
                await stream.send_all(encode(Response(error=to_dict(error))) + b"\n")
            await trio.aclose_forcefully(stream)
            return
        self._wake()
        try:
            await self._clients.serve(stream, id)
        finally:
            self._wake()

    async def _await_idle(self, scope: trio.CancelScope) -> None:
        while True:
            changed = self._changed
            if self._clients or self._system.works:
                await changed.wait()
                continue
            with trio.move_on_after(LINGER) as lingering:
                await changed.wait()
            if lingering.cancelled_caught and not (self._clients or self._system.works):
                scope.cancel()
                return

    async def _await_signal(self, scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                scope.cancel()
                return
