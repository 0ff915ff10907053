"""A program on the daemon of a home: what it does is in the journal, and outlives the daemon's death."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.command import Command, wait_gone

import agentos
from agentos.testing import Framing, Reply, Request, ScriptedModel, ToolCall, tool_results

MODEL = "anthropic/claude-sonnet-4-5"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("ANTHROPIC_AUTH_TOKEN", "AGENTOS_HOME", "AGENTOS_LEVEL", "AGENTOS_BUDGET"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def serve(environment: pytest.MonkeyPatch, script: Any) -> ScriptedModel:
    model = ScriptedModel(script)
    for name, value in model.environment().items():
        environment.setenv(name, value)
    return model


def calls(name: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=[ToolCall(f"c-{name}", name, arguments)])


def run(main: Any) -> None:
    async def limited() -> None:
        with trio.fail_after(60):
            await main()

    trio.run(limited)


@pytest.mark.parametrize("recovery", ["once", "pure"])
def test_a_function_call_is_in_the_journal(
    home: Command, environment: pytest.MonkeyPatch, recovery: Any
) -> None:
    @agentos.recovery(recovery)
    def add(a: int, b: int) -> int:
        return a + b

    async def main() -> None:
        async with agentos.open(home.home) as system:
            agent = await system.spawn("adder", model=MODEL, tools=[add])
            result = await agent.run("add 2 and 3")
            assert result.text == "five"
            assert (await system.audit.verify())["ok"] is True
            entries = [row["entry"] for row in await system.audit.entries()]
        gone = [entry for entry in entries if (entry.get("action") or {}).get("tool") == "add"]
        assert [entry["type"] for entry in gone] == ["go"]
        assert gone[0].get("recovery") == recovery
        assert "five" in home("logs", result.pid).stdout

    with serve(environment, [calls("add", a=2, b=3), Reply(text="five")]):
        run(main)


def test_a_function_runs_once_though_the_daemon_dies_under_it(
    home: Command, environment: pytest.MonkeyPatch
) -> None:
    called: list[int] = []

    async def pay(amount: int) -> str:
        called.append(amount)
        daemon = home.daemon
        watched = os.pidfd_open(daemon)
        os.kill(daemon, signal.SIGKILL)
        await trio.to_thread.run_sync(wait_gone, watched)
        os.close(watched)
        return "paid"

    async def main() -> None:
        async with agentos.open(home.home) as system:
            agent = await system.spawn("payer", model=MODEL, tools=[pay])
            first = home.daemon
            result = await agent.run("pay 5")
            assert home.daemon != first
        assert (result.text, called) == ("thanks", [5])

    with serve(environment, [calls("pay", amount=5), Reply(text="thanks")]) as model:
        run(main)
    assert tool_results(model.requests[1]) == ["paid"]


def test_a_task_goes_on_though_the_daemon_dies_under_the_model_s_answer(
    home: Command, environment: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with agentos.open(home.home) as system:
            agent = await system.spawn("talker", model=MODEL)
            events = agent.events()

            async def kill() -> None:
                async for event in events:
                    if event["event"] == "text":
                        os.kill(home.daemon, signal.SIGKILL)
                        return

            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill)
                result = await agent.run("talk")
            assert result.text == "whole"
            assert float(result.spent_usd) > 0.0001  # the broken stream was charged, whole

    half = Reply(text="half of it", framing=Framing(cut_after=-60, stall=True))
    with serve(environment, [half, Reply(text="whole")]) as model:
        run(main)
    told = [message["content"] for message in model.requests[1].body["messages"]]
    assert str(told).count("talk") == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["started", "message", "turn", "tool_call", "tool_result"])
def test_no_step_is_done_twice_or_lost_whenever_the_daemon_dies(
    home: Command, environment: pytest.MonkeyPatch, moment: str
) -> None:
    """The daemon dies at every second event of a kind, while an agent takes four steps."""
    called: list[int] = []

    def step(number: int) -> str:
        called.append(number)
        return f"step {number}"

    def script(request: Request) -> Reply:
        number = len(tool_results(request))
        if number == 4:
            return Reply(text="done")
        # Some servers give every call the same id.
        return Reply(tool_calls=[ToolCall("call_0", "step", {"number": number})])

    async def main() -> None:
        async with agentos.open(home.home) as system:
            agent = await system.spawn("walker", model=MODEL, tools=[step])
            events = agent.events()

            async def kill() -> None:
                seen = 0
                async for event in events:
                    seen += event["event"] == moment
                    if event["event"] == moment and seen % 2:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(home.daemon, signal.SIGKILL)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill)
                result = await agent.run("walk")
            assert result.text == "done"

    with serve(environment, script) as model:
        run(main)
    assert called == list(range(4))
    assert tool_results(model.requests[-1]) == [f"step {number}" for number in range(4)]


PROGRAM = """
import agentos
with agentos.blocking.open({home!r}) as system:
    agent = system.spawn("sleeper", model={model!r})
    try:
        agent.run("sleep")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(agent.run("wake").text, flush=True)
