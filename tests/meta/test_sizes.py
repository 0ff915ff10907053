"""Files that fit a head: 500 lines at most, unless a reason is given here."""

from __future__ import annotations

import ast

from meta import project

LIMIT = 500
FUNCTION_LIMIT = 80
# path: why it may be longer
LONGER: dict[str, str] = {
    "python/agentos/kernel.py": "the one façade: every call of the kernel in one place, half docstrings",
    "python/agentos/messages.py": "mirrors the vocabulary of rust/abi, one flat list of declarations",
}


def test_no_file_is_longer_than_the_limit() -> None:
    long = {
        str(path.relative_to(project.ROOT)): lines
        for path in project.tracked(".py", ".pyi", ".rs", ".sh", ".sql", ".md")
        if (lines := len(path.read_text().splitlines())) > LIMIT
    }
    assert {name: lines for name, lines in long.items() if name not in LONGER} == {}


def test_functions_fit_a_screen() -> None:
    long = []
    for path in project.tracked(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LIMIT:
                    long.append(
                        f"{path.relative_to(project.ROOT)}:{node.lineno}: {node.name} has {lines} lines"
                    )
    assert long == []


def test_no_file_is_a_drawer() -> None:
    drawers = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"}
    assert [
        str(path.relative_to(project.ROOT))
        for path in project.tracked(".py", ".rs")
        if drawers & set(path.stem.lower().split("_"))
    ] == []
