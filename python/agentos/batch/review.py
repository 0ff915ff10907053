"""A person's word on what landed: accept, reject, merge, and taking a merge back."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import trio

from agentos.batch import checkout, delivery, paths, status
from agentos.batch.merge import Merged, merge, merged_branch
from agentos.batch.reading import batch_of, candidates, chosen, private_for
from agentos.batch.records import LANDED, Batch, Merge, Review, Unit, body, units
from agentos.batch.repository import RefUpdate
from agentos.batch.resolved import Resolved
from agentos.errors import UsageError
from agentos.messages import PublishAction

if TYPE_CHECKING:
    from agentos.batch.private import PrivateRepository
    from agentos.runtime.system import Acting, Session, System

T = TypeVar("T")


async def _accept(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    return await _reviewed(system, params, "accepted")


async def _reject(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    return await _reviewed(system, params, "rejected")


async def _reviewed(system: System, params: dict[str, Any], review: Review) -> dict[str, Any]:
    batch, _, picked = chosen(system.view, params)
    for unit in picked:
        if unit.state not in LANDED:
            raise UsageError(f"`{unit.id}` has not landed: there is nothing to review")
    for unit in picked:
        await system.kernel.put("unit", unit.key, body(msgspec.structs.replace(unit, review=review)))
    return status.status(system.view, batch)


async def withdraw(system: System, session: Session, batch: Batch, resolved: Resolved, unit: Unit) -> None:
    """Takes a rejected unit's branch away; its commit stays under a salvage ref."""
    assert unit.commit is not None
    branch, commit, repository = delivery.branch_of(batch.id, unit.id), unit.commit, resolved.repository

    def effect() -> None:
        delivery.salvage(repository, batch.id, unit.id, unit.attempt, commit)
        if repository.ref(branch) == commit:
            repository.update([RefUpdate(name=branch, new=None, old=commit)], "agentos: unit rejected")

    await _publish(system, session, resolved, branch, lambda: trio.to_thread.run_sync(effect))


async def _merge(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Builds the merged branch of all units that landed and were not rejected, or of those named; with
    `into` also moves that branch of the person's forward."""
    batch, resolved, picked = chosen(system.view, params)
    taken = candidates(resolved, picked)
    if not taken:
        raise UsageError("no unit has landed that was not rejected: there is nothing to merge")
    branch, into = merged_branch(batch.id), params.get("into")
    if into is not None:
        checkout.require(resolved.repository, into)
    with private_for(resolved) as private:
        made = await trio.to_thread.run_sync(
            merge, private, batch.base, taken, resolved.identity, batch.created_us
        )
        before = resolved.repository.ref(branch)
        kept = Merge(commit=made.commit, before=before if before != made.commit else _before(batch))
        # Before the refs move: whoever finds it knows where they were.
        await _put(system, msgspec.structs.replace(batch, merge=kept))

        def effect() -> None:
            resolved.repository.update(
                [RefUpdate(name=branch, new=made.commit, old=before)], "agentos: merge"
            )

        await _publish(system, session, resolved, branch, lambda: trio.to_thread.run_sync(effect))
        if into is not None:
            await _forward(system, session, batch, resolved, private, kept, into)
            await _mark(system, batch, made.units, "merged")
    return _told(batch, resolved, made, into)


def _before(batch: Batch) -> str | None:
    return batch.merge.before if batch.merge is not None else None


async def _forward(
    system: System, session: Session, batch: Batch, resolved: Resolved, private: PrivateRepository,
    kept: Merge, into: str,
) -> None:  # fmt: skip
    """Moves the person's branch `into` to the merged commit."""
    name, old = checkout.require(resolved.repository, into)
    await _put(
        system,
        msgspec.structs.replace(batch, merge=msgspec.structs.replace(kept, into=name, into_before=old)),
    )
    take = merged_branch(batch.id)

    def effect() -> None:
        checkout.fast_forward(private, into, kept.commit, take)

    await _publish(system, session, resolved, name, lambda: trio.to_thread.run_sync(effect))


def _told(batch: Batch, resolved: Resolved, made: Merged, into: str | None) -> dict[str, Any]:
    branch = merged_branch(batch.id)
    return {
        "batch": batch.id,
        "branch": branch.removeprefix("refs/heads/"),
        "commit": made.commit,
        "units": list(made.units),
        "conflicts": [
            {"first": one.first, "second": one.second, "paths": [paths.quote(path) for path in one.paths]}
            for one in made.conflicts
        ],
        "into": into,
        "command": None if into else checkout.command_for(resolved.repository, branch),
    }


async def _undo(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Moves the refs that the last merge moved back to where they were."""
    batch = batch_of(system.view, params)
    kept = batch.merge
    if kept is None:
        raise UsageError("this batch has not been merged: there is nothing to undo")
    resolved = status.resolved_of(system.kernel, batch)
    branch = merged_branch(batch.id)
    with private_for(resolved) as private:
        if kept.into is not None and kept.into_before is not None:
            into, before = kept.into, kept.into_before

            def back() -> None:
                command = f"git branch -f {into.removeprefix('refs/heads/')} {before}"
                checkout.move(private, into, kept.commit, before, command)

            await _publish(system, session, resolved, into, lambda: trio.to_thread.run_sync(back))

        def effect() -> None:
            update = RefUpdate(name=branch, new=kept.before, old=kept.commit)
            resolved.repository.update([update], "agentos: merge undone")

        await _publish(system, session, resolved, branch, lambda: trio.to_thread.run_sync(effect))
    await _put(system, msgspec.structs.replace(batch, merge=None))
    merged = [unit.id for unit in units(system.kernel, batch.id) if unit.state == "merged"]
    await _mark(system, batch, merged, "committed")
    return {"batch": batch.id, "undone": [name for name in (branch, kept.into) if name]}


async def _mark(system: System, batch: Batch, names: Any, state: Any) -> None:
    for unit in units(system.kernel, batch.id):
        if unit.id in names:
            await system.kernel.put("unit", unit.key, body(msgspec.structs.replace(unit, state=state)))


async def _put(system: System, batch: Batch) -> None:
    await system.kernel.put("batch", batch.id, body(batch))


async def _publish(
    system: System, session: Session, resolved: Resolved, reference: str, effect: Callable[[], Awaitable[T]]
) -> T:
    """Performs `effect`, which moves `reference`, as one request of the person's."""
    action = PublishAction(repository=str(resolved.repository.common_dir), reference=reference)
    key = f"{reference[-60:]}:{time.monotonic_ns()}"
    ticket = await system.kernel.request(session.pid, action, key=key, recovery="keyed")
    outcome: Any = "error"
    try:
        result = await effect()
        outcome = "ok"
    finally:
        with trio.CancelScope(shield=True):
            await system.kernel.complete(ticket, outcome)
    return result


ACTING: dict[str, Acting] = {
    "batch.accept": _accept,
    "batch.reject": _reject,
    "batch.merge": _merge,
    "batch.undo": _undo,
}
