"""The examples of docs/embedding.md run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.command import Command

from agentos.testing import Reply, Request, ScriptedModel, ToolCall, tool_results

PAGE = Path(__file__).parents[2] / "docs" / "embedding.md"
OPEN, TOOLS, TEST = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)

USE = """
with agentos.blocking.open(None) as system:
    print(shop(system).run("buy tea").text)
"""


def run(home: Command, program: str, model: ScriptedModel) -> str:
    home.environment |= {"AGENTOS_MODEL": "claude-sonnet-4-5", **model.environment()}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=home.cwd,
        env=home._environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_fits_a_sitting() -> None:
    assert len(PAGE.read_text().splitlines()) <= 120


def test_the_first_example(home: Command) -> None:
    (home.cwd / "src").mkdir()
    (home.cwd / "src" / "a.py").write_text("def f(): ...\n")
    script = [Reply(tool_calls=[ToolCall("1", "read", {"path": "src/a.py"})]), Reply(text="f is dead")]
    with ScriptedModel(script) as model:
        assert run(home, OPEN, model) == "f is dead 0.00021\n"
        assert "def f()" in tool_results(model.requests[1])[0]


def test_the_functions(home: Command) -> None:
    def script(request: Request) -> Reply:
        steps = [
            ("stock", {"item": "tea"}),
            ("order", {"item": "tea"}),
            ("order", {"item": "tea", "count": 2}),
        ]
        if request.number < len(steps):
            name, arguments = steps[request.number]
            return Reply(tool_calls=[ToolCall(f"{request.number}", name, arguments)])
        return Reply(text="bought")

    with ScriptedModel(script) as model:
        assert run(home, TOOLS + USE, model) == "bought\n"
        found = tool_results(model.requests[-1])
    assert found[:2] == ["3", '{"order":17}']
    assert "denied by the kernel" in found[2]


def test_the_test(home: Command) -> None:
    with ScriptedModel() as model:
        run(home, TEST, model)
        assert model.requests == []
