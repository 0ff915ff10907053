"""The daemon's verbs on batches. What each takes and gives is JSON; names as on the command line."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.batch import review, status
from agentos.batch.reading import BASELINE, READING, batch_of, chosen
from agentos.batch.records import (
    BATCH_ENDED,
    ENDED,
    LANDED,
    UNDER_WAY,
    Batch,
    Unit,
    batches,
    body,
    stream,
    units,
)
from agentos.batch.removal import remove
from agentos.batch.resolved import Resolved
from agentos.errors import AgentOSError, JournalError, UsageError

if TYPE_CHECKING:
    from agentos.batch.engine import Engine
    from agentos.batch.ports import PortLeases
    from agentos.messages import Pid
    from agentos.runtime.system import Acting, Session, System, Work


@dataclass
class Running:
    """What the daemon knows of batches beside their records: the engines at work and the leased ports."""

    ports: PortLeases
    engines: dict[str, Engine] = field(default_factory=dict)


def _running(system: System) -> Running:
    found = system.areas.get("batch")
    if found is None:
        from agentos.batch.ports import PortLeases

        found = system.areas["batch"] = Running(PortLeases())
    assert isinstance(found, Running)
    return found


# --- acting -----------------------------------------------------------------------------------------------


async def _run(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Creates a batch from a resolved plan and runs it. `key` makes a repeat the same batch."""
    known = next((b for b in batches(system.kernel) if b.key == params["key"]), None)
    if known is not None:
        return await _go_on(system, session, {**params, "batch": known.id})
    resolved = Resolved.decode(params["resolved"].encode())
    batch = await _create(system, resolved, params["key"])
    return await _drive(system, session, batch, params)


async def _create(system: System, resolved: Resolved, key: str) -> Batch:
    kernel = system.kernel
    id = kernel.new_id("b")
    resolved.repository.refuse_branches_in_the_way(id)
    plan = await kernel.blob_put(resolved.encode())
    batch = Batch(
        id=id,
        key=key,
        name=resolved.spec.title,
        repository=str(resolved.repository.top),
        base=resolved.base,
        created_us=time.time_ns() // 1000,
        state="planned",
        plan=plan,
        units=len(resolved.units),
        level="strict",
    )
    for index, planned in enumerate(resolved.units):
        unit = Unit(id=planned.id, batch=id, index=index)
        kernel.put_nowait("unit", unit.key, body(unit))
    # Last: a batch that is there has all its units.
    await kernel.put("batch", id, body(batch))
    return batch


