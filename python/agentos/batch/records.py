"""What the journal knows about a batch: one record each for the batch, its units and their attempts.

Every transition is put before its side effect, so that after a crash these records and the repository's
refs together say what is true. A record's body stays well under the kernel's limit: whatever can grow
without bound (paths, prompts, output) lives in the plan's blob or in streams.
"""

from __future__ import annotations

import os
from typing import Any, Literal, Protocol

import msgspec

BatchState = Literal["planned", "running", "waiting", "interrupted", "stopped", "done", "partial", "failed"]
UnitState = Literal[
    "queued",
    "preparing",
    "running",
    "waiting",
    "verifying",
    "committed",
    "published",
    "merged",
    "failed",
    "cancelled",
]
FailureKind = Literal[
    "exit",
    "setup",
    "verify",
    "out_of_scope",
    "empty_diff",
    "budget",
    "timeout",
    "crash",
    "denied",
    "conflict",
    "model",
    "rate_limit",
    "disk",
]
Review = Literal["none", "accepted", "rejected"]

LANDED: frozenset[str] = frozenset({"committed", "published", "merged"})
ENDED: frozenset[str] = LANDED | {"failed", "cancelled"}
UNDER_WAY: frozenset[str] = frozenset({"running", "waiting"})
BATCH_ENDED: frozenset[str] = frozenset({"stopped", "done", "partial", "failed"})

MESSAGE_CHARACTERS = 400


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt or a unit failed: a kind for machines, a sentence for people."""

    kind: FailureKind
    message: str

    @classmethod
    def of(cls, kind: FailureKind, message: str) -> Failure:
        """A failure whose message fits a record and can be stored as JSON."""
        text = "".join(c if c.isprintable() else " " for c in printable(message))
        short = text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"
        return cls(kind=kind, message=short)


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the verification command; `exit_code` is 128 + the signal for a command that was killed."""

    exit_code: int
    seconds: float


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """The last merge: its commit, where the merged branch was before, and the person's branch with where it
    was, if one was moved."""

    commit: str
    before: str | None = None
    into: str | None = None
    into_before: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch: its plan, its place and how it stands. Money in micro-dollars, times in UTC
    microseconds. `key` is the client's name for the submission: the same one twice is the same batch."""

    id: str
    key: str
    name: str
    repository: str
    base: str
    created_us: int
    state: BatchState
    plan: str
    units: int
    level: str
    detached: bool = False
    process: int | None = None
    stint: int = 0
    spent: int = 0
    budget: int | None = None
    baseline: Verification | None = None
    failure: Failure | None = None
    merge: Merge | None = None


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of a batch. `attempts` counts those that used up a try; `attempt` numbers them all.

    INVARIANT: `commit` is set only after verification passed, and before the branch is moved to it.
    """

    id: str
    batch: str
    index: int
    state: UnitState = "queued"
    process: int | None = None
    attempts: int = 0
    attempt: int = 0
    commit: str | None = None
    files_changed: int = 0
    verify: Verification | None = None
    failure: Failure | None = None
    review: Review = "none"
    spent: int = 0
    since_us: int = 0

    @property
    def key(self) -> str:
        """The record's id, unique in its home."""
        return f"{self.batch}/{self.id}"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a unit: when its agent ran, how it ended and where its work was kept if it failed."""

    batch: str
    unit: str
    number: int
    started_us: int
    ended_us: int | None = None
    outcome: Literal["running", "landed", "failed", "interrupted"] = "running"
    agent_exit: int | None = None
    agent_ended_us: int | None = None
    failure: Failure | None = None
    salvage: str | None = None

    @property
    def key(self) -> str:
        """The record's id, unique in its home."""
        return f"{self.batch}/{self.unit}/{self.number}"


class Records(Protocol):
    """The part of the kernel's façade that reads records."""

    def records(self, kind: str) -> dict[str, dict[str, Any]]: ...

    def record(self, kind: str, id: str) -> dict[str, Any] | None: ...


def body(record: Batch | Unit | Attempt) -> dict[str, Any]:
    """The JSON-able body of a record."""
    found: dict[str, Any] = msgspec.to_builtins(record)
    return found


def batches(kernel: Records) -> list[Batch]:
    """Every batch of this home, oldest first."""
    found = [msgspec.convert(row, Batch) for row in kernel.records("batch").values()]
    return sorted(found, key=lambda batch: (batch.created_us, batch.id))


def units(kernel: Records, batch: str) -> list[Unit]:
    """The units of a batch in the plan's order."""
    prefix = f"{batch}/"
    rows = [row for key, row in kernel.records("unit").items() if key.startswith(prefix)]
    return sorted((msgspec.convert(row, Unit) for row in rows), key=lambda unit: unit.index)


def attempts(kernel: Records, batch: str, unit: str | None = None) -> list[Attempt]:
    """The attempts at a unit, or at all units of a batch, in the order they were made."""
    prefix = f"{batch}/" if unit is None else f"{batch}/{unit}/"
    rows = [row for key, row in kernel.records("attempt").items() if key.startswith(prefix)]
    found = [msgspec.convert(row, Attempt) for row in rows]
    return sorted(found, key=lambda attempt: (attempt.started_us, attempt.number))


def stream(batch: str, unit: str, attempt: int, phase: str) -> str:
    """The name of the output stream of one phase (`setup`, `agent`, `verify`) of an attempt."""
    return f"unit/{batch}/{unit}/{attempt}/{phase}"


def printable(text: str) -> str:
    """`text` as storable Unicode: bytes that were not UTF-8 are written as `\\xNN`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
