"""Runs one batch: its process, its baseline, its units, and the way back after a crash.

The engine decides nothing that the kernel decides: how many units run at once, what each may touch and spend
are the batch process's group, capabilities and budget. Work that is cut, by Ctrl-C, `stop` or the daemon's
death, is salvaged and its units queue again; it is no attempt.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal

import msgspec
import trio

from agentos.batch import delivery, landing
from agentos.batch.commands import Values
from agentos.batch.execution import AttemptFailed, Execution, UnitCancelled
from agentos.batch.feed import Feed
from agentos.batch.ports import PortLeases
from agentos.batch.private import PrivateRepository
from agentos.batch.records import (
    ENDED,
    LANDED,
    Attempt,
    Batch,
    Failure,
    Unit,
    Verification,
    attempts,
    body,
    units,
)
from agentos.batch.removal import remove
from agentos.batch.resolved import Resolved, ResolvedUnit
from agentos.batch.unit import UnitRun
from agentos.drivers.launch import Level
from agentos.errors import AgentOSError, Failed, JournalError, UsageError
from agentos.kernel import LOW_DISK
from agentos.messages import Exec, GroupSpec, Limit, Publish, PublishAction, Spawn, exactly
from agentos.messages import Path as PathScope

if TYPE_CHECKING:
    from agentos.messages import Pid
    from agentos.runtime.system import System, Work

CANNOT_RUN = (126, 127)
SETTLED: frozenset[str] = LANDED | {"failed"}


class Engine:
    """One batch at work. `error` is what stopped it as a whole, if anything did."""

    def __init__(
        self,
        system: System,
        batch: Batch,
        resolved: Resolved,
        ports: PortLeases,
        passed: dict[str, str] | None = None,
        parent: Pid | None = None,
    ) -> None:
        self.system = system
        self.batch = batch
        self.resolved = resolved
        self.plan = resolved.spec
        self.ports = ports
        self._parent = parent
        self.feed = Feed()
        self.error: AgentOSError | None = None
        self.stopping = False
        self.process = 0
        self.level: Level = "strict"
        self.folder = system.home.workspaces / batch.id
        self.environment = {
            **(passed or {}),
            "PATH": resolved.path,
            "LANG": resolved.lang,
            "TERM": resolved.term,
        }
        self._private: PrivateRepository | None = None
        self._told_low_disk = False
        self._runs: dict[str, UnitRun] = {}

    # --- what units ask of it -----------------------------------------------------------------------------

    @property
    def private(self) -> PrivateRepository:
        """Git over this repository's objects, with none of its configuration; there after `prepare`.

        Raises: Failed where `prepare` failed: what the batch left is not looked at without it.
        """
        if self._private is None:
            raise Failed("the batch's work cannot be looked at", where=str(self.folder))
        return self._private

    async def prepare(self) -> None:
        """Makes the batch's folder and its private git. Raises Failed where that cannot be."""

        def make() -> PrivateRepository:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            environment = {**os.environ, "HOME": self.resolved.home}
            return PrivateRepository(self.resolved.repository, self.folder / "git", environment)

        self._private = await trio.to_thread.run_sync(make)

    def tell_low_disk(self) -> None:
        """Says once that new work waits, though every unit may."""
        if not self._told_low_disk:
            self._told_low_disk = True
            self.feed.publish({"event": "warning", "text": LOW_DISK})

    @property
    def hidden(self) -> list[str]:
        """What no command of a unit sees, even where a system folder around it is readable."""
        repository = self.resolved.repository
        return [str(repository.top), str(repository.common_dir), str(self.system.home.root)]

    @property
    def repository_name(self) -> str:
        """What capabilities call the repository: its common git folder."""
        return str(self.resolved.repository.common_dir)

    def unit_budget(self, unit: Unit) -> int:
        """Micro-dollars that the unit may still spend."""
        return max(0, self.plan.limits.unit_budget_micros - unit.spent)

    async def put(self, record: Batch | Unit | Attempt) -> None:
        """Writes a record; once it is durable, tells the followers."""
        if isinstance(record, Batch):
            self.batch = record
            await self.system.kernel.put("batch", record.id, body(record))
            return
        kind = "unit" if isinstance(record, Unit) else "attempt"
        await self.system.kernel.put(kind, record.key, body(record))
        if isinstance(record, Unit):
            from agentos.batch.status import unit_row

            planned = self.resolved.unit(record.id)
            row = unit_row(self.system.kernel, self.batch, self.resolved, planned, record)
            self.feed.publish({"event": "unit", "batch": record.batch, "unit": row})

    async def dependencies(self, planned: ResolvedUnit) -> str | None:
        """Waits for the units that go first; returns one that did not land, if any."""
        for name in planned.after:
            run = self._runs.get(name)
            if run is not None:
                await run.ended.wait()
            state = next(unit.state for unit in units(self.system.kernel, self.batch.id) if unit.id == name)
            if state not in LANDED:
                return name
        return None

    async def land(self, unit: Unit, pid: int) -> None:
        """Moves the unit's branch to its verified commit. A repeat finds it moved and changes nothing."""
        branch, commit = delivery.branch_of(unit.batch, unit.id), unit.commit
        assert commit is not None
        action = PublishAction(repository=self.repository_name, reference=branch)
        key = f"land:{unit.key}:{self.batch.stint}"
        ticket = await self.system.kernel.request(pid, action, key=key, recovery="keyed")
        outcome: Literal["ok", "error"] = "error"
        try:
            await trio.to_thread.run_sync(
                delivery.put_branch, self.resolved.repository, branch, commit, None, "agentos: unit landed"
            )
            if self.plan.deliver.as_ == "patch":
                await trio.to_thread.run_sync(
                    landing.write_patch, self.private, self.system.home, unit.batch, unit.id, commit
                )
            outcome = "ok"
        finally:
            with trio.CancelScope(shield=True):
                await self.system.kernel.complete(ticket, outcome)

    async def salvage(self, unit: Unit, number: int) -> str | None:
        """Keeps the work of an attempt that did not land under a ref, and removes its folders."""
        kernel, folder = self.system.kernel, self.folder / unit.id
        prefix = f"refs/agentos/salvage/{unit.batch}/{unit.id}"
        if folder.is_dir():
            # In the home's own name: the unit's process may be gone, and its work must not go with it.
            action = PublishAction(repository=self.repository_name, reference=prefix)
            key = f"salvage:{unit.key}:{number}:{self.batch.stint}"
            ticket = await kernel.request(kernel.root, action, key=key, recovery="keyed")
            outcome: Literal["ok", "error"] = "error"
            try:
                kept = await trio.to_thread.run_sync(
                    landing.salvage, self.private, self.resolved.identity, folder / f"{number}-agent",
                    unit.batch, unit.id, number,
                )  # fmt: skip
                outcome = "ok"
            finally:
                await kernel.complete(ticket, outcome)
            await trio.to_thread.run_sync(remove, folder)
            return kept
        return None

    # --- the batch ----------------------------------------------------------------------------------------

    async def run(self, work: Work) -> None:
        """Runs the batch until it is done, fails as a whole, or is cut."""
        finished = False
        try:
            await self._open()
            await self.reconcile()
            await self._baseline()
            await self._units()
            await self._finish()
            finished = True
        except (AgentOSError, OSError) as error:
            self.error = error if isinstance(error, AgentOSError) else Failed(str(error))
            with trio.CancelScope(shield=True):
                await self.rest("failed", Failure.of("setup", self.error.message))
            finished = True
        finally:
            with trio.CancelScope(shield=True):
                if not finished:
                    await self.rest("stopped" if self.stopping else "interrupted")
                self.feed.close()

    async def _open(self) -> None:
        stint = self.batch.stint + 1
        kernel = self.system.kernel
        await self._end_process("lost")
        await self.put(
            msgspec.structs.replace(self.batch, state="running", stint=stint, process=None, failure=None)
        )
        await self.prepare()
        repository = exactly(self.repository_name)
        budget = self.plan.limits.budget_micros
        child = await kernel.spawn(
            kernel.root if self._parent is None else self._parent,
            f"batch {self.batch.name}"[:100],
            key=f"batch:{self.batch.id}:{stint}",
            grants=[
                Spawn(),
                Exec(),
                PathScope(path=str(self.folder), rights="read_write"),
                *(PathScope(path=path, rights="read") for path in self.resolved.readable),
                Publish(repository=repository, reference=f"refs/heads/agentos/{self.batch.id}"),
            ],
            budget=Limit(usd_micros=max(0, budget - self.batch.spent)),
            group=GroupSpec(weight=1, concurrency=self.resolved.concurrency),
        )
        self.process = child.pid
        await self.put(msgspec.structs.replace(self.batch, process=child.pid))

    async def reconcile(self) -> None:
        """Brings records and repository together after whatever cut the batch: verified work lands, other
        work is salvaged, and units that were under way queue again."""
        for unit in units(self.system.kernel, self.batch.id):
            if unit.state in SETTLED:
                continue
            if unit.commit is not None:
                # Verified before the cut: only the landing may be missing.
                await self.land(unit, self.system.kernel.root)
                await self._end_attempts(unit, "landed")
                await self.put(
                    msgspec.structs.replace(
                        unit, state="committed", process=None, attempts=unit.attempts + 1, since_us=now_us()
                    )
                )
            elif unit.state != "queued" or unit.process is not None:
                await self._requeue(unit)
        await trio.to_thread.run_sync(landing.sweep, self.folder)

    async def _requeue(self, unit: Unit, state: Literal["queued", "cancelled"] = "queued") -> None:
        kept = await self.salvage(unit, unit.attempt) if unit.attempt else None
        await self._end_attempts(unit, "interrupted", kept)
        await self.put(msgspec.structs.replace(unit, state=state, process=None, since_us=now_us()))

    async def _end_attempts(
        self, unit: Unit, outcome: Literal["landed", "interrupted"], kept: str | None = None
    ) -> None:
        """Closes the attempt that a cut left open, if it left one."""
        for attempt in attempts(self.system.kernel, unit.batch, unit.id):
            if attempt.outcome == "running":
                await self.put(
                    msgspec.structs.replace(attempt, outcome=outcome, ended_us=now_us(), salvage=kept)
                )

    async def _baseline(self) -> None:
        """Runs the verification once on the untouched base. Red is shown; one that cannot run ends it all."""
        if self.plan.verify is None or self.batch.baseline is not None:
            return
        unit = Unit(id="baseline", batch=self.batch.id, index=-1)
        child = await self.system.kernel.spawn(
            self.process,
            "baseline",
            key="baseline",
            grants=[
                Exec(),
                PathScope(path=str(self.folder / "baseline"), rights="read_write"),
                *(PathScope(path=path, rights="read") for path in self.resolved.readable),
            ],
            lane="exec",
            on_low_disk=self.tell_low_disk,
        )
        status: Literal["done", "cancelled"] = "cancelled"
        try:
            with self.ports.lease() as leased:
                values = Values(
                    paths=tuple(path for planned in self.resolved.units for path in planned.paths),
                    tests=tuple({path: 0 for planned in self.resolved.units for path in planned.tests}),
                    unit="baseline",
                    title="baseline",
                )
                execution = Execution(self, unit, 1, child.pid, values, leased)
                workspace = await execution.prepare(self.folder / "baseline" / "1-verify", phase="setup")
                ended = await execution.run("verify", self.plan.verify.run, workspace)
            status = "done"
        except AttemptFailed as failed:
            raise UsageError(
                f"on the untouched base, {failed.failure.message}", hint=self._hint()
            ) from failed
        except UnitCancelled as cancelled:
            raise AgentOSError("the baseline was cancelled") from cancelled
        finally:
            with trio.CancelScope(shield=True):
                await self.system.kernel.exit(child.pid, status)
                await trio.to_thread.run_sync(remove, self.folder / "baseline")
        if ended.exit_code in CANNOT_RUN:
            raise UsageError(
                f"the verification cannot run (exit code {ended.exit_code}){ended.last_line}",
                where=self.plan.verify.run,
                hint=self._hint(),
            )
        found = Verification(exit_code=ended.exit_code, seconds=round(ended.seconds, 3))
        await self.put(msgspec.structs.replace(self.batch, baseline=found))
        self.feed.publish({"event": "baseline", "exit_code": found.exit_code, "seconds": found.seconds})

    def _hint(self) -> str:
        return (
            f"`agentos batch logs baseline {self.batch.id}` shows its output; what is not committed comes in "
            "by `workspace: {setup: […]}`, a virtual environment by being on PATH"
        )

    async def _units(self) -> None:
        waiting = [unit for unit in units(self.system.kernel, self.batch.id) if unit.state not in SETTLED]
        self._runs = {unit.id: UnitRun(self, unit, self.resolved.unit(unit.id)) for unit in waiting}
        async with trio.open_nursery() as nursery:
            for run in self._runs.values():
                nursery.start_soon(run.run, name=f"unit {run.unit.id}")

    async def _finish(self) -> None:
        found = units(self.system.kernel, self.batch.id)
        landed = sum(unit.state in LANDED for unit in found)
        state: Literal["done", "partial", "failed"] = "failed"
        if landed:
            state = "done" if landed == len(found) else "partial"
        await self._end_process("done" if landed == len(found) else "failed")
        await self.put(msgspec.structs.replace(self.batch, state=state, process=None, detached=False))
        await trio.to_thread.run_sync(remove, self.folder)

    async def rest(
        self, state: Literal["interrupted", "stopped", "failed"], failure: Failure | None = None
    ) -> None:
        """Brings everything that is under way to rest; the work is kept and can be resumed. Where that
        cannot be, its repository being gone, say, the batch is left as it is and says why."""
        try:
            await self._rest(state, failure)
        except JournalError:
            raise
        except (AgentOSError, OSError) as error:
            await self.park(error)

    async def _rest(
        self, state: Literal["interrupted", "stopped", "failed"], failure: Failure | None
    ) -> None:
        for unit in units(self.system.kernel, self.batch.id):
            if unit.state not in ENDED and unit.commit is None:
                await self._requeue(unit, "queued" if state == "interrupted" else "cancelled")
        await self._end_process("cancelled")
        ended = msgspec.structs.replace(
            self.batch, state=state, process=None, failure=failure, detached=False
        )
        await self.put(ended)
        await trio.to_thread.run_sync(remove, self.folder)

    async def detach(self) -> None:
        """Keeps the batch going without a client, also past the end of this daemon."""
        await self.put(msgspec.structs.replace(self.batch, detached=True))

    async def park(self, error: Exception) -> None:
        """Leaves the batch and its folder as they are, for `resume`, and says why."""
        failure = Failure.of("crash", str(error))
        await self.put(
            msgspec.structs.replace(self.batch, state="interrupted", failure=failure, detached=False)
        )

    async def _end_process(self, status: Literal["done", "failed", "cancelled", "lost"]) -> None:
        """Exits the batch's process and takes what it spent into the record."""
        kernel = self.system.kernel
        pid = self.batch.process
        row = next((row for row in kernel.processes() if row.pid == pid and row.state != "exited"), None)
        if pid is None or row is None:
            return
        spent = self.batch.spent + row.spent.usd_micros
        await self.put(msgspec.structs.replace(self.batch, spent=spent, process=None))
        await kernel.exit(pid, status)


def now_us() -> int:
    """UTC microseconds."""
    return time.time_ns() // 1000
