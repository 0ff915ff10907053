"""Model calls under a budget: the real kernel and broker, and a scripted model that costs what it may."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from agentos.drivers.broker import Broker
from agentos.errors import AgentOSError, BudgetExceeded, Failed
from agentos.kernel import Kernel, open_kernel
from agentos.messages import ANY, Limit, Model, Pid
from agentos.models.conversation import Message, Thinking, ToolUse, said
from agentos.models.environment import credentials_from_environment, send_credentials
from agentos.models.prices import Price, Tier
from agentos.models.reference import resolve
from agentos.runtime.agent import Record
from agentos.runtime.model_call import Caller, Retry
from agentos.runtime.transcript import Transcript
from agentos.testing import Framing, Reply, Request, ScriptedModel, Usage

TIER = Tier(
    input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000, cache_write_hour=6_000_000
)
PRICE = Price(tiers=(TIER,), source="here")
QUICK = Retry(pauses=(0.0, 0.0, 0.0, 0.0))


class Stage:
    """A kernel, a broker with keys, and callers for one agent process with a budget."""

    def __init__(self, kernel: Kernel, broker: Broker, server: ScriptedModel, pid: Pid) -> None:
        self.kernel = kernel
        self.pid = pid
        self.events: list[dict[str, Any]] = []
        self.charged = 0
        self._broker = broker
        self._server = server

    @property
    def spent(self) -> int:
        return next(row.spent.usd_micros for row in self.kernel.processes() if row.pid == self.pid)

    @property
    def reserved(self) -> int:
        return next(row.reserved.usd_micros for row in self.kernel.processes() if row.pid == self.pid)

    async def _session(self) -> str:
        return "s"

    def _charge(self, micros: int) -> None:
        self.charged += micros

    def caller(self, *, max_tokens: int = 1_000, retry: Retry = QUICK) -> Caller:
        return Caller(
            kernel=self.kernel,
            broker=self._broker,
            session=self._session,
            pid=self.pid,
            model=resolve("claude-scripted", self._server.environment()),
            price=PRICE,
            system="",
            tools=[],
            max_tokens=max_tokens,
            retry=retry,
            emit=self.events.append,
            charge=self._charge,
        )

    async def transcript(self, name: str = "a-1") -> Transcript:
        record = Record(
            id=name,
            spec="",
            name="n",
            model="m",
            url="u",
            workspace="/w",
            level="none",
            task="t",
            created="now",
        )
        transcript = Transcript(self.kernel, record)
        await transcript.add(said("hello"))
        return transcript


@asynccontextmanager
async def stage(server: ScriptedModel, budget: int, *, streams: int = 16) -> AsyncIterator[Stage]:
    async with open_kernel(None) as kernel, Broker.start() as broker:
        await kernel.epoch()
        child = await kernel.spawn(
            kernel.root, "agent", key="a", grants=[Model(model=ANY)], budget=Limit(usd_micros=budget)
        )
        with await broker.open_session("s") as channel:
            keys = credentials_from_environment(server.environment())
            await trio.to_thread.run_sync(lambda: send_credentials(channel, keys))
        await broker.wait_credentials("s")
        await kernel.lane(resolve("claude-scripted", server.environment()).lane, streams)
        yield Stage(kernel, broker, server, child.pid)


def greedy(request: Request) -> Reply:
    """Costs as much as the request allows."""
    return Reply(text="x", usage=Usage(input=900, output=request.body["max_tokens"]))


def test_calls_at_once_never_spend_more_than_the_budget() -> None:
    budget = 60_000

    async def main(server: ScriptedModel) -> None:
        async with stage(server, budget) as here:
            refused = 0

            async def one(number: int) -> None:
                nonlocal refused
                transcript = await here.transcript(f"a-{number}")
                try:
                    await here.caller().reply(transcript, number)
                except BudgetExceeded:
                    refused += 1
                assert here.spent + here.reserved <= budget

            async with trio.open_nursery() as nursery:
                for number in range(12):
                    nursery.start_soon(one, number)
            assert refused
            assert here.charged == here.spent <= budget
            assert here.reserved == 0
            assert len(server.requests) == 12 - refused

    with ScriptedModel(greedy) as server:
        trio.run(main, server)


def test_a_budget_that_has_little_left_asks_for_shorter_replies() -> None:
    async def main(server: ScriptedModel) -> None:
        async with stage(server, 14_000) as here:
            await here.caller(max_tokens=4_000).reply(await here.transcript(), 1)
        assert server.requests[0].body["max_tokens"] == 500

    with ScriptedModel(greedy) as server:
        trio.run(main, server)


def test_a_stream_that_outgrows_its_reservation_is_cut() -> None:
    # A prompt larger than a token a byte: no tokeniser does that, so the provider's count is the surprise.
    def surprising(request: Request) -> Reply:
        return Reply(text="never read to its end", usage=Usage(input=50_000, output=10))

    async def main(server: ScriptedModel) -> None:
        async with stage(server, 20_000) as here:
            with pytest.raises(BudgetExceeded, match="cut"):
                await here.caller().reply(await here.transcript(), 1)
            assert here.spent <= 20_000 and here.reserved == 0
        async with stage(server, 400_000) as rich:
            reply = await rich.caller().reply(await rich.transcript(), 1)
            assert reply.cost_micros == rich.spent == 150_150

    with ScriptedModel(surprising) as server:
        trio.run(main, server)


BROKEN = Reply(text="some words that go on for a while", framing=Framing(cut_after=700, reset=True))


@pytest.mark.parametrize(("first", "charged"), [(Reply(status=500, error="oops"), False), (BROKEN, True)])
def test_a_stream_that_broke_is_charged_whole_and_one_that_never_began_is_free(
    first: Reply, charged: bool
) -> None:
    script = [first, Reply(text="whole")]

    async def main(server: ScriptedModel) -> None:
        async with stage(server, 1_000_000) as here:
            reply = await here.caller().reply(await here.transcript(), 1)
            assert reply.message.text() == "whole"
            assert (here.spent > 15_000) is charged
            assert here.spent == here.charged

    with ScriptedModel(script) as server:
        trio.run(main, server)


def test_retries_are_bounded() -> None:
    async def main(server: ScriptedModel) -> None:
        async with stage(server, 1_000_000) as here:
            with pytest.raises(Failed, match="too busy"):
                await here.caller().reply(await here.transcript(), 1)
            assert (len(server.requests), here.spent) == (1 + len(QUICK.pauses), 0)

    with ScriptedModel(lambda _: Reply(status=429, error="slow down", retry_after="0")) as server:
        trio.run(main, server)


def test_a_provider_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    async def main(server: ScriptedModel) -> None:
        async with stage(server, 1_000_000) as here:
            with pytest.raises(Failed, match="too busy"):
                await here.caller().reply(await here.transcript(), 1)
            assert len(server.requests) == 1

    with ScriptedModel([Reply(status=429, error="tomorrow", retry_after="86000")]) as server:
        trio.run(main, server)


def test_one_agents_429_makes_the_others_wait() -> None:
    async def main(server: ScriptedModel) -> None:
        async with stage(server, 1_000_000) as here:
            patient = here.caller(retry=Retry(pauses=(0.3,)))
            other = here.caller()
            order: list[str] = []

            async def call(caller: Caller, name: str) -> None:
                await caller.reply(await here.transcript(name), 1)
                order.append(name)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, patient, "a-1")
                while not here.events:
                    await trio.sleep(0.001)
                began = trio.current_time()
                await other.reply(await here.transcript("a-2"), 2)
                assert trio.current_time() - began > 0.2

    with ScriptedModel([Reply(status=429, error="slow down"), Reply(text="a"), Reply(text="b")]) as server:
        trio.run(main, server)


def test_the_place_of_a_call_that_was_turned_away_is_not_for_the_next_at_once() -> None:
    arrivals: list[float] = []

    def script(request: Request) -> Reply:
        arrivals.append(time.monotonic())
        return Reply(status=429, error="slow down") if len(arrivals) == 1 else Reply(text="welcome")

    async def main(server: ScriptedModel) -> None:
        async with stage(server, 1_000_000, streams=1) as here, trio.open_nursery() as nursery:
            for number in range(3):
                caller = here.caller(retry=Retry(pauses=(0.3,)))
                nursery.start_soon(caller.reply, await here.transcript(f"a-{number}"), number)
        assert len(arrivals) == 4
        assert arrivals[1] - arrivals[0] > 0.25

    with ScriptedModel(script) as server:
        trio.run(main, server)


def test_a_cancelled_call_settles_and_hangs_up() -> None:
    async def main(server: ScriptedModel) -> None:
        async with stage(server, 1_000_000) as here:
            transcript = await here.transcript()
            with trio.CancelScope() as scope:

                def stop(event: dict[str, Any]) -> None:
                    scope.cancel()

                here.events = _Hook(stop)
                await here.caller().reply(transcript, 1)
            assert scope.cancelled_caught
            assert here.reserved == 0 and here.spent > 0
            assert await trio.to_thread.run_sync(lambda: server.gone.acquire(timeout=10))

    with ScriptedModel([Reply(text="and so on", framing=Framing(cut_after=-100, stall=True))]) as server:
        trio.run(main, server)


class _Hook(list[dict[str, Any]]):
    """A list that calls back."""

    def __init__(self, callback: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._callback = callback

    def append(self, event: dict[str, Any]) -> None:
        super().append(event)
        self._callback(event)


def test_only_what_a_key_was_submitted_for_is_called() -> None:
    async def main(server: ScriptedModel, elsewhere: ScriptedModel) -> None:
        async with stage(server, 1_000_000) as here:
            caller = here.caller()
            object.__setattr__(caller, "model", resolve("claude-scripted", elsewhere.environment()))
            with contextlib.suppress(AgentOSError):
                await caller.reply(await here.transcript(), 1)
        assert not server.requests and not elsewhere.requests

    with ScriptedModel() as server, ScriptedModel() as elsewhere:
        trio.run(main, server, elsewhere)


def test_caches_that_a_gateway_keeps_longer_do_not_outrun_the_budget() -> None:
    def keeps(request: Request) -> Reply:
        written = Usage(input=0, cache_write=1_000, cache_write_hour=1_000, output=request.body["max_tokens"])
        return Reply(text="x", usage=written)

    async def main(server: ScriptedModel, budget: int) -> int:
        async with stage(server, budget) as here:
            with contextlib.suppress(BudgetExceeded):
                await here.caller().reply(await here.transcript(), 1)
            assert here.reserved == 0
            assert here.spent <= budget
            return here.spent

    for budget, spent in ((100_000, 21_000), (20_000, None)):
        with ScriptedModel(keeps) as server:
            found = trio.run(main, server, budget)
        assert spent is None or found == spent


@pytest.mark.parametrize("model", ["claude-scripted", "gpt-scripted"])
def test_a_damaged_transcript_is_sent_mended_and_said_once(model: str) -> None:
    async def main(server: ScriptedModel) -> list[dict[str, Any]]:
        async with stage(server, 1_000_000) as here:
            transcript = await here.transcript()
            lost = ToolUse(id="c1", name="read", input={"path": "a"})
            await transcript.add(Message(role="assistant", content=(Thinking(text="cut off"),)))
            await transcript.add(said("go on"))
            await transcript.add(Message(role="assistant", content=(lost,)))
            await transcript.add(said("well?"))
            caller = dataclasses.replace(here.caller(), model=resolve(model, server.environment()))
            for turn in (1, 2):
                reply = await caller.reply(transcript, turn)
                await transcript.add(reply.message, usage=reply.usage, stop=reply.stop)
                await transcript.add(said("and?"))
            assert here.spent == here.charged
            return here.events

    with ScriptedModel([Reply(text="one"), Reply(text="two")]) as server:
        events = trio.run(main, server)
        messages = [request.body["messages"] for request in server.requests]
    roles = [message["role"] for message in messages[0]]
    assert roles == (
        ["user", "assistant", "user"] if model[0] == "c" else ["user", "assistant", "tool", "user"]
    )
    assert "the result of this call was lost" in str(messages[0][2]) and "well?" in str(messages[0][-1])
    assert messages[1][: len(messages[0]) - 1] == messages[0][:-1]
    repairs = [event for event in events if event["event"] == "repaired"]
    assert repairs == [{"event": "repaired", "synthesised": 1, "foreign": 1, "merged": 1, "emptied": 1}]
