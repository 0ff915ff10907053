"""A Markdown page: facts by kind, each as an observation with its source and date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentos.home import Home
    from agentos.memory.reading import Fact

LIMIT: int | None = None


def write(facts: Sequence[Fact], home: Home) -> Iterator[str]:
    """Yields the page; kinds are in alphabetical order, facts of a kind oldest first."""
    del home
    yield "# Memories\n"
    for kind in sorted({fact.type for fact in facts}):
        yield f"\n## {kind.capitalize()}\n\n"
        chosen = [fact for fact in facts if fact.type == kind]
        for fact in sorted(chosen, key=lambda fact: (fact.valid_from or "9999", fact.id)):
            day = f"since {fact.valid_from[:10]}, " if fact.valid_from else ""
            where = fact.provenance[0].conversation if fact.provenance else ""
            text = " ".join(fact.text.split())
            yield f"- [{kind}] {text} #{fact.provider} ({day}{fact.id} from {where})\n"
