"""The daemon's verbs on agents: run, resume, watch, show, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import trio

from agentos.errors import UsageError
from agentos.kernel import Kernel
from agentos.models.conversation import said
from agentos.runtime.agent import Level, Record, Spec, check_scopes
from agentos.runtime.agent_run import AgentRun, asked, live, load_spec, summary
from agentos.runtime.log import find_agent, lines
from agentos.runtime.model_call import Retry
from agentos.runtime.shell import Surroundings, require_level
from agentos.runtime.transcript import Entry, now, save
from agentos.runtime.undo_verb import undo_run
from agentos.runtime.workspace import check_granted, check_workspace
from agentos.tools.names import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentos.runtime.system import Acting, Reading, Session, System, View

SHOWN_TASK = 200
Asked = TypeVar("Asked")


class RunRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `run` takes. `key` names the request: repeated, it means the same run."""

    key: str
    task: str
    spec: Spec
    workspace: str
    level: Level = "strict"
    detach: bool = False
    retry: Retry = Retry()
    unattended: bool = False
    """Nobody can be asked: what would need a person is denied."""


class ResumeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `run.resume` takes."""

    pid: str
    detach: bool = False
    retry: Retry = Retry()
    unattended: bool = False


def _checked(params: dict[str, Any], kind: type[Asked]) -> Asked:
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request is wrong: {error}") from None


async def _run(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    request = _checked(params, RunRequest)
    record = _started(system, request.key)
    if record is None:
        record = await _begin(system, session, request)
    return await _go_on(system, session, record, request)


def _started(system: System, key: str) -> Record | None:
    body = system.kernel.record("run_key", key)
    found = None if body is None else system.kernel.record("agent", body["agent"])
    return None if found is None else msgspec.convert(found, Record)


async def _begin(system: System, session: Session, request: RunRequest) -> Record:
    """Checks everything that can be checked, then makes the run durable."""
    root = check_workspace(unquote(request.workspace), system.home)
    if not request.task.strip():
        raise UsageError("the task is empty")
    for path in (*request.spec.read, *request.spec.write):
        check_granted(path, system.home)
    check_scopes(request.spec.scopes)
    request.spec.model.price()  # raises where it cannot be known
    if "shell" in request.spec.tools:
        await require_level(
            Surroundings(home=system.home, submission=session.submission, level=request.level, root=root)
        )
    kernel = system.kernel
    record = Record(
        id=kernel.new_id("a"),
        spec=await kernel.blob_put(msgspec.json.encode(request.spec)),
        name=request.spec.name,
        model=str(request.spec.model),
        url=request.spec.model.url,
        workspace=quote(root),
        level=request.level,
        task=request.task[:SHOWN_TASK],
        created=now(),
        state="interrupted",
    )
    task = Entry(turn=0, at=record.created, message=said(request.task))
    record.head = await kernel.blob_put(msgspec.json.encode(task))
    await save(kernel, record)
    await kernel.put("run_key", request.key, {"agent": record.id})
    return record


async def _resume(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Goes on with a run that did not come to its end, or joins one that runs."""
    request = _checked(params, ResumeRequest)
    record = find_agent(system.kernel, request.pid)
    if record.state == "done":
        raise UsageError(f"the run `{request.pid}` is done", hint="start another with `agentos run`")
    return await _go_on(system, session, record, request)


async def _go_on(
    system: System, session: Session, record: Record, request: RunRequest | ResumeRequest
) -> dict[str, Any]:
    """Attaches `session` to the agent's run, which is started where it does not run."""
    run = live().get(record.id)
    if run is None:
        if record.state == "done":
            return summary(system.kernel, record)
        check_workspace(record.root, system.home)
        spec = load_spec(system.kernel, record)
        run = live()[record.id] = AgentRun(
            system,
            record,
            spec,
            session.submission,
            request.retry,
            unattended=request.unattended,
            parent=session.parent,
        )
    run.sessions.append(session.id)
    try:
        with run.feed.watch() as events:
            work = system.start(record.id, run.work, detached=request.detach)
            if request.detach:
                return await _detached(system, session, run, events)
            async with system.attach(work):
                async for event in events:
                    session.hint = f"go on with: agentos resume {_name(system, run.record)}"
                    await session.emit(event)
    finally:
        if not request.detach:
            run.sessions.remove(session.id)
    return run.summary


def _name(system: System, record: Record) -> str:
    return system.kernel.name("p", record.pids[-1]) if record.pids else record.id


async def _detached(
    system: System, session: Session, run: AgentRun, events: trio.MemoryReceiveChannel[dict[str, Any]]
) -> dict[str, Any]:
    """Leaves the run to itself once it has started; its keys stay until it ends."""
    system.hold_keys(session.id, run.record.id)
    async for started in events:
        await session.emit(started)
        break
    return {**summary(system.kernel, run.record), "detached": True}


async def _follow(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """The transcript so far and the events from now on, without keeping the run going."""
    record = find_agent(system.kernel, params["pid"])
    run = live().get(record.id)
    if run is None:
        for event in lines(system.kernel, record):
            await session.emit(event)
        await session.emit(summary(system.kernel, record))
        return summary(system.kernel, record)
    with run.feed.watch() as events:
        # The transcript as it is at the moment of subscribing: nothing is missed, nothing comes twice.
        so_far = list(lines(system.kernel, run.record))
        for event in so_far:
            await session.emit(event)
        for question in system.kernel.questions():
            if question.pid in run.record.pids:
                await session.emit(asked(system.kernel, question.request, question.why))
        async for event in events:
            await session.emit(event)
    return run.summary


def _log(view: View, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The transcript as events."""
    return lines(view.kernel, find_agent(view.kernel, params["pid"]))


def _show(view: View, params: dict[str, Any]) -> dict[str, Any]:
    """The summary of a run, as it stands."""
    record = find_agent(view.kernel, params["pid"])
    if record.state == "running" and not isinstance(view.kernel, Kernel):
        # Nothing runs without a daemon; the next one will find it so.
        record.state = record.stop = "interrupted"
    return {
        **summary(view.kernel, record),
        "task": record.task,
        "model": record.model,
        "url": record.url,
        "workspace": record.workspace,
        "created": record.created,
        "ended": record.ended,
        "level": record.level,
    }


async def recover(system: System) -> None:
    """Settles the runs that the last daemon left: their processes end, their money is counted, and they wait
    for somebody to resume them."""
    rows = {row.pid: row for row in system.kernel.processes()}
    for body in system.kernel.records("agent").values():
        record = msgspec.convert(body, Record)
        row = rows.get(record.pids[-1]) if record.pids else None
        if record.state == "running":
            spent = 0 if row is None else row.spent.usd_micros
            record.settled_micros += spent
            record.spent_micros = record.settled_micros
            record.state, record.stop, record.ended = "interrupted", "interrupted", now()
            await save(system.kernel, record)
        if row is not None and row.state != "exited":
            await system.kernel.exit(row.pid, "lost")


READING: dict[str, Reading] = {"run.log": _log, "run.show": _show}
ACTING: dict[str, Acting] = {
    "run": _run,
    "run.resume": _resume,
    "run.follow": _follow,
    "run.undo": undo_run,
}
