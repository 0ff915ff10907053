"""The client side: finds or starts the home's daemon and calls its verbs. Synchronous; no trio.

A daemon that dies while a call streams is replaced by another, and the call goes on there.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos import __version__
from agentos.daemon.protocol import (
    LINE_BYTES,
    PROTOCOL,
    Request,
    Response,
    decode_response,
    encode,
    socket_address,
)
from agentos.errors import AgentOSError, Failed, InternalError, MissingMechanism, from_dict
from agentos.home import Home

if TYPE_CHECKING:
    from agentos.models.environment import Credential

SILENCE = 5.0
"""Seconds after which a daemon that says nothing counts as stopped."""

START = 30.0
"""Seconds that a daemon may take to recover its journal and listen."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "XDG_DATA_HOME", "PYTHONPATH")
"""The daemon's whole environment: nothing that could be a key."""

Resume = Callable[[dict[str, Any] | None], tuple[str, dict[str, Any]]]
"""From the first event that a call gave (None: none yet), the verb and params that continue it."""


class ConnectionLost(Failed):
    """The daemon went away in the middle of a call."""


class Connection:
    """One connection to a daemon."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._next = 0
        self.hello: dict[str, Any] = {}

    def send(self, request: Request) -> None:
        """Sends one line. Raises ConnectionLost."""
        try:
            self._socket.sendall(encode(request) + b"\n")
        except OSError as error:
            raise ConnectionLost("the daemon went away") from error

    def receive(self) -> Response:
        """The next line. Raises ConnectionLost."""
        while b"\n" not in self._buffer:
            try:
                chunk = self._socket.recv(1 << 16)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionLost("the daemon went away") from error
            if not chunk:
                raise ConnectionLost("the daemon went away")
            self._buffer += chunk
            if len(self._buffer) > LINE_BYTES:
                raise InternalError("the daemon sent a line that is too long")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return decode_response(line)

    def begin(self, verb: str, params: dict[str, Any]) -> int:
        """Sends a call; returns its id."""
        self._next += 1
        self.send(Request(id=self._next, verb=verb, params=params))
        return self._next

    def receive_socket(self) -> socket.socket:
        """Takes one descriptor that the daemon passes with the next byte."""
        _, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not descriptors:
            raise ConnectionLost("the daemon passed no channel")
        return socket.socket(fileno=descriptors[0])

    def close(self) -> None:
        """Ends the session."""
        self._socket.close()


class Daemon:
    """The home's daemon, as a client sees it. A context manager."""

    def __init__(self, home: Home, credentials: Sequence[Credential] | None = None) -> None:
        self.home = home
        self.result: Any = None
        self._interrupted = False
        self._credentials = credentials
        self._connection = self._open()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def pid(self) -> int:
        """The daemon's process id on the host."""
        return int(self._connection.hello["pid"])

    def _open(self) -> Connection:
        connection = start(self.home)
        if self._credentials:
            try:
                _hand_over(connection, self._credentials)
            except BaseException:
                connection.close()
                raise
        return connection

    def call(self, verb: str, params: dict[str, Any] | None = None) -> Any:
        """Calls a verb that does not stream; returns its result or raises its error."""
        for _ in self.stream(verb, params or {}):
            pass
        return self.result

    def stream(
        self, verb: str, params: dict[str, Any], resume: Resume | None = None
    ) -> Generator[dict[str, Any], None, Any]:
        """Calls a verb and yields its events; its result is the generator's value and `self.result`.

        With `resume`, a killed daemon is replaced and the call continued there. Ctrl-C asks the daemon to
        bring the call to rest, and raises what it then answers (`Interrupted`, as a rule).
        """
        first: dict[str, Any] | None = None
        self.result = None
        while True:
            try:
                events = self._events(verb, params)
                for event in events:
                    first = first or event
                    yield event
                return self.result
            except ConnectionLost:
                if self._interrupted:
                    raise KeyboardInterrupt from None
                if resume is None:
                    raise
                verb, params = resume(first)
                self._connection.close()
                self._connection = self._open()

    def _events(self, verb: str, params: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
        number = self._connection.begin(verb, params)
        with self._interruptible(number):
            while True:
                response = self._connection.receive()
                if response.id != number:
                    continue
                if response.error is not None:
                    raise from_dict(response.error)
                if response.done:
                    self.result = response.result
                    return
                if response.event is not None:
                    yield response.event

    @contextmanager
    def _interruptible(self, call: int) -> Iterator[None]:
        """Inside, the first Ctrl-C asks the daemon to bring `call` to rest, whatever this process is doing
        just then; the second one ends this process."""
        usual = signal.default_int_handler
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) != usual
        ):
            yield
            return

        def ask(*_: object) -> None:
            signal.signal(signal.SIGINT, usual)
            self._interrupted = True
            with suppress(ConnectionLost):
                self._connection.send(Request(interrupt=call))

        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)


