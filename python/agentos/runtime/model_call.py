"""One reply from a model: reserved before it is asked for, streamed, settled with what it really cost.

INVARIANT: nothing is sent before the most that it can cost is reserved, and a stream that could come to cost
more than is reserved is cut unless the kernel extends the reservation. So a budget holds to the micro-dollar
whatever is called at once, as long as a provider keeps to the `max_tokens` that it was given.

Each attempt is a request of its own. One that failed before its stream began costs nothing; one whose stream
broke is charged whole, for nobody knows what the provider counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.drivers import model_events as wire_events
from agentos.errors import BudgetExceeded
from agentos.kernel import LOW_DISK
from agentos.messages import CancelEvent, Cost, ModelAction, Outcome
from agentos.models import anthropic, openai
from agentos.models.conversation import Message, Options, ToolSpec, Usage
from agentos.models.fold import Fold
from agentos.models.prices import Price
from agentos.models.reference import ModelReference, providers
from agentos.runtime.call_failure import explained
from agentos.runtime.meter import Meter
from agentos.runtime.session_repair import Report, repair
from agentos.runtime.transcript import Transcript

if TYPE_CHECKING:
    from agentos.drivers.broker import Broker
    from agentos.kernel import Kernel, Ticket
    from agentos.messages import AnyEvent, Pid

WIRES = {"anthropic": anthropic, "openai": openai}
# Providers add words of their own to a prompt with tools; none adds more tokens than this.
OVERHEAD_TOKENS = 1_000
OVERLOAD = {"rate_limit", "overloaded"}
PASSING = OVERLOAD | {"broken_stream", "timeout", "network", "broker_lost"}
SMALLEST_REPLY = 256
"""A reply is not asked for where the budget leaves fewer tokens than this."""


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often and when a failed call is tried again: a fixed series of pauses in seconds, no dice."""

    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    longest_wait: float = 600.0
    """A provider that asks for more than this is not waited for."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, why it stopped, and what that cost in micro-dollars."""

    message: Message
    stop: str
    usage: Usage
    cost_micros: int


class Cut(Exception):
    """The stream could cost more than could be reserved."""


