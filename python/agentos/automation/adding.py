"""Adding and removing the jobs and triggers of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentos.automation import clock, cron, trigger, watch
from agentos.automation.clock import Clock
from agentos.automation.watch import Watch
from agentos.automation.work import check_name
from agentos.errors import UsageError

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Session, System


def clock_of(system: System) -> Clock:
    """The daemon's clock."""
    found = system.areas["clock"]
    assert isinstance(found, Clock)
    return found


def watch_of(system: System) -> Watch:
    """The daemon's triggers."""
    found = system.areas["watch"]
    assert isinstance(found, Watch)
    return found


async def _add_jobs(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Makes the jobs of a document those of the home: new ones come, changed ones change, others go."""
    kernel, document, file = system.kernel, check_name(params["document"]), params["file"]
    wanted = [msgspec.convert(item, clock.Definition) for item in params["items"]]
    known = {state.id: state for state in clock.states(kernel)}
    ids = [f"{document}/{one.job.name}" for one in wanted]
    check(ids, {id: (state.document, state.file) for id, state in known.items()}, document, file, "jobs")
    now = kernel.now_us()
    for id, one in zip(ids, wanted, strict=True):
        blob = await _keep(system, session, one)
        fresh = cron.State(
            id=id, document=document, file=file, definition=blob, kind=one.job.kind, when=one.job.when
        )
        before = known.get(id)
        if before is not None and before.when == fresh.when and before.state in ("active", "done"):
            fresh = msgspec.structs.replace(before, definition=blob, kind=fresh.kind, errors=0)
        else:
            one.job.check_times(now)
            fresh = msgspec.structs.replace(fresh, next_us=cron.next_us(one.job, now))
            if before is not None:
                kept = {"firing": before.firing, "runs": before.runs, "last": before.last}
                fresh = msgspec.structs.replace(fresh, **kept)
        await clock_of(system).save(clock.find(kernel, id, removed=True), fresh)
    gone = [state for state in known.values() if state.document == document and state.id not in ids]
    for state in gone:
        await _remove_job(system, state)
    return {"document": document, "added": ids, "removed": [state.id for state in gone]}


async def _remove_job(system: System, state: cron.State) -> None:
    removed = msgspec.structs.replace(state, state="removed", next_us=None, pending=())
    await clock_of(system).save(state, removed)


async def _add_triggers(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Makes the triggers of a document those of the home."""
    kernel, document, file = system.kernel, check_name(params["document"]), params["file"]
    wanted = [msgspec.convert(item, watch.Definition) for item in params["items"]]
    known = {state.id: state for state in watch.states(kernel)}
    ids = [f"{document}/{one.trigger.name}" for one in wanted]
    check(ids, {id: (state.document, state.file) for id, state in known.items()}, document, file, "triggers")
    for id, one in zip(ids, wanted, strict=True):
        one.trigger.check_event()
        before = known.get(id)
        state = trigger.State(
            id=id,
            document=document,
            file=file,
            definition=await _keep(system, session, one),
            kind=one.trigger.kind,
            when=one.trigger.when,
            max_fires=one.trigger.max_fires,
        )
        if before is not None:
            kept = {key: getattr(before, key) for key in ("firing", "firing_id", "pending", "last")}
            state = msgspec.structs.replace(state, **kept)
        await kernel.put("trigger", id, msgspec.to_builtins(state))
    gone = [state for state in known.values() if state.document == document and state.id not in ids]
    for state in gone:
        await _remove_trigger(system, state)
    watch_of(system).learn()
    return {"document": document, "added": ids, "removed": [state.id for state in gone]}


async def _remove_trigger(system: System, state: trigger.State) -> None:
    removed = msgspec.structs.replace(state, state="removed", pending=())
    await system.kernel.put("trigger", state.id, msgspec.to_builtins(removed))


async def _keep(system: System, session: Session, one: Any) -> str:
    prepared = msgspec.structs.replace(one.prepared, submission=session.submission)
    return await system.kernel.blob_put(msgspec.json.encode(msgspec.structs.replace(one, prepared=prepared)))


def check(ids: list[str], known: dict[str, tuple[str, str]], document: str, file: str, what: str) -> None:
    """Raises UsageError where there would be too many, or a name is taken."""
    for id in ids:
        check_name(id.removeprefix(f"{document}/"))
    if len(set(ids)) != len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise UsageError(f"the name `{twice.partition('/')[2]}` stands twice", where=file)
    if not ids or len(ids) > cron.DOCUMENT_JOBS:
        raise UsageError(
            f"the document has {len(ids)} {what}, and may have 1 to {cron.DOCUMENT_JOBS}", where=file
        )
    other = next((theirs for name, theirs in known.values() if name == document and theirs != file), None)
    if other is not None:
        raise UsageError(
            f"there is a document `{document}` already, from {other}",
            where=file,
            hint=f"give this one a `name` of its own, or remove that one: remove {document}",
        )
    others = [id for id, (name, _) in known.items() if name != document]
    if len(others) + len(ids) > cron.HOME_JOBS:
        raise UsageError(f"there would be more than {cron.HOME_JOBS} {what} in this home", where=file)


def named(names: list[str], known: list[Any], what: str) -> list[Any]:
    """The states that names mean: each a document's or one of its own."""
    found: dict[str, Any] = {}
    for name in names:
        meant = [state for state in known if name in (state.id, state.document)]
        if not meant:
            raise UsageError(
                f"there is no {what} or document `{name}`", hint=f"`agentos {what} list` shows them"
            )
        found |= {state.id: state for state in meant}
    return list(found.values())


async def _remove_jobs(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    meant = named(params["names"], clock.states(system.kernel), "cron")
    for state in meant:
        await _remove_job(system, state)
    return {"removed": [state.id for state in meant]}


async def _remove_triggers(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    meant = named(params["names"], watch.states(system.kernel), "trigger")
    for state in meant:
        await _remove_trigger(system, state)
    watch_of(system).learn()
    return {"removed": [state.id for state in meant]}


ACTING: dict[str, Acting] = {
    "cron.add": _add_jobs,
    "cron.remove": _remove_jobs,
    "trigger.add": _add_triggers,
    "trigger.remove": _remove_triggers,
}
