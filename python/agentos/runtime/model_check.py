"""The daemon's verb that tries whether a provider can be reached: by an empty request, which every provider
refuses and none charges, through the kernel and the broker like any other call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from agentos.drivers import model_events
from agentos.drivers.broker import Timeouts
from agentos.errors import UsageError
from agentos.messages import Cost, ModelAction, Outcome
from agentos.models.reference import ModelReference
from agentos.runtime.agent_run import open_lane
from agentos.runtime.model_call import WIRES, until_cancelled

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Session, System

NOBODY = "(none)"
"""The name of the model that is asked for: none is."""

PATIENCE = Timeouts(connect_ms=5_000, first_byte_ms=15_000, total_ms=20_000)

Finding = Literal["ok", "key_refused", "no_key", "nothing_left", "busy", "no_such_interface", "unreachable"]

_FINDINGS: dict[str, Finding] = {
    "auth": "key_refused",
    "no_credential": "no_key",
    "no_model": "no_such_interface",
    "quota": "nothing_left",
    "rate_limit": "busy",
    "overloaded": "busy",
    "network": "unreachable",
    "tls": "unreachable",
    "timeout": "unreachable",
    "broken_stream": "unreachable",
    "broker_lost": "unreachable",
    "refused": "unreachable",
}


async def _check(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Tries one provider, with the keys of the session. `ok`: it answered, and took the key."""
    try:
        model = msgspec.convert(params, ModelReference)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request is wrong: {error}") from None
    await open_lane(system.kernel, model)
    ticket = await system.kernel.request(
        session.pid,
        ModelAction(model=NOBODY, host=model.host, port=model.port),
        key=f"check {model.provider} {system.kernel.new_id('c')}",
        lane=model.lane,
        recovery="repeatable",
    )
    outcome: Outcome = "cancelled"
    try:
        with until_cancelled(system.kernel, ticket):
            finding, said = await _ask(system, session, model, ticket.id)
            outcome = "ok" if finding == "ok" else "error"
            return {"finding": finding, "message": said}
        return {"finding": "unreachable", "message": "cancelled"}
    finally:
        await system.kernel.complete(ticket, outcome, Cost())


async def _ask(system: System, session: Session, model: ModelReference, ticket: int) -> tuple[Finding, str]:
    async with system.broker.model_call(
        ticket,
        session.id,
        model.provider,
        WIRES[model.wire].PATH,
        b"{}",
        host=model.host,
        port=model.port,
        timeouts=PATIENCE,
    ) as events:
        async for event in events:
            if isinstance(event, model_events.Error):
                if event.status == 404:
                    return "no_such_interface", event.message
                return _FINDINGS.get(event.kind, "ok"), event.message
            if isinstance(event, model_events.Started) and event.status < 300:
                break
    return "ok", "answered"


ACTING: dict[str, Acting] = {"models.check": _check}
