"""A change set: what git sees in a workspace when the agent has ended, against what it started from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from agentos.batch import paths
from agentos.batch.private import PrivateRepository
from agentos.batch.workspace import Refusal, Workspace

Kind = Literal["added", "modified", "deleted", "type"]
_KINDS: dict[str, Kind] = {"A": "added", "M": "modified", "D": "deleted", "T": "type"}
_NOTHING = "000000"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One changed name: its mode (`100644`, `100755`, `120000`) and object afterwards, None if deleted."""

    path: bytes
    kind: Kind
    mode: str | None
    sha: str | None


class Changeset(msgspec.Struct, frozen=True, kw_only=True):
    """All changes of an attempt. `tree` is the base with the changes and nothing of set-up's, to be
    committed; `workspace_tree` is what set-up made with the changes."""

    base: str
    tree: str
    workspace_tree: str
    changes: tuple[Change, ...]
    refused: tuple[Refusal, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not self.changes and not self.refused


def capture(workspace: Workspace) -> Changeset:
    """What changed in the workspace. Call it when every process of the agent is dead.

    Ignored files do not count. A `.git` that the agent made is removed and reported as refused, so are
    files in a submodule's folder.
    Raises: Failed where git cannot read the files.
    """
    refused = workspace.scan()
    after = workspace.stage()
    changes = differences(workspace.private, workspace.started_from, after)
    inside = [
        change for change in changes if any(paths.covers(link, change.path) for link in workspace.submodules)
    ]
    refused += [
        Refusal(path=change.path, reason="it lies in a submodule, which a unit cannot change")
        for change in inside
    ]
    changes = [change for change in changes if change not in inside]
    return Changeset(
        base=workspace.commit,
        tree=_on_base(workspace, changes),
        workspace_tree=after,
        changes=tuple(changes),
        refused=tuple(refused),
    )


def differences(private: PrivateRepository, old: str, new: str) -> list[Change]:
    """What differs between two trees or commits, renames as a deletion and an addition."""
    told = private.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new).out
    fields = told.split(b"\0")[:-1]
    changes = []
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, sha, letter = facts.decode().removeprefix(":").split(" ")
        gone = mode == _NOTHING
        changes.append(
            Change(
                path=path,
                kind=_KINDS[letter[0]],
                mode=None if gone else mode,
                sha=None if gone else sha,
            )
        )
    return changes


def out_of_scope(changes: Changeset, owned: Iterable[bytes], allow: Iterable[bytes] = ()) -> list[Refusal]:
    """What an attempt changed that is not its unit's: changes outside `owned` and `allow`, and all that was
    refused. Empty is good."""
    from agentos.batch.globs import compile_glob

    scopes = (*owned, *allow)
    patterns = [compile_glob(scope) for scope in allow if any(mark in scope for mark in b"*?[{")]
    outside = [
        Refusal(path=change.path, reason="it is outside the unit's paths")
        for change in changes.changes
        if not any(paths.covers(scope, change.path) for scope in scopes)
        and not any(pattern.fullmatch(change.path) for pattern in patterns)
    ]
    return [*changes.refused, *outside]


def describe(refusals: Sequence[Refusal], limit: int = 3) -> str:
    """Refusals as one sentence for a failure's message."""
    shown = [f"`{paths.quote(refusal.path)}`: {refusal.reason}" for refusal in refusals[:limit]]
    more = len(refusals) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _on_base(workspace: Workspace, changes: Sequence[Change]) -> str:
    """The tree of the base commit with the changes alone: what set-up made stays out, submodules stay."""
    private = workspace.private
    base = private.tree_of(workspace.commit)
    if not changes:
        return base
    index = workspace.folder / "commit.index"
    index.unlink(missing_ok=True)
    return tree_with(private, base, changes, index)


def tree_with(private: PrivateRepository, base: str, changes: Sequence[Change], index: Path) -> str:
    """The tree `base` with `changes` made to it; `index` is a scratch file."""
    private.run("read-tree", base, index=index)
    zero = "0" * len(base)
    # Deletions first: a folder may have become a file, or a file a folder.
    ordered = sorted(changes, key=lambda change: change.mode is not None)
    lines = (
        f"{change.mode or '0'} {change.sha or zero}\t".encode() + change.path + b"\0" for change in ordered
    )
    private.run("update-index", "-z", "--index-info", index=index, stdin=b"".join(lines))
    tree = private.run("write-tree", index=index).out.decode().strip()
    index.unlink(missing_ok=True)
    return tree
