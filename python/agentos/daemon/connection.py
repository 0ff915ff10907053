"""One connection to a daemon: lines in both directions, and descriptors that come with some of them."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any

from agentos.daemon.protocol import Request, Response, decode_response, encode
from agentos.errors import Failed, InternalError


class ConnectionLost(Failed):
    """The daemon went away in the middle of a call."""

    def __init__(self) -> None:
        super().__init__("the daemon went away", hint="try again: the next command starts another")


class Connection:
    """One connection to a daemon."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()
        self._next = 0
        self.hello: dict[str, Any] = {}

    def send(self, request: Request) -> None:
        """Sends one line. Raises ConnectionLost."""
        try:
            self._socket.sendall(encode(request) + b"\n")
        except OSError as error:
            raise ConnectionLost() from error

    def receive(self) -> Response:
        """The next line. Raises ConnectionLost."""
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0:
            looked = len(self._buffer)
            try:
                chunk, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, 1, socket.MSG_CMSG_CLOEXEC)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionLost() from error
            self._descriptors.extend(descriptors)
            if not chunk:
                raise ConnectionLost()
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return decode_response(line)

    def begin(self, verb: str, params: dict[str, Any]) -> int:
        """Sends a call; returns its id."""
        self._next += 1
        self.send(Request(id=self._next, verb=verb, params=params))
        return self._next

    def take_socket(self) -> socket.socket:
        """The descriptor that came with a line which says so."""
        if not self._descriptors:
            raise InternalError("the daemon passed no channel")
        return socket.socket(fileno=self._descriptors.popleft())

    def detach(self) -> socket.socket:
        """The socket, for others to go on with; nothing was read ahead of it."""
        assert not self._buffer and not self._descriptors
        return self._socket

    def close(self) -> None:
        """Ends the session."""
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