class Broken(Exception):
    """An attempt failed; `error` says how."""

    def __init__(self, error: wire_events.Error, *, began: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.began = began


class TicketCancelled(Exception):
    """The kernel took the ticket back."""


@contextmanager
def until_cancelled(kernel: Kernel, ticket: Ticket) -> Iterator[trio.CancelScope]:
    """Cuts the block when the kernel takes `ticket` back; `cancelled_caught` tells afterwards."""
    with trio.CancelScope() as scope:

        def watch(event: AnyEvent) -> None:
            if isinstance(event, CancelEvent) and event.ticket == ticket.id:
                scope.cancel()

        kernel.watchers.append(watch)
        try:
            if ticket.cancelled.is_set():
                scope.cancel()
            yield scope
        finally:
            kernel.watchers.remove(watch)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks which model, and through what."""

    kernel: Kernel
    broker: Broker
    session: Callable[[], Awaitable[str]]
    """Gives the client session whose key is used, as it is now."""
    pid: Pid
    model: ModelReference
    price: Price
    system: str
    tools: list[ToolSpec]
    max_tokens: int
    retry: Retry
    emit: Callable[[dict[str, Any]], None]
    charge: Callable[[int], None]
    """Told what each attempt cost, in micro-dollars."""
    _told: list[Report] = field(default_factory=list, init=False)
    """The last repair of the conversation that was reported."""

    async def reply(self, transcript: Transcript, turn: int) -> Reply:
        """The model's next message. Raises BudgetExceeded, Denied, and what `explained` makes of failures."""
        messages, repaired = repair(transcript.messages())
        self._tell(repaired)
        prompt_tokens = self._prompt_tokens(transcript) + repaired.added_bytes
        attempt = 0
        while True:
            session = await self.session()
            try:
                return await self._attempt(messages, prompt_tokens, session, turn, attempt)
            except Broken as broken:
                pause = self._pause(broken.error, attempt)
                if pause is None:
                    raise explained(broken.error, self.model) from None
                self.emit({"event": "retry", "reason": broken.error.message, "seconds": pause})
                # After an overload the next attempt waits in the lane, as everybody else's does.
                if broken.error.kind not in OVERLOAD:
                    await trio.sleep(pause)
            attempt += 1

    def _tell(self, repaired: Report) -> None:
        """Says what was mended, once: the same damage is there on every later turn."""
        if repaired and repaired not in self._told:
            self.emit({"event": "repaired", **msgspec.to_builtins(repaired)})
            self._told[:] = [repaired]

    def _pause(self, error: wire_events.Error, attempt: int) -> float | None:
        """Seconds to wait before another attempt; None where there is none."""
        passing = error.kind in PASSING
        server = error.kind == "http" and (error.status or 0) >= 500
        if not (passing or server) or attempt >= len(self.retry.pauses):
            return None
        # A server that is not there will hardly be there in a minute: say so soon.
        if error.kind in ("network", "timeout") and attempt >= 1:
            return None
        asked = None if error.retry_after_ms is None else error.retry_after_ms / 1000
        if asked is not None and asked > self.retry.longest_wait:
            return None
        return max(self.retry.pauses[attempt], asked or 0.0)

    async def _attempt(
        self, messages: list[Message], prompt_tokens: int, session: str, turn: int, attempt: int
    ) -> Reply:
        ticket, max_tokens = await self._reserve(f"model {turn}.{attempt}", prompt_tokens)
        meter = Meter(self.price, prompt_tokens, max_tokens)
        try:
            reply = await self._stream(ticket, session, messages, meter)
        except Broken as broken:
            pause = self._pause(broken.error, attempt)
            try:
                if pause is not None and broken.error.kind in OVERLOAD:
                    # First, so that nobody is let in by the place that the ticket gives back.
                    await self.kernel.pressure(self.model.lane, pause)
            finally:
                await self._settle(ticket, "error", meter.lost if broken.began else Cost())
            raise
        except Cut:
            await self._settle(ticket, "cancelled", meter.lost)
            raise BudgetExceeded("the reply was cut: it would have cost more than the budget has") from None
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._settle(ticket, "cancelled", meter.lost if meter.began else Cost())
            raise
        await self._settle(ticket, "ok", meter.actual())
        return reply

    def _prompt_tokens(self, transcript: Transcript) -> int:
        """A bound on the tokens of the prompt: what the provider counted up to its last reply, and a token
        for each byte said since."""
        counted, since = transcript.measured()
        unknown = msgspec.json.encode(since)
        if not counted:
            unknown += msgspec.json.encode((self.system, self.tools))
        return counted + len(unknown) + OVERHEAD_TOKENS

    async def _reserve(self, key: str, prompt_tokens: int) -> tuple[Ticket, int]:
        """The ticket, and the longest reply that its reservation covers: the agent's own bound, or the
        largest half, quarter, … of it that the budget still has room for."""
        max_tokens = self.max_tokens
        while True:
            try:
                ticket = await self.kernel.request(
                    self.pid,
                    ModelAction(model=self.model.model, host=self.model.host, port=self.model.port),
                    key=f"{key}.{max_tokens}",
                    estimate=Cost(
                        usd_micros=self.price.most(prompt_tokens, max_tokens),
                        tokens=prompt_tokens + max_tokens,
                        turns=1,
                    ),
                    lane=self.model.lane,
                    recovery="repeatable",
                    on_low_disk=lambda: self.emit({"event": "warning", "text": LOW_DISK}),
                )
            except BudgetExceeded:
                max_tokens //= 2
                if max_tokens < SMALLEST_REPLY:
                    raise
            else:
                return ticket, max_tokens

    async def _stream(self, ticket: Ticket, session: str, messages: list[Message], meter: Meter) -> Reply:
        wire = WIRES[self.model.wire]
        options = Options(
            model=self.model.model,
            system=self.system,
            max_tokens=meter.max_tokens,
            max_tokens_key=providers()[self.model.provider].max_tokens_key,
        )
        body = msgspec.json.encode(wire.body(messages, self.tools, options))
        fold = Fold()
        stop: str | None = None
        with until_cancelled(self.kernel, ticket) as scope:
            async with self.broker.model_call(
                ticket.id,
                session,
                self.model.provider,
                wire.PATH,
                body,
                host=self.model.host,
                port=self.model.port,
            ) as events:
                async for event in events:
                    match event:
                        case wire_events.Error():
                            # How far a call came that the broker died over, nobody knows.
                            # What is no model server has used nothing, whatever its status says.
                            used = meter.began and event.kind != "no_model"
                            raise Broken(event, began=used or event.kind == "broker_lost")
                        case wire_events.Started(status=status):
                            meter.began = status < 300
                        case wire_events.Stop(reason=reason):
                            stop = reason
                        case wire_events.Usage():
                            meter.count(event)
                            await self._cover(ticket, meter, fold.characters)
                        case _:
                            self._take(event, fold)
                            await self._cover(ticket, meter, fold.characters)
        if scope.cancelled_caught:
            raise TicketCancelled
        if stop is None:
            raise Broken(wire_events.Error(kind="broken_stream", message="the reply has no end"), began=True)
        cost = meter.actual().usd_micros
        return Reply(message=fold.message(), stop=stop, usage=meter.usage, cost_micros=cost)

    async def _cover(self, ticket: Ticket, meter: Meter, characters: int) -> None:
        """Reserves more where the call outgrows what is reserved; Cut where that is refused."""
        missing = meter.missing(characters)
        if missing == Cost():
            return
        try:
            await self.kernel.extend(ticket, missing)
        except BudgetExceeded:
            raise Cut from None
        meter.extended(missing)

    async def _settle(self, ticket: Ticket, outcome: Outcome, cost: Cost) -> None:
        self.charge(cost.usd_micros)
        await self.kernel.complete(ticket, outcome, cost)

    def _take(self, event: wire_events.ModelEvent, fold: Fold) -> None:
        match event:
            case wire_events.Text(delta=delta):
                fold.text(delta)
                self.emit({"event": "text", "text": delta})
            case wire_events.Thinking(delta=delta):
                fold.thinking(delta)
                self.emit({"event": "thinking", "text": delta})
            case wire_events.ThinkingEnd(signature=signature, redacted=redacted):
                fold.thinking_end(signature, redacted)
            case wire_events.ToolCallStart(index=index, id=call_id, name=name):
                fold.call_start(index, call_id, name)
            case wire_events.ToolCallDelta(index=index, json=json):
                fold.call_delta(index, json)
            case wire_events.ToolCallEnd(index=index):
                fold.call_end(index)
