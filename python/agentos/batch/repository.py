"""The user's repository, as a batch meets it: where it is, what a base means, whose name commits carry.

It is read, and under `refs/heads/agentos/` and `refs/agentos/` written; the checkout, the index, HEAD and
all other refs stay as they are (`merge --into` alone moves a branch: `checkout.py`).
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from agentos.batch import git
from agentos.batch.paths import is_text, quote
from agentos.errors import Failed, UsageError

SALVAGE = "refs/agentos/salvage/"
BRANCHES = "refs/heads/agentos/"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who commits are by: what git would write for this user in this repository."""

    author: str
    author_email: str
    committer: str
    committer_email: str


class RefUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Move `name` (a full ref name) from `old` to `new`; None is "does not exist" or "is deleted"."""

    name: str
    new: str | None
    old: str | None


class RefMoved(Failed):
    """A ref was not where the update expected it: somebody else moved it. Nothing was changed."""


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository with a checkout. `git_dir` is this checkout's own, `common_dir` what linked ones share."""

    top: Path
    git_dir: Path
    common_dir: Path
    object_format: str
    shallow: bool

    @classmethod
    def open(cls, path: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> Repository:
        """The repository that `path`, a folder in its checkout, belongs to.

        `environment` is the submitter's, for the configuration that lets git trust the folder.
        Raises: UsageError where there is none, or it is bare or has no commit.
        """
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise UsageError("there is no such folder", where=str(folder))
        found = git.as_the_user(folder, environment or os.environ, *_DISCOVERY)
        if found.code != 0:
            raise _not_a_repository(folder, found)
        names = found.out.removesuffix(b"\n").split(b"\n")
        if names[0] == b"true":
            raise UsageError(
                "this repository is bare: it has no checkout to work beside",
                where=str(folder),
                hint="clone it and run in the clone",
            )
        if len(names) != 6:
            raise UsageError(
                "the repository's path contains a line break", where=str(folder), hint="move it elsewhere"
            )
        if not all(is_text(os.fsdecode(name)) for name in names[3:]):
            raise UsageError(
                "the repository's path is not UTF-8 text",
                where=quote(os.fsencode(folder)),
                hint="move it elsewhere; the files in it may be called anything",
            )
        git_dir, common_dir, top = (Path(os.fsdecode(name)) for name in names[3:])
        repository = cls(
            top=(folder / top).resolve(),
            git_dir=(folder / git_dir).resolve(),
            common_dir=(folder / common_dir).resolve(),
            object_format=names[1].decode(),
            shallow=names[2] == b"true",
        )
        repository._refuse_empty()
        return repository

    @property
    def place(self) -> git.Place:
        """Git on the user's repository, without its work tree."""
        return git.Place(git_dir=self.git_dir)

    def resolve(self, base: str = "HEAD") -> str:
        """The commit that `base` (a branch, tag, commit, `HEAD~2`) names, in full.

        Raises: UsageError where it names none.
        """
        asked = git.run(
            self.place, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}",
            accept=(0, 1, 128),
        )  # fmt: skip
        if asked.code == 0:
            return asked.out.decode().strip()
        hint = "give a branch, a tag or a commit (`git log --oneline`)"
        if self.shallow:
            hint += "; this clone is shallow: `git fetch --unshallow` brings older commits"
        raise UsageError(f"`{base}` names no commit", where=str(self.top), hint=hint)

    def identity(self, environment: Mapping[str, str] | None = None) -> Identity:
        """The name and address that git would put on this user's commits here.

        Raises: UsageError where git knows none.
        """
        people = []
        for kind in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            told = git.as_the_user(self.top, environment or os.environ, "var", kind)
            found = re.fullmatch(r"(.*) <(.*)> \d+ [+-]\d+\n?", told.out.decode("utf-8", "replace"))
            if told.code != 0 or found is None:
                raise UsageError(
                    "git does not know who you are, and commits carry your name",
                    where=str(self.top),
                    hint='git config --global user.name "Your Name" && '
                    "git config --global user.email you@example.com",
                )
            people += [found.group(1), found.group(2)]
        return Identity(
            author=people[0], author_email=people[1], committer=people[2], committer_email=people[3]
        )

    def require(self) -> None:
        """Raises UsageError where the repository is not there any more."""
        if not self.common_dir.is_dir():
            raise UsageError(
                "the repository is not there any more",
                where=str(self.common_dir),
                hint="move it back to where it was: what its batches did is kept",
            )

    def ref(self, name: str) -> str | None:
        """What the full ref name points to, or None."""
        asked = git.run(self.place, "rev-parse", "--verify", "--quiet", name, accept=(0, 1, 128))
        return asked.out.decode().strip() if asked.code == 0 else None

    def refs(self, prefix: str) -> dict[str, str]:
        """All refs under `prefix` (`refs/heads/agentos/b-…/`) with what they point to."""
        listed = git.run(self.place, "for-each-ref", "--format=%(objectname) %(refname)", prefix).out.decode()
        pairs = (line.split(" ", 1) for line in listed.splitlines())
        return {name: sha for sha, name in pairs}

    def checkouts(self) -> dict[str, Path]:
        """Which branch (full ref name) is checked out where, linked work trees included."""
        listed = git.run(self.place, "worktree", "list", "--porcelain").out
        found: dict[str, Path] = {}
        folder = self.top
        for line in listed.splitlines():
            word, _, rest = line.partition(b" ")
            if word == b"worktree":
                folder = Path(os.fsdecode(rest))
            elif word == b"branch":
                found[rest.decode("utf-8", "surrogateescape")] = folder
        return found

    def refuse_branches_in_the_way(self, batch: str = "BATCH") -> None:
        """Raises UsageError where a branch called `agentos` or `agentos/BATCH` blocks the batch's own."""
        for name in ("agentos", f"agentos/{batch}"):
            if self.ref(f"refs/heads/{name}") is not None:
                raise UsageError(
                    f"a branch called `{name}` is in the way of the branches `agentos/{batch}/…`",
                    where=str(self.top),
                    hint=f"rename it: git branch -m {name} {name}-old",
                )

    def update(self, updates: Sequence[RefUpdate], message: str) -> None:
        """Moves refs, all or none, each only from its expected old value. A repeat of an update that was
        made is accepted.

        Raises: RefMoved where one is elsewhere; UsageError where a branch is in the way of a name.
        """
        with self.locked():
            due = [update for update in updates if self.ref(update.name) != update.new]
            zero = "0" * (64 if self.object_format == "sha256" else 40)
            script = b"start\0" + b"".join(
                f"update {update.name}\0{update.new or zero}\0{update.old or zero}\0".encode()
                for update in due
            )
            if not due:
                return
            for _ in range(2):
                # Twice: a lock that was fresh at first is old once git has waited for it.
                self._remove_old_locks(due)
                done = git.run(
                    git.Place(git_dir=self.common_dir), "update-ref", "-m", message, "--stdin", "-z",
                    stdin=script + b"prepare\0commit\0", accept=(0, 1, 128),
                )  # fmt: skip
                if done.code == 0:
                    return
        for update in due:
            now = self.ref(update.name)
            if now != update.old:
                raise RefMoved(
                    f"`{update.name}` was moved by somebody else: it is at {now or 'nothing'}, "
                    f"not at {update.old or 'nothing'}",
                    where=str(self.top),
                )
        raise UsageError(f"git refused to move refs: {done.complaint}", where=str(self.top))

    def _remove_old_locks(self, updates: Sequence[RefUpdate]) -> None:
        """Removes the locks that a killed git left on refs of our own; others' are for a person."""
        for update in updates:
            if update.name.startswith((BRANCHES, SALVAGE)):
                lock = self.common_dir / f"{update.name}.lock"
                with suppress(FileNotFoundError):
                    if time.time() - lock.stat().st_mtime > git.LOCK_SECONDS:
                        lock.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while refs of this repository change: one writer of this program at a time, in this process
        and in others. Git's own locks guard against everybody else."""
        with _LOCK:
            if self.common_dir in _HELD:
                yield
                return
            descriptor = os.open(self.common_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _HELD.add(self.common_dir)
                yield
            finally:
                _HELD.discard(self.common_dir)
                os.close(descriptor)

    def _refuse_empty(self) -> None:
        if self.ref("HEAD") is None and not self.refs("refs/heads/"):
            raise UsageError(
                "this repository has no commit yet: there is no base to start units from",
                where=str(self.top),
                hint="git add -A && git commit",
            )


_LOCK = threading.RLock()
_HELD: set[Path] = set()  # repositories whose lock this process has; read and written under _LOCK

_DISCOVERY = (
    "rev-parse",
    "--is-bare-repository",
    "--show-object-format",
    "--is-shallow-repository",
    "--git-dir",
    "--git-common-dir",
    "--show-toplevel",
)


def _not_a_repository(folder: Path, found: git.Result) -> UsageError:
    if found.out.startswith(b"true\n"):
        return UsageError(
            "this repository is bare: it has no checkout to work beside",
            where=str(folder),
            hint="clone it and run in the clone",
        )
    if found.out.startswith(b"false\n"):
        return UsageError(
            "this folder is inside a repository's `.git`, not its checkout",
            where=str(folder),
            hint="run in the checkout",
        )
    if b"dubious ownership" in found.err:
        return UsageError(
            "the repository belongs to another user, so git does not trust it",
            where=str(folder),
            hint=f"if you do: git config --global --add safe.directory {folder}",
        )
    if b"not a git repository" in found.err:
        return UsageError(
            "this is not a git repository",
            where=str(folder),
            hint="run in a repository's checkout, or make one: git init && git add -A && git commit",
        )
    return UsageError(f"git cannot read this repository: {found.complaint}", where=str(folder))
