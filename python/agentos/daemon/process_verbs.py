"""Verbs on kernel processes: the table, and signals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentos.errors import UsageError
from agentos.money import usd

if TYPE_CHECKING:
    from agentos.messages import Pid, ProcessView
    from agentos.runtime.system import Acting, Reading, Session, System, View


def row(view: View, process: ProcessView) -> dict[str, Any]:
    """A process as `ps --json` shows it."""
    name = view.kernel.name
    limit = process.budget.usd_micros
    return {
        "pid": name("p", process.pid),
        "parent": None if process.parent is None else name("p", process.parent),
        "name": process.name,
        "state": process.state,
        "waiting_on": process.waiting_on,
        "since": datetime.fromtimestamp(process.since_us / 1e6, UTC).isoformat().replace("+00:00", "Z"),
        "spent_usd": usd(process.spent.usd_micros),
        "budget_usd": None if limit is None else usd(limit),
        "group": None if process.group is None else name("p", process.group),
    }


def _list(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    return [row(view, process) for process in view.kernel.processes()]


def _show(view: View, params: dict[str, Any]) -> dict[str, Any]:
    pid = find(view, params["pid"])
    return next(row(view, process) for process in view.kernel.processes() if process.pid == pid)


def find(view: View, name: str) -> Pid:
    """The process that `name`, or a unique prefix of it, means. Raises UsageError."""
    wanted = name if name.startswith("p-") else f"p-{name}"
    pids = [process.pid for process in view.kernel.processes()]
    found = [pid for pid in pids if view.kernel.name("p", pid).startswith(wanted)]
    if len(found) != 1:
        what = "no process" if not found else f"{len(found)} processes"
        raise UsageError(f"`{name}` means {what}", hint="`agentos ps` lists them")
    return found[0]


async def _signal(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    pid = find(system.view, params["pid"])
    await system.kernel.signal(pid, params["signal"])
    return {"pid": system.kernel.name("p", pid), "signal": params["signal"]}


READING: dict[str, Reading] = {"process.list": _list, "process.show": _show}
ACTING: dict[str, Acting] = {"process.signal": _signal}
