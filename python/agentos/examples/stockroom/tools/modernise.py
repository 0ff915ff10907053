"""Bring Python files up to date: `python3 tools/modernise.py PATH…`, files or folders, changed in place.

What it rewrites: `class X(object)`, `super(X, self)`, `set([…])`, `dict(pairs)`, `"%s" % x`, `"{}".format(x)`, coding
cookies and `from __future__` lines that say nothing any more. A folder may bring rules of its own in
`codemod_rules.py`, which is loaded when the folder's turn comes.
"""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RULES = "codemod_rules.py"
COOKIE = re.compile(r"\A#.*coding[:=].*\n")
FUTURE = re.compile(r"^from __future__ import (?:print_function|unicode_literals|division|absolute_import)\n", re.M)
PERCENT = re.compile(r"%([sdr%])")
BRACES = re.compile(r"\{(\d*)(:[^{}]*)?\}")


@dataclass(frozen=True)
class Edit:
    """A piece of source and what stands in its place."""

    node: ast.AST
    text: str


def field(source: str, value: ast.expr, suffix: str = "") -> str | None:
    """`value` as a field of an f-string, or None where its source cannot stand in one."""
    text = ast.get_source_segment(source, value) or ""
    if not text or re.search(r"[\"'\\\n{}]", text):
        return None
    return "{" + text + suffix + "}"


def literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("{", "{{").replace("}", "}}")


def joined(pieces: list[str | None]) -> str | None:
    return None if None in pieces else 'f"' + "".join(piece or "" for piece in pieces) + '"'


def from_percent(source: str, template: str, right: ast.expr) -> str | None:
    values = iter(right.elts if isinstance(right, ast.Tuple) else [right])
    pieces: list[str | None] = []
    position = 0
    for match in PERCENT.finditer(template):
        pieces.append(literal(template[position : match.start()]))
        position = match.end()
        if match.group(1) == "%":
            pieces.append("%")
            continue
        value = next(values, None)
        pieces.append(field(source, value, "!r" if match.group(1) == "r" else "") if value else None)
    rest = template[position:]
    return None if "%" in rest or next(values, None) else joined([*pieces, literal(rest)])


def from_format(source: str, template: str, call: ast.Call) -> str | None:
    if call.keywords or any(isinstance(value, ast.Starred) for value in call.args):
        return None
    pieces: list[str | None] = []
    position = 0
    for number, match in enumerate(BRACES.finditer(template)):
        index = int(match.group(1) or number)
        pieces.append(literal(template[position : match.start()]))
        pieces.append(field(source, call.args[index], match.group(2) or "") if index < len(call.args) else None)
        position = match.end()
    rest = template[position:]
    return None if re.search(r"[{}]", rest) else joined([*pieces, literal(rest)])


def called(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def set_or_dict(source: str, call: ast.Call) -> str | None:
    """`set([…])` as `{…}`, `dict(pairs)` as `{key: value}`; None where the argument is something else."""
    (argument,) = call.args
    pairs = isinstance(call.func, ast.Name) and call.func.id == "dict"
    if isinstance(argument, ast.ListComp | ast.GeneratorExp):
        element = argument.elt
        if pairs and not (isinstance(element, ast.Tuple) and len(element.elts) == 2):
            return None
        loops = (ast.get_source_segment(source, argument) or "")[1:-1]
        start = ast.get_source_segment(source, element) or ""
        if isinstance(element, ast.Tuple):
            key, value = (ast.get_source_segment(source, part) for part in element.elts)
            return "{" + f"{key}: {value}" + loops.partition(start)[2] + "}" if pairs else "{" + loops + "}"
        return "{" + loops + "}"
    if isinstance(argument, ast.List) and argument.elts:
        if not pairs:
            return "{" + (ast.get_source_segment(source, argument) or "")[1:-1] + "}"
        if all(isinstance(pair, ast.Tuple) and len(pair.elts) == 2 for pair in argument.elts):
            parts = [[ast.get_source_segment(source, part) for part in pair.elts] for pair in argument.elts]
            return "{" + ", ".join(f"{key}: {value}" for key, value in parts) + "}"
    return None


def edits(source: str) -> Iterator[Edit]:
    """Everything that could be rewritten, innermost last."""
    for node in ast.walk(ast.parse(source)):
        text: str | None = None
        if isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["object"]:
            yield Edit(node.bases[0], "")
        elif called(node, "super") and len(node.args) == 2:
            text = "super()"
        elif (called(node, "set") or called(node, "dict")) and len(node.args) == 1 and not node.keywords:
            text = set_or_dict(source, node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
                text = from_percent(source, node.left.value, node.right)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            if isinstance(node.func.value, ast.Constant) and isinstance(node.func.value.value, str):
                text = from_format(source, node.func.value.value, node)
        if text is not None:
            yield Edit(node, text)


def applied(source: str, edit: Edit) -> str:
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: edit.node.lineno - 1])) + edit.node.col_offset
    end = sum(map(len, lines[: edit.node.end_lineno - 1])) + edit.node.end_col_offset
    raw = source.encode()
    return (raw[:start] + edit.text.encode() + raw[end:]).decode()


def modernised(source: str) -> str:
    source = FUTURE.sub("", COOKIE.sub("", source))
    while found := list(edits(source)):
        # One at a time, the innermost first: an edit moves everything after it.
        source = applied(source, found[-1])
    return re.sub(r"^(\s*class \w+)\(\):", r"\1:", source, flags=re.M)


def main(arguments: list[str]) -> int:
    for argument in map(Path, arguments):
        for path in sorted(argument.rglob("*.py")) if argument.is_dir() else [argument]:
            if (path.parent / RULES).is_file():
                runpy.run_path(str(path.parent / RULES))
            if path.name == RULES:
                continue
            before = path.read_text(encoding="utf-8")
            after = modernised(before)
            if after != before:
                path.write_text(after, encoding="utf-8")
                print(f"modernised {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
