"""JSON Lines without loss: every fact with its sources, then every record as its provider exported it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from agentos.kernel import Archive

if TYPE_CHECKING:
    from agentos.home import Home
    from agentos.memory.reading import Fact

LIMIT: int | None = None


def write(facts: Sequence[Fact], home: Home) -> Iterator[str]:
    """Yields one line for each fact and record; holds one record at a time."""
    for fact in facts:
        yield msgspec.json.encode({"kind": "fact", **msgspec.to_builtins(fact)}).decode() + "\n"
    archive = Archive.existing(str(home.archive))
    if archive is None:
        return
    for record in json.loads(archive.records()):
        raw = archive.raw(record["id"]).decode()
        if record["provider"] == "paste":  # the one source that is no JSON
            raw = json.dumps(raw)
        # Inside its strings JSON has no bare line end, so this changes only how it is laid out.
        line = raw.replace("\r", " ").replace("\n", " ")
        yield f'{json.dumps(record)[:-1]}, "raw": {line}}}\n'
