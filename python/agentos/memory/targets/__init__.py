"""What memories can be exported to: one module each, found by its name.

A module has `LIMIT` (characters that the receiver takes, or None) and
`write(facts, home) -> Iterator[str]`, which yields the export in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

from agentos.errors import UsageError

if TYPE_CHECKING:
    from agentos.home import Home
    from agentos.memory.reading import Fact


class Target(Protocol):
    """A format to export to."""

    LIMIT: int | None

    def write(self, facts: Sequence[Fact], home: Home) -> Iterator[str]:
        """Yields the text of the export."""


def names() -> list[str]:
    """The formats there are."""
    return sorted(module.name for module in iter_modules(__path__))


def find(name: str) -> Target:
    """The format called `name`. Raises UsageError."""
    if name not in names():
        raise UsageError(f"there is no format `{name}`", hint=f"one of: {', '.join(names())}")
    return cast(Target, import_module(f"{__name__}.{name}"))
