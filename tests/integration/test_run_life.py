"""The life of a run beside its work: signals, processes that die, folders of odd names, circles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command

from agentos.testing import Framing, Reply, Request, ScriptedModel, ToolCall

MODEL = "claude-sonnet-4-5"

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]


def shell(command: str, number: int = 0) -> Reply:
    return Reply(tool_calls=[ToolCall(id=f"c{number}", name="shell", arguments={"command": command})])


def begin(agentos: Command, server: ScriptedModel) -> tuple[subprocess.Popen[str], str]:
    """A run under way, and its process id."""
    agentos.environment |= server.environment()
    client = agentos.start("run", "x", "--model", MODEL, "--json")
    assert client.stdout is not None
    return client, json.loads(client.stdout.readline())["pid"]


def end(client: subprocess.Popen[str]) -> dict[str, Any]:
    """What the run's summary says."""
    out, err = client.communicate(timeout=60)
    summary: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert summary["event"] == "summary", err
    return summary


def wait_for(path: Path) -> None:
    while not path.exists():
        os.sched_yield()


@pytest.mark.parametrize(("verb", "stop"), [("kill", "killed"), ("cancel", "cancelled")])
def test_a_signal_ends_a_run_and_what_it_started(agentos: Command, verb: str, stop: str) -> None:
    with ScriptedModel([shell("touch begun; sleep 600 & wait")]) as server:
        client, pid = begin(agentos, server)
        wait_for(agentos.cwd / "begun")
        assert agentos(verb, pid).returncode == 0
        summary = end(client)
    assert summary["error"] is None, summary
    assert (summary["state"], summary["stop"], summary["files_changed"]) == ("cancelled", stop, 1)
    assert client.returncode == 1
    assert not list((agentos.home / "run").iterdir())


def test_a_suspended_run_asks_for_nothing_until_it_is_resumed(agentos: Command) -> None:
    with ScriptedModel([shell("touch begun; while [ ! -e go ]; do :; done"), Reply(text="on")]) as server:
        client, pid = begin(agentos, server)
        wait_for(agentos.cwd / "begun")
        assert agentos("suspend", pid).returncode == 0
        (agentos.cwd / "go").touch()
        while agentos.json("show", pid)["turns"] < 1 or agentos.json("show", pid)["state"] != "suspended":
            pass
        assert len(server.requests) == 1
        assert agentos("resume", pid).returncode == 0
        summary = end(client)
    assert (summary["state"], summary["text"]) == ("done", "on")


def test_a_reply_that_was_cut_off_in_thought_goes_on(agentos: Command) -> None:
    with ScriptedModel([Reply(thinking="hm", stop="max_tokens"), Reply(text="second")]) as server:
        client, _ = begin(agentos, server)
        summary = end(client)
        said = server.requests[1].body["messages"]
    assert summary["text"] == "second"
    # Thinking alone is no message that a provider takes back.
    assert [message["role"] for message in said] == ["user"]
    assert "cut off" in said[0]["content"][-1]["text"]


def test_a_reply_that_was_cut_off_goes_on(agentos: Command) -> None:
    with ScriptedModel([Reply(text="first", stop="max_tokens"), Reply(text="second")]) as server:
        client, _ = begin(agentos, server)
        summary = end(client)
        said = server.requests[1].body["messages"]
    assert summary["text"] == "second"
    assert [message["role"] for message in said] == ["user", "assistant", "user"]
    assert "cut off" in said[2]["content"][0]["text"]


def test_a_refusal_is_a_failure(agentos: Command) -> None:
    with ScriptedModel([Reply(text="I will not.", stop="refusal")]) as server:
        client, _ = begin(agentos, server)
        summary = end(client)
    assert (client.returncode, summary["stop"], summary["text"]) == (1, "refusal", "I will not.")


def test_two_runs_at_once_do_not_disturb_each_other(agentos: Command, tmp_path: Path) -> None:
    other = Command(agentos.home, tmp_path / "other")
    other.cwd.mkdir()
    with ScriptedModel([shell("touch one; while [ ! -e go ]; do :; done"), Reply(text="slow one")]) as slow:
        first, _ = begin(agentos, slow)
        wait_for(agentos.cwd / "one")
        with ScriptedModel([shell("touch two"), Reply(text="fast one")]) as fast:
            second, _ = begin(other, fast)
            summary = end(second)
        assert (summary["text"], summary["files"]) == ("fast one", ["two"])
        (agentos.cwd / "go").touch()
        assert end(first)["files"] == ["go", "one"]


def test_a_workspace_of_any_name_works(agentos: Command) -> None:
    odd = Path(os.fsdecode(os.fsencode(agentos.cwd) + b'/ \xff"\n-'))
    odd.mkdir()
    file = odd / os.fsdecode(b"a\xfe")
    file.write_text("old")
    with ScriptedModel([shell('for f in a*; do echo new > "$f"; done'), Reply(text="ok")]) as server:
        agentos.environment |= server.environment()
        done = agentos("run", "x", "--model", MODEL, "--json", "--workspace", str(odd))
        assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["files"] == ['"a\\376"']
    assert file.read_text() == "new\n"
    agentos.json("undo", summary["pid"])
    assert file.read_text() == "old"


def test_a_run_goes_on_by_itself_when_its_broker_dies(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 0:
            return shell("touch begun")
        if request.number == 1:
            os.kill(agentos.broker, signal.SIGKILL)
            return Reply(framing=Framing(stall=True, cut_after=0))
        return Reply(text="after the broker")

    with ScriptedModel(script) as server:
        client, _ = begin(agentos, server)
        daemon = agentos.daemon
        summary = end(client)
        keys = [request.headers.get("x-api-key") for request in server.requests]
        assert agentos.daemon == daemon
    assert (summary["state"], summary["text"], summary["turns"]) == ("done", "after the broker", 2)
    assert keys == ["test-key"] * 3


def test_a_workspace_that_vanishes_is_no_crash(agentos: Command) -> None:
    workspace = agentos.cwd / "w"
    workspace.mkdir()

    def script(request: Request) -> Reply:
        if request.number == 1:
            (workspace / "a").unlink()
            workspace.rmdir()
        calls = [ToolCall(id=f"c{request.number}", name="write", arguments={"path": "a", "content": "x"})]
        return Reply(tool_calls=calls) if request.number == 0 else Reply(text="gone")

    with ScriptedModel(script) as server:
        agentos.environment |= server.environment()
        done = agentos("run", "x", "--model", MODEL, "--json", "--workspace", str(workspace))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (events[-1]["event"], events[-1]["state"]) == ("summary", "done"), done.stderr
    assert any(event["event"] == "warning" for event in events)
