"""Writes facts in the format of another product."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agentos.errors import Failed
from agentos.memory import targets
from agentos.memory.reading import facts

if TYPE_CHECKING:
    from agentos.home import Home


class Sink(Protocol):
    """What an export is written to."""

    def write(self, piece: str, /) -> object:
        """Takes the next piece of text."""


def export(home: Home, to: str, stream: Sink) -> dict[str, Any]:
    """Writes the export to `stream`; returns its counts: `to`, `facts`, `held_back`, `truncated`.

    Held back is what is true now but may not leave without a person's look: secrets, and text that looks
    planted. Raises UsageError where there is no such format.
    """
    target = targets.find(to)
    known = facts(home)
    chosen = [fact for fact in known if fact.exportable]
    waiting = [fact for fact in known if fact.status != "superseded" and not fact.exportable]
    for piece in target.write(chosen, home):
        stream.write(piece)
    return {"to": to, "facts": len(chosen), "held_back": len(waiting), "truncated": 0}


def export_to_file(home: Home, to: str, path: Path) -> dict[str, Any]:
    """Like `export`, into a file that is there whole or not at all (0600)."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            counts = export(home, to, stream)
        fresh.replace(path)
    except OSError as error:
        raise Failed(f"the export cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        fresh.unlink(missing_ok=True)
    return counts | {"file": str(path)}
