"""Importing a ChatGPT export until it is searchable, against decoding the same file with typed msgspec."""

from __future__ import annotations

import itertools
import resource
import tempfile
from pathlib import Path

import generate_export
import msgspec
from harness import Line, line, timed

from agentos.kernel import Archive, ImportJob


class Content(msgspec.Struct):
    content_type: str
    parts: list[str] = []


class Author(msgspec.Struct):
    role: str


class Message(msgspec.Struct):
    id: str
    author: Author
    content: Content
    create_time: float | None = None


class Node(msgspec.Struct):
    id: str
    parent: str | None
    children: list[str]
    message: Message | None


class Conversation(msgspec.Struct):
    id: str
    title: str | None
    create_time: float
    mapping: dict[str, Node]
    current_node: str


def lines(*, smoke: bool) -> list[Line]:
    """Megabytes of JSON a second; more is better."""
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        export = Path(folder) / "conversations.json"
        generate_export.write(export, 1 if smoke else 100)
        megabytes = export.stat().st_size / 1e6
        serial = itertools.count()

        def imported() -> float:
            # A new archive each time: importing twice into one writes nothing.
            archive = Archive(str(Path(folder) / f"archive-{next(serial)}"))
            return megabytes / timed(lambda: archive.run_import(ImportJob([str(export)])))

        def decoded() -> float:
            return megabytes / timed(
                lambda: msgspec.json.decode(export.read_bytes(), type=list[Conversation])
            )

        imported()
        # Before the floor runs: decoding holds the whole file.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        note = f"peak {peak:.0f} MB with the interpreter"
        found = line("memory import", "MB/s", [imported, decoded], 1 if smoke else 3, note=note)
    return [found]