async def _go_on(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Resumes a batch that was interrupted or stopped, or joins one that runs."""
    batch = batch_of(system.view, params)
    ending = system.works.get(batch.id)
    if ending is not None and ending.interrupted:
        # Its last client has just gone: it comes to rest first, so that there is something to resume.
        await ending.done.wait()
        batch = _again(system, batch)
    if batch.id not in system.works and batch.state in ("done", "partial", "failed"):
        await session.emit(_started(batch))
        return status.summary(system.view, batch, 0.0)
    if batch.id not in system.works:
        for unit in units(system.kernel, batch.id):
            if unit.state == "cancelled":
                await system.kernel.put(
                    "unit", unit.key, body(msgspec.structs.replace(unit, state="queued", failure=None))
                )
    return await _drive(system, session, batch, params)


def _started(batch: Batch) -> dict[str, Any]:
    return {"event": "started", "batch": batch.id, "name": batch.name, "units": batch.units,
            "base": batch.base, "level": batch.level}  # fmt: skip


def _goes_on(batch: Batch) -> str:
    return f"the batch goes on without you: `agentos batch watch {batch.id}` shows it"


def _start(
    system: System, batch: Batch, params: dict[str, Any], *, detached: bool, parent: Pid | None = None
) -> Engine:
    """The engine of a batch, put to work if it is not."""
    from agentos.batch.engine import Engine

    running = _running(system)
    engine = running.engines.get(batch.id)
    if engine is not None and batch.id in system.works:
        return engine
    resolved = status.resolved_of(system.kernel, batch)
    engine = Engine(system, batch, resolved, running.ports, params.get("environment"), parent)
    running.engines[batch.id] = engine

    async def work(work: Work) -> None:
        try:
            await engine.run(work)
        finally:
            running.engines.pop(batch.id, None)

    system.start(batch.id, work, detached=detached)
    return engine


async def _drive(system: System, session: Session, batch: Batch, params: dict[str, Any]) -> dict[str, Any]:
    """Keeps a batch going, passes its events on and returns its summary."""
    began = time.monotonic()
    detach = bool(params.get("detach"))
    status.resolved_of(system.kernel, batch).repository.require()
    session.hint = f"its work is kept: `agentos batch resume {batch.id}` goes on with it"
    engine = _start(system, batch, params, detached=detach, parent=session.parent)
    if detach:
        await engine.detach()
        await session.emit(_started(batch))
        return {"event": "detached", "batch": batch.id, "exit_code": 0}
    work = system.works[batch.id]
    # Attached at once: until then it could lose its last other client, and be interrupted under us.
    async with system.attach(work), engine.feed.follow() as events:
        try:
            await session.emit(_started(batch))
            await session.emit({"event": "status", "status": status.status(system.view, batch)})
            async for event in events:
                await _pass_on(system, session, batch, event)
            await work.done.wait()
        except trio.Cancelled:
            if work.attached > 1 or work.detached:
                session.hint = _goes_on(batch)
            raise
    if engine.error is not None:
        raise engine.error
    return status.summary(system.view, _again(system, batch), time.monotonic() - began)


async def _pass_on(system: System, session: Session, batch: Batch, event: dict[str, Any]) -> None:
    if event["event"] == "lagged":
        event = {"event": "status", "status": status.status(system.view, _again(system, batch))}
    if event["event"] != "output":
        await session.emit(event)


def _again(system: System, batch: Batch) -> Batch:
    return status.find_batch(system.kernel, batch.id, None)


async def _watch(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Shows a batch until it comes to rest; keeps nothing going."""
    began = time.monotonic()
    batch = batch_of(system.view, params)
    engine = _running(system).engines.get(batch.id)
    session.hint = _goes_on(batch)
    await session.emit(_started(batch))
    if engine is not None:
        async with engine.feed.follow() as events:
            await session.emit({"event": "status", "status": status.status(system.view, batch)})
            async for event in events:
                await _pass_on(system, session, batch, event)
    else:
        await session.emit({"event": "status", "status": status.status(system.view, batch)})
    return status.summary(system.view, _again(system, batch), time.monotonic() - began)


async def _follow(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """`logs -f`: a unit's output as it comes, until the unit or the batch is at rest."""
    batch = batch_of(system.view, params)
    resolved = status.resolved_of(system.kernel, batch)
    if params["unit"] == BASELINE:
        raise UsageError("the baseline is not followed", hint="look at it without --follow")
    unit = status.find_units(units(system.kernel, batch.id), resolved, [params["unit"]])[0].id
    engine = _running(system).engines.get(batch.id)
    sent: dict[str, int] = {}
    if engine is not None:
        async with engine.feed.follow() as events:
            ended = await _pour(system, session, batch, unit, sent)
            while not ended:
                event = await anext(events, None)
                if event is None:
                    break
                if event.get("unit") == unit or event["event"] != "output":
                    ended = await _pour(system, session, batch, unit, sent)
    await _pour(system, session, batch, unit, sent)
    return {"batch": batch.id, "unit": unit}


async def _pour(system: System, session: Session, batch: Batch, id: str, sent: dict[str, int]) -> bool:
    """Sends what the unit's streams have beyond `sent`; returns whether the unit is at rest."""
    unit = next(unit for unit in units(system.kernel, batch.id) if unit.id == id)
    for number in range(1, unit.attempt + 1):
        for phase in ("setup", "agent", "verify"):
            name = stream(batch.id, id, number, phase)
            while data := system.kernel.stream(name, sent.get(name, 0)):
                sent[name] = sent.get(name, 0) + len(data)
                text = data.decode("latin-1")
                await session.emit({"event": "output", "attempt": number, "phase": phase, "data": text})
    return unit.state in LANDED or unit.state in ("failed", "cancelled")


async def _stop(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Stops a batch; its work is kept, and `resume` goes on with it."""
    batch = batch_of(system.view, params)
    engine, work = _running(system).engines.get(batch.id), system.works.get(batch.id)
    if engine is not None and work is not None:
        engine.stopping = True
        work.interrupt()
        await work.done.wait()
    elif batch.state in ("planned", "interrupted"):
        await system.kernel.put("batch", batch.id, body(msgspec.structs.replace(batch, state="stopped")))
    return status.status(system.view, _again(system, batch))


async def _retry(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Runs units again that did not land (none named: all of those), or that were rejected."""
    batch, resolved, picked = chosen(system.view, params)
    if batch.id in system.works:
        raise UsageError("the batch is running", hint="retry units when it is done, or stop it first")
    again = [unit for unit in picked if unit.state not in LANDED or unit.review == "rejected"]
    landed = [unit.id for unit in picked if unit not in again]
    if params.get("units") and landed:
        raise UsageError(f"`{landed[0]}` has landed", hint=f"`agentos batch reject {landed[0]}` first")
    if not again:
        raise UsageError("every unit has landed; there is nothing to retry")
    for unit in again:
        if unit.commit is not None:
            await review.withdraw(system, session, batch, resolved, unit)
        fresh = msgspec.structs.replace(
            unit, state="queued", attempts=0, commit=None, verify=None, failure=None, review="none"
        )
        await system.kernel.put("unit", unit.key, body(fresh))
    return await _drive(system, session, batch, params)


async def recover(system: System) -> None:
    """What a new daemon does with batches that were running: detached ones go on by themselves, the others
    are at rest until somebody resumes them. Either way no unit is left under way."""
    from agentos.batch.engine import Engine

    for batch in batches(system.kernel):
        if batch.state not in UNDER_WAY:
            continue
        if batch.detached:
            _start(system, batch, {}, detached=True)
            continue
        engine = Engine(system, batch, status.resolved_of(system.kernel, batch), _running(system).ports)
        try:
            await engine.prepare()
            await engine.reconcile()
            await engine.rest("interrupted")
        except JournalError:
            raise
        except (AgentOSError, OSError) as error:
            await engine.park(error)
    for batch in batches(system.kernel):
        at_rest = all(unit.state in ENDED or unit.commit for unit in units(system.kernel, batch.id))
        if batch.state in BATCH_ENDED and at_rest:
            # Its folder went when it ended, unless a kill came between.
            with suppress(AgentOSError):
                await trio.to_thread.run_sync(remove, system.home.workspaces / batch.id)


ACTING: dict[str, Acting] = {
    "batch.run": _run,
    "batch.resume": _go_on,
    "batch.watch": _watch,
    "batch.follow": _follow,
    "batch.stop": _stop,
    "batch.retry": _retry,
    **review.ACTING,
}

__all__ = ["ACTING", "READING", "recover"]
