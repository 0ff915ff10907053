"""A request and its *go* in process against a bare PyO3 call; a call by socket against a bare echo."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path

import trio
from harness import Line, line

from agentos.daemon.client import connect
from agentos.home import Home
from agentos.kernel import open_kernel
from agentos.messages import ReadAction


def lines(*, smoke: bool) -> list[Line]:
    """Microseconds a call."""
    return [*trio.run(_in_process, smoke), *_through_socket(smoke)]


async def _in_process(smoke: bool) -> list[Line]:
    count, rounds = (200, 3) if smoke else (2000, 9)
    async with open_kernel(None) as kernel:
        await kernel.epoch()
        native = kernel._kernel
        serial = iter(range(10**9))

        def bare() -> float:
            started = time.perf_counter()
            for _ in range(count):
                native.appended()
            return (time.perf_counter() - started) / count * 1e6

        async def requests() -> float:
            tickets = []
            started = time.perf_counter()
            for _ in range(count):
                key = f"bench {next(serial)}"
                tickets.append(
                    await kernel.request(kernel.root, ReadAction(path="/a"), key=key, recovery="pure")
                )
            seconds = time.perf_counter() - started
            for ticket in tickets:
                await kernel.complete(ticket, "ok")
            return seconds / count * 1e6

        return [await _line_of(requests, bare, rounds)]


async def _line_of(subject, floor, rounds) -> Line:  # type: ignore[no-untyped-def]
    """`harness.line` measures plain functions: the coroutine runs in this thread's trio from another one."""

    def measured() -> Line:
        return line("request → go, in process", "µs", [lambda: trio.from_thread.run(subject), floor], rounds)

    return await trio.to_thread.run_sync(measured)


def _through_socket(smoke: bool) -> list[Line]:
    count, rounds = (50, 3) if smoke else (500, 9)
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        home = Home(Path(folder) / "home")
        with connect(home) as daemon:
            asked = len(b'{"id":1,"verb":"process.list","params":{}}\n')
            answered = len(str(daemon.call("process.list")))

            def call() -> float:
                started = time.perf_counter()
                for _ in range(count):
                    daemon.call("process.list")
                return (time.perf_counter() - started) / count * 1e6

            with _Echo(asked, answered) as echo:
                found = line(
                    "daemon call through the socket", "µs", [call, lambda: echo.trips(count)], rounds
                )
    return [found]


class _Echo:
    """A child process that answers `asked` bytes with `answered` bytes: the bare round trip."""

    def __init__(self, asked: int, answered: int) -> None:
        self._asked, self._answered = asked, answered
        self._ours, self._theirs = socket.socketpair()

    def __enter__(self) -> _Echo:
        self._child = os.fork()
        if self._child == 0:
            self._ours.close()
            answer = b"a" * self._answered
            while self._theirs.recv(self._asked):
                self._theirs.sendall(answer)
            os._exit(0)
        self._theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        os.waitpid(self._child, 0)

    def trips(self, count: int) -> float:
        question = b"q" * self._asked
        started = time.perf_counter()
        for _ in range(count):
            self._ours.sendall(question)
            missing = self._answered
            while missing:
                missing -= len(self._ours.recv(missing))
        return (time.perf_counter() - started) / count * 1e6