"""


def test_ctrl_c_cancels_what_a_blocking_program_waits_for(
    home: Command, environment: pytest.MonkeyPatch
) -> None:
    stalled = Reply(text="zz", framing=Framing(cut_after=-60, stall=True))
    with serve(environment, [stalled, Reply(text="morning")]) as model:
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(home=str(home.home), model=MODEL)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not model.requests:
            os.sched_yield()
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
    assert (out.split(), program.returncode) == (["interrupted", "morning"], 0), err


def test_a_fork_cannot_use_the_system_of_its_parent(home: Command, environment: pytest.MonkeyPatch) -> None:
    program = f"""
import agentos, os
with agentos.blocking.open({str(home.home)!r}) as system:
    child = os.fork()
    if child == 0:
        try:
            system.audit.verify()
        except agentos.UsageError as error:
            os._exit(0 if "fork" in error.message else 2)
        os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "0\n", done.stderr


def test_an_agent_of_a_program_is_seen_and_cancelled_from_the_command_line(
    home: Command, environment: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async def stop() -> str:
            [row] = [
                row
                for row in await trio.to_thread.run_sync(lambda: home.json("ps"))
                if row["name"] == "sleeper"
            ]
            await trio.to_thread.run_sync(lambda: home.json("cancel", row["pid"]))
            await trio.sleep_forever()
            return ""

        async with agentos.open(home.home) as system:
            agent = await system.spawn("sleeper", model=MODEL, tools=[stop])
            result = await agent.run("sleep")
            assert result.stop == "cancelled"

    with serve(environment, [calls("stop")]):
        run(main)


def test_the_home_is_not_to_be_granted(home: Command, environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with agentos.open(home.home) as system:
            for grant in (agentos.read(home.home), agentos.write("/**")):
                with pytest.raises(agentos.UsageError, match="home of AgentOS"):
                    await system.spawn("thief", model=MODEL, grants=[grant])
            # Nothing was written for them.
            assert json.loads(home("ps", "--json").stdout)[0]["name"] != "thief"

    with serve(environment, []):
        run(main)


def test_batches_run_from_a_program(home: Command, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git = ["git", "-C", str(repository), "-c", "user.name=P", "-c", "user.email=p@example.org"]
    for command in (["init", "-q"], ["config", "user.name", "P"], ["config", "user.email", "p@example.org"]):
        subprocess.run([*git, *command], check=True)
    (repository / "a.txt").write_text("a\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)

    async def main() -> None:
        async with agentos.open(home.home) as system:
            with pytest.raises(agentos.UsageError):
                await system.batch.run(units="*.txt", repository=repository)
            done = await system.batch.run(
                units="*.txt", program="tr a b < a.txt > n && mv n a.txt", repository=repository
            )
            assert done["state"] == "done", done
            status = await system.batch.status(done["batch"])
            assert [unit["state"] for unit in status["units"]] == ["committed"]
            assert [row["batch"] for row in await system.batch.list()] == [done["batch"]]
            merged = await system.batch.merge(batch=done["batch"])
            assert merged["conflicts"] == []

    run(main)
