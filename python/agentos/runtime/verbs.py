"""The daemon's verbs on agents: run, resume, watch, show, undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
import trio

from agentos.errors import UsageError
from agentos.kernel import Kernel
from agentos.runtime.agent import Record
from agentos.runtime.agent_run import AgentRun, asked, live, load_spec, summary
from agentos.runtime.log import find_agent, lines
from agentos.runtime.model_call import Retry
from agentos.runtime.performer import Performed, Performer
from agentos.runtime.spawning import SpawnRequest, check_place, spawn, tell
from agentos.runtime.transcript import now, save
from agentos.runtime.undo_verb import undo_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentos.runtime.system import Acting, Reading, Session, System, View

Asked = TypeVar("Asked")


class RunRequest(SpawnRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `run` takes: an agent and its task."""

    task: str
    detach: bool = False
    retry: Retry = Retry()
    unattended: bool = False
    """Nobody can be asked: what would need a person is denied."""


class Manner(Protocol):
    """How a run is to go."""

    @property
    def detach(self) -> bool:
        """Whether it goes on without its client."""

    @property
    def retry(self) -> Retry:
        """How failed model calls are tried again."""

    @property
    def unattended(self) -> bool:
        """Whether nobody can be asked."""


class ResumeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `run.resume` takes."""

    pid: str
    detach: bool = False
    retry: Retry = Retry()
    unattended: bool = False


def checked(params: dict[str, Any], kind: type[Asked]) -> Asked:
    """The parameters of a verb as `kind`. Raises UsageError."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request is wrong: {error}") from None


async def _run(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    request = checked(params, RunRequest)
    record = named(system, request.key)
    if record is None:
        record = await spawn(system, session, request)
        await tell(system.kernel, record, request.task, request.key)
        await system.kernel.put("run_key", request.key, {"agent": record.id})
    return await go_on(system, session, record, request)


def named(system: System, key: str) -> Record | None:
    """The agent that a request with this key has made, if one has."""
    body = system.kernel.record("run_key", key)
    found = None if body is None else system.kernel.record("agent", body["agent"])
    return None if found is None else msgspec.convert(found, Record)


async def _resume(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Goes on with a run that did not come to its end, or joins one that runs."""
    request = checked(params, ResumeRequest)
    record = find_agent(system.kernel, request.pid)
    if record.state == "done":
        raise UsageError(f"the run `{request.pid}` is done", hint="start another with `agentos run`")
    return await go_on(system, session, record, request)


async def go_on(
    system: System,
    session: Session,
    record: Record,
    request: Manner,
    *,
    performer: Performer | None = None,
    results: Sequence[Performed] | None = None,
) -> dict[str, Any]:
    """Attaches `session` to the agent's run, which is started where it does not run. `performer` performs its
    functions; `results` are those of all calls that it has performed, where the run was cut off under it."""
    run = live().get(record.id)
    if run is None:
        if record.state == "done" and not record.unheard:
            return summary(system.kernel, record)
        spec = load_spec(system.kernel, record)
        check_place(spec, record.root, system.home)
        run = live()[record.id] = AgentRun(
            system,
            record,
            spec,
            session.submission,
            request.retry,
            unattended=request.unattended,
            parent=session.parent,
            results=results,
        )
    run.sessions.append(session.id)
    if performer is not None:
        run.performers.append(performer)
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
        if performer is not None:
            run.performers.remove(performer)
            performer.let_go()
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
