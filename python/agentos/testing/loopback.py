"""A small HTTP/1.1 server on loopback, one thread a connection, that keeps every request it got."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self


@dataclass
class Request:
    """One request as the server read it; header names in lower case. `path` is the target as it was sent."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    connection: int
    number: int

    @property
    def body(self) -> Any:
        """The JSON body."""
        return json.loads(self.raw)

    @property
    def wire(self) -> Literal["anthropic", "openai"]:
        """The model wire format that the path stands for."""
        return "anthropic" if self.path.split("?")[0].endswith("/messages") else "openai"


@dataclass(frozen=True)
class Framing:
    """How a reply's bytes travel.

    `body`: with `Transfer-Encoding: chunked`, a `Content-Length`, or ended by closing the connection.
    `chunk`: bytes of payload in each HTTP chunk. `piece`: bytes in each send, with `pause` seconds after it.
    `newline`: the line end of the event stream. `comments`: comment lines and pings between events.
    `cut_after`: the reply ends after so many bytes of the body (negative: counted from its end), and with
    `reset` the connection is reset, with `stall` it stays open and silent until the peer leaves.
    """

    body: Literal["chunked", "length", "close"] = "chunked"
    chunk: int = 4096
    piece: int | None = None
    pause: float = 0.0
    newline: Literal["\n", "\r\n", "\r"] = "\n"
    comments: bool = False
    cut_after: int | None = None
    reset: bool = False
    stall: bool = False
    keep_alive: bool = True


class Loopback:
    """Serves on 127.0.0.1 until the `with` block ends. A kind of server says how requests are answered.

    `tls` serves HTTPS with that context.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[Request] = []
        self.gone = threading.Semaphore(0)
        """Released once for each connection that ended."""

    def answer(self, request: Request) -> tuple[bytes, Framing]:
        """The whole reply to `request`, head and body. Called with one request at a time."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many different connections have carried a request."""
        return len({request.connection for request in self.requests})

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        # A connection of our own wakes accept(), which closing the listener would not.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        with self._lock:
            for connection in self._open.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        while self._threads:
            self._threads.pop().join(timeout=10)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            connection, _ = self._listener.accept()
            if self._closing.is_set():
                connection.close()
                return
            number += 1
            with self._lock:
                self._open[number] = connection
            self._start(self._serve, number, connection)

    def _serve(self, number: int, connection: socket.socket) -> None:
        try:
            # What a peer does to its end of a connection is its own affair: tests look at what it reported.
            with contextlib.suppress(OSError, ssl.SSLError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                    with self._lock:
                        self._open[number] = connection
                self._exchange(_Connection(connection), number)
        finally:
            with self._lock:
                del self._open[number]
            connection.close()
            self.gone.release()

    def _exchange(self, connection: _Connection, number: int) -> None:
        """Answers the requests on one connection until it is to be closed."""
        while (request := connection.request(number)) is not None:
            with self._lock:
                request.number = len(self.requests)
                self.requests.append(request)
                data, framing = self.answer(request)
            if not self._send(connection.socket, data, framing):
                return

    def _send(self, connection: socket.socket, data: bytes, framing: Framing) -> bool:
        for piece in _pieces(data, framing.piece):
            connection.sendall(piece)
            if framing.pause and self._closing.wait(framing.pause):
                return False
        if framing.reset:
            # Zero linger makes close() send a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        if framing.stall:
            connection.recv(1)
            return False
        return framing.keep_alive and framing.cut_after is None and framing.body != "close"


def framed(status: str, headers: list[str], body: bytes, framing: Framing) -> bytes:
    """An HTTP reply with `status` (`200 OK`) and `headers` (`Name: value`), cut where the framing says."""
    head = [f"HTTP/1.1 {status}", *headers]
    if framing.body == "chunked":
        head.append("Transfer-Encoding: chunked")
        wire = b"".join(_chunks(body, framing.chunk))
    else:
        wire = body
        if framing.body == "length":
            head.append(f"Content-Length: {len(body)}")
    if framing.body == "close" or not framing.keep_alive:
        head.append("Connection: close")
    if framing.cut_after is not None:
        wire = wire[: framing.cut_after]
    return "\r\n".join([*head, "", ""]).encode() + wire


def _chunks(body: bytes, size: int) -> Iterator[bytes]:
    for part in _pieces(body, size):
        yield b"%x\r\n%s\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


def _pieces(data: bytes, size: int | None) -> Iterator[bytes]:
    if size is None:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


@dataclass
class _Connection:
    """One accepted connection and what was read ahead of the current request."""

    socket: socket.socket
    ahead: bytearray = field(default_factory=bytearray)

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self.ahead += data
        return bool(data)

    def _until(self, mark: bytes) -> bytes | None:
        while (at := self.ahead.find(mark)) < 0:
            if not self._more():
                return None
        taken = bytes(self.ahead[: at + len(mark)])
        del self.ahead[: at + len(mark)]
        return taken

    def _exactly(self, size: int) -> bytes | None:
        while len(self.ahead) < size:
            if not self._more():
                return None
        taken = bytes(self.ahead[:size])
        del self.ahead[:size]
        return taken

    def request(self, number: int) -> Request | None:
        """The next request, or None when the peer has closed."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip()
            for name, value in (line.split(":", 1) for line in lines[1:] if line)
        }
        raw = self._exactly(int(headers.get("content-length", "0")))
        if raw is None:
            return None
        return Request(method=method, path=target, headers=headers, raw=raw, connection=number, number=0)
