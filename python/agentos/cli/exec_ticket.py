"""The ticket of a command that the client itself runs: asked for before, reported after, heeded between."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from agentos.daemon.client import connect
from agentos.errors import AgentOSError, InternalError

if TYPE_CHECKING:
    from types import TracebackType

    from agentos.drivers.confinement import Exit
    from agentos.home import Home


class Ticket:
    """A context manager: inside, the kernel has allowed the command. Set `ended` when it is over.

    A thread of its own follows the daemon: it is told when the ticket is granted, and when the kernel wants
    the command stopped. If the daemon dies, the next one is asked for another ticket.
    """

    def __init__(self, home: Home, command: list[str], mandate: list[Any], level: str, folder: str) -> None:
        self.ended: Exit | None = None
        self._home = home
        shown = " ".join(os.fsencode(word).decode("utf-8", "backslashreplace") for word in command)
        self._params = {
            "command": shown,
            "mandate": msgspec.to_builtins(mandate),
            "level": level,
            "folder": os.fsencode(folder).decode("utf-8", "backslashreplace"),
        }
        self._id: int | None = None
        self._known = threading.Event()
        self._refused: Exception | None = None
        self._cut: Callable[[], None] | None = None
        self._cancelled = False

    def __enter__(self) -> Ticket:
        threading.Thread(target=self._follow, daemon=True).start()
        self._known.wait()
        if self._refused is not None:
            raise self._refused
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = self.ended
        outcome = "cancelled" if self._cancelled else "ok" if ended and ended.exit_code == 0 else "error"
        params = {
            "ticket": self._id,
            "outcome": outcome,
            "exit_code": ended.exit_code if ended else None,
            "wall_us": int(ended.seconds * 1e6) if ended else 0,
        }
        with connect(self._home) as daemon:
            daemon.call("exec.complete", params)

    def on_cancel(self, cut: Callable[[], None]) -> None:
        """Calls `cut` when the kernel wants the command stopped."""
        self._cut = cut
        if self._cancelled:
            cut()

    def _follow(self) -> None:
        try:
            with connect(self._home) as daemon:
                for event in daemon.stream("exec.open", self._params, resume=self._resume):
                    if event["event"] == "go":
                        self._id = event["ticket"]
                        self._known.set()
                    elif event["event"] == "cancel":
                        self._stop()
        except AgentOSError as error:
            self._refuse(error)
        except Exception as error:  # whoever waits must hear of it
            self._refuse(InternalError(f"{type(error).__name__}: {error}"))
        finally:
            self._known.set()

    def _refuse(self, error: AgentOSError) -> None:
        """Not granted; or, with the command under way, no daemon to answer for it any more."""
        self._refused = error
        self._stop()

    def _stop(self) -> None:
        self._cancelled = True
        if self._cut is not None:
            self._cut()

    def _resume(self, first: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        # A ticket dies with its daemon's epoch: the command goes on under one from the next daemon, or not.
        return "exec.open", self._params
