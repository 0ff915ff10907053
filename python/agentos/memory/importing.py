"""Runs an import in a thread of its own, so that its progress can be shown and Ctrl-C ends it cleanly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from agentos.errors import Interrupted, UsageError
from agentos.kernel import Archive, ImportJob

if TYPE_CHECKING:
    from agentos.home import Home

INTERVAL = 0.25
"""Seconds between two looks at the progress."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is. `total` may be 0 while the input is being opened."""

    bytes: int
    total: int
    conversations: int
    messages: int
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None where there is nothing to judge by yet."""
        return (self.total - self.bytes) / self.rate if self.total and self.rate else None


def run(home: Home, inputs: Sequence[str], watch: Callable[[Progress], None]) -> dict[str, Any]:
    """Imports `inputs` (`-` is standard input) into the home's archive; returns the summary.

    Raises UsageError for input that cannot be used (nothing of it stays) and Interrupted after Ctrl-C (what
    was stored stays, and the same import finishes it).
    """
    if list(inputs).count("-") > 1:
        raise UsageError("standard input can be read once", hint="give `-` once")
    archive = Archive(str(home.archive))
    job = ImportJob([None if name == "-" else name for name in inputs])
    outcome: list[bytes | BaseException] = []
    # Not `Thread.join`: interrupted, it takes the thread for ended.
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append(archive.run_import(job))
        except BaseException as error:
            outcome.append(error)
        finally:
            done.set()

    started, stopped = time.monotonic(), False
    threading.Thread(target=work, name="memory import", daemon=True).start()
    while not done.is_set():
        try:
            done.wait(INTERVAL)
            total, read, conversations, messages = job.progress()
            if stopped and not (total or read):
                # It waits for standard input, maybe for ever. Nothing is stored before that has ended.
                raise _interrupted(Interrupted("stopped"))
            seconds = time.monotonic() - started
            watch(
                Progress(
                    bytes=min(read, total) if total else read,
                    total=total,
                    conversations=conversations,
                    messages=messages,
                    seconds=seconds,
                )
            )
        except KeyboardInterrupt:
            job.cancel()
            stopped = True
    (ended,) = outcome
    if isinstance(ended, Interrupted):
        raise _interrupted(ended) from None
    if isinstance(ended, BaseException):
        raise ended
    summary: dict[str, Any] = json.loads(ended)
    summary["seconds"] = round(time.monotonic() - started, 3)
    return summary


def _interrupted(error: Interrupted) -> Interrupted:
    if error.where is None:
        return Interrupted("stopped; nothing was stored yet", hint="run the same command again")
    return Interrupted(
        "stopped; what was stored so far is kept",
        where=error.where,
        hint=f"run the same command again to finish it, or take it back: agentos memory undo {error.where}",
    )
