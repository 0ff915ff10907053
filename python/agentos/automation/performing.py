"""Runs a task through the engine that it belongs to, under a process of the kernel, and says how it ended.

INVARIANT: `key` names one performance. Done again after a crash with the same key, an agent's run, a batch or
a workflow goes on where it stood, and one that has ended is not run again; a program has no such memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.automation import program
from agentos.automation.standing import Standing
from agentos.automation.task import AgentTask, BatchTask, Ended, Prepared, Program, WorkflowTask, failed
from agentos.errors import AgentOSError, NeedsPerson

if TYPE_CHECKING:
    from agentos.automation.standing import Watcher
    from agentos.messages import Pid
    from agentos.runtime.system import Submission, System

NAME_BYTES = 100
"""A process's name at most."""


@dataclass(frozen=True)
class Place:
    """Where a task runs: below which process, under which name and key, with which variables."""

    system: System
    parent: Pid
    name: str
    key: str
    submission: Submission
    values: Mapping[str, str] = field(default_factory=dict)
    watcher: Watcher | None = None
    decision: str | None = None
    """What a person said about a workflow's step that was cut off."""

    def session(self) -> Standing:
        """A session for the engines, with the keys of whoever serves now."""
        return Standing(self.submission, self.parent, keys=serving(self.system), watcher=self.watcher)


async def perform(place: Place, prepared: Prepared) -> Ended:
    """Runs the task to its end. Raises only NeedsPerson, and what is a bug."""
    place = replace(place, name=place.name.encode()[:NAME_BYTES].decode(errors="ignore"))
    limit = prepared.timeout
    try:
        # A program's own time limit also ends what it started.
        if isinstance(prepared.task, Program):
            return await program.run(place, prepared.task, limit)
        with trio.move_on_after(float("inf") if limit is None else limit) as scope:
            return await _engine(place, prepared.task)
    except NeedsPerson:
        raise
    except AgentOSError as error:
        return failed(error)
    assert scope.cancelled_caught
    return Ended(ok=False, message=f"it was still running after {limit} seconds")


async def _engine(place: Place, task: AgentTask | BatchTask | WorkflowTask) -> Ended:
    match task:
        case AgentTask():
            return await _agent(place, task)
        case BatchTask():
            return await _batch(place, task)
        case WorkflowTask():
            from agentos.automation.workflow_run import nested

            return await nested(place, task)


async def _agent(place: Place, task: AgentTask) -> Ended:
    from agentos.runtime.agent import Record
    from agentos.runtime.agent_run import summary
    from agentos.runtime.verbs import ACTING

    kernel = place.system.kernel
    started = kernel.record("run_key", place.key)
    known = None if started is None else kernel.record("agent", started["agent"])
    if known is not None and known["state"] in ("done", "failed", "cancelled"):
        ended = summary(kernel, msgspec.convert(known, Record))
    else:
        params = {
            "key": place.key,
            "task": program.expand(task.text, place.values),
            "spec": msgspec.to_builtins(task.spec),
            "workspace": task.workspace,
            "level": task.level,
            "unattended": True,
        }
        ended = await ACTING["run"](place.system, place.session(), params)
    if ended["state"] == "done":
        return Ended(ok=True, output=ended["text"])
    error = ended["error"]
    return Ended(
        ok=False, output=ended["text"], message=error["message"] if error else f"it stopped: {ended['stop']}"
    )


async def _batch(place: Place, task: BatchTask) -> Ended:
    from agentos.batch.plan_file import from_data
    from agentos.batch.records import batches
    from agentos.batch.resolved import resolve
    from agentos.batch.verbs import ACTING

    params: dict[str, Any] = {"key": place.key, "environment": task.environment}
    if all(batch.key != place.key for batch in batches(place.system.kernel)):
        person = place.submission
        environment = {
            **os.environ,
            **task.environment,
            "PATH": person.path,
            "HOME": person.home,
            "LANG": person.lang,
        }
        resolved = await trio.to_thread.run_sync(
            lambda: resolve(from_data(task.plan), task.folder, environment, where="the batch's plan")
        )
        params["resolved"] = resolved.encode().decode()
    summary = await ACTING["batch.run"](place.system, place.session(), params)
    said = f"{summary['landed']} of {summary['units']} units landed in {summary['batch']}"
    return Ended(ok=summary["exit_code"] == 0, output=said, message="" if summary["exit_code"] == 0 else said)


def serve(system: System, session: str) -> None:
    """The keys of the client `session` serve what runs by itself, from now on and until `leave`."""
    _serving(system).append(session)


def leave(system: System, session: str) -> None:
    """The client has gone."""
    _serving(system).remove(session)


def serving(system: System) -> str:
    """The newest client session that serves; empty where none does."""
    return next(reversed(_serving(system)), "")


def _serving(system: System) -> list[str]:
    found = system.areas.setdefault("automation serving", [])
    assert isinstance(found, list)
    return found
