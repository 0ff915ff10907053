"""A unit's workspace: the base's files in a plain folder, without a `.git`, and what git saw there.

    folder/tree     what the agent and the verification work in; the only part they can reach
    folder/index    git's index of it, kept outside, with the times of the files as they were written
    folder/state    the tree it started from, for a new process after a crash

INVARIANT: the index of a workspace holds no submodule. Git asks a submodule's own repository how it stands,
and an agent could have planted one.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agentos.batch import paths
from agentos.batch.private import PrivateRepository
from agentos.batch.removal import remove
from agentos.errors import Failed, UsageError

GITLINK = "160000"


class _State(msgspec.Struct, frozen=True):
    commit: str
    tree: str
    submodules: tuple[bytes, ...]
    included: tuple[bytes, ...]
    repositories: tuple[bytes, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Something an agent left that cannot be part of a change set, with the reason in words."""

    path: bytes
    reason: str


class Workspace:
    """The workspace in `folder`. Make one with `prepare`, find one again with `reopen`."""

    def __init__(self, private: PrivateRepository, folder: Path, state: _State) -> None:
        self.private = private
        self.folder = folder
        self._state = state

    @classmethod
    def prepare(
        cls, private: PrivateRepository, folder: Path, commit: str, *, include: Sequence[bytes] = ()
    ) -> Workspace:
        """Writes the files of `commit` into `folder/tree`, in place of whatever was there, and copies the
        files in `include` (see `surroundings.included`) from the user's checkout.

        Raises: Failed where files cannot be written.
        """
        remove(folder)
        tree = folder / "tree"
        tree.mkdir(mode=0o700, parents=True)
        submodules = _write_files(private, commit, folder)
        for path in submodules:
            _safe_folder(tree, path)
        copied = tuple(path for path in include if _copy_in(private.repository.top, tree, path))
        state = _State(commit, _write_tree(private, folder), submodules, copied, ())
        workspace = cls(private, folder, state)
        workspace._save()
        return workspace

    @classmethod
    def reopen(cls, private: PrivateRepository, folder: Path) -> Workspace | None:
        """The workspace that an earlier process left in `folder`; None where it was not ready."""
        try:
            state = msgspec.json.decode((folder / "state").read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            return None
        # Left by a git that was killed; whoever held it is gone with that process.
        (folder / "index.lock").unlink(missing_ok=True)
        return cls(private, folder, state)

    @property
    def tree(self) -> Path:
        """The folder that the agent works in."""
        return self.folder / "tree"

    @property
    def index(self) -> Path:
        """Git's index of the workspace."""
        return self.folder / "index"

    @property
    def commit(self) -> str:
        """The commit that the workspace started from."""
        return self._state.commit

    @property
    def started_from(self) -> str:
        """The tree that changes are counted against: the base, or what set-up made of it."""
        return self._state.tree

    @property
    def submodules(self) -> tuple[bytes, ...]:
        """Where the base has submodules: empty folders here."""
        return self._state.submodules

    @property
    def included(self) -> tuple[bytes, ...]:
        """Ignored files that were copied in; they never are part of a change set."""
        return self._state.included

    def snapshot(self) -> None:
        """Takes what is in the workspace now, after set-up, as what the agent starts from.

        Raises: UsageError where set-up made a repository among the files that git tracks.
        """
        kept = tuple(path for path in self._planted() if b"/" not in path)
        for refusal in self.scan(keep=kept):
            raise UsageError(
                f"set-up left `{paths.quote(refusal.path)}`: {refusal.reason}",
                where=str(self.tree),
                hint="make it in an ignored folder, or remove it at the end of set-up",
            )
        self._state = msgspec.structs.replace(self._state, tree=self.stage(), repositories=kept)
        self._save()

    def scan(self, keep: Sequence[bytes] | None = None) -> list[Refusal]:
        """What the workspace holds that cannot be part of a change, `.git`s removed on the way, so that git
        never meets a repository of an agent's making. Makes unreadable files readable.
        """
        kept = set(self._state.repositories if keep is None else keep)
        refusals = []
        for path in self._planted():
            if path not in kept:
                refusals.append(
                    Refusal(path=path, reason="a unit has no repository of its own, and may not make one")
                )
                remove(self.tree / os.fsdecode(path))
        return refusals

    def stage(self) -> str:
        """Brings the index up to what git sees in the workspace, and returns that tree. Ignored files and
        files that were copied in stay out. `scan` must have run before."""
        self.private.run("add", "--all", work_tree=self.tree, index=self.index)
        if self.included:
            self.private.run(
                "update-index", "--force-remove", "-z", "--stdin",
                work_tree=self.tree, index=self.index, stdin=b"".join(p + b"\0" for p in self.included),
            )  # fmt: skip
        return _write_tree(self.private, self.folder)

    def apply(self, tree: str) -> None:
        """Brings the files from what the workspace started from to `tree`, as verification needs it.

        Raises: Failed where a file that set-up left is in the way.
        """
        self.private.run(
            "read-tree", "-m", "-u", self.started_from, tree, work_tree=self.tree, index=self.index
        )

    def remove(self) -> None:
        """Deletes the workspace with all in it."""
        remove(self.folder)

    def _planted(self) -> list[bytes]:
        """All `.git`s in places that are not ignored, after making every folder readable."""
        found: list[bytes] = []
        root = os.fsencode(self.tree)
        waiting = [b""]
        while waiting:
            prefix = waiting.pop()
            for name, is_folder in _names(root, prefix):
                path = prefix + name
                if name.lower() == b".git":
                    found.append(path)
                elif is_folder:
                    waiting.append(path + b"/")
        nested = [path for path in found if b"/" in path]
        return sorted(set(found) - self._in_ignored(nested))

    def _in_ignored(self, found: Sequence[bytes]) -> set[bytes]:
        holders = {path: path.rpartition(b"/")[0] + b"/" for path in found}
        ignored = self.private.ignored(set(holders.values()), self.tree, self.index)
        return {path for path, holder in holders.items() if holder in ignored}

    def _save(self) -> None:
        draft = self.folder / "state.new"
        draft.write_bytes(msgspec.json.encode(self._state))
        draft.replace(self.folder / "state")


def _names(root: bytes, prefix: bytes) -> list[tuple[bytes, bool]]:
    """The names in one folder, and which of them are folders; what cannot be read is made readable."""
    folder = root + b"/" + prefix
    names = []
    try:
        inside = os.scandir(folder)
    except PermissionError:
        Path(os.fsdecode(folder)).chmod(0o700)
        inside = os.scandir(folder)
    with inside:
        for entry in inside:
            status = entry.stat(follow_symlinks=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            wanted = stat.S_IRWXU if is_folder else stat.S_IRUSR
            if not stat.S_ISLNK(status.st_mode) and status.st_mode & wanted != wanted:
                Path(os.fsdecode(entry.path)).chmod(stat.S_IMODE(status.st_mode) | wanted)
            names.append((entry.name, is_folder))
    return names


def _write_files(private: PrivateRepository, commit: str, folder: Path) -> tuple[bytes, ...]:
    """Writes a commit's files below `folder`; returns where it has submodules."""
    tree, index = folder / "tree", folder / "index"
    seed, submodules = _seed(private, commit)
    shutil.copyfile(seed, index)
    private.run("checkout-index", "--all", "--index", "--force", "--quiet", work_tree=tree, index=index)
    return submodules


def _seed(private: PrivateRepository, commit: str) -> tuple[Path, tuple[bytes, ...]]:
    """An index of `commit` without its submodules, made once for all workspaces."""
    seed = private.folder / f"base-{commit}.index"
    listing = seed.with_suffix(".submodules")
    if not listing.exists():
        draft = private.folder / f"draft-{commit}-{os.getpid()}-{os.urandom(4).hex()}.index"
        private.run("read-tree", commit, index=draft)
        listed = private.run("ls-files", "-z", "--stage", index=draft).out.split(b"\0")[:-1]
        links = [line.partition(b"\t")[2] for line in listed if line.startswith(GITLINK.encode())]
        if links:
            stdin = b"".join(path + b"\0" for path in links)
            private.run("update-index", "--force-remove", "-z", "--stdin", index=draft, stdin=stdin)
        draft.replace(seed)
        named = draft.with_suffix(".submodules")
        named.write_bytes(b"".join(path + b"\0" for path in links))
        named.replace(listing)
    return seed, tuple(listing.read_bytes().split(b"\0")[:-1])


def _write_tree(private: PrivateRepository, folder: Path) -> str:
    return private.run("write-tree", index=folder / "index").out.decode().strip()


def _safe_folder(tree: Path, path: bytes) -> bool:
    """Makes `path` and the folders above it under `tree`; False where something else is in the way."""
    current = tree
    for part in path.split(b"/"):
        current = current / os.fsdecode(part)
        try:
            if not stat.S_ISDIR(current.lstat().st_mode):
                return False
        except FileNotFoundError:
            current.mkdir()
    return True


def _copy_in(top: Path, tree: Path, path: bytes) -> bool:
    """Copies one file of the checkout into the workspace, without following links on either side."""
    name = os.fsdecode(path)
    folder = path.rpartition(b"/")[0]
    if folder and not _safe_folder(tree, folder):
        return False
    try:
        shutil.copy2(top / name, tree / name, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Failed(
            f"`{paths.quote(path)}` cannot be copied into a workspace: {error.strerror}", where=str(top)
        ) from error
    return True
