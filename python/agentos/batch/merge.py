"""Putting units' commits together, in memory: no checkout, no index, no working tree of anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import msgspec

from agentos.batch import git, paths
from agentos.batch.changeset import differences
from agentos.batch.delivery import commit
from agentos.batch.private import PrivateRepository
from agentos.batch.repository import BRANCHES, Identity


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A unit's commit, whose parent is the batch's base."""

    unit: str
    title: str
    commit: str


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Two units that change the same paths. `merges` says whether git can put them together all the same."""

    first: str
    second: str
    paths: tuple[bytes, ...]
    merges: bool


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a merge: the commit with all units that fit, those units, and what kept others out."""

    commit: str
    units: tuple[str, ...]
    conflicts: tuple[Conflict, ...]


def merged_branch(batch: str) -> str:
    """The full ref name of a batch's merged branch."""
    return f"{BRANCHES}{batch}/merged"


def merge(
    private: PrivateRepository,
    base: str,
    candidates: Sequence[Candidate],
    identity: Identity,
    when_us: int,
) -> Merged:
    """Merges the candidates onto `base` one after the other; one that conflicts is left out and reported.

    Each gets a merge commit with its unit's commit as second parent; the first is taken as it is. The same
    arguments give the same commits.
    Raises: MissingMechanism where git is too old.
    """
    _require()
    at = base
    taken: list[Candidate] = []
    conflicts: list[Conflict] = []
    for candidate in candidates:
        if not taken:
            at, taken = candidate.commit, [candidate]
            continue
        tree, clashing = _merge_tree(private, at, candidate.commit)
        if tree is None:
            conflicts += _blame(private, base, taken, candidate, clashing)
            continue
        text = f"Merge unit {candidate.unit}: {' '.join(candidate.title.split())}\n"
        at = commit(private, tree, (at, candidate.commit), text, identity, when_us)
        taken.append(candidate)
    return Merged(commit=at, units=tuple(candidate.unit for candidate in taken), conflicts=tuple(conflicts))


def conflicts(private: PrivateRepository, base: str, candidates: Sequence[Candidate]) -> list[Conflict]:
    """Every pair of candidates that change the same paths (or a file where the other has a folder).

    Raises: MissingMechanism where git is too old and there is such a pair.
    """
    changed = {candidate.unit: _changed(private, base, candidate.commit) for candidate in candidates}
    found = []
    for first, second in combinations(candidates, 2):
        shared = _shared(changed[first.unit], changed[second.unit])
        if shared:
            _require()
            tree, _ = _merge_tree(private, first.commit, second.commit)
            found.append(
                Conflict(first=first.unit, second=second.unit, paths=tuple(shared), merges=tree is not None)
            )
    return found


def _require() -> None:
    git.require(2, 38, "merging units")


def _merge_tree(private: PrivateRepository, ours: str, theirs: str) -> tuple[str | None, list[bytes]]:
    """The merged tree, or None with the paths that conflict."""
    done = private.run(
        "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs, accept=(0, 1)
    )
    tree, *clashing = done.out.split(b"\0")
    if done.code == 0:
        return tree.decode(), []
    return None, [path for path in clashing if path]


def _changed(private: PrivateRepository, base: str, commit: str) -> set[bytes]:
    return {change.path for change in differences(private, base, commit)}


def _shared(first: set[bytes], second: set[bytes]) -> list[bytes]:
    """The paths in both, and those of one that lie under a path of the other."""
    shared = first & second
    for ones, others in ((first, second), (second, first)):
        shared |= {path for path in ones if any(folder in others for folder in _above(path))}
    return sorted(shared)


def _above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:number]) for number in range(1, len(parts))]


def _blame(
    private: PrivateRepository,
    base: str,
    taken: Sequence[Candidate],
    candidate: Candidate,
    clashing: Sequence[bytes],
) -> list[Conflict]:
    """Which of the units taken before a candidate conflicts with, and where."""
    theirs = _changed(private, base, candidate.commit)
    found = []
    for earlier in taken:
        shared = _shared(_changed(private, base, earlier.commit), theirs)
        where = [path for path in shared if any(_same_place(path, other) for other in clashing)]
        if where:
            found.append(
                Conflict(first=earlier.unit, second=candidate.unit, paths=tuple(where), merges=False)
            )
    if not found:
        found.append(
            Conflict(first=taken[-1].unit, second=candidate.unit, paths=tuple(clashing), merges=False)
        )
    return found


def _same_place(path: bytes, other: bytes) -> bool:
    # Where a file meets a folder, git moves one aside as `name~commit`.
    plain = other.rpartition(b"~")[0] or other
    return any(paths.covers(one, path) or paths.covers(path, one) for one in (other, plain))
