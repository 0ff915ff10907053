"""Verbs of the connection itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Reading, Session, System

READING: dict[str, Reading] = {}


async def _keys(system: System, session: Session, params: dict[str, Any]) -> None:
    """The client has provider keys: it is asked for them, now and whenever a new broker has none."""
    await session.ask_keys()


ACTING: dict[str, Acting] = {"session.keys": _keys}
