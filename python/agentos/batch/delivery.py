"""A unit's work handed over: its commit, branch, patch and diff, and what is salvaged of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from agentos.batch.private import PrivateRepository
from agentos.batch.repository import BRANCHES, SALVAGE, Identity, RefUpdate, Repository
from agentos.errors import NeedsPerson


def commit(
    private: PrivateRepository,
    tree: str,
    parents: Sequence[str],
    message: str,
    identity: Identity,
    when_us: int,
) -> str:
    """Makes a commit object and returns its name. The same arguments always give the same commit, so that
    a repeat after a crash changes nothing. `when_us` is UTC microseconds."""
    when = f"@{when_us // 1_000_000} +0000"
    named = {
        "GIT_AUTHOR_NAME": identity.author,
        "GIT_AUTHOR_EMAIL": identity.author_email,
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_NAME": identity.committer,
        "GIT_COMMITTER_EMAIL": identity.committer_email,
        "GIT_COMMITTER_DATE": when,
    }
    above = [word for parent in parents for word in ("-p", parent)]
    text = message.replace("\0", " ").encode("utf-8", "replace")
    made = private.run("commit-tree", *above, tree, stdin=text, variables=named)
    return made.out.decode().strip()


def message_for(title: str, batch: str, unit: str) -> str:
    """The message of a unit's commit: its title, and trailers that say where it comes from."""
    subject = " ".join(title.split()) or unit
    return f"{subject}\n\nAgentOS-Batch: {batch}\nAgentOS-Unit: {unit}\n"


def branch_of(batch: str, unit: str) -> str:
    """The full ref name of a unit's branch `agentos/<batch>/<unit>`."""
    return f"{BRANCHES}{batch}/{unit}"


def put_branch(repository: Repository, name: str, new: str, old: str | None, message: str) -> None:
    """Points the branch `name` (a full ref name) to `new`, from `old` (None: it must not exist yet). A
    repeat is fine.

    Raises: RefMoved where the branch is elsewhere; NeedsPerson where it is checked out and would move;
    UsageError where another branch is in the way.
    """
    folder = repository.checkouts().get(name) if old is not None and old != new else None
    if folder is not None:
        short = name.removeprefix("refs/heads/")
        raise NeedsPerson(
            f"the branch `{short}` is checked out, so it is not moved",
            where=str(folder),
            hint=f"switch to another branch there: git -C {folder} switch -",
        )
    repository.update([RefUpdate(name=name, new=new, old=old)], message)


def salvage(repository: Repository, batch: str, unit: str, attempt: int, commit: str) -> str:
    """Keeps a commit of work that did not land, under `refs/agentos/salvage/`. Returns the ref's name. A
    second salvage of the same attempt gets a name of its own; nothing that was kept is replaced."""
    base = f"{SALVAGE}{batch}/{unit}/{attempt}"
    name, number = base, 2
    while (there := repository.ref(name)) is not None:
        if there == commit:
            return name
        name, number = f"{base}-{number}", number + 1
    repository.update([RefUpdate(name=name, new=commit, old=None)], "agentos: salvage")
    return name


def patch(private: PrivateRepository, commit: str) -> bytes:
    """A commit as a patch that `git am` takes, binary files and odd names included."""
    return private.run(
        "format-patch", "--stdout", "-1", "--binary", "--full-index", "--no-renames", "--no-signature",
        "--no-ext-diff", "--no-textconv", "--no-color", commit,
    ).out  # fmt: skip


def diff(private: PrivateRepository, old: str, new: str) -> bytes:
    """The difference between two commits or trees as git shows it, uncoloured; people get it `printable`."""
    return private.run(
        "diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", old, new
    ).out
