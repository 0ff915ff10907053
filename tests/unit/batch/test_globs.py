"""Globs over names in a tree."""

from __future__ import annotations

import pytest

from agentos.batch.globs import compile_glob
from agentos.errors import UsageError


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        (b"src/*.py", [b"src/a.py"], [b"src/b/a.py", b"src/.a.py", b"a.py", b"src/a.pyc"]),
        (b"src/**/*.py", [b"src/a.py", b"src/b/c/a.py"], [b"src/.venv/a.py", b"lib/a.py"]),
        (b"**/*", [b"a", b"b/c"], [b".a", b"b/.c"]),
        (b"src/**", [b"src/a", b"src/b/c"], [b"src", b"other/a"]),
        (b"a?c", [b"abc", b"a\xe9c"], [b"ac", b"a/c"]),
        (b"[a-c]x", [b"ax", b"cx"], [b"dx", b"x"]),
        (b"[!a]x", [b"bx"], [b"ax", b"/x"]),
        (b"*.{ts,tsx}", [b"a.ts", b"a.tsx"], [b"a.t", b"a.js"]),
        (b".github/*", [b".github/x"], [b"github/x"]),
        (b"a.c", [b"a.c"], [b"abc"]),
        (rb"\*", [b"*"], [b"a"]),
        (b"[x", [b"[x"], [b"x"]),
    ],
)
def test_a_glob_matches_as_in_a_shell(glob: bytes, matching: list[bytes], other: list[bytes]) -> None:
    pattern = compile_glob(glob)
    assert [path for path in matching if not pattern.fullmatch(path)] == []
    assert [path for path in other if pattern.fullmatch(path)] == []


def test_braces_that_multiply_are_refused() -> None:
    with pytest.raises(UsageError, match="too many"):
        compile_glob(b"{a,b}" * 20)
