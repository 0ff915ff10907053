"""What the daemon does for the audit: it signs, under a ticket for the key, and records what it signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentos.messages import Outcome
    from agentos.runtime.system import Acting, Reading, Session, System

READING: dict[str, Reading] = {}


async def _anchor(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Signs the head as it is. The anchor is an entry too, so it has its place among the others."""
    import msgspec
    import trio

    from agentos.audit.signing import sign_head
    from agentos.messages import UseSecretAction

    home_id = (system.kernel.record("home", "id") or {})["id"]
    ticket = await system.kernel.request(
        session.pid, UseSecretAction(name="audit.key"), key=str(params["key"]), recovery="repeatable"
    )
    outcome: Outcome = "error"
    try:
        anchor = await trio.to_thread.run_sync(sign_head, system.home, home_id)
        # The state keeps the newest alone, the chain has them all.
        signed: dict[str, Any] = msgspec.to_builtins(anchor)
        await system.kernel.put("anchor", "newest", signed)
        outcome = "ok"
    finally:
        with trio.CancelScope(shield=True):
            await system.kernel.complete(ticket, outcome)
    return signed


ACTING: dict[str, Acting] = {"audit.anchor": _anchor}
