"""A model that goes round in circles: warned, refused, and stopped, in a real run."""

from __future__ import annotations

import json

import pytest
from tests.command import Command
from tests.integration.test_run import MODELS, call, calls, run

from agentos.testing import Reply, Request, ScriptedModel, tool_results

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_the_same_call_is_warned_about_then_refused_then_ends_the_run(agentos: Command, wire: str) -> None:
    (agentos.cwd / "a").write_text("x")

    def stuck(request: Request) -> Reply:
        # Neither another order of the arguments nor a default spelled out is another call.
        spelled = [{"path": "a"}, {"path": "a", "first": 1}, {"first": 1, "path": "a"}]
        return calls(call("read", request.number, **spelled[request.number % 3]))

    with ScriptedModel(stuck) as server:
        ran = run(agentos, server, model=MODELS[wire])
        asked = len(server.requests)
        told = tool_results(server.requests[-1])
    results = [event["text"] for event in ran.of("tool_result")]
    assert (ran.code, ran.summary["state"], ran.summary["stop"]) == (1, "failed", "loop"), ran.stderr
    assert results[0] == "1\tx"
    assert results[1] == "1\tx\n[this call has now brought the same result 2 times: try another way]"
    assert results[2].startswith("1\tx\n[") and "3 times" in results[2]
    assert all(text.startswith(("not called", "error: not called")) for text in results[3:])
    assert len(results) == asked == 8
    assert "refused 5 calls in a row" in ran.stderr and "`read`, 8 times" in ran.stderr
    assert "1\tx" in told[2] and "not called" in told[3]


def test_going_round_in_fresh_circles_trips_the_breaker_at_thirty(agentos: Command) -> None:
    for number in range(40):
        (agentos.cwd / f"f{number}").write_text("same")

    def script(request: Request) -> Reply:
        # Each file twice: the second look brings nothing new, and is never asked for a third time.
        return calls(call("read", request.number, path=f"f{request.number // 2}"))

    agent = agentos.cwd / "long.toml"
    agent.write_text("max_turns = 100\n")
    with ScriptedModel(script) as server:
        ran = run(agentos, server, "--agent", str(agent))
        asked = len(server.requests)
    assert (ran.summary["stop"], ran.code) == ("loop", 1), ran.stderr
    assert "30 of 60 calls brought nothing new" in ran.stderr
    assert asked == 61
    assert sum(event["error"] for event in ran.of("tool_result")) == 1


def test_the_same_check_after_each_change_is_no_circle(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 12:
            return Reply(text="done")
        if request.number % 2 == 0:
            return calls(call("write", request.number, path="a", content=str(request.number)))
        return calls(call("shell", request.number, command="test -s a"))

    with ScriptedModel(script) as server:
        ran = run(agentos, server)
    assert ran.code == 0, ran.stderr
    checks = [event["text"] for event in ran.of("tool_result") if event["name"] == "shell"]
    assert checks == ["[exit code 0]"] * 6


def test_a_repeated_poll_waits_and_can_be_cancelled_meanwhile(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        return calls(call("shell", request.number, command="test -e done", poll=True))

    with ScriptedModel(script) as server:
        agentos.environment |= server.environment()
        client = agentos.start("run", "x", "--model", MODELS["anthropic"], "--json")
        assert client.stdout is not None
        events = []
        for line in client.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "pause":
                break
        assert agentos("cancel", events[0]["pid"]).returncode == 0
        events += [json.loads(line) for line in client.stdout]
        client.communicate(timeout=60)
        assert len(server.requests) == 2
    kinds = [event["event"] for event in events]
    assert events[kinds.index("pause")]["seconds"] == 5
    assert kinds.count("tool_result") == 1
    assert events[-1]["state"] == "cancelled"


def test_base64_stays_in_the_log_and_is_not_sent(agentos: Command) -> None:
    data = "".join(f"{number:04x}ABCDwxyz" for number in range(400))
    (agentos.cwd / "image").write_text(data)
    with ScriptedModel([calls(call("shell", command="cat image")), Reply(text="an image")]) as server:
        ran = run(agentos, server)
        [sent] = tool_results(server.requests[1])
    assert ran.code == 0, ran.stderr
    assert sent == "[base64 left out: 3600 bytes]\n[exit code 0]"
    assert ran.of("tool_result")[0]["text"] == f"{data}\n[exit code 0]"
    assert ran.of("repaired") == [{"event": "repaired", "stripped": 1}]
