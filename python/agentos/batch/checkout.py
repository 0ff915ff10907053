"""The one way in which a batch moves a branch of the user's: `merge --into`, fast-forward, and its undo.

A branch that is checked out is moved together with its index and files, and only where the checkout is
clean and nobody is in the middle of something; in all other cases a person gets the command to run.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from agentos.batch import git, paths
from agentos.batch.changeset import differences
from agentos.batch.private import PrivateRepository
from agentos.batch.repository import RefUpdate, Repository
from agentos.errors import Failed, NeedsPerson, UsageError

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "REBASE_HEAD": "a rebase",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisection",
}


def command_for(repository: Repository, branch: str) -> str:
    """The one command by which a person takes `branch` into what they have checked out."""
    return (
        f"git -C {shlex.quote(str(repository.top))} merge {shlex.quote(branch.removeprefix('refs/heads/'))}"
    )


def fast_forward(private: PrivateRepository, branch: str, target: str, take: str) -> str:
    """Moves the user's `branch` forward to the commit `target` and returns where it was before.

    `take` is the branch that holds `target`, for the command in messages. A repeat is fine.
    Raises: UsageError without such a branch; NeedsPerson where it is no fast-forward or the checkout is
    not clean, with the command that does it.
    """
    repository = private.repository
    name, old = require(repository, branch)
    command = command_for(repository, take)
    if private.run("merge-base", "--is-ancestor", old, target, accept=(0, 1)).code != 0:
        raise NeedsPerson(
            f"`{branch}` has moved on since the batch started, so this is no fast-forward",
            where=str(repository.top),
            hint=command,
        )
    move(private, name, old, target, command)
    return old


def move(private: PrivateRepository, name: str, old: str, new: str, command: str) -> None:
    """Moves the branch `name` (a full ref name) from `old` to `new`, its checkout with it if it has one.

    `command` is what a person can run instead.
    Raises: NeedsPerson where a checkout is in the way; RefMoved where the branch is not at `old`.
    """
    repository = private.repository
    with repository.locked():
        if old == new or repository.ref(name) == new:
            return
        folder = repository.checkouts().get(name)
        if folder is None:
            repository.update([RefUpdate(name=name, new=new, old=old)], "agentos: merge")
            return
        place = _place(folder, private)
        _refuse_unready(private, place, folder, old, new, command)
        if not _already_there(place, new):
            _read(place, old, new, folder, command)
        try:
            repository.update([RefUpdate(name=name, new=new, old=old)], "agentos: merge")
        except Failed:
            _read(place, new, old, folder, command)
            raise


def require(repository: Repository, branch: str) -> tuple[str, str]:
    """The full ref name of the user's branch `branch`, and its commit. Raises UsageError without one."""
    name = branch if branch.startswith("refs/heads/") else f"refs/heads/{branch}"
    commit = repository.ref(name)
    if commit is None:
        raise UsageError(
            f"there is no branch `{branch}`", where=str(repository.top), hint="`git branch` lists them"
        )
    return name, commit


def _place(folder: Path, private: PrivateRepository) -> git.Place:
    """Git's private folder over a user's checkout: their index and files, none of their configuration."""
    own = Repository.open(folder)
    return git.Place(
        git_dir=own.git_dir,
        work_tree=folder,
        index=own.git_dir / "index",
    )


def _refuse_unready(
    private: PrivateRepository, place: git.Place, folder: Path, old: str, new: str, command: str
) -> None:
    def needs(reason: str) -> NeedsPerson:
        return NeedsPerson(f"the checkout is left alone: {reason}", where=str(folder), hint=command)

    for name, what in _UNDER_WAY.items():
        if (place.git_dir / name).exists():
            raise needs(f"{what} is under way in it")
    if (place.git_dir / "index.lock").exists():
        raise needs("another git is at work in it (index.lock)")
    sparse = git.run(place, "config", "--type=bool", "--get", "core.sparseCheckout", accept=(0, 1)).out
    if sparse.strip() == b"true":
        raise needs("it is a sparse checkout")
    changed = [change.path for change in differences(private, old, new)]
    if filtered := _filtered(private, new, changed):
        raise needs(f"`{paths.quote(filtered)}` goes through a filter of yours, which is not run for you")
    status = git.run(
        place, *_without_filters(place), "status", "--porcelain", "-z",
        "--untracked-files=no", "--ignore-submodules=all",
    ).out  # fmt: skip
    if status and not _already_there(place, new):
        raise needs("it has changes that are not committed")


def _filtered(private: PrivateRepository, commit: str, changed: list[bytes]) -> bytes | None:
    """The first changed path that the commit's attributes send through a filter."""
    index = private.folder / f"attributes-{commit}.index"
    private.run("read-tree", commit, index=index)
    told = private.run(
        "check-attr", "--cached", "-z", "--stdin", "filter",
        index=index, stdin=b"".join(path + b"\0" for path in changed),
    ).out.split(b"\0")  # fmt: skip
    index.unlink(missing_ok=True)
    for path, value in zip(told[::3], told[2::3], strict=False):
        if value not in (b"unspecified", b"unset", b""):
            return path
    return None


def _without_filters(place: git.Place) -> list[str]:
    """Options that empty every filter which the repository's configuration defines."""
    filters = r"^filter\..*\.(clean|smudge|process|required)$"
    listed = git.run(
        place, "config", "-z", "--name-only", "--get-regexp", filters, accept=(0, 1),
    ).out.decode("utf-8", "surrogateescape")  # fmt: skip
    options = []
    for key in listed.split("\0"):
        if key:
            options += ["-c", f"{key}={'false' if key.endswith('.required') else ''}"]
    return options


def _already_there(place: git.Place, commit: str) -> bool:
    """Whether index and files are at `commit` already: an earlier move got that far and no further."""
    same_index = git.run(place, "diff-index", "--cached", "--quiet", commit, accept=(0, 1)).code == 0
    return same_index and (
        git.run(place, *_without_filters(place), "diff-files", "--quiet", accept=(0, 1)).code == 0
    )


def _read(place: git.Place, old: str, new: str, folder: Path, command: str) -> None:
    done = git.run(place, *_without_filters(place), "read-tree", "-m", "-u", old, new, accept=(0, 128))
    if done.code != 0:
        raise NeedsPerson(f"the checkout is left alone: {done.complaint}", where=str(folder), hint=command)