def connect(home: Home, credentials: Sequence[Credential] | None = None) -> Daemon:
    """The home's daemon, started if there is none. `credentials` go straight to its broker."""
    return Daemon(home, credentials)


def attempt(home: Home) -> Connection | None:
    """A connection to the living daemon, or None where there is none.

    Raises where it is of another version, silent for five seconds, or refuses this client.
    """
    home.check()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.settimeout(SILENCE)
    try:
        with socket_address(home) as address:
            sock.connect(address)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        sock.close()
        return None
    except TimeoutError:
        sock.close()
        raise _silent(home) from None
    connection = Connection(sock)
    try:
        connection.send(Request(hello=_submission()))
        response = connection.receive()
    except TimeoutError:
        sock.close()
        raise _silent(home) from None
    except ConnectionLost:
        # It was on its way out, or refused without a word: as if there were none.
        sock.close()
        return None
    if response.error is not None:
        sock.close()
        raise from_dict(response.error)
    connection.hello = response.hello or {}
    sock.settimeout(None)
    return connection


def start(home: Home) -> Connection:
    """A connection to the home's daemon, which is started if there is none."""
    deadline = time.monotonic() + START
    starter: subprocess.Popen[bytes] | None = None
    home.create()
    while True:
        connection = attempt(home)
        if connection is not None:
            return connection
        if starter is None:
            starter = _launch(home)
        _await_start(home, starter)
        if starter.poll() is not None:
            starter = None
        if time.monotonic() > deadline:
            raise _silent(home)


def _launch(home: Home) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    log = os.open(home.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "agentos.daemon", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(log)


def _await_start(home: Home, starter: subprocess.Popen[bytes]) -> None:
    """Returns when the new daemon listens or has stepped back for another; raises what stopped it."""
    assert starter.stdout is not None
    line = starter.stdout.readline()
    if not line:
        starter.wait()
        raise InternalError(
            f"the daemon did not start (exit code {starter.returncode})",
            where=str(home.daemon_log),
            hint="that file says why; please report it",
        )
    said = json.loads(line)
    if "error" in said:
        starter.wait()
        raise from_dict(said["error"])
    if "held_by" in said:
        # Another one holds the home: it is starting, ending or stopped. Its socket will tell.
        starter.wait()
        time.sleep(0.05)


def _submission() -> dict[str, Any]:
    return {
        "cwd": os.fsencode(Path.cwd()).decode("utf-8", "backslashreplace"),
        "path": os.environ.get("PATH", os.defpath),
        "home": str(Path.home()),
        "lang": os.environ.get("LC_ALL") or os.environ.get("LANG") or "C.UTF-8",
        "term": os.environ.get("TERM", "dumb"),
        "version": __version__,
        "protocol": PROTOCOL,
    }


def _hand_over(connection: Connection, credentials: Sequence[Credential]) -> None:
    """Sends provider keys to the broker over a channel of its own: the daemon only passes it on."""
    from agentos.models.environment import roots_from_environment, send_credentials

    number = connection.begin("session.credentials", {})
    channel = connection.receive_socket()
    with channel:
        send_credentials(channel, credentials, roots=roots_from_environment(os.environ))
    while True:
        response = connection.receive()
        if response.id == number and response.error is not None:
            raise from_dict(response.error)
        if response.id == number and response.done:
            return


def _silent(home: Home) -> AgentOSError:
    try:
        holder = home.lock.read_text().strip() or "unknown"
    except OSError:
        holder = "unknown"
    return MissingMechanism(
        f"the daemon of this home (process {holder}) does not answer",
        where=str(home.root),
        hint=f"continue it with `kill -CONT {holder}`, or end it with `kill -KILL {holder}` and try again",
    )


def read(verb: str, params: dict[str, Any], home: Home) -> Any:
    """The result of a reading verb: from the living daemon, else from the journal itself."""
    connection = attempt(home)
    if connection is not None:
        daemon = Daemon.__new__(Daemon)
        daemon.home, daemon.result, daemon._interrupted = home, None, False
        daemon._credentials, daemon._connection = None, connection
        with daemon:
            return daemon.call(verb, params)
    from agentos.daemon.verbs import reading
    from agentos.kernel import ReadOnlyKernel
    from agentos.runtime.system import View

    handler = reading(verb)
    if handler is None:
        raise InternalError(f"`{verb}` is not a reading verb")
    kernel = ReadOnlyKernel.load(home.database) if home.database.exists() else ReadOnlyKernel.empty()
    return handler(View(home, kernel, alive=False), params)
