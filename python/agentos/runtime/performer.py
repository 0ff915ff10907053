"""Function tools: effects that the client performs. The kernel decides and keeps the record; the client is
told to go, and reports what came of it.

A performer is one client's hold on one run. When it lets go, what it was performing ends as an error that
says so: nobody knows the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.errors import Denied
from agentos.messages import Outcome
from agentos.models.conversation import ToolResult, ToolUse
from agentos.runtime.model_call import until_cancelled
from agentos.tools.failure import ToolFailure
from agentos.tools.output import bounded

if TYPE_CHECKING:
    from agentos.kernel import Ticket
    from agentos.messages import TicketId
    from agentos.runtime.system import Acting, Session, System

GONE = "the program that performs this tool went away: whether it was done is not known"
STOPPED = "stopped: the kernel took the call back"


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client says came of a call."""

    ticket: int
    text: str
    error: bool = False


class Performed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a call of turn `turn` came to. The turn counts: models use the ids of their calls again."""

    turn: int
    id: str
    text: str
    error: bool


def of_turn(performed: Sequence[Performed], turn: int) -> dict[str, ToolResult]:
    """The results of one turn's calls by their id."""
    return {
        call.id: ToolResult(id=call.id, text=bounded(call.text), error=call.error)
        for call in performed
        if call.turn == turn
    }


class Performer:
    """Performs calls through the client of `session`."""

    def __init__(self, system: System, session: Session) -> None:
        self._system = system
        self._session = session
        self._waiting: dict[TicketId, trio.MemorySendChannel[Report]] = {}

    async def perform(self, ticket: Ticket, use: ToolUse, turn: int) -> str:
        """What the client's function returned for `use`. Raises ToolFailure with what it raised."""
        # A pure call is let go before its entry is on disk, and this leaves the process.
        await self._system.kernel.wait_durable()
        send, receive = trio.open_memory_channel[Report](1)
        self._waiting[ticket.id] = _calls(self._system)[ticket.id] = send
        try:
            with until_cancelled(self._system.kernel, ticket) as scope:
                call = {"ticket": ticket.id, "turn": turn, "id": use.id, "name": use.name}
                await self._session.emit({"event": "perform", **call, "input": use.input})
                report = await receive.receive()
            if scope.cancelled_caught:
                await self._session.emit({"event": "stop", "ticket": ticket.id})
                raise ToolFailure(STOPPED)
        except (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
            raise ToolFailure(GONE) from None
        finally:
            del self._waiting[ticket.id], _calls(self._system)[ticket.id]
            send.close()
            receive.close()
        if report.error:
            raise ToolFailure(report.text)
        return bounded(report.text)

    def let_go(self) -> None:
        """The client has gone, or does not perform for this run any more."""
        for waiting in self._waiting.values():
            waiting.close()


def _calls(system: System) -> dict[TicketId, trio.MemorySendChannel[Report]]:
    """The calls under way, by ticket."""
    found: Any = system.areas.setdefault("functions", {})
    return found  # type: ignore[no-any-return]


async def _report(system: System, session: Session, params: dict[str, Any]) -> None:
    """The client has performed a call. The first report of a ticket wins; a repeat changes nothing."""
    report = msgspec.convert(params, Report)
    waiting = _calls(system).get(report.ticket)
    if waiting is not None:
        try:
            waiting.send_nowait(report)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return
    else:
        # Let go under an earlier daemon, whose successor keeps the ticket open for a while.
        outcome: Outcome = "error" if report.error else "ok"
        try:
            await system.kernel.complete(report.ticket, outcome)
        except Denied:
            return


READING: dict[str, Any] = {}
ACTING: dict[str, Acting] = {"function.report": _report}
