"""`agentos run` from the command line to the wire and back; only the model is scripted."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command, wait_gone

from agentos.testing import Framing, Reply, Request, ScriptedModel, ToolCall, Usage, tool_results

MODELS = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-4.1"}
Script = Sequence[Reply] | Callable[[Request], Reply]

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]


def call(name: str, number: int = 0, **arguments: Any) -> ToolCall:
    return ToolCall(id=f"call_{name}_{number}", name=name, arguments=arguments)


def calls(*tool_calls: ToolCall, **more: Any) -> Reply:
    return Reply(tool_calls=tool_calls, **more)


class Ran:
    """A finished `agentos run --json`."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.stderr = done.stderr
        self.events = [json.loads(line) for line in done.stdout.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        assert self.events, self.stderr
        assert self.events[-1]["event"] == "summary", self.events[-1]
        summary: dict[str, Any] = self.events[-1]
        return summary

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]


def run(agentos: Command, server: ScriptedModel, *arguments: str, model: str = MODELS["anthropic"]) -> Ran:
    agentos.environment |= server.environment()
    return Ran(agentos("run", "do it", "--model", model, "--json", *arguments))


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_a_run_reads_edits_and_tests_files(agentos: Command, wire: str) -> None:
    (agentos.cwd / "sum.py").write_text("def add(a, b):\n    return a - b\n")
    script = [
        calls(call("read", path="sum.py"), text="Let me look."),
        calls(
            call("edit", path="sum.py", old="a - b", new="a + b"), call("write", path="n/t.txt", content="x")
        ),
        calls(call("shell", command="python3 -B -c 'import sum; print(sum.add(2, 3))'; ls n")),
        Reply(text="Fixed the sign."),
    ]
    with ScriptedModel(script) as server:
        ran = run(agentos, server, model=MODELS[wire])
        answers = [tool_results(request) for request in server.requests]
    assert ran.code == 0, ran.stderr
    assert (agentos.cwd / "sum.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert ran.summary["text"] == "Fixed the sign."
    assert (ran.summary["state"], ran.summary["stop"], ran.summary["turns"]) == ("done", "end_turn", 4)
    assert ran.summary["files"] == ["n/t.txt", "sum.py"]
    assert {request.wire for request in server.requests} == {wire}
    assert answers[1] == ["1\tdef add(a, b):\n2\t    return a - b"]
    assert answers[3][-1] == "5\nt.txt\n[exit code 0]"
    assert [event["name"] for event in ran.of("tool_call")] == ["read", "edit", "write", "shell"]


def test_logs_show_the_transcript_and_undo_restores_the_folder(agentos: Command) -> None:
    (agentos.cwd / "keep").write_text("kept\n")
    (agentos.cwd / "keep").chmod(0o640)
    (agentos.cwd / "link").symlink_to("keep")
    shell = "rm keep link; mkdir -p new/deep; echo x > new/deep/file; ln -s new link; chmod 700 new"
    with ScriptedModel([calls(call("shell", command=shell)), Reply(text="done it")]) as server:
        ran = run(agentos, server)
    pid = ran.summary["pid"]
    assert sorted(path.name for path in agentos.cwd.iterdir()) == ["link", "new"]

    log = agentos("logs", pid).stdout
    assert "> do it" in log and "• shell" in log and "done it" in log
    events = [json.loads(line) for line in agentos("logs", pid, "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == [
        "message",
        "tool_call",
        "turn",
        "tool_result",
        "text",
        "turn",
        "summary",
    ]

    (agentos.cwd / "link").unlink()
    (agentos.cwd / "link").write_text("mine now")
    refused = agentos("undo", pid)
    assert refused.returncode == 5 and "link" in refused.stderr
    done = agentos.json("undo", pid, "--force")
    assert done["restored"] == ["keep", "link", "new", "new/deep", "new/deep/file"]
    assert (agentos.cwd / "keep").read_text() == "kept\n"
    assert (agentos.cwd / "keep").stat().st_mode & 0o777 == 0o640
    assert (agentos.cwd / "link").readlink() == Path("keep")
    assert sorted(path.name for path in agentos.cwd.iterdir()) == ["keep", "link"]
    assert agentos.json("undo", pid)["restored"] == []


def test_a_log_of_any_length_is_shown_whole(agentos: Command) -> None:
    long = ["x" * (1 << 20)] * 9
    script = [calls(call("list", 1, pattern="*"), text=long), Reply(text=long)]
    with ScriptedModel(script) as server:
        ran = run(agentos, server, model="openai/my-own")
    assert ran.code == 0, ran.stderr
    for living in (True, False):
        log = agentos("logs", ran.summary["pid"], "--json")
        events = [json.loads(line) for line in log.stdout.splitlines()]
        said = [event["text"] for event in events if event["event"] == "text"]
        assert [len(text) for text in said] == [9 << 20] * 2, (living, log.stderr)
        assert events[-1]["event"] == "summary"
        agentos.end()


def test_paths_out_of_the_workspace_are_denied_and_the_model_is_told(agentos: Command) -> None:
    outside = agentos.cwd.parent / "outside"
    outside.write_text("secret")
    (agentos.cwd / "link").symlink_to(outside)
    attempts = [
        call("read", 1, path="../outside"),
        call("read", 2, path=str(outside)),
        call("read", 3, path="link"),
        call("write", 4, path="../outside", content="x"),
        call("edit", 5, path="link", old="secret", new="x"),
        call("list", 6, path=".."),
        call("search", 7, path="/etc", pattern="root"),
        call("read", 8, path="/proc/self/environ"),
        call("write", 9, path=".git/config", content="x"),
    ]
    with ScriptedModel([calls(*attempts), Reply(text="I could not.")]) as server:
        ran = run(agentos, server)
        results = tool_results(server.requests[1])
    assert ran.code == 0, ran.stderr
    assert [event["error"] for event in ran.of("tool_result")] == [True] * len(attempts)
    assert all("denied by the kernel" in text for text in results[:8]), results
    assert "belongs to git" in results[8]
    assert outside.read_text() == "secret"
    assert ran.summary["files_changed"] == 0


def test_the_shell_reaches_neither_network_nor_home_nor_git(agentos: Command) -> None:
    git = agentos.cwd / ".git"
    git.mkdir()
    (git / "config").write_text("[core]\n")
    canary = Path.home() / f".agentos-canary-{os.getpid()}"
    canary.write_text("secret")
    try:
        with ScriptedModel() as listener:
            commands = [
                f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {listener.port}), 5)'",
                f"cat {canary}",
                f"cat {agentos.home}/kernel.db",
                "echo evil > .git/config",
                "echo fine > made",
                "env",
            ]
            script = [
                calls(*(call("shell", n, command=line) for n, line in enumerate(commands))),
                Reply(text="."),
            ]
            with ScriptedModel(script) as server:
                ran = run(agentos, server)
                results = tool_results(server.requests[1])
            assert listener.connections == 0
    finally:
        canary.unlink()
    assert ran.code == 0, ran.stderr
    assert [text.rpartition("[exit code ")[2] != "0]" for text in results] == [True] * 4 + [False] * 2, (
        results
    )
    assert not any("secret" in text for text in results)
    assert (git / "config").read_text() == "[core]\n"
    assert "test-key" not in results[5] and "ANTHROPIC" not in results[5]
    assert ran.summary["files"] == ["made"]


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_error_replies_and_broken_streams_are_tried_again(agentos: Command, wire: str) -> None:
    script = [
        Reply(status=429, error="slow down", retry_after="0"),
        Reply(status=529, error="overloaded", retry_after="0"),
        Reply(text="half an answer", framing=Framing(cut_after=200, reset=True)),
        Reply(text="whole"),
    ]
    with ScriptedModel(script) as server:
        ran = run(agentos, server, model=MODELS[wire])
        bodies = [request.body for request in server.requests]
    assert ran.code == 0, ran.stderr
    assert ran.summary["text"] == "whole"
    assert len(ran.of("retry")) == 3
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (Reply(status=401, error="invalid x-api-key"), 1, "refused the key"),
        (Reply(status=400, error="prompt is too long"), 1, "prompt is too long"),
        (Reply(status=402, error="no credit"), 4, "nothing left"),
        (Reply(raw=b"<!DOCTYPE html><html>", content_type="text/html"), 7, "web page"),
    ],
)
def test_lasting_errors_end_the_run_at_once(agentos: Command, reply: Reply, code: int, words: str) -> None:
    with ScriptedModel([reply]) as server:
        ran = run(agentos, server)
        assert len(server.requests) == 1
    assert (ran.code, ran.summary["state"], ran.summary["spent_usd"]) == (code, "failed", "0.00")
    assert words in ran.stderr


