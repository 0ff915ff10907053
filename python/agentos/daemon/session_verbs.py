"""Verbs of the connection itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Reading, Session, System

READING: dict[str, Reading] = {}


async def _credentials(system: System, session: Session, params: dict[str, Any]) -> None:
    """Passes the client a channel to the broker, over which it sends its provider keys itself."""
    channel = await system.broker.open_session(session.id)
    with channel:
        await session.pass_channel(channel)


ACTING: dict[str, Acting] = {"session.credentials": _credentials}
