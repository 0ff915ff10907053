"""The file tools on real folders: what they do, and how they fail towards the model."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from agentos.messages import AnyScope, ReadAction, WriteAction
from agentos.tools.failure import ToolFailure
from agentos.tools.files import opened_folder, read_bytes, write_bytes
from agentos.tools.names import quote, unquote
from agentos.tools.output import LIMIT, Tail, bounded
from agentos.tools.tool import Place, Tool
from agentos.tools.toolset import TOOLS


async def no_shell(command: str, timeout: float, mandate: list[AnyScope]) -> str:
    raise AssertionError("no command is run here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def call(root: Path, name: str, **arguments: Any) -> str:
    tool: Tool = msgspec.convert(arguments, TOOLS[name])
    return trio.run(tool.perform, Place(root=str(root), shell=no_shell))


def wanted(root: Path, name: str, **arguments: Any) -> Any:
    tool: Tool = msgspec.convert(arguments, TOOLS[name])
    return tool.action(Place(root=str(root), shell=no_shell))


def test_read_numbers_lines_and_says_what_it_left_out(root: Path) -> None:
    (root / "a").write_text("one\ntwo\nthree\nfour\n")
    assert call(root, "read", path="a", first=2, count=2) == "2\ttwo\n3\tthree\n(1 more lines)"


@pytest.mark.parametrize("content", [b"", b"\n", b"no newline"])
def test_read_takes_files_of_any_ending(root: Path, content: bytes) -> None:
    (root / "a").write_bytes(content)
    assert call(root, "read", path="a") in ("(a is empty)", "1\t", "1\tno newline")


def test_read_refuses_what_is_no_text_or_no_file(root: Path) -> None:
    (root / "binary").write_bytes(b"\x7fELF\0")
    os.mkfifo(root / "pipe")
    refusals = {"binary": "not text", "pipe": "not a file", ".": "is a directory", "x": "no such"}
    for path, reason in refusals.items():
        with pytest.raises(ToolFailure, match=reason):
            call(root, "read", path=path)


def test_write_keeps_the_mode_and_makes_folders(root: Path) -> None:
    (root / "run").write_text("old")
    (root / "run").chmod(0o751)
    assert call(root, "write", path="run", content="new") == "replaced run (3 bytes)"
    assert call(root, "write", path="a/b/c", content="") == "created a/b/c (0 bytes)"
    assert (root / "run").stat().st_mode & 0o777 == 0o751
    assert sorted(path.name for path in root.iterdir()) == ["a", "run"]


def test_edit_replaces_exactly_once_unless_told_otherwise(root: Path) -> None:
    (root / "a").write_bytes(b"x = 1\r\ny = \xff\r\nx = 1\r\n")
    with pytest.raises(ToolFailure, match="occurs 2 times"):
        call(root, "edit", path="a", old="x = 1", new="x = 2")
    with pytest.raises(ToolFailure, match="does not occur"):
        call(root, "edit", path="a", old="z", new="")
    assert call(root, "edit", path="a", old="x = 1", new="x = 2", all=True) == "replaced 2 occurrences in a"
    call(root, "edit", path="a", old="x = 2\ny", new="w\ny")
    assert (root / "a").read_bytes() == b"w\r\ny = \xff\r\nx = 2\r\n"


def test_list_shows_folders_and_matches_below(root: Path) -> None:
    for name in ("b.py", "src/a.py", "src/deep/c.py", "src/d.txt", ".git/e.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    assert call(root, "list") == ".git/\nb.py\nsrc/"
    assert call(root, "list", pattern="**/*.py") == "b.py\nsrc/a.py\nsrc/deep/c.py"
    assert call(root, "list", path="src", pattern="*.py") == "a.py\ndeep/c.py"
    assert call(root, "list", pattern="*.c") == "(nothing matches)"


def test_search_gives_path_line_and_text(root: Path) -> None:
    (root / "src").mkdir()
    (root / "src/a.py").write_text("import os\n\nIMPORT = 1\n")
    (root / "b.txt").write_text("import x\n")
    assert call(root, "search", pattern="^import") == "b.txt:1:import x\nsrc/a.py:1:import os"
    assert call(root, "search", pattern="import", path="src", ignore_case=True) == (
        "a.py:1:import os\na.py:3:IMPORT = 1"
    )
    assert call(root, "search", pattern="import", path="b.txt") == "b.txt:1:import x"
    assert call(root, "search", pattern="nowhere", files="*.py") == "(nothing found)"


def test_search_reports_a_broken_pattern(root: Path) -> None:
    with pytest.raises(ToolFailure, match="unterminated"):
        call(root, "search", pattern="[")


def test_search_ends_a_pattern_that_never_would(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").write_text("a" * 64 + "!")
    monkeypatch.setattr("agentos.tools.search.SECONDS", 0.5)
    with pytest.raises(ToolFailure, match="no answer within"):
        call(root, "search", pattern="(a|aa)+$")


NAMES = ["a b", "-rf", "tab\there", 'quo"te', "back\\slash", "é", os.fsdecode(b"\xff\n")]


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_is_listed_and_read_back(root: Path, name: str) -> None:
    (root / name).write_text("found\n")
    shown = call(root, "list")
    shown.encode()  # what goes to a model is text
    assert unquote(shown) == name
    assert call(root, "read", path=shown) == "1\tfound"
    wanted(root, "read", path=shown).path.encode()


def test_quoted_names_follow_git() -> None:
    assert quote("plain é") == "plain é"
    assert quote(os.fsdecode(b"a\xff\tb")) == '"a\\377\\tb"'


def test_the_kernel_is_asked_for_where_a_path_really_leads(root: Path) -> None:
    outside = root.parent / "outside"
    outside.write_text("secret")
    (root / "link").symlink_to(outside)
    (root / "folder").symlink_to("..")
    (root / "loop").symlink_to("loop")
    for path in ("../outside", str(outside), "link", "folder/outside", "folder/workspace/../outside"):
        assert wanted(root, "read", path=path) == ReadAction(path=str(outside))
        assert wanted(root, "write", path=path, content="") == WriteAction(path=str(outside))
    with pytest.raises(ToolFailure):
        call(root, "read", path="loop")
    with pytest.raises(ToolFailure, match="NUL"):
        wanted(root, "read", path="a\0b")


def test_a_repositorys_own_data_is_not_writable(root: Path) -> None:
    (root / "alias").symlink_to(".git")
    for path in (".git/hooks/pre-commit", "sub/.git/config", ".git", "alias/config"):
        with pytest.raises(ToolFailure, match="belongs to git"):
            wanted(root, "write", path=path, content="")
        with pytest.raises(ToolFailure, match="belongs to git"):
            wanted(root, "edit", path=path, old="a", new="b")


def test_a_link_put_in_after_the_decision_is_not_followed(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root.parent / "outside/file").write_text("secret")
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "file").symlink_to(root.parent / "outside/file")
    for path in (root / "folder/file", root / "file"):
        with pytest.raises(ToolFailure):
            read_bytes(str(path))
    with pytest.raises(ToolFailure):
        write_bytes(str(root / "folder/file"), b"")
    with pytest.raises(ToolFailure):
        write_bytes(str(root / "file"), b"")
    assert (root.parent / "outside/file").read_text() == "secret"


def test_a_folder_swapped_for_a_link_all_the_time_never_leads_outside(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "d").mkdir()
            (root / "d").rename(root / "gone")
            (root / "d").symlink_to(outside)
            (root / "d").unlink()
            for path in (root / "gone").iterdir():
                path.unlink()
            (root / "gone").rmdir()

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        for _ in range(300):
            try:
                with opened_folder(str(root / "d")) as folder:
                    assert os.fstat(folder).st_ino != outside.stat().st_ino
            except ToolFailure:
                pass
    finally:
        stop.set()
        attacker.join()


def test_arguments_are_checked_by_their_types() -> None:
    for arguments in ({}, {"path": 1}, {"path": "a", "first": 0}, {"path": "a", "extra": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(arguments, TOOLS["read"])


def test_long_output_keeps_its_beginning_and_end() -> None:
    text = "a" * LIMIT + "MIDDLE" + "z" * LIMIT
    short = bounded(text)
    assert len(short) < LIMIT + 100 and short.startswith("aaa") and short.endswith("zzz")
    assert "30006 characters left out" in short


def test_a_stream_is_kept_in_bounded_memory() -> None:
    tail = Tail(300)
    for number in range(10_000):
        tail.add(f"{number:05d}\n".encode())
    text = tail.text()
    assert text.startswith("00000\n") and text.endswith("09999\n")
    assert "[… 59700 bytes left out …]" in text