def test_an_unreachable_model_is_a_missing_mechanism(agentos: Command) -> None:
    with ScriptedModel() as server:
        agentos.environment |= server.environment()
    done = agentos("run", "x", "--model", "claude-sonnet-4-5")
    assert done.returncode == 7
    assert "cannot be reached" in done.stderr and "ANTHROPIC_BASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_budget_no_call(agentos: Command) -> None:
    with ScriptedModel([Reply(text="never")]) as server:
        ran = run(agentos, server, "--budget", "0")
        assert server.requests == []
    assert (ran.code, ran.summary["stop"], ran.summary["spent_usd"]) == (4, "budget", "0.00")


def test_a_model_without_a_price_is_free_and_says_so(agentos: Command) -> None:
    with ScriptedModel([Reply(text="hello")]) as server:
        agentos.environment |= server.environment()
        done = agentos("run", "x", "--model", "openai/my-own", "--budget", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "hello\n"
    assert "no price is known" in done.stderr


def test_a_budget_is_never_exceeded(agentos: Command) -> None:
    (agentos.cwd / "a").write_text("x")

    def endless(request: Request) -> Reply:
        spent = Usage(input=2_000, output=request.body["max_tokens"])
        return calls(call("read", request.number, path="a"), usage=spent)

    with ScriptedModel(endless) as server:
        ran = run(agentos, server, "--budget", "0.20")
        asked = [request.body["max_tokens"] for request in server.requests]
    assert (ran.code, ran.summary["state"]) == (4, "failed")
    assert ran.summary["stop"] in ("budget", "loop")
    assert 0 < float(ran.summary["spent_usd"]) <= 0.20
    assert asked[0] == 8_192 and max(asked[1:]) < 8_192


def test_the_turn_limit_is_a_budget(agentos: Command, tmp_path: Path) -> None:
    agent = tmp_path / "short.toml"
    agent.write_text('model = "claude-sonnet-4-5"\nmax_turns = 2\ntools = ["list"]\n')
    (agentos.cwd / "a").write_text("")
    with ScriptedModel(
        lambda request: calls(call("list", request.number, pattern=f"{request.number}*"))
    ) as server:
        agentos.environment |= server.environment()
        ran = Ran(agentos("run", "x", "--agent", str(agent), "--json"))
        assert len(server.requests) == 2
        assert [tool["name"] for tool in server.requests[0].body["tools"]] == ["list"]
    assert (ran.code, ran.summary["stop"], ran.summary["turns"]) == (4, "turns", 2)


def test_malformed_calls_and_unknown_tools_go_back_to_the_model(agentos: Command) -> None:
    wrong = [
        ToolCall(id="c1", name="read", arguments='{"path": '),
        ToolCall(id="c2", name="read", arguments={"file": "a"}),
        ToolCall(id="c3", name="rm_rf", arguments={}),
    ]
    with ScriptedModel([calls(*wrong), Reply(text="sorry")]) as server:
        ran = run(agentos, server, model=MODELS["openai"])
        results = tool_results(server.requests[1])
    assert ran.code == 0, ran.stderr
    assert "no JSON object" in results[0]
    assert "wrong arguments" in results[1] and "file" in results[1]
    assert "no tool `rm_rf`" in results[2]


def test_a_killed_daemon_is_replaced_and_the_run_goes_on_after_its_last_turn(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 0:
            return calls(call("shell", command="echo once >> count"))
        if request.number == 1:
            os.kill(agentos.daemon, signal.SIGKILL)
            return Reply(framing=Framing(stall=True, cut_after=0))
        return Reply(text="finished")

    with ScriptedModel(script) as server:
        ran = run(agentos, server)
        bodies = [request.body["messages"] for request in server.requests]
    assert ran.code == 0, ran.stderr
    assert ran.summary["text"] == "finished" and ran.summary["turns"] == 2
    assert (agentos.cwd / "count").read_text() == "once\n"
    assert len(bodies) == 3 and bodies[1] == bodies[2]
    assert agentos.json("audit", "verify")["ok"]


def test_when_all_is_killed_resume_goes_on(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 0:
            return calls(call("write", path="a", content="1"))
        if request.number == 1:
            return calls(call("shell", command="echo begun >> b; sleep 600"))
        return Reply(text="went on")

    with ScriptedModel(script) as server:
        agentos.environment |= server.environment()
        client = agentos.start("run", "x", "--model", "claude-sonnet-4-5", "--json")
        assert client.stdout is not None
        pid = json.loads(client.stdout.readline())["pid"]
        for line in client.stdout:
            event = json.loads(line)
            if event["event"] == "tool_call" and event["name"] == "shell":
                break
        while not (agentos.cwd / "b").exists():
            os.sched_yield()
        client.kill()
        watched = os.pidfd_open(agentos.daemon)
        os.kill(agentos.daemon, signal.SIGKILL)
        wait_gone(watched)
        os.close(watched)
        client.communicate()
        assert agentos.json("show", pid)["stop"] == "interrupted"
        resumed = Ran(agentos("resume", pid, "--json"))
        results = tool_results(server.requests[2])
    assert resumed.code == 0, resumed.stderr
    assert resumed.summary["text"] == "went on"
    assert "outcome is unknown" in results[-1]
    assert (agentos.cwd / "b").read_text() == "begun\n"
    first = resumed.summary["pid"]
    assert first != pid
    assert agentos.json("undo", first)["restored"] == ["a", "b"]


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 0:
            return Reply(text="thinking", framing=Framing(stall=True, cut_after=300))
        return Reply(text="after all")

    with ScriptedModel(script) as server:
        agentos.environment |= server.environment()
        client = agentos.start("run", "x", "--model", "claude-sonnet-4-5", "--json")
        assert client.stdout is not None
        pid = json.loads(client.stdout.readline())["pid"]
        while not server.requests:
            os.sched_yield()
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=60)
        assert client.returncode == 130
        assert f"agentos resume {pid}" in err
        summary = json.loads(out.splitlines()[-1])
        assert (summary["event"], summary["state"]) == ("summary", "interrupted")
        resumed = Ran(agentos("resume", pid, "--json"))
    assert (resumed.code, resumed.summary["text"]) == (0, "after all")


def test_ctrl_c_while_the_client_is_busy_printing_is_no_other(agentos: Command) -> None:
    flood = ["y" * 1000] * 300
    with ScriptedModel([Reply(text=flood, framing=Framing(stall=True, cut_after=-200))]) as server:
        agentos.environment |= server.environment()
        client = agentos.start("run", "x", "--model", "openai/my-own", "--json")
        assert client.stdout is not None
        # A pipe holds 64 KiB, less where lines do not fill its pages: then the client waits in print.
        while _unread(client.stdout.fileno()) < 48 << 10:
            os.sched_yield()
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=60)
    assert client.returncode == 130, err
    summary = json.loads(out.splitlines()[-1])
    assert (summary["event"], summary["state"]) == ("summary", "interrupted")
    assert f"agentos resume {summary['pid']}" in err


def test_a_second_ctrl_c_does_not_wait_for_the_daemon_and_says_how_to_go_on(agentos: Command) -> None:
    with ScriptedModel([Reply(text="thinking", framing=Framing(stall=True, cut_after=300))]) as server:
        agentos.environment |= server.environment()
        client = agentos.start("run", "x", "--model", "claude-sonnet-4-5")
        while not server.requests:
            os.sched_yield()
        daemon = os.pidfd_open(agentos.daemon)
        signal.pidfd_send_signal(daemon, signal.SIGSTOP)
        while client.poll() is None:
            client.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                client.wait(1)
        signal.pidfd_send_signal(daemon, signal.SIGCONT)
        os.close(daemon)
        _, err = client.communicate(timeout=60)
    assert client.returncode == 130, err
    assert "agentos resume p-" in err and "Traceback" not in err


def _unread(pipe: int) -> int:
    """The bytes that wait in a pipe."""
    waiting = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return int.from_bytes(waiting, sys.byteorder)


def test_a_detached_run_goes_on_without_its_client(agentos: Command) -> None:
    with ScriptedModel([calls(call("write", path="a", content="1")), Reply(text="alone")]) as server:
        agentos.environment |= server.environment()
        started = agentos("run", "x", "--model", "claude-sonnet-4-5", "--detach")
        assert started.returncode == 0, started.stderr
        pid = started.stdout.strip()
        events = [json.loads(line) for line in agentos("logs", "-f", pid, "--json").stdout.splitlines()]
    assert events[-1]["state"] == "done" and events[-1]["text"] == "alone"
    assert (agentos.cwd / "a").read_text() == "1"


def test_a_local_server_needs_no_key(agentos: Command) -> None:
    with ScriptedModel([Reply(text="from here")]) as server:
        agentos.environment["OLLAMA_HOST"] = f"127.0.0.1:{server.port}"
        done = agentos("run", "x", "--model", "ollama/llama3.2")
        assert (done.returncode, done.stdout) == (0, "from here\n"), done.stderr
        assert "authorization" not in server.requests[0].headers
        assert server.requests[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", " "], "task is empty"),
        (["run", "x", "--model", "llama3"], "names no model"),
        (["run", "x", "--workspace", "nowhere"], "workspace cannot be opened"),
        (["run", "x", "--budget", "lots"], "not an amount"),
        (["run", "x", "--agent", "nobody"], "no agent `nobody`"),
        (["logs", "p-zzz"], "no agent's run"),
        (["undo", "p-zzz"], "no agent's run"),
    ],
)
def test_bad_input_is_named(agentos: Command, arguments: list[str], words: str) -> None:
    with ScriptedModel() as server:
        agentos.environment |= server.environment() | {"AGENTOS_MODEL": "claude-sonnet-4-5"}
        done = agentos(*arguments)
        assert server.requests == []
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


