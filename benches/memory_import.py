"""Importing a ChatGPT export until it is searchable, against decoding the same file with typed msgspec."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import chat_export
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
    size = 1_000_000 if smoke else 40_000_000
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        export = Path(folder) / "conversations.json"
        chat_export.write(export, size)
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

        found = line("memory import", "MB/s", [imported, decoded], 1 if smoke else 3)
    return [found]
