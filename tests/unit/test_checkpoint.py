"""Checkpoints of real folders, and taking a run's changes back."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.runtime.checkpoint import RACY_NS, look, save_checkpoint
from agentos.runtime.manifest import Item, Manifest, load, save
from agentos.runtime.undo import plan_undo, restore

ODD = os.fsdecode(b"odd \xff\n")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "src/deep").mkdir(parents=True)
    (root / "empty").mkdir(mode=0o700)
    (root / "src/a.py").write_text("a = 1\n")
    (root / "src/deep/b.py").write_text("b = 2\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o740)
    (root / "link").symlink_to("src/a.py")
    (root / ODD).write_bytes(b"\0\xff")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def picture(root: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below `root`: mode and content."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(root))] = (status.st_mode, content)
    return found


def devastate(root: Path) -> None:
    """What a thorough agent might do."""
    (root / "src/a.py").write_text("a = 2\n")
    (root / "run").chmod(0o777)
    (root / "link").unlink()
    (root / "link").mkdir()
    (root / "link/inside").write_text("new")
    shutil.rmtree(root / "src/deep")
    (root / "src/deep").write_text("a file now")
    (root / "empty").rmdir()
    (root / ODD).unlink()
    (root / "made/up").mkdir(parents=True)
    (root / "made/up/file").write_text("new")


def undo(before: Manifest, after: Manifest, root: Path, store: Path) -> list[str]:
    now = look(str(root), before)
    return restore(before, now, plan_undo(before, after, now).restore, store)


def test_undo_restores_content_modes_links_and_deletions(workspace: Path, store: Path) -> None:
    before_picture = picture(workspace)
    before = save_checkpoint(str(workspace), store, "one", None)
    devastate(workspace)
    after = look(str(workspace), before)
    assert picture(workspace) != before_picture
    assert undo(before, after, workspace, store) == []
    assert picture(workspace) == before_picture
    assert undo(before, after, workspace, store) == []  # once more changes nothing
    assert picture(workspace) == before_picture


def test_undo_leaves_what_the_run_did_not_change(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    (workspace / "src/a.py").write_text("by the run")
    after = look(str(workspace), before)
    (workspace / "run").write_text("by the user")
    (workspace / "notes").write_text("by the user")
    undo(before, after, workspace, store)
    assert (workspace / "src/a.py").read_text() == "a = 1\n"
    assert (workspace / "run").read_text() == (workspace / "notes").read_text() == "by the user"


def test_what_both_changed_is_a_conflict(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    (workspace / "src/a.py").write_text("by the run")
    (workspace / "run").write_text("by the run")
    after = look(str(workspace), before)
    (workspace / "src/a.py").write_text("by the user")
    plan = plan_undo(before, after, look(str(workspace), before))
    assert plan.conflicts == (b"src/a.py",)
    assert plan.restore == (b"run", b"src/a.py")


def test_a_new_folder_with_something_of_the_users_stays(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    (workspace / "made").mkdir()
    (workspace / "made/run").write_text("by the run")
    after = look(str(workspace), before)
    (workspace / "made/user").write_text("by the user")
    assert undo(before, after, workspace, store) == ["made/"]
    assert [path.name for path in (workspace / "made").iterdir()] == ["user"]


def test_a_second_checkpoint_stores_only_what_changed(workspace: Path, store: Path) -> None:
    first = save_checkpoint(str(workspace), store, "one", None)
    settled = Manifest(folder=first.folder, started_ns=first.started_ns + 2 * RACY_NS, items=first.items)
    (workspace / "src/a.py").write_text("changed and longer\n")
    second = save_checkpoint(str(workspace), store, "two", settled)
    assert second.items[b"run"].pack == "one.pack"
    assert (store / "two.pack").read_bytes() == b"changed and longer\n"
    (store / "one.pack").unlink()
    third = save_checkpoint(str(workspace), store, "three", second)
    assert {item.pack for item in third.items.values() if item.kind == "file"} <= {"two.pack", "three.pack"}


def test_a_change_right_after_a_checkpoint_is_not_taken_for_none(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    path = workspace / "src/a.py"
    status = path.stat()
    path.write_text("a = 9\n")  # of the same size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert before.changed_files(look(str(workspace), before)) == [b"src/a.py"]


@pytest.mark.needs("git")
def test_git_ignored_folders_are_left_out_and_git_notices_nothing(workspace: Path, store: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(workspace), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (workspace / ".gitignore").write_text("build/\n*.log\n")
    git("add", ".gitignore")
    git("commit", "-qm", "first")
    (workspace / "build").mkdir()
    (workspace / "build/output").write_text("large")
    (workspace / "run.log").write_text("ignored, and kept")
    repository = picture(workspace / ".git")
    before = save_checkpoint(str(workspace), store, "one", None)
    (workspace / "run.log").unlink()
    (workspace / "build/output").write_text("rebuilt")
    after = look(str(workspace), before)
    assert before.changes(after) == [b"run.log"]
    undo(before, after, workspace, store)
    assert (workspace / "run.log").read_text() == "ignored, and kept"
    assert (workspace / "build/output").read_text() == "rebuilt"
    assert before.left_out == (b"build",)
    assert picture(workspace / ".git") == repository


@pytest.mark.needs("git")
def test_a_repository_cannot_make_the_checkpoint_run_something(workspace: Path, store: Path) -> None:
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)
    trap = workspace / "trap"
    trap.write_text("#!/bin/sh\ntouch sprung\n")
    trap.chmod(0o755)
    config = workspace / ".git/config"
    config.write_text(config.read_text() + f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {workspace}\n")
    save_checkpoint(str(workspace), store, "one", None)
    assert not list(workspace.rglob("sprung"))


def test_special_files_are_passed_over(workspace: Path, store: Path) -> None:
    os.mkfifo(workspace / "pipe")
    before = save_checkpoint(str(workspace), store, "one", None)
    assert b"pipe" not in before.items


def test_manifests_are_checked_by_their_digest(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    digest = save(before, store / "one.before")
    assert load(store / "one.before", digest) == before
    assert stat.S_IMODE((store / "one.before").stat().st_mode) == 0o600
    with (store / "one.before").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Failed, match="damaged"):
        load(store / "one.before", digest)
    with pytest.raises(Failed, match="cannot be read"):
        load(store / "two.before", digest)


def test_a_damaged_pack_is_found_before_anything_is_touched(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    devastate(workspace)
    after = look(str(workspace), before)
    (store / "one.pack").write_bytes(b"?" * (store / "one.pack").stat().st_size)
    ruins = picture(workspace)
    with pytest.raises(Failed, match="damaged"):
        undo(before, after, workspace, store)
    assert picture(workspace) == ruins


def test_undo_follows_no_link_out_of_the_workspace(workspace: Path, store: Path) -> None:
    before = save_checkpoint(str(workspace), store, "one", None)
    (workspace / "src/a.py").write_text("changed")
    after = look(str(workspace), before)
    now = look(str(workspace), before)
    outside = workspace.parent / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("the user's")
    (workspace / "src").rename(workspace / "moved")
    (workspace / "src").symlink_to(outside)
    with pytest.raises(Exception, match="folders alone"):
        restore(before, now, plan_undo(before, after, now).restore, store)
    assert (outside / "a.py").read_text() == "the user's"


def test_items_compare_by_content_and_mode() -> None:
    one = Item("file", 0o644, b"d", "pack", 3, 4, 5, 6, 7)
    assert one.same(Item("file", 0o644, b"d"))
    assert not one.same(Item("file", 0o600, b"d"))
    assert not one.same(None)
