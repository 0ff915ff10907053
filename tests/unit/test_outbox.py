"""What a client is sent: whole lines, whatever is cancelled."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing

from agentos.daemon.outbox import LINES, Outbox
from agentos.daemon.protocol import Response, decode_response

LONG = Response(id=1, event={"text": "x" * (1 << 18)})


def pair() -> tuple[trio.SocketStream, socket.socket]:
    ours, theirs = socket.socketpair()
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), theirs


def test_a_call_that_is_cancelled_leaves_no_half_line() -> None:
    async def main() -> None:
        stream, client = pair()
        outbox = Outbox(stream)

        async def talk() -> None:
            while True:
                await outbox.put(LONG)

        with client:
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(outbox.run)
                async with trio.open_nursery() as call:
                    call.start_soon(talk)
                    await trio.testing.wait_all_tasks_blocked()
                    call.cancel_scope.cancel()
                nursery.start_soon(outbox.put, Response(id=1, done=True))
                lines = []
                with client.makefile("rb") as reader:
                    while not lines or not lines[-1].done:
                        lines.append(decode_response(await trio.to_thread.run_sync(reader.readline)))
                nursery.cancel_scope.cancel()
        # What the client has not read waits, and bounds what is said.
        assert lines[:-1] == [LONG] * len(lines[:-1])
        assert LINES < len(lines) <= LINES + 3

    trio.run(main)


def test_a_descriptor_goes_with_its_line_and_is_closed_here() -> None:
    async def main() -> None:
        stream, client = pair()
        outbox = Outbox(stream)
        passed, kept = socket.socketpair()
        late, other = socket.socketpair()
        with client, kept, other:
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(outbox.run)
                await outbox.put(Response(keys=True), passed)
                await trio.testing.wait_all_tasks_blocked()
                data, [received], _, _ = socket.recv_fds(client, 1 << 16, 1)
                assert decode_response(data).keys
                assert passed.fileno() == -1
                with socket.socket(fileno=received) as far:
                    far.sendall(b"key")
                assert kept.recv(9) == b"key"
                nursery.cancel_scope.cancel()
            with pytest.raises(trio.BrokenResourceError):
                await outbox.put(Response(keys=True), late)
            assert late.fileno() == -1

    trio.run(main)
