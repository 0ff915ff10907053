"""`agentos run --agent` with an OpenFang manifest: what it says holds here, and what does not is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import Command
from tests.integration.test_run import Ran, call, calls

from agentos.testing import Framing, Reply, ScriptedModel, Usage, tool_results

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]

MANIFEST = """
name = "reader"
version = "0.1.0"
module = "builtin:chat"
tags = ["reading"]

[model]
provider = "anthropic"
model = "claude-sonnet-4-5"
system_prompt = "You read."

[resources]
max_llm_tokens_per_hour = 20000

[capabilities]
tools = ["file_read", "file_list", "web_search"]
network = ["api.example.org:443", "*.example.org:443"]
memory_read = ["notes"]
"""


def manifest(agentos: Command, text: str = MANIFEST, name: str = "reader.toml") -> str:
    path = agentos.cwd / name
    path.write_text(text)
    return str(path)


def test_a_manifest_is_an_agent_with_its_tools_and_instructions_alone(agentos: Command) -> None:
    (agentos.cwd / "a").write_text("words")
    path = manifest(agentos)
    with ScriptedModel([calls(call("read", path="a")), Reply(text="read it")]) as server:
        agentos.environment |= server.environment()
        ran = Ran(agentos("run", "read", "--agent", path, "--json"))
        body = server.requests[0].body
        assert tool_results(server.requests[1]) == ["1\twords"]
    assert ran.code == 0, ran.stderr
    assert [tool["name"] for tool in body["tools"]] == ["read", "list"]
    assert body["system"][0]["text"] == "You read."
    for said in (
        "reader.toml is an OpenFang manifest",
        "tools: read, list",
        "connect to host `api.example.org`, port 443",
        "there is no `web_search` here",
        "`*.example.org:443` is neither one host nor all",
        "tokens are held for the whole run, 20000",
    ):
        assert said in ran.stderr, said


def test_its_process_holds_what_it_says_and_nothing_else(agentos: Command) -> None:
    with ScriptedModel([Reply(framing=Framing(stall=True, cut_after=0))]) as server:
        agentos.environment |= server.environment()
        started = agentos("run", "wait", "--agent", manifest(agentos), "--detach", "--json")
        pid = json.loads(started.stdout.splitlines()[-1])["pid"]
        decisions = {
            action: agentos.json("policy", "explain", pid, action)["decision"]
            for action in (
                "connect api.example.org:443",
                "connect www.example.org:443",
                "connect api.example.org:80",
                "recall notes",
                "recall other",
                "call file_read",
                "exec ls",
                "read /etc/hosts",
            )
        }
        agentos("kill", pid)
    assert [action for action, decision in decisions.items() if decision == "go"] == [
        "connect api.example.org:443",
        "recall notes",
    ]


def test_its_limit_of_tokens_ends_the_run(agentos: Command) -> None:
    used = Usage(input=900, output=3_000)
    with ScriptedModel(
        lambda request: calls(call("list", request.number, pattern=f"{request.number}*"), usage=used)
    ) as server:
        agentos.environment |= server.environment()
        ran = Ran(agentos("run", "list", "--agent", manifest(agentos), "--json"))
        asked = len(server.requests)
    assert (ran.code, ran.summary["stop"]) == (4, "budget"), ran.stderr
    assert asked >= 2 and asked * 3_900 <= 20_000
    # What was spent stays spent for a run that is taken up again.
    pid = ran.summary["pid"]
    with ScriptedModel() as server:
        agentos.environment |= server.environment()
        again = Ran(agentos("resume", pid, "--json"))
        assert server.requests == []
    assert (again.code, again.summary["stop"]) == (4, "budget"), again.stderr


def test_a_manifest_that_grants_the_home_or_names_a_program_starts_nothing(
    agentos: Command, tmp_path: Path
) -> None:
    stored = [{"type": "ToolAll"}, {"type": "FileRead", "value": f"{agentos.home}/*"}]
    everything = [{"type": "ToolAll"}, {"type": "FileRead", "value": "*"}]
    with ScriptedModel() as server:
        agentos.environment |= server.environment() | {"AGENTOS_MODEL": "claude-sonnet-4-5"}
        for text, words in (
            (json.dumps({"capabilities": stored}), "not to be granted"),
            (json.dumps({"capabilities": everything}), "not to be granted"),
            (json.dumps({"module": "python:agent.py"}), "a program of its own"),
            (json.dumps({"capabilities": [{"type": "FileDelete"}]}), "no capability `FileDelete`"),
            (json.dumps({"profile": "minimal", "tool_blocklists": []}), "unknown field `tool_blocklists`"),
        ):
            done = agentos("run", "x", "--agent", manifest(agentos, text, "agent.json"))
            assert done.returncode == 2, done.stderr
            assert words in done.stderr and "Traceback" not in done.stderr
        assert server.requests == []
