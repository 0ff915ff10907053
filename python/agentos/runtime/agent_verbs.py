"""The daemon's verbs on agents that have a life beside their runs: spawn, task, say, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentos.runtime.agent import Record
from agentos.runtime.agent_run import live
from agentos.runtime.log import find_agent
from agentos.runtime.model_call import Retry
from agentos.runtime.performer import Performed, Performer
from agentos.runtime.spawning import SpawnRequest, spawn, tell
from agentos.runtime.transcript import save
from agentos.runtime.verbs import checked, go_on, named

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Reading, Session, System


class TaskRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `agent.run` takes. A client that goes on with its task on another daemon gives the results of all
    calls that it has performed in the last turn."""

    agent: str
    task: str
    key: str
    retry: Retry = Retry()
    unattended: bool = False
    detach: bool = False
    results: tuple[Performed, ...] | None = None


def _record(system: System, name: str) -> Record:
    """The agent's record; the one that is being written where it runs."""
    record = find_agent(system.kernel, name)
    running = live().get(record.id)
    return record if running is None else running.record


async def _spawn(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    request = checked(params, SpawnRequest)
    record = named(system, request.key)
    if record is None:
        record = await spawn(system, session, request)
        await save(system.kernel, record)
        await system.kernel.put("run_key", request.key, {"agent": record.id})
    return {"agent": record.id, "workspace": record.workspace}


async def _run(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Gives the agent a task and keeps it going until it has done it; the client performs its functions."""
    request = checked(params, TaskRequest)
    record = _record(system, request.agent)
    await tell(system.kernel, record, request.task, request.key)
    performer = Performer(system, session)
    return await go_on(system, session, record, request, performer=performer, results=request.results)


async def _say(system: System, session: Session, params: dict[str, Any]) -> None:
    """Tells the agent something: before its next turn, or with its next task where it is at rest."""
    await tell(system.kernel, _record(system, params["agent"]), params["text"])


async def _cancel(system: System, session: Session, params: dict[str, Any]) -> None:
    """Ends what the agent is doing; nothing happens where it is at rest."""
    record = _record(system, params["agent"])
    if record.state == "running":
        await system.kernel.signal(record.pids[-1], "cancel")


READING: dict[str, Reading] = {}
ACTING: dict[str, Acting] = {
    "agent.spawn": _spawn,
    "agent.run": _run,
    "agent.say": _say,
    "agent.cancel": _cancel,
}