def test_an_agent_file_grants_paths_beside_the_workspace(agentos: Command, tmp_path: Path) -> None:
    library, notes = tmp_path / "library", tmp_path / "notes"
    (notes / ".git").mkdir(parents=True)
    library.mkdir()
    (library / "book").write_text("words")
    agent = tmp_path / "scribe.md"
    agent.write_text(f"---\ngrants: {{read: [{library}], write: [{notes}]}}\n---\nYou copy.\n")
    attempts = [
        call("read", 1, path=f"{library}/book"),
        call("write", 2, path=f"{notes}/copy", content="words"),
        call("shell", 3, command=f"cat {library}/book > {notes}/shell"),
        call("write", 4, path=f"{library}/book", content="x"),
        call("shell", 5, command=f"echo x > {library}/book; echo x > {notes}/.git/config"),
        call("write", 6, path=f"{notes}/.git/config", content="x"),
    ]
    with ScriptedModel([calls(*attempts), Reply(text="copied")]) as server:
        ran = run(agentos, server, "--agent", str(agent))
        assert server.requests[0].body["system"][0]["text"] == "You copy."
        results = tool_results(server.requests[1])
    assert ran.code == 0, ran.stderr
    assert [event["error"] for event in ran.of("tool_result")] == [False, False, False, True, False, True]
    assert "[exit code 0]" in results[2] and "[exit code 0]" not in results[4]
    assert (library / "book").read_text() == "words"
    assert sorted(path.name for path in notes.rglob("*")) == [".git", "copy", "shell"]


def test_the_home_is_neither_granted_nor_a_workspace(agentos: Command) -> None:
    with ScriptedModel() as server:
        agentos.environment |= server.environment()
        done = agentos("run", "x", "--model", "claude-sonnet-4-5", "--workspace", str(agentos.home))
    assert done.returncode == 2 and "lie in one another" in done.stderr
    agent = agentos.cwd / "thief.toml"
    agent.write_text(f'[grants]\nread = ["{agentos.home}/run"]\n')
    done = agentos("run", "x", "--model", "claude-sonnet-4-5", "--agent", str(agent))
    assert done.returncode == 2 and "not to be granted" in done.stderr
