"""One launch in the daemon: its launcher process, its socket, its output, and its certain end."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

from agentos.drivers import process_record
from agentos.drivers.launch import LaunchSpec, Report

if TYPE_CHECKING:
    from types import TracebackType

    from agentos.drivers.confinement import Output

_CHUNK = 1 << 16


class ConfinedProcess:
    """A context manager: inside, the launch may live; on leaving, all its processes are dead."""

    def __init__(
        self, spec: LaunchSpec, runner: str, run_dir: Path | None, ticket: str | None, stdin: bytes
    ) -> None:
        self._stdin = stdin
        self.report = Report()
        self._spec = spec
        self._runner = runner
        self._record = None if run_dir is None else run_dir / (ticket or secrets.token_hex(8))
        self._init: int | None = None

    async def __aenter__(self) -> ConfinedProcess:
        await trio.lowlevel.checkpoint()
        ours, theirs = socket.socketpair()
        self._output, output = os.pipe2(os.O_CLOEXEC)
        stdin = os.memfd_create("stdin", os.MFD_CLOEXEC) if self._stdin else os.open(os.devnull, os.O_RDONLY)
        try:
            if self._stdin:
                _fill(stdin, self._stdin)
            self._launcher = await _spawn(self._runner, theirs.fileno(), stdin, output)
        except BaseException:
            ours.close()
            os.close(self._output)
            raise
        finally:
            theirs.close()
            os.close(output)
            os.close(stdin)
        self._control = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._control)  # the lifeline
            await self._launcher.wait()
            if self._init is not None:
                # The launcher goes last, unless somebody killed it: pid 1 is what counts.
                await trio.lowlevel.wait_readable(self._init)
                os.close(self._init)
            if self._record is not None:
                self._record.unlink(missing_ok=True)

    async def communicate(
        self, output: Output | None, cancel: trio.Event | None, timeout: float | None
    ) -> tuple[bool, bool]:
        """Starts it and passes its output on until it has ended: (timed out, cancelled)."""
        if self._record is not None:
            # Before it is told what to run: nothing runs without a record.
            process_record.write(self._record, [self._launcher.pid])
        try:
            return await self._communicate(output, cancel, timeout)
        except BaseExceptionGroup as group:
            # The nursery is a detail: what `output` raised arrives as it was raised.
            raise _only(group) from None

    async def _communicate(
        self, output: Output | None, cancel: trio.Event | None, timeout: float | None
    ) -> tuple[bool, bool]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump_output, output)
            with trio.move_on_after(float("inf") if timeout is None else timeout) as limit:
                async with trio.open_nursery() as watching:
                    if cancel is not None:
                        watching.start_soon(_cancel_on, cancel, watching.cancel_scope)
                    await self._follow()
                    watching.cancel_scope.cancel()
            await trio.aclose_forcefully(self._control)
            await self._launcher.wait()
        unfinished = self.report.end is None
        cancelled = cancel is not None and cancel.is_set()
        return unfinished and limit.cancelled_caught, unfinished and cancelled

    async def _follow(self) -> None:
        try:
            await self._control.send_all(msgspec.json.encode(self._spec) + b"\n")
            while data := await self._control.receive_some(_CHUNK):
                self.report.feed(data)
                if self.report.init and self._init is None:
                    self._watch_init(self.report.init)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the launcher is gone; what it said before counts

    def _watch_init(self, pid: int) -> None:
        try:
            self._init = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        if self._record is not None:
            process_record.write(self._record, [pid, self._launcher.pid])

    async def _pump_output(self, output: Output | None) -> None:
        stream = trio.lowlevel.FdStream(self._output)
        async with stream:
            while data := await stream.receive_some(_CHUNK):
                if output is not None:
                    await output(data)


def _fill(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)


async def _spawn(runner: str, control: int, stdin: int, output: int) -> trio.Process:
    return await trio.lowlevel.open_process(
        [runner, "launch", str(control)],
        stdin=stdin,
        stdout=output,
        stderr=output,
        pass_fds=[control],
        env={},
        cwd="/",
        start_new_session=True,
    )


def _only(group: BaseExceptionGroup) -> BaseException:
    """The one exception in `group`, however deep; the group itself if there are more."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        if len(found.exceptions) != 1:
            return group
        found = found.exceptions[0]
    return found


async def _cancel_on(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
