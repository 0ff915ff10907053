"""A model server that follows a script: real HTTP/1.1 on loopback, in both wire formats.

`POST …/messages` is answered as Anthropic Messages, `POST …/chat/completions` as OpenAI chat completions,
streamed when the request asks for it. A reply says what the model answers; its `Framing` says how the bytes
travel, down to where they are cut.

    with ScriptedModel([Reply(text="hello")]) as server:
        call(server.url, …)
        assert server.requests[0].body["model"] == "m"
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.scripted_wire import Framing, Reply, Request, ToolCall, Usage, render

Script = Sequence[Reply] | Callable[[Request], Reply]


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


class ScriptedModel:
    """Serves `script` on 127.0.0.1 until the `with` block ends.

    A sequence is answered in order, one reply a request, and a request beyond its end gets status 500; a
    callable is asked for each request. `tls` serves HTTPS with that context.
    """

    def __init__(self, script: Script = (), *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
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

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path: what ANTHROPIC_BASE_URL takes."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """The URL with `/v1`: what OPENAI_BASE_URL takes."""
        return f"{self.url}/v1"

    @property
    def connections(self) -> int:
        """How many different connections have carried a request."""
        return len({request.connection for request in self.requests})

    def environment(self, key: str = "test-key") -> dict[str, str]:
        """The variables that make a client use this server in both wire formats."""
        return {
            "ANTHROPIC_API_KEY": key,
            "ANTHROPIC_BASE_URL": self.url,
            "OPENAI_API_KEY": key,
            "OPENAI_BASE_URL": self.openai_url,
        }

    def __enter__(self) -> ScriptedModel:
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
                while self._exchange(_Connection(connection), number):
                    pass
        finally:
            with self._lock:
                del self._open[number]
            connection.close()
            self.gone.release()

    def _exchange(self, connection: _Connection, number: int) -> bool:
        """Answer requests on one connection; False when it is to be closed."""
        while (request := connection.request(number)) is not None:
            reply = self._next(request)
            if not self._send(connection.socket, reply, request):
                return False
        return False

    def _next(self, request: Request) -> Reply:
        with self._lock:
            request.number = len(self.requests)
            self.requests.append(request)
            if callable(self._script):
                return self._script(request)
            if request.number < len(self._script):
                return self._script[request.number]
        return Reply(status=500, error="the script has no more replies", error_type="api_error")

    def _send(self, connection: socket.socket, reply: Reply, request: Request) -> bool:
        framing = reply.framing
        for piece in _pieces(render(reply, request), framing.piece):
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


def _pieces(data: bytes, size: int | None) -> Iterator[bytes]:
    if size is None:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


def tool_results(request: Request) -> list[Any]:
    """The tool results that a request carries, in either wire format, as their contents."""
    found: list[Any] = []
    for message in request.body.get("messages", []):
        if message.get("role") == "tool":
            found.append(message.get("content"))
        content = message.get("content")
        if isinstance(content, list):
            found += [block.get("content") for block in content if _is_result(block)]
    return found


def _is_result(block: object) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "tool_result"


__all__ = ["Framing", "Reply", "Request", "ScriptedModel", "ToolCall", "Usage", "tool_results"]
