"""The daemon: takes the home over, listens, and goes when nobody is attached and nothing is detached."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module

import trio

from agentos.daemon.gate_verbs import enforce
from agentos.daemon.peer import refusal
from agentos.daemon.protocol import Response, encode, socket_address
from agentos.daemon.session import ClientSession
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
    async with open_kernel(home.database) as kernel:
        await kernel.epoch()
        await trio.to_thread.run_sync(kill_leftovers, home.run)
        await _exit_people(kernel)
        await kernel.lane("exec", max(8, 2 * (os.cpu_count() or 1)))
        async with Broker.start() as broker, trio.open_nursery() as nursery:
            system = System(home, kernel, broker, nursery)
            system.enforce = partial(enforce, system)
            for name in RECOVERING:
                await import_module(name).recover(system)
            listener = _listen(home)
            try:
                await _Server(system, listener, nursery).run(ready)
            finally:
                listener.close()
                home.socket.unlink(missing_ok=True)
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

    def __init__(self, system: System, listener: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        self._system = system
        self._listener = listener
        self._nursery = nursery
        self._clients: dict[str, ClientSession] = {}
        self._count = 0
        self._changed = trio.Event()
        system.idle = self._wake
        system.broker.on_restart = self._ask_keys_again

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
            self._nursery.start_soon(self._serve, peer, f"s{os.getpid()}-{self._count}")

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
        client = self._clients[id] = ClientSession(self._system, stream, id)
        self._wake()
        try:
            await client.serve()
        finally:
            del self._clients[id]
            self._wake()

    def _ask_keys_again(self, sessions: frozenset[str]) -> None:
        for id in sessions & self._clients.keys():
            self._clients[id].ask_keys_again()

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
