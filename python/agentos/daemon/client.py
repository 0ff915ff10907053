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
from agentos.daemon.connection import Connection, ConnectionLost
from agentos.daemon.protocol import PROTOCOL, Request, socket_address
from agentos.errors import AgentOSError, InternalError, Interrupted, MissingMechanism, from_dict
from agentos.home import Home

if TYPE_CHECKING:
    from agentos.models.environment import Credential

SILENCE = 5.0
"""Seconds after which a daemon that says nothing counts as stopped."""

START = 30.0
"""Seconds that a daemon may take to recover its journal and listen."""

DEATHS = 3
"""So many daemons in a row may die over a call before it counts as what kills them."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "XDG_DATA_HOME", "PYTHONPATH")
"""The daemon's whole environment: nothing that could be a key."""

Resume = Callable[[dict[str, Any] | None], tuple[str, dict[str, Any]]]
"""From the first event that a call gave (None: none yet), the verb and params that continue it."""


class Daemon:
    """The home's daemon, as a client sees it. A context manager."""

    def __init__(
        self, home: Home, credentials: Sequence[Credential] = (), living: Connection | None = None
    ) -> None:
        self.home = home
        self.result: Any = None
        self._credentials = credentials
        self._interrupted = False
        if living is not None:
            self._connection = living
        else:
            self._connect()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def pid(self) -> int:
        """The daemon's process id on the host."""
        return int(self._connection.hello["pid"])

    def _connect(self) -> None:
        """Finds or starts a daemon and has it ask for the keys, which it does again whenever a new broker has
        none."""
        for death in range(DEATHS):
            self._connection = start(self.home)
            try:
                if self._credentials:
                    for _ in self._events("session.keys", {}):
                        pass
                return
            except BaseException as error:
                self._connection.close()
                if not isinstance(error, ConnectionLost) or death + 1 == DEATHS:
                    raise

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
        deaths = 0
        while True:
            try:
                if deaths:
                    self._connection.close()
                    self._connect()
                for event in self._events(verb, params):
                    first, deaths = first or event, 0
                    yield event
                return self.result
            except ConnectionLost:
                deaths += 1
                if self._interrupted:
                    raise Interrupted("interrupted, and the daemon went away meanwhile") from None
                if resume is None or deaths > DEATHS:
                    raise
                verb, params = resume(first)

    def _events(self, verb: str, params: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
        number = self._connection.begin(verb, params)
        with self._interruptible(number):
            while True:
                response = self._connection.receive()
                if response.keys:
                    hand_over(self._connection.take_socket(), self._credentials)
                elif response.id != number:
                    continue
                elif response.error is not None:
                    raise from_dict(response.error)
                elif response.done:
                    self.result = response.result
                    return
                elif response.event is not None:
                    yield response.event

    @contextmanager
    def _interruptible(self, number: int) -> Iterator[None]:
        """While the block runs, and whatever its caller does meanwhile, the first Ctrl-C asks the daemon to
        bring call `number` to rest. A second one is Python's own."""
        usual = signal.getsignal(signal.SIGINT) == signal.default_int_handler
        if threading.current_thread() is not threading.main_thread() or not usual:
            yield
            return
        connection = self._connection

        def ask(*_: object) -> None:
            signal.signal(signal.SIGINT, before)
            self._interrupted = True
            with suppress(ConnectionLost):
                connection.send(Request(interrupt=number))

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def hand_over(channel: socket.socket, credentials: Sequence[Credential]) -> None:
    """Sends provider keys to the broker, over a channel that the daemon passed and holds no more. A broker
    that is gone has a successor, which asks for them again."""
    from agentos.models.environment import BrokerGone, roots_from_environment, send_credentials

    with channel, suppress(BrokerGone):
        send_credentials(channel, credentials, roots=roots_from_environment(os.environ))


def connect(home: Home, credentials: Sequence[Credential] = ()) -> Daemon:
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
    try:
        return greet(sock)
    except TimeoutError:
        raise _silent(home) from None
    except ConnectionLost:
        # It was on its way out, or refused without a word: as if there were none.
        return None


def greet(sock: socket.socket) -> Connection:
    """The connection over `sock`, once both sides have said who they are. Raises what the daemon refuses
    with; then, and in any other case of failure, the socket is closed."""
    connection = Connection(sock)
    try:
        connection.send(Request(hello=_submission()))
        response = connection.receive()
        if response.error is not None:
            raise from_dict(response.error)
    except BaseException:
        sock.close()
        raise
    connection.hello = response.hello or {}
    sock.settimeout(None)
    return connection


def start(home: Home) -> Connection:
    """A connection to the home's daemon, which is started if there is none."""
    deadline = time.monotonic() + START
    deaths = 0
    home.create()
    while True:
        connection = attempt(home)
        if connection is not None:
            return connection
        starter = _launch(home)
        if not _await_start(home, starter):
            # Killed before it could say why: like one that is killed later, it has a successor.
            deaths += 1
            if starter.returncode >= 0 or deaths > DEATHS:
                raise _not_started(home, starter.returncode)
        if time.monotonic() > deadline:
            raise _silent(home)


def _launch(home: Home) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        log = os.open(home.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise home.unusable(error) from error
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


def _not_started(home: Home, code: int) -> InternalError:
    return InternalError(
        f"the daemon did not start (exit code {code})",
        where=str(home.daemon_log),
        hint="that file says why; please report it",
    )


def _await_start(home: Home, starter: subprocess.Popen[bytes]) -> bool:
    """Returns when the new daemon listens or has stepped back for another, and raises what it says stopped
    it; False for one that ended without a word."""
    assert starter.stdout is not None
    with starter.stdout:
        line = starter.stdout.readline()
    if not line:
        starter.wait()
        return False
    said = json.loads(line)
    if "error" in said:
        starter.wait()
        raise from_dict(said["error"])
    if "held_by" in said:
        # Another one holds the home: it is starting, ending or stopped. Its socket will tell.
        starter.wait()
        time.sleep(0.05)
    if "ready" in said:
        # A program may live longer than the daemon that it started: somebody takes note of its end.
        # A signal that this thread took would not wake the main one, which waits for the daemon's words.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            threading.Thread(target=starter.wait, daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return True


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
    if connection is None:
        return _read_journal(verb, params, home)
    with Daemon(home, living=connection) as daemon:
        return daemon.call(verb, params)


def read_events(verb: str, params: dict[str, Any], home: Home) -> Iterator[dict[str, Any]]:
    """What a reading verb has to say, one event at a time: from the daemon, else from the journal itself."""
    connection = attempt(home)
    if connection is None:
        yield from _read_journal(verb, params, home)
    else:
        with Daemon(home, living=connection) as daemon:
            yield from daemon.stream(verb, params)


def _read_journal(verb: str, params: dict[str, Any], home: Home) -> Any:
    from agentos.daemon.verbs import reading
    from agentos.kernel import ReadOnlyKernel
    from agentos.runtime.system import View

    handler = reading(verb)
    if handler is None:
        raise InternalError(f"`{verb}` is not a reading verb")
    kernel = ReadOnlyKernel.load(home.database) if home.database.exists() else ReadOnlyKernel.empty()
    return handler(View(home, kernel, alive=False), params)
