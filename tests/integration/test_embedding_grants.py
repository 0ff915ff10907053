"""What an agent of a program may do: what is granted, what the kernel asks about, and nothing else."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import trio
import trio.testing
from tests.embedding import calls, embed

import agentos
from agentos.messages import Everything
from agentos.testing import Clock, Reply, ScriptedModel, tool_results


def test_an_agent_has_what_is_granted_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("a = 1\n")
    (tmp_path / "secret").write_text("no")
    (tmp_path / "src/link").symlink_to("../secret")
    monkeypatch.chdir(tmp_path)
    script = [
        calls("read", 1, path="src/a.py"),
        calls("read", 2, path="secret"),
        calls("read", 3, path="src/link"),
        calls("write", 4, path="src/b.py", content="b"),
        calls("shell", 5, command="true"),
        Reply(text="done"),
    ]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("reader", grants=[agentos.read("src/**")])
        result = await agent.run("look around")
        found = tool_results(model.requests[-1])
        assert found[0] == "1\ta = 1"
        assert all("denied by the kernel" in text for text in found[1:3])
        assert all("there is no tool" in text for text in found[3:])
        assert (result.files, result.files_changed) == ([], 0)
        assert [tool["name"] for tool in model.requests[0].body["tools"]] == ["read", "list", "search"]

    embed(script, test)


@pytest.mark.needs("namespaces")
def test_a_command_reaches_what_is_granted_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("src/.git/hooks", "out"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/a.py").write_text("a = 1\n")
    (tmp_path / "secret").write_text("no")
    monkeypatch.chdir(tmp_path)
    command = "cat src/a.py secret; echo b > out/b; echo c > src/c; echo d > src/.git/hooks/pre-commit; ls"
    script = [calls("shell", 1, command=command), Reply(text="done")]
    grants = [agentos.write("src"), agentos.write("out/**"), agentos.exec()]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        agent = await system.spawn("worker", grants=grants)
        result = await agent.run("work")
        [said] = tool_results(model.requests[-1])
        assert "a = 1" in said and "secret: No such file" in said and "out\nsrc\n" in said
        assert sorted(result.files) == ["out/b", "src/c"]
        assert list((tmp_path / "src/.git/hooks").iterdir()) == []

    embed(script, test)


def test_commands_with_nowhere_to_run_are_refused_at_once(tmp_path: Path) -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        with pytest.raises(agentos.AgentOSError):
            await system.spawn("worker", grants=[agentos.exec()], workspace=tmp_path)

    embed([], test)


def test_nobody_gets_everything() -> None:
    async def test(system: agentos.System, model: ScriptedModel) -> None:
        with pytest.raises(agentos.UsageError, match="not granted a scope of this kind: everything"):
            await system.spawn("king", grants=[agentos.Grant(scope=Everything())])
        with pytest.raises(agentos.UsageError, match="is no grant"):
            await system.spawn("king", grants=["src"])  # type: ignore[list-item]

    embed([], test)


def test_a_bounded_function_is_refused_by_the_kernel_after_its_uses() -> None:
    done: list[int] = []

    def deploy(version: int) -> str:
        done.append(version)
        return "live"

    script = [calls("deploy", 1, version=1), calls("deploy", 2, version=2), Reply(text="done")]

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        once = agentos.limited(agentos.tool("deploy"), uses=1)
        agent = await system.spawn("deployer", tools=[deploy], grants=[once])
        await agent.run("deploy")
        first, second = tool_results(model.requests[-1])
        assert (first, done) == ("live", [1])
        assert "denied by the kernel" in second

    embed(script, test)


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


@pytest.mark.parametrize("answer", [True, False, None])
def test_on_ask_answers_the_kernel_s_questions(answer: bool | None) -> None:
    asked: list[agentos.Question] = []
    done: list[int] = []

    def deploy(version: int) -> str:
        done.append(version)
        return "live"

    async def on_ask(question: agentos.Question) -> bool:
        asked.append(question)
        assert answer is not None
        return answer

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        (system.home / "policy.toml").write_text(ASKS)
        agent = await system.spawn("deployer", tools=[deploy])
        await agent.run("deploy")
        [said] = tool_results(model.requests[-1])
        assert done == ([1] if answer else [])
        if answer is None:
            assert "nobody to be asked" in said and asked == []
            return
        [question] = asked
        assert (question.name, question.rule, question.why) == (
            "deployer",
            "deploys-are-mine",
            "a person deploys",
        )
        assert question.digest is not None
        assert said == "live" if answer else "a person said no" in said

    options = {} if answer is None else {"on_ask": on_ask}
    embed([calls("deploy", version=1), Reply(text="done")], test, **options)


def test_a_question_that_nobody_answers_is_a_no_at_its_deadline() -> None:
    clock = Clock()

    async def on_ask(question: agentos.Question) -> bool:
        assert question.deadline is not None
        deadline = datetime.datetime.fromisoformat(question.deadline)
        clock.advance(deadline.timestamp() - clock.now_us / 1e6 + 1)
        await trio.sleep_forever()
        return True

    async def test(system: agentos.System, model: ScriptedModel) -> None:
        (system.home / "policy.toml").write_text(ASKS)

        def deploy() -> None:
            raise AssertionError("it was not allowed")

        agent = await system.spawn("deployer", tools=[deploy])
        await agent.run("deploy")
        assert "nobody answered in time" in tool_results(model.requests[-1])[0]

    embed([calls("deploy"), Reply(text="done")], test, on_ask=on_ask, clock=clock)
