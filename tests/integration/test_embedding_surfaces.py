"""The blocking surface and the one for asyncio do what the trio one does; only waiting differs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import agentos
from agentos.testing import Framing, Reply, ScriptedModel, ToolCall, tool_results

ASKS = """
version = 1
[[rule]]
name = "deploys-are-mine"
effect = "ask"
reason = "a person deploys"
when = { action = ["call"], name = ["deploy"] }
catches = [{ action = { type = "call", tool = "deploy" } }]
spares = [{ action = { type = "call", tool = "test" } }]
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], ScriptedModel]:
    """Makes a server of a script, which programs find in their environment."""

    def serve(script: Any) -> ScriptedModel:
        model = ScriptedModel(script)
        for name, value in {"AGENTOS_MODEL": "openai/gpt-4.1", **model.environment()}.items():
            monkeypatch.setenv(name, value)
        return model

    return serve


def calls(name: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=[ToolCall("c", name, arguments)])


STALLED = Reply(text="zz", framing=Framing(cut_after=-60, stall=True))


def test_a_blocking_program(scripted: Callable[[Any], ScriptedModel]) -> None:
    threads: list[str] = []

    def deploy(version: int) -> str:
        threads.append(threading.current_thread().name)
        return f"{version} is live"

    def on_ask(question: agentos.Question) -> bool:
        return question.rule == "deploys-are-mine"

    with scripted([calls("deploy", version=3), Reply(text="done"), Reply(text="twice")]) as model:
        with agentos.blocking.open(None, on_ask=on_ask) as system:
            (system.home / "policy.toml").write_text(ASKS)
            agent = system.spawn("deployer", tools=[deploy])
            events = agent.events()
            result = agent.run("deploy")
            assert (result.text, agent.result) == ("done", result)
            assert [event["event"] for event in events][-1] == "summary"
            assert tool_results(model.requests[1]) == ["3 is live"]
            assert agent.run("again").text == "twice"
            assert system.batch.list() == [] and system.memory.facts() == []
        assert threads != [threading.current_thread().name]
        with pytest.raises(agentos.UsageError, match="closed"):
            agent.run("too late")


def test_a_blocking_program_sees_errors_as_they_are(scripted: Callable[[Any], ScriptedModel]) -> None:
    with scripted([]), agentos.blocking.open(None) as system:
        with pytest.raises(agentos.UsageError, match="names no model"):
            system.spawn("a", model="nobody/nothing")
        with pytest.raises(agentos.BudgetExceeded):
            system.spawn("a", budget="0.000001").run("think")
        with pytest.raises(ZeroDivisionError):
            raise ZeroDivisionError


def test_several_threads_use_one_system(scripted: Callable[[Any], ScriptedModel]) -> None:
    found: list[str] = []

    def work(number: int) -> None:
        found.append(system.spawn(f"a{number}").run("x").text)

    with (
        scripted(lambda request: Reply(text=str(request.body["model"]))),
        agentos.blocking.open(None) as system,
    ):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == ["gpt-4.1"] * 8


def test_a_home_that_cannot_be_used_is_an_error_at_once(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(agentos.UsageError), agentos.blocking.open(tmp_path / "file"):
        pass

    async def main() -> None:
        async with agentos.aio.open(tmp_path / "file"):
            pass

    with pytest.raises(agentos.UsageError):
        asyncio.run(main())


def test_an_asyncio_program(scripted: Callable[[Any], ScriptedModel]) -> None:
    async def main(model: ScriptedModel) -> None:
        loop = asyncio.get_running_loop()

        async def deploy(version: int) -> str:
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0)
            return f"{version} is live"

        async def on_ask(question: agentos.Question) -> bool:
            await asyncio.sleep(0)
            return True

        async with agentos.aio.open(None, on_ask=on_ask) as system:
            (system.home / "policy.toml").write_text(ASKS)
            agent = await system.spawn("deployer", tools=[deploy])
            events = agent.events()
            result = await agent.run("deploy")
            assert result.text == "done"
            assert [event["event"] async for event in events][-1] == "summary"
            assert tool_results(model.requests[1]) == ["3 is live"]

    with scripted([calls("deploy", version=3), Reply(text="done")]) as model:
        asyncio.run(main(model), debug=True)


def test_cancelling_an_asyncio_task_cancels_the_call_and_its_functions(
    scripted: Callable[[Any], ScriptedModel],
) -> None:
    async def main() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def hang() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with agentos.aio.open(None) as system:
            agent = await system.spawn("sleeper", tools=[hang])
            task = asyncio.create_task(agent.run("sleep"))
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended.is_set()
            assert (await agent.run("wake")).text == "morning"

    with scripted([calls("hang"), Reply(text="morning")]):
        asyncio.run(main(), debug=True)


def test_an_asyncio_time_limit_ends_a_call(scripted: Callable[[Any], ScriptedModel]) -> None:
    async def main() -> None:
        async with agentos.aio.open(None) as system:
            agent = await system.spawn("sleeper")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await agent.run("sleep")
            assert (await agent.run("wake")).text == "morning"

    with scripted([STALLED, Reply(text="morning")]):
        asyncio.run(main())
