"""A program that embeds AgentOS: a private kernel, a real broker, and only the model scripted."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import trio
import trio.testing
from tests.embedding import calls, embed

import agentos
from agentos.testing import Framing, Reply, Request, ScriptedModel, ToolCall, Usage, tool_results


class Order(msgspec.Struct):
    item: str
    count: int = 1


def test_a_function_is_a_tool_by_its_type_hints() -> None:
    seen: list[Any] = []

    def place(
        order: Order, note: Annotated[str, msgspec.Meta(description="For us.")] = "none"
    ) -> dict[str, int]:
        """Places an order."""
        seen.append((order, note))
        return {"number": 7}

    async def look(day: datetime.date) -> str:
        await trio.lowlevel.checkpoint()
        return f"nothing on {day}"

    script = [
        calls("place", 1, order={"item": "tea", "count": 2}),
        calls("look", 2, day="2026-01-02"),
        Reply(text="done"),
    ]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("clerk", tools=[place, look])
        result = await agent.run("order tea")
        assert (result.text, result.stop, result.turns) == ("done", "end_turn", 3)
        assert seen == [(Order("tea", 2), "none")]
        assert tool_results(model.requests[1]) == ['{"number":7}']
        assert tool_results(model.requests[2])[-1] == "nothing on 2026-01-02"
        first, second = model.requests[0].body["tools"]
        assert (first["name"], first["description"]) == ("place", "Places an order.")
        assert first["input_schema"]["properties"]["note"] == {
            "type": "string",
            "description": "For us.",
            "default": "none",
        }
        assert first["input_schema"]["properties"]["order"] == {"$ref": "#/$defs/Order"}
        assert first["input_schema"]["$defs"]["Order"]["required"] == ["item"]
        assert second["input_schema"]["properties"]["day"]["format"] == "date"

    embed(script, test)


def test_what_goes_wrong_in_a_function_is_told_to_the_model() -> None:
    def divide(a: int, b: int) -> float:
        return a / b

    script = [
        calls("divide", 1, a=1, b=0),
        calls("divide", 2, a="one", b=2),
        calls("divide", 3, a=1, b=2, c=3),
        calls("multiply", 4),
        Reply(text="I give up"),
    ]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("divider", tools=[divide])
        await agent.run("divide")
        results = tool_results(model.requests[-1])
        assert results[0] == "ZeroDivisionError: division by zero"
        assert results[1].startswith("wrong arguments: Expected `int`, got `str`")
        assert "unknown field `c`" in results[2]
        assert results[3] == "there is no tool `multiply`; there are: divide"

    embed(script, test)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x, "no name"),
        (eval("lambda: None", {"__name__": "m"}), "no name"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_at_once(function: Any, why: str) -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        with pytest.raises(agentos.UsageError, match=why):
            await system.spawn("a", tools=[function])

    embed([], test)


def test_a_signature_that_no_model_can_call_is_refused_at_once() -> None:
    def anything(*things: int) -> None: ...
    def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
    def odd(a: trio.Event) -> None: ...
    def read(a: int) -> None: ...

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        for function, why in [(anything, r"\*things"), (untyped, "of which type `a`"), (odd, "no JSON form")]:
            with pytest.raises(agentos.UsageError, match=why):
                await system.spawn("a", tools=[function])
        with pytest.raises(agentos.UsageError, match="two tools are called `read`"):
            await system.spawn("a", tools=[read], grants=[agentos.read(".")])
        assert model.requests == []

    embed([], test)


class Verdict(msgspec.Struct):
    dead: list[str]


def test_output_is_checked_and_mended_once() -> None:
    script = [Reply(text="It is `f`."), Reply(text='```json\n{"dead": ["f"]}\n```', usage=Usage(30, 3))]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("reviewer", output=Verdict)
        result = await agent.run("find dead code")
        assert result.output == Verdict(["f"])
        assert (result.usage.input_tokens, result.turns) == (40, 2)
        assert result == agent.result
        assert '"dead"' in model.requests[0].body["system"][0]["text"]
        asked = model.requests[1].body["messages"][-1]["content"]
        assert "That cannot be read: JSON is malformed" in str(asked)

    embed(script, test)


def test_output_that_never_fits_fails() -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("reviewer", output=Verdict)
        with pytest.raises(agentos.Failed, match="does not fit its output type"):
            await agent.run("find dead code")
        assert len(model.requests) == 2
        assert agent.result is not None and agent.result.text == '{"dead": 1}'

    embed([Reply(text="[]"), Reply(text='{"dead": 1}')], test)


def test_a_budget_holds_and_what_was_done_is_kept() -> None:
    def script(request: Request) -> Reply:
        number = request.number
        return Reply(tool_calls=[ToolCall(f"c{number}", "page", {"number": number})], usage=Usage(2_000, 200))

    def page(number: int) -> str:
        return f"page {number} of many"

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("spender", tools=[agentos.pure(page)], budget="0.05", max_tokens=1_000)
        with pytest.raises(agentos.BudgetExceeded):
            await agent.run("go on")
        assert agent.result is not None
        assert agent.result.stop == "budget"
        assert 0 < float(agent.result.spent_usd) <= 0.05

    embed(script, test)


def test_an_agent_remembers_and_its_results_are_each_task_s_own() -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("talker")
        await agent.say("Be brief.")
        first = await agent.run("one")
        second = await agent.run("two")
        assert [first.text, second.text] == ["1", "2"]
        assert first.usage == second.usage == agentos.Usage(input_tokens=10, output_tokens=5)
        assert first.spent_usd == second.spent_usd == "0.000105"
        told = [message["content"] for message in model.requests[1].body["messages"]]
        assert [text in str(told) for text in ("Be brief.", "one", "1", "two")] == [True] * 4

    embed([Reply(text="1"), Reply(text="2")], test)


def test_an_agent_hears_what_is_said_before_its_next_turn() -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        async def look() -> str:
            await agent.say("Stop at three.")
            return "two so far"

        agent = await system.spawn("counter", tools=[look])
        await agent.run("count")
        last = model.requests[1].body["messages"][-1]
        assert last["role"] == "user" and "two so far" in str(last) and "Stop at three." in str(last)

    embed([calls("look"), Reply(text="three")], test)


def test_cancel_ends_the_task_and_the_function_under_way() -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        began, ended = trio.Event(), trio.Event()

        async def hang() -> None:
            began.set()
            try:
                await trio.sleep_forever()
            finally:
                ended.set()

        agent = await system.spawn("sleeper", tools=[hang])
        await agent.cancel()  # nothing to end yet
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                await began.wait()
                await agent.cancel()

            result = await agent.run("sleep")
        assert (result.stop, result.text) == ("cancelled", "")
        assert ended.is_set()

    embed([calls("hang")], test)


def test_a_cancelled_call_brings_the_agent_to_rest_and_it_goes_on_later() -> None:
    replies = [Reply(text="hello", framing=Framing(cut_after=-60, stall=True)), Reply(text="again")]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("talker")
        events = agent.events()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.run, "talk")
            while (await events.__anext__())["event"] != "text":
                pass
            nursery.cancel_scope.cancel()
        assert [event async for event in events] == [{"event": "text", "text": "hello"}][:0]
        result = await agent.run("go on")
        assert result.text == "again"
        assert result.spent_usd == "0.000105"

    embed(replies, test)


def test_one_task_at_a_time() -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        async def nested() -> str:
            return (await agent.run("another")).text

        agent = await system.spawn("a", tools=[nested])
        await agent.run("one")
        assert "has a task already" in tool_results(model.requests[-1])[0]

    embed([calls("nested"), Reply(text="done")], test)


def test_many_agents_run_at_once() -> None:
    def script(request: Request) -> Reply:
        return Reply(text=str(request.body["messages"][0]["content"][0]["text"]))

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        found: list[str] = []

        async def one(number: int) -> None:
            agent = await system.spawn(f"agent {number}")
            found.append((await agent.run(f"say {number}")).text)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(one, number)
        assert sorted(found) == sorted(f"say {number}" for number in range(20))

    embed(script, test)


def test_an_exception_of_the_program_comes_out_as_it_is() -> None:
    class Mine(Exception):
        pass

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        raise Mine

    with pytest.raises(Mine):
        embed([], test)


def test_a_private_kernel_leaves_nothing_behind_and_keeps_no_journal() -> None:
    homes: list[Path] = []

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        homes.append(system.home)
        assert system.home.is_dir()
        with pytest.raises(agentos.MissingMechanism):
            await system.audit.verify()
        assert await system.memory.search("anything") == []
        assert await system.batch.list() == []

    embed([], test)
    assert not homes[0].exists()


@pytest.mark.slow
def test_an_agent_does_any_number_of_tasks(tmp_path: Path) -> None:
    """Its record is one entry of the journal, and stays one, whatever its life and its words were like."""
    folder = tmp_path / ("\u00e9" * 100) / ("x" * 250)
    folder.mkdir(parents=True)

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("\u20ac" * 30, max_turns=200, workspace=folder)
        for number in range(120):
            result = await agent.run(f"{number} " + "\U0001f600\x01" * 300)
            assert result.text == "done"
        for _ in range(16):
            await agent.say("and this")
        with pytest.raises(agentos.UsageError, match="has not heard 16 things"):
            await agent.say("and this")
        with pytest.raises(agentos.Failed):
            await agent.run("now fail")
        assert agent.result is not None and agent.result.stop == "model"

    def script(request: Request) -> Reply:
        if request.number < 120:
            return Reply(text="done", usage=Usage(1, 1))
        return Reply(status=400, error="\x02" * 5_000)

    embed(script, test)
