"""What an agent can leave in its workspace, and what a repository's own configuration can name: none of it
runs a command or reaches beyond the change set."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import repositories
from agentos.batch import changeset, delivery, merge
from agentos.batch.checkout import fast_forward
from agentos.batch.private import PrivateRepository
from agentos.batch.repository import RefUpdate
from agentos.batch.workspace import Workspace
from agentos.printable import printable

from .conftest import Trap, open_private

Prepare = Callable[[], Workspace]


def _arm(place: repositories.Checkout, trap: Trap) -> None:
    """Every setting by which git runs a command, pointed at the trap."""
    for key in (
        "core.fsmonitor", "core.editor", "core.pager", "core.sshCommand", "core.gitProxy",
        "filter.trap.clean", "filter.trap.smudge", "filter.trap.process",
        "diff.trap.command", "diff.trap.textconv", "diff.external", "merge.trap.driver",
        "gpg.program", "credential.helper", "sequence.editor", "interactive.diffFilter",
    ):  # fmt: skip
        place.git("config", key, str(trap.command))
    place.git("config", "commit.gpgSign", "true")
    hooks = place.top / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in (
        "pre-commit", "post-commit", "commit-msg", "prepare-commit-msg", "reference-transaction",
        "post-checkout", "post-merge", "post-index-change", "update", "pre-auto-gc", "fsmonitor-watchman",
    ):  # fmt: skip
        shutil.copy(trap.command, hooks / hook)


ATTRIBUTES = "* filter=trap diff=trap merge=trap text=auto\n"


def test_no_command_of_the_repositorys_configuration_runs(
    checkout: repositories.Checkout, trap: Trap, tmp_path: Path
) -> None:
    checkout.commit("attributes", {".gitattributes": ATTRIBUTES})
    _arm(checkout, trap)
    private = open_private(checkout, tmp_path)
    repository, base = private.repository, private.repository.resolve()
    identity = repository.identity(repositories.ENVIRONMENT)
    taken = []
    for number, folder in enumerate(("a", "b")):
        workspace = Workspace.prepare(private, tmp_path / "home" / folder, base)
        (workspace.tree / "src" / folder / ".gitattributes").write_text(ATTRIBUTES)
        (workspace.tree / "README.md").write_text(f"changed by {folder}\n")
        found = changeset.capture(workspace)
        sha = delivery.commit(private, found.tree, [base], "unit", identity, number)
        delivery.put_branch(repository, delivery.branch_of("b", folder), sha, None, "test")
        delivery.salvage(repository, "b", folder, 1, sha)
        assert delivery.patch(private, sha).startswith(b"From ")
        assert b"changed by" in delivery.diff(private, base, sha)
        taken.append(merge.Candidate(unit=folder, title=folder, commit=sha))
    assert not merge.conflicts(private, base, taken)[0].merges
    assert not trap.sprung


def test_moving_a_checked_out_branch_runs_nothing(
    checkout: repositories.Checkout, trap: Trap, tmp_path: Path
) -> None:
    private = open_private(checkout, tmp_path)
    base = private.repository.resolve()
    workspace = Workspace.prepare(private, tmp_path / "home" / "unit", base)
    (workspace.tree / "README.md").write_text("changed\n")
    identity = private.repository.identity(repositories.ENVIRONMENT)
    sha = delivery.commit(private, changeset.capture(workspace).tree, [base], "unit", identity, 0)
    _arm(checkout, trap)

    fast_forward(private, "main", sha, "agentos/b/merged")
    assert not trap.sprung
    assert (checkout.top / "README.md").read_text() == "changed\n"


@pytest.mark.parametrize("place", [".git", "src/a/.git", "src/new/.GIT", "src/b/.git"])
def test_a_planted_repository_is_refused_and_never_read(place: str, prepare: Prepare, trap: Trap) -> None:
    workspace = prepare()
    folder = workspace.tree / place
    folder.parent.mkdir(exist_ok=True)
    planted = repositories.make(folder.parent / "planted", {"x": "x"})
    _arm(planted, trap)
    shutil.move(planted.top / ".git", folder)
    found = changeset.capture(workspace)
    assert [refusal.path for refusal in found.refused] == [place.encode()]
    assert not trap.sprung
    assert not folder.exists()
    assert {change.mode for change in found.changes} <= {"100644"}
    assert changeset.out_of_scope(found, [b"./"]) == list(found.refused)


def test_a_git_file_that_points_elsewhere_is_refused(
    prepare: Prepare, trap: Trap, checkout: repositories.Checkout
) -> None:
    workspace = prepare()
    _arm(checkout, trap)
    (workspace.tree / ".git").write_text(f"gitdir: {checkout.top / '.git'}\n")
    (workspace.tree / "src" / "a" / ".git").symlink_to(checkout.top / ".git")
    found = changeset.capture(workspace)
    assert [refusal.path for refusal in found.refused] == [b".git", b"src/a/.git"]
    assert (checkout.top / ".git" / "HEAD").exists()
    assert not trap.sprung and not found.changes


def test_a_repository_in_an_ignored_folder_is_left_alone(prepare: Prepare) -> None:
    workspace = prepare()
    repositories.make(workspace.tree / "node_modules" / "package", {"x": "x"})
    found = changeset.capture(workspace)
    assert found.empty
    assert (workspace.tree / "node_modules" / "package" / ".git").exists()


def test_a_repository_that_set_up_made_may_stay(prepare: Prepare) -> None:
    workspace = prepare()
    repositories.make(workspace.tree, {})
    workspace.snapshot()
    assert changeset.capture(workspace).empty


def test_a_link_in_place_of_a_folder_stays_a_link(prepare: Prepare, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "one.py").write_text("secret")
    workspace = prepare()
    shutil.rmtree(workspace.tree / "src" / "a")
    (workspace.tree / "src" / "a").symlink_to(outside)
    found = changeset.capture(workspace)
    assert {(change.path, change.mode) for change in found.changes} == {
        (b"src/a", "120000"), (b"src/a/one.py", None),
    }  # fmt: skip
    verification = prepare()
    verification.apply(found.workspace_tree)
    assert (verification.tree / "src" / "a").is_symlink()
    assert (outside / "one.py").read_text() == "secret"


def test_a_unit_writes_through_no_link_of_the_base(checkout: repositories.Checkout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (checkout.top / "link").symlink_to(outside)
    checkout.commit("a link", {".gitignore": "inside.txt\n"})
    private = open_private(checkout, tmp_path)
    base = private.repository.resolve()
    (checkout.top / "link").unlink()
    (checkout.top / "link").mkdir()
    (checkout.top / "link" / "inside.txt").write_text("copied")
    workspace = Workspace.prepare(private, tmp_path / "home" / "u", base, include=[b"link/inside.txt"])
    assert workspace.included == ()
    assert list(outside.iterdir()) == []


def test_an_ignore_rule_cannot_be_smuggled_past_tracked_files(prepare: Prepare) -> None:
    workspace = prepare()
    (workspace.tree / ".gitignore").write_text("*\n")
    (workspace.tree / "src" / "b" / "two.py").write_text("changed\n")
    found = changeset.capture(workspace)
    assert [change.path for change in found.changes] == [b".gitignore", b"src/b/two.py"]


def test_an_included_file_never_lands_even_when_it_is_no_longer_ignored(
    checkout: repositories.Checkout, private: PrivateRepository, tmp_path: Path
) -> None:
    checkout.write({".env": "TOKEN=1"})
    base = private.repository.resolve()
    workspace = Workspace.prepare(private, tmp_path / "home" / "u", base, include=[b".env"])
    assert (workspace.tree / ".env").read_text() == "TOKEN=1"
    (workspace.tree / ".gitignore").write_text("")
    assert [change.path for change in changeset.capture(workspace).changes] == [b".gitignore"]


def test_a_change_is_seen_whatever_times_a_file_claims(prepare: Prepare) -> None:
    workspace = prepare()
    file = workspace.tree / "src" / "a" / "one.py"
    before = file.stat()
    file.write_text("two\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [change.path for change in changeset.capture(workspace).changes] == [b"src/a/one.py"]


def test_what_cannot_be_read_or_is_no_file_disturbs_nothing(prepare: Prepare) -> None:
    workspace = prepare()
    (workspace.tree / "src" / "a" / "new").mkdir()
    (workspace.tree / "src" / "a" / "new" / "x").write_text("x")
    (workspace.tree / "src" / "a" / "new" / "x").chmod(0)
    (workspace.tree / "src" / "a" / "new").chmod(0)
    os.mkfifo(workspace.tree / "pipe")
    found = changeset.capture(workspace)
    assert [change.path for change in found.changes] == [b"src/a/new/x"]
    workspace.remove()
    assert not workspace.folder.exists()


def test_a_folder_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    from agentos.batch.removal import remove

    script = "import os\nfor _ in range(3000):\n os.mkdir('d' * 20)\n os.chdir('d' * 20)\n"
    (tmp_path / "deep").mkdir()
    subprocess.run(["python3", "-c", script], cwd=tmp_path / "deep", check=True)
    remove(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_a_patch_shows_no_control_sequence(prepare: Prepare, private: PrivateRepository) -> None:
    workspace = prepare()
    (workspace.tree / "README.md").write_text("\x1b]0;owned\x07 \u202egnp.exe\x9b2J\r\n")
    found = changeset.capture(workspace)
    shown = printable(delivery.diff(private, found.base, found.tree))
    assert "\\x1b]0;owned\\x07 \\u202egnp.exe\\x9b2J" in shown
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)


def test_a_ref_update_cannot_be_written_into(private: PrivateRepository) -> None:
    from agentos.errors import AgentOSError

    sha = private.repository.resolve()
    for name in ("refs/heads/a b", "refs/heads/../x", "refs/heads/a\0delete refs/heads/main"):
        with pytest.raises((AgentOSError, ValueError)):
            private.repository.update([RefUpdate(name=name, new=sha, old=None)], "test")
    assert private.repository.refs("refs/") == {"refs/heads/main": sha}
