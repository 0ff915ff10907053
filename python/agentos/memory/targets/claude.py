"""The block that Claude's memory import takes: one entry a line with its date, under five headings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentos.home import Home
    from agentos.memory.reading import Fact

LIMIT: int | None = None

_HEADINGS = {
    "Instructions": ("instruction",),
    "Identity": ("identity", "relationship", "fact", "custom"),
    "Career": ("skill", "environment", "context"),
    "Projects": ("project", "goal"),
    "Preferences": ("preference",),
}


def write(facts: Sequence[Fact], home: Home) -> Iterator[str]:
    """Yields one fenced block; entries of a heading are oldest first."""
    del home
    # A fence longer than any inside the entries, so that none of them can end the block.
    longest = max((len(run) for fact in facts for run in _backticks(fact.text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}\n"
    first = True
    for heading, types in _HEADINGS.items():
        entries = [fact for fact in facts if fact.type in types]
        if entries:
            yield f"{'' if first else chr(10)}## {heading}\n"
            first = False
        for fact in sorted(entries, key=lambda fact: (fact.valid_from or "9999", fact.id)):
            day = fact.valid_from[:10] if fact.valid_from else "unknown"
            yield f"[{day}] - {' '.join(fact.text.split())}\n"
    yield f"{fence}\n"


def _backticks(text: str) -> Iterator[str]:
    run = ""
    for letter in text + " ":
        if letter == "`":
            run += letter
        elif run:
            yield run
            run = ""
