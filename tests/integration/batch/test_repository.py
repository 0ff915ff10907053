"""The user's repository in all the states that it can be in."""

from __future__ import annotations

from pathlib import Path

import pytest

import repositories
from agentos.batch.repository import RefMoved, RefUpdate, Repository
from agentos.errors import UsageError

ENVIRONMENT = repositories.ENVIRONMENT


def test_a_bare_repository_is_bad_input(tmp_path: Path) -> None:
    repositories.make(tmp_path / "bare", None, "--bare")
    with pytest.raises(UsageError, match="is bare"):
        Repository.open(tmp_path / "bare", ENVIRONMENT)


def test_a_repository_without_a_commit_is_bad_input(tmp_path: Path) -> None:
    repositories.make(tmp_path / "empty")
    with pytest.raises(UsageError, match="no commit yet"):
        Repository.open(tmp_path / "empty", ENVIRONMENT)


def test_a_folder_that_is_no_repository_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        Repository.open(tmp_path, ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    with pytest.raises(UsageError, match="no such folder"):
        Repository.open(tmp_path / "nowhere", ENVIRONMENT)


def test_the_git_folder_itself_is_bad_input(checkout: repositories.Checkout) -> None:
    with pytest.raises(UsageError, match="not its checkout"):
        Repository.open(checkout.top / ".git", ENVIRONMENT)


def test_a_base_is_a_commit(checkout: repositories.Checkout) -> None:
    repository = Repository.open(checkout.top / "src", ENVIRONMENT)
    head = checkout.git("rev-parse", "HEAD")
    checkout.git("tag", "-a", "v1", "-m", "first")
    assert {repository.resolve(name) for name in ("HEAD", "main", "v1", head[:10])} == {head}
    for nothing in ("nowhere", "--all", "HEAD:README.md", "HEAD~5", ""):
        with pytest.raises(UsageError, match="names no commit"):
            repository.resolve(nothing)


def test_a_shallow_clone_says_what_it_lacks(checkout: repositories.Checkout, tmp_path: Path) -> None:
    checkout.commit("second", {"README.md": "more"})
    checkout.git("clone", "--quiet", "--depth=1", f"file://{checkout.top}", str(tmp_path / "shallow"))
    repository = Repository.open(tmp_path / "shallow", ENVIRONMENT)
    assert repository.shallow
    with pytest.raises(UsageError) as caught:
        repository.resolve("HEAD~1")
    assert "--unshallow" in str(caught.value.hint)


def test_a_linked_work_tree_shares_refs(checkout: repositories.Checkout, tmp_path: Path) -> None:
    checkout.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    repository = Repository.open(tmp_path / "linked", ENVIRONMENT)
    assert repository.top == tmp_path / "linked"
    assert repository.common_dir == checkout.top / ".git"
    assert repository.checkouts() == {"refs/heads/main": checkout.top, "refs/heads/side": repository.top}


def test_commits_carry_the_users_name(checkout: repositories.Checkout) -> None:
    repository = Repository.open(checkout.top, ENVIRONMENT)
    assert repository.identity(ENVIRONMENT).author == "Ada Person"
    named = repository.identity(ENVIRONMENT | {"GIT_COMMITTER_NAME": "Robot"})
    assert (named.author, named.committer) == ("Ada Person", "Robot")


def test_a_nameless_user_is_told_how_to_get_a_name(checkout: repositories.Checkout) -> None:
    checkout.git("config", "--unset", "user.name")
    checkout.git("config", "user.useConfigOnly", "true")
    with pytest.raises(UsageError) as caught:
        Repository.open(checkout.top, ENVIRONMENT).identity(ENVIRONMENT)
    assert "user.name" in str(caught.value.hint)


def test_a_branch_in_the_way_is_refused(checkout: repositories.Checkout) -> None:
    repository = Repository.open(checkout.top, ENVIRONMENT)
    repository.refuse_branches_in_the_way("b-1")
    checkout.git("branch", "agentos")
    with pytest.raises(UsageError, match="a branch called `agentos`"):
        repository.refuse_branches_in_the_way("b-1")


def test_refs_move_together_and_only_from_where_they_were(checkout: repositories.Checkout) -> None:
    repository = Repository.open(checkout.top, ENVIRONMENT)
    first = repository.resolve()
    second = checkout.commit("second")
    one, two = "refs/heads/agentos/b/one", "refs/heads/agentos/b/two"
    repository.update([RefUpdate(name=one, new=first, old=None)], "test")
    repository.update([RefUpdate(name=one, new=first, old=None)], "a repeat is fine")
    with pytest.raises(RefMoved, match="moved by somebody else"):
        repository.update(
            [RefUpdate(name=two, new=second, old=None), RefUpdate(name=one, new=second, old=second)], "test"
        )
    assert repository.refs("refs/heads/agentos/") == {one: first}
    repository.update([RefUpdate(name=one, new=None, old=first)], "gone")
    assert repository.refs("refs/heads/agentos/") == {}
