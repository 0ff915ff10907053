"""Which triggers led to a process or a record: the chain that keeps them from firing in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentos.automation.performing import NAME_BYTES

if TYPE_CHECKING:
    from agentos.kernel import ReadOnlyKernel
    from agentos.messages import Pid

NOBODY: frozenset[str] = frozenset()
REMEMBERED = 10_000
"""Firings whose records are still known to come from them."""


class Origins:
    """Processes by name and parent while they live, and the triggers at work."""

    def __init__(self, kernel: ReadOnlyKernel) -> None:
        self._kernel = kernel
        self._processes: dict[Pid, tuple[str, Pid | None]] = {}
        self._by_name: dict[str, frozenset[str]] = {}
        self._by_key: dict[str, frozenset[str]] = {}

    def learn(self) -> None:
        """Takes the processes that there are."""
        rows = self._kernel.processes()
        self._processes = {row.pid: (row.name, row.parent) for row in rows if row.state != "exited"}

    def begun(self, trigger: str, firing: str, chain: frozenset[str]) -> None:
        """`trigger` is at work, led to by `chain`."""
        whole = chain | {trigger}
        self._by_name[f"trigger {trigger}".encode()[:NAME_BYTES].decode(errors="ignore")] = whole
        self._by_key[f"trigger {firing}"] = whole
        if len(self._by_key) > REMEMBERED:
            del self._by_key[next(iter(self._by_key))]

    def born(self, pid: Pid, parent: Pid, name: str) -> None:
        """A process was born."""
        self._processes[pid] = (name, parent)

    def again(self, old: Pid, pid: Pid, name: str) -> None:
        """A process that fell lives on as `pid`, under the same parent."""
        _, parent = self._processes.pop(old, ("", None))
        self._processes[pid] = (name, parent)

    def gone(self, pid: Pid) -> tuple[str, frozenset[str]]:
        """A process has exited: its name, and what led to it."""
        chain = self.of_process(pid)
        name, _ = self._processes.pop(pid, ("", None))
        return name, chain

    def of_process(self, pid: Pid | None) -> frozenset[str]:
        """The triggers above a process."""
        chain = NOBODY
        while pid is not None and pid in self._processes:
            name, pid = self._processes[pid]
            chain |= self._by_name.get(name, NOBODY)
        return chain

    def of_record(self, kind: str, id: str, body: dict[str, Any]) -> frozenset[str]:
        """The triggers that a record of a run goes back to."""
        if kind == "agent":
            pids = body.get("pids") or [None]
            return self.of_process(pids[-1])
        if kind == "run_key":
            return self._of_key(id)
        if kind in ("batch", "workflow_run"):
            return self._of_key(body.get("key", ""))
        if kind in ("unit", "attempt", "workflow_step"):
            owner = "batch" if kind != "workflow_step" else "workflow_run"
            return self._of_key((self._kernel.record(owner, id.partition("/")[0]) or {}).get("key", ""))
        return NOBODY

    def _of_key(self, key: str) -> frozenset[str]:
        if key.startswith("workflow "):
            run = key.removeprefix("workflow ").partition("/")[0]
            return self._of_key((self._kernel.record("workflow_run", run) or {}).get("key", ""))
        return self._by_key.get(key, NOBODY)
