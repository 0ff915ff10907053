"""What a batch looks like from outside: the JSON of `status`, `list` and the events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from agentos.batch import paths
from agentos.batch.delivery import branch_of
from agentos.batch.landing import patches
from agentos.batch.records import ENDED, LANDED, UNDER_WAY, Batch, Records, Unit, batches, units
from agentos.batch.resolved import Resolved, ResolvedUnit
from agentos.errors import InternalError, UsageError
from agentos.kernel import ReadOnlyKernel
from agentos.money import usd

if TYPE_CHECKING:
    from agentos.runtime.system import View

_STOPS = frozenset({"interrupted", "stopped"})


def resolved_of(kernel: ReadOnlyKernel, batch: Batch) -> Resolved:
    """The resolved plan of a batch."""
    data = kernel.blob(batch.plan)
    if data is None:
        raise InternalError(f"the plan of {batch.id} is not in the journal")
    return Resolved.decode(data)


def find_batch(kernel: Records, name: str | None, repository: str | None) -> Batch:
    """The batch that an id or its unique beginning means; without one, the latest of the repository.

    Raises: UsageError where it is none or several.
    """
    known = batches(kernel)
    if name is None:
        here = [batch for batch in known if batch.repository == repository]
        if not here:
            raise UsageError("this repository has no batch yet", hint="`agentos batch list --all` shows all")
        return here[-1]
    wanted = name if name.startswith("b-") else f"b-{name}"
    found = [batch for batch in known if batch.id.startswith(wanted) or batch.name == name]
    exact = [batch for batch in found if batch.id == wanted]
    if len(exact or found) != 1:
        what = "no batch" if not found else f"{len(found)} batches"
        raise UsageError(f"`{name}` means {what}", hint="`agentos batch list --all` shows all")
    return (exact or found)[0]


def find_units(known: list[Unit], resolved: Resolved, names: list[str]) -> list[Unit]:
    """The units that ids, plan names, titles or unique beginnings of ids mean. Raises UsageError."""
    return [_find_unit(known, resolved, name) for name in names]


def _find_unit(known: list[Unit], resolved: Resolved, name: str) -> Unit:
    by_name = {unit.id: (unit.id, unit.name, unit.title) for unit in resolved.units}
    exact = [unit for unit in known if name in by_name[unit.id]]
    wanted = name if name.startswith("u-") else f"u-{name}"
    found = exact or [unit for unit in known if unit.id.startswith(wanted)]
    if len(found) != 1:
        what = "no unit" if not found else f"{len(found)} units"
        raise UsageError(f"`{name}` means {what} of this batch", hint="`agentos batch status` shows them")
    return found[0]


def status(view: View, batch: Batch) -> dict[str, Any]:
    """The document of `batch status --json`."""
    kernel = view.kernel
    resolved = resolved_of(kernel, batch)
    batch, found = _as_they_are(view, batch)
    process = next((row for row in kernel.processes() if row.pid == batch.process), None)
    spent = batch.spent + (process.spent.usd_micros if process else 0)
    return {
        "batch": batch.id,
        "name": batch.name,
        "repo": batch.repository,
        "state": batch.state,
        "base": batch.base,
        "created": iso(batch.created_us),
        "budget_usd": usd(resolved.spec.limits.budget_micros),
        "spent_usd": usd(spent),
        "reserved_usd": usd(process.reserved.usd_micros if process else 0),
        "level": batch.level,
        "baseline": None if batch.baseline is None else msgspec.to_builtins(batch.baseline),
        "failure": None if batch.failure is None else msgspec.to_builtins(batch.failure),
        "merged": None if batch.merge is None else batch.merge.commit,
        "patches": _patches(view, batch, resolved),
        "units": [
            unit_row(kernel, batch, resolved, planned, unit)
            for planned, unit in zip(resolved.units, found, strict=True)
        ],
    }


def _as_they_are(view: View, batch: Batch) -> tuple[Batch, list[Unit]]:
    """A batch and its units; where no daemon lives, nothing of it is under way."""
    found = units(view.kernel, batch.id)
    if view.alive or batch.state not in UNDER_WAY:
        return batch, found
    resting = [
        unit if unit.state in ENDED else msgspec.structs.replace(unit, state="queued", process=None)
        for unit in found
    ]
    return msgspec.structs.replace(batch, state="interrupted", process=None), resting


def _patches(view: View, batch: Batch, resolved: Resolved) -> str | None:
    """The folder of the batch's patch files, where it delivers patches."""
    return str(patches(view.home, batch.id)) if resolved.spec.deliver.as_ == "patch" else None


def unit_row(
    kernel: ReadOnlyKernel, batch: Batch, resolved: Resolved, planned: ResolvedUnit, unit: Unit
) -> dict[str, Any]:
    """One unit as `status` shows it."""
    spec = resolved.plan
    verify = None
    if unit.verify is not None:
        verify = {
            "command": spec.get("verify", {}).get("run"),
            "exit_code": unit.verify.exit_code,
            "seconds": unit.verify.seconds,
        }
    return {
        "id": unit.id,
        "title": planned.title,
        "paths": [paths.quote(path) for path in planned.paths],
        "pid": None if unit.process is None else kernel.name("p", unit.process),
        "state": unit.state,
        "attempts": unit.attempts,
        "branch": branch_of(batch.id, unit.id).removeprefix("refs/heads/"),
        "commit": unit.commit if unit.state in LANDED else None,
        "files_changed": unit.files_changed,
        "verify": verify,
        "cost_usd": usd(unit.spent),
        "review": unit.review,
        "failure": None if unit.failure is None else msgspec.to_builtins(unit.failure),
        "pull_request": None,
    }


def listing(view: View, repository: str | None) -> list[dict[str, Any]]:
    """The document of `batch list --json`; `repository` None: of all repositories. Latest first."""
    rows = []
    for known in reversed(batches(view.kernel)):
        if repository is not None and known.repository != repository:
            continue
        batch, found = _as_they_are(view, known)
        landed = sum(unit.state in LANDED for unit in found)
        rows.append(
            {
                "batch": batch.id,
                "name": batch.name,
                "state": batch.state,
                "repo": batch.repository,
                "created": iso(batch.created_us),
                "units": batch.units,
                "landed": landed,
            }
        )
    return rows


def summary(view: View, batch: Batch, seconds: float) -> dict[str, Any]:
    """The last event of `run`, `resume`, `retry` and `watch`, with the exit code that it means."""
    found = units(view.kernel, batch.id)
    landed = sum(unit.state in LANDED for unit in found)
    failed = sum(unit.state in ("failed", "cancelled") for unit in found)
    return {
        "event": "summary",
        "batch": batch.id,
        "state": batch.state,
        "units": len(found),
        "landed": landed,
        "failed": failed,
        "seconds": round(seconds, 3),
        "spent_usd": usd(batch.spent),
        "patches": _patches(view, batch, resolved_of(view.kernel, batch)),
        "exit_code": _exit_code(batch, found, landed),
    }


def _exit_code(batch: Batch, found: list[Unit], landed: int) -> int:
    if batch.state in _STOPS:
        return 130
    if any(unit.failure is not None and unit.failure.kind == "budget" for unit in found):
        return 4
    if landed == len(found):
        return 0
    return 3 if landed else 1


def iso(us: int) -> str:
    """UTC microseconds as ISO 8601."""
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")
