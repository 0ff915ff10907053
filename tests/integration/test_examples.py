"""The example programs that embed AgentOS, run as a person runs them; only the model is scripted."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.command import Command

import agentos
from agentos.testing import Framing, Reply, Request, ScriptedModel, ToolCall, tool_results

EXAMPLES = Path(agentos.__file__).parent / "examples" / "embedding"
MODEL = {"AGENTOS_MODEL": "anthropic/claude-sonnet-4-5"}


def start(home: Command, model: ScriptedModel, name: str, *arguments: str) -> subprocess.Popen[str]:
    home.environment |= {**MODEL, **model.environment()}
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=home.cwd,
        env=home._environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    home: Command, model: ScriptedModel, name: str, *arguments: str, say: str = ""
) -> tuple[int, str, str]:
    program = start(home, model, name, *arguments)
    out, err = program.communicate(say, timeout=100)
    return program.returncode, out, err


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(f"c-{name}-{len(str(arguments))}", name, arguments)


def test_they_are_short() -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    assert [file.name for file in files] == ["editor.py", "tester.py", "web.py"]
    assert all(len(file.read_text().splitlines()) < 120 for file in files)


# --- the editor -------------------------------------------------------------------------------------------


def test_the_editor_applies_what_the_person_has_seen_and_wanted(home: Command) -> None:
    notes = home.cwd / "notes.md"
    notes.write_text("# One\n# Two\n")
    notes.chmod(0o640)
    script = [
        Reply(tool_calls=[call("read", path="notes.md")]),
        Reply(tool_calls=[call("propose", text="# I One\n# II Two\n")]),
        Reply(tool_calls=[call("propose", text="# 1 One\n# 2 Two\n")]),
        Reply(text="Numbered the headings."),
    ]
    with ScriptedModel(script) as model:
        code, out, err = run(home, model, "editor.py", "notes.md", "number them", say="arabic, please\ny\n")
    assert code == 0, err
    assert "-# One" in out and "+# I One" in out and "Numbered the headings." in out
    assert tool_results(model.requests[2])[-1] == "the person said no: arabic, please"
    assert tool_results(model.requests[3])[-1] == "applied"
    assert notes.read_text() == "# 1 One\n# 2 Two\n"
    assert notes.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in home.cwd.iterdir()] == ["notes.md"]


def test_the_editor_writes_nothing_without_a_yes(home: Command) -> None:
    (home.cwd / "notes.md").write_text("one\n")
    (home.cwd / "other.md").write_text("mine\n")
    script = [
        Reply(tool_calls=[call("propose", text="two\n"), call("read", path="other.md")]),
        Reply(text="I left it."),
    ]
    with ScriptedModel(script) as model:
        code, _, err = run(home, model, "editor.py", "notes.md", "change it", say="")
    assert (code, err) == (1, "")
    assert (home.cwd / "notes.md").read_text() == "one\n"
    refused, denied = tool_results(model.requests[1])
    assert refused == "the person said no: without a reason" and "denied by the kernel" in denied


def test_the_editor_says_what_went_wrong(home: Command) -> None:
    (home.cwd / "notes.md").write_text("one\n")
    with ScriptedModel([Reply(status=401, error="no such key")]) as model:
        code, _, err = run(home, model, "editor.py", "notes.md", "change it")
    assert code != 0 and err.startswith("editor: ") and "Traceback" not in err


# --- the test runner --------------------------------------------------------------------------------------

TESTS = """
import unittest
from src.total import total
class Total(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([1, 2]), 3)
"""


@pytest.fixture
def project(home: Command) -> Iterator[Command]:
    for folder, files in {
        "src": {"total.py": "def total(x):\n    return 0\n"},
        "tests": {"test_total.py": TESTS},
    }.items():
        (home.cwd / folder).mkdir()
        (home.cwd / folder / "__init__.py").write_text("")
        for name, text in files.items():
            (home.cwd / folder / name).write_text(text)
    yield home


UNITTEST = ("--source", "src", "--", "python3", "-B", "-m", "unittest", "-q")


@pytest.mark.slow
@pytest.mark.needs("namespaces")
def test_the_tester_finds_out_itself_whether_the_agent_was_right(project: Command) -> None:
    script = [
        Reply(tool_calls=[call("edit", path="src/total.py", old="return 0", new="return len(x)")]),
        Reply(text="Fixed."),
        Reply(tool_calls=[call("edit", path="src/total.py", old="len(x)", new="sum(x)")]),
        Reply(text="Fixed now."),
    ]
    with ScriptedModel(script) as model:
        code, out, err = run(project, model, "tester.py", *UNITTEST)
    assert code == 0, out + err
    assert "attempt 1: Fixed.\n  src/total.py: they fail" in out
    assert "attempt 2: Fixed now.\n  src/total.py: they pass" in out
    assert "2 != 3" in str(model.requests[2].body["messages"][-1])


@pytest.mark.slow
@pytest.mark.needs("namespaces")
def test_the_tester_undoes_what_did_not_help_and_keeps_the_tests_out_of_reach(project: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 0:
            cheat = call("write", path="tests/test_total.py", content="")
            return Reply(tool_calls=[cheat, call("write", path="src/total.py", content="def total(x): ...")])
        return Reply(text="It must work now.")

    with ScriptedModel(script) as model:
        code, out, err = run(project, model, "tester.py", *UNITTEST)
    assert code == 1, out + err
    assert "attempt 3" in out and "not mended" in out
    assert "denied by the kernel" in tool_results(model.requests[1])[0]
    assert (project.cwd / "tests/test_total.py").read_text() == TESTS
    assert (project.cwd / "src/total.py").read_text() == "def total(x):\n    return 0\n"


# --- the web handler --------------------------------------------------------------------------------------


def ask(address: str, question: str, method: str = "POST") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request(method, "/", question)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


@pytest.fixture
def web(home: Command) -> Iterator[Any]:
    """Starts the handler on a model, and ends it as a person does, with Ctrl-C."""
    running: list[subprocess.Popen[str]] = []

    def serve(model: ScriptedModel) -> str:
        program = start(home, model, "web.py", "0")
        running.append(program)
        assert program.stdout is not None
        return program.stdout.readline().strip()

    yield serve
    for program in running:
        program.send_signal(2)
        _, err = program.communicate(timeout=60)
        assert (program.returncode, "Traceback" in err) == (0, False), err


def test_the_web_handler_runs_one_agent_a_request(home: Command, web: Any) -> None:
    def script(request: Request) -> Reply:
        results = tool_results(request)
        if results:
            return Reply(text=f"You have {results[0].lower()}")
        return Reply(tool_calls=[call("policy", topic="refund")])

    with ScriptedModel(script) as model:
        address = web(model)
        assert ask(address, "May I bring it back?") == (
            200,
            {"answer": "You have within 30 days, with the receipt.", "spent_usd": "0.00021"},
        )
        assert ask(address, "", "GET")[0] == ask(address, "x", "PUT")[0] == 405
        assert ask(address, "x" * 20_000)[0] == ask(address, "")[0] == 413
    assert len(model.requests) == 2
    names = {row["name"] for row in home.json("ps")}
    assert "clerk" not in names


def test_the_web_handler_keeps_to_its_budget(home: Command, web: Any) -> None:
    question = "x" * 15_000
    with ScriptedModel([Reply(text="a")]) as model:
        assert ask(web(model), question)[0] == 402
        assert model.requests == []


def test_a_client_that_leaves_ends_its_agent(home: Command, web: Any) -> None:
    half = Reply(text="well", framing=Framing(cut_after=-60, stall=True))
    with ScriptedModel([half, Reply(text="hello")]) as model:
        address = web(model)
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request("POST", "/", "hm?")
        while not model.requests:
            pass
        connection.close()
        # The model server sees its own connection end: the agent is at rest.
        assert model.gone.acquire(timeout=30)
        assert ask(address, "hm?")[1]["answer"] == "hello"
