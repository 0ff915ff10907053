"""Names of files: their text form and back, and what a plan may name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentos.batch import paths
from agentos.errors import UsageError


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"src/a.py", "src/a.py"),
        (b"with space", "with space"),
        ("grün/ß.txt".encode(), "grün/ß.txt"),
        (b"caf\xe9", r'"caf\351"'),
        (b"two\nlines", r'"two\nlines"'),
        (b'a"b\\c', r'"a\"b\\c"'),
        (b"-rf", "-rf"),
    ],
)
def test_a_path_has_one_text_form(path: bytes, text: str) -> None:
    assert paths.quote(path) == text
    assert paths.unquote(text) == path


@given(st.binary(min_size=1).filter(lambda path: b"\0" not in path))
def test_every_path_is_read_back(path: bytes) -> None:
    assert paths.unquote(paths.quote(path)) == path


@pytest.mark.parametrize("text", [r'"\x41"', r'"\9"', r'"a"b"', '"\\"'])
def test_a_broken_quoted_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a quoted path"):
        paths.unquote(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/etc/passwd", "absolute"),
        ("../up", "leaves the repository"),
        ("a/../../b", "leaves the repository"),
        ("a/..", "leaves the repository"),
        (r'"\056./up"', "leaves the repository"),
        (".git/config", r"names a `\.git`"),
        ("sub/.GIT/hooks", r"names a `\.git`"),
        ("", "empty"),
        ('""', "empty"),
        ("a\0b", "zero byte"),
    ],
)
def test_a_plan_names_nothing_outside_the_repository(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        paths.parse(text, where="plan.yaml:3")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("./a//b/", b"a/b/"),
        ("a/./b", b"a/b"),
        ("./", b"./"),
        (".", b"./"),
        (".gitignore", b".gitignore"),
        ("a/.", b"a/"),
        ("..a", b"..a"),
    ],
)
def test_a_plans_path_is_normalised(text: str, path: bytes) -> None:
    assert paths.parse(text) == path


@pytest.mark.parametrize(
    ("scope", "path", "inside"),
    [
        (b"src/", b"src/a.py", True),
        (b"src", b"src/a.py", True),
        (b"src/", b"src", True),
        (b"src/", b"srcs/a.py", False),
        (b"src/a", b"src/ab", False),
        (b"./", b"anything/at/all", True),
    ],
)
def test_a_folder_covers_what_lies_in_it(scope: bytes, path: bytes, inside: bool) -> None:
    assert paths.covers(scope, path) is inside
