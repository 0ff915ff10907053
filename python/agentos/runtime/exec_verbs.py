"""Verbs behind `agentos exec`: the client runs the command, the kernel decides and keeps the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentos.messages import AnyScope, Cost, ExecAction

if TYPE_CHECKING:
    from agentos.messages import TicketId
    from agentos.runtime.system import Acting, Reading, Session, System

_SHOWN = 120  # bytes of a command line that go into the kernel's records


async def _open(system: System, session: Session, params: dict[str, Any]) -> None:
    """Asks the kernel for the command; emits `go` with the ticket, then `cancel` if it is to stop. Lasts as
    long as its client: then what the client has not reported is cancelled."""
    import trio

    mandate = msgspec.convert(params["mandate"], list[AnyScope])
    shown = params["command"].encode()[:_SHOWN].decode("utf-8", "ignore")
    id = system.kernel.new_id("x")
    ticket = await system.kernel.request(
        session.pid,
        ExecAction(command=shown, mandate=mandate),
        key=f"exec {id}",
        recovery="repeatable",
        client=True,
    )
    try:
        body = {"command": shown, "level": params["level"], "folder": params["folder"], "ticket": ticket.id}
        await system.kernel.put("exec", id, body)
        await session.emit({"event": "go", "ticket": ticket.id, "exec": id})
        await ticket.cancelled.wait()
        await session.emit({"event": "cancel"})
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await system.kernel.complete(ticket, "cancelled")


async def _complete(system: System, session: Session, params: dict[str, Any]) -> None:
    """The command has ended. The first report of a ticket wins; a repeat changes nothing."""
    ticket: TicketId = params["ticket"]
    await system.kernel.complete(ticket, params["outcome"], Cost(wall_us=params["wall_us"]))


READING: dict[str, Reading] = {}
ACTING: dict[str, Acting] = {"exec.open": _open, "exec.complete": _complete}
