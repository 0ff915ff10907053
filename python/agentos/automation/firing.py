"""One run of a job or a trigger, from its durable beginning to its end, under a process of its own."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING

import trio

from agentos.automation.performing import NAME_BYTES, Place, perform
from agentos.automation.task import Ended, Prepared, failed
from agentos.errors import AgentOSError, Failed, InternalError
from agentos.messages import Everything, ExitStatus

if TYPE_CHECKING:
    from agentos.runtime.system import System

PROCESSES = ("cron ", "trigger ", "workflow ")
"""How the names of the processes begin that work is born under."""


async def fire(system: System, name: str, key: str, prepared: Prepared, values: Mapping[str, str]) -> Ended:
    """Runs the task under a process `name`; `key` names this run, also after a crash. Raises nothing but a
    cancellation: one run's failure is not the daemon's."""
    try:
        await system.enforce()
        return await _fire(system, name, key, prepared, values)
    except AgentOSError as error:
        return failed(error)
    except Exception as error:
        traceback.print_exception(error, file=sys.stderr)
        return failed(InternalError(f"{type(error).__name__}: {error}; see {system.home.daemon_log}"))


async def _fire(system: System, name: str, key: str, prepared: Prepared, values: Mapping[str, str]) -> Ended:
    kernel = system.kernel
    if prepared.submission is None:
        raise Failed("nobody is known to have asked for it")
    child = await kernel.spawn(
        kernel.root,
        name.encode()[:NAME_BYTES].decode(errors="ignore"),
        key=f"automation {kernel.new_id('x')}",
        grants=[Everything()],
    )
    status: ExitStatus = "cancelled"
    try:
        place = Place(system, child.pid, _short(name), key, prepared.submission, values)
        ended = await perform(place, prepared)
        status = "done" if ended.ok else "failed"
        return ended
    finally:
        with trio.CancelScope(shield=True):
            await kernel.exit(child.pid, status)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


async def exit_leftovers(system: System) -> None:
    """Ends the processes that the last daemon's work was born under; the work itself goes on under others."""
    for row in system.kernel.processes():
        if row.parent == system.kernel.root and row.state != "exited" and row.name.startswith(PROCESSES):
            await system.kernel.exit(row.pid, "lost")
