"""Verbs that only look: they run in the daemon, or on the journal itself where no daemon lives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agentos.batch import delivery, status
from agentos.batch.log import whole
from agentos.batch.records import LANDED, Batch, Unit, attempts, stream, units
from agentos.batch.resolved import Resolved
from agentos.errors import UsageError

BASELINE = "baseline"
"""What `logs` takes for a unit: the verification's run on the untouched base."""

if TYPE_CHECKING:
    from agentos.batch.merge import Candidate
    from agentos.batch.private import PrivateRepository
    from agentos.runtime.system import Reading, View


def batch_of(view: View, params: dict[str, Any]) -> Batch:
    return status.find_batch(view.kernel, params.get("batch"), params.get("repository"))


def _status(view: View, params: dict[str, Any]) -> dict[str, Any]:
    return status.status(view, batch_of(view, params))


def _list(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    return status.listing(view, params.get("repository"))


def _logs(view: View, params: dict[str, Any]) -> dict[str, Any]:
    """The output of a unit's latest attempt (or `attempt`), phase by phase. Bytes as Latin-1 text."""
    batch = batch_of(view, params)
    unit, latest = BASELINE, 1
    if params["unit"] != BASELINE:
        resolved = status.resolved_of(view.kernel, batch)
        found = status.find_units(units(view.kernel, batch.id), resolved, [params["unit"]])[0]
        unit, latest = found.id, found.attempt
    number = params.get("attempt", latest)
    if not 0 < number <= latest and "attempt" in params:
        raise UsageError(f"`{unit}` has no attempt {number}", hint=f"it has had {latest} so far")
    phases = {
        phase: whole(view.kernel, stream(batch.id, unit, number, phase)).decode("latin-1")
        for phase in ("setup", "agent", "verify")
    }
    return {"batch": batch.id, "unit": unit, "attempt": number, "phases": phases}


def _diff(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The diffs of units that have a commit. Bytes as Latin-1 text."""
    batch, resolved, picked = chosen(view, params)
    landed = [unit for unit in picked if unit.commit is not None and unit.state in LANDED]
    with private_for(resolved) as private:
        return [
            {
                "unit": unit.id,
                "title": resolved.unit(unit.id).title,
                "diff": delivery.diff(private, batch.base, unit.commit).decode("latin-1"),
            }
            for unit in landed
            if unit.commit is not None
        ]


def _conflicts(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    from agentos.batch import merge, paths

    batch, resolved, picked = chosen(view, params)
    with private_for(resolved) as private:
        found = merge.conflicts(private, batch.base, candidates(resolved, picked))
    return [
        {
            "first": one.first,
            "second": one.second,
            "paths": [paths.quote(path) for path in one.paths],
            "merges": one.merges,
        }
        for one in found
    ]


def _salvage(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    """What is kept of attempts that did not land."""
    batch, resolved, _ = chosen(view, params)
    kept = {a.salvage: a for a in attempts(view.kernel, batch.id) if a.salvage}
    return [
        {
            "ref": ref,
            "commit": commit,
            "unit": ref.split("/")[4],
            "failure": msgspec.to_builtins(kept[ref].failure) if ref in kept else None,
        }
        for ref, commit in sorted(resolved.repository.refs(f"refs/agentos/salvage/{batch.id}/").items())
    ]


def _attempts(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    batch = batch_of(view, params)
    return [msgspec.to_builtins(attempt) for attempt in attempts(view.kernel, batch.id)]


def chosen(view: View, params: dict[str, Any]) -> tuple[Batch, Resolved, list[Unit]]:
    """The batch that is meant, its plan, and the units named (none: all)."""
    batch = batch_of(view, params)
    resolved = status.resolved_of(view.kernel, batch)
    known = units(view.kernel, batch.id)
    names = params.get("units") or []
    return batch, resolved, status.find_units(known, resolved, names) if names else known


def candidates(resolved: Resolved, picked: list[Unit]) -> list[Candidate]:
    """The commits that a merge takes: of units that landed and were not rejected."""
    from agentos.batch.merge import Candidate

    return [
        Candidate(unit=unit.id, title=resolved.unit(unit.id).title, commit=unit.commit)
        for unit in picked
        if unit.commit is not None and unit.state in LANDED and unit.review != "rejected"
    ]


@contextmanager
def private_for(resolved: Resolved) -> Iterator[PrivateRepository]:
    """A private git folder for one look at a batch's commits."""
    from agentos.batch.private import PrivateRepository

    resolved.repository.require()
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        yield PrivateRepository(resolved.repository, Path(folder) / "git", {"HOME": resolved.home})


READING: dict[str, Reading] = {
    "batch.status": _status,
    "batch.list": _list,
    "batch.logs": _logs,
    "batch.diff": _diff,
    "batch.conflicts": _conflicts,
    "batch.salvage": _salvage,
    "batch.attempts": _attempts,
}
