"""Commands of one attempt: each one `Exec` request with its mandate, confined, completed with its cost."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import trio

from agentos.batch import commands
from agentos.batch.log import Log
from agentos.batch.records import Failure, Unit, stream
from agentos.batch.workspace import Workspace
from agentos.drivers import confinement
from agentos.drivers.launch import LaunchSpec
from agentos.messages import AnyScope, Cost, ExecAction
from agentos.messages import Path as PathScope

if TYPE_CHECKING:
    from agentos.batch.engine import Engine
    from agentos.kernel import Ticket

Phase = Literal["setup", "agent", "verify"]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended, and the end of its output."""

    exit_code: int
    signal: int | None
    timed_out: bool
    cancelled: bool
    seconds: float
    log: str

    @property
    def last_line(self) -> str:
        """Its last words, for a message: `: …`, or nothing."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        return f": {lines[-1]}" if lines else ""


class AttemptFailed(Exception):
    """An attempt ended without a landing. `log` is what the next one gets as `{failure}`."""

    def __init__(self, failure: Failure, log: str = "") -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.log = log


class UnitCancelled(Exception):
    """A person ended this unit's process."""


class Execution:
    """Runs the commands of one attempt in the name of the unit's process `pid`.

    Set-up, agent and verification share the time limit of the attempt.
    """

    def __init__(
        self, engine: Engine, unit: Unit, number: int, pid: int, values: commands.Values, ports: range
    ) -> None:
        self._engine = engine
        self._unit = unit
        self._number = number
        self._pid = pid
        self._values = values
        self._deadline = time.monotonic() + engine.plan.limits.timeout_us / 1e6
        self._count = 0
        self._environment = commands.environment(
            submission=engine.environment,
            passed=engine.plan.workspace.pass_env,
            fixed=engine.plan.workspace.env,
            unit=unit.id,
            title=values.title,
            ports=ports,
        )

    async def prepare(self, folder: Path, phase: Phase = "setup") -> Workspace:
        """Makes the workspace in `folder` from the base and runs the set-up commands in it.

        Raises: AttemptFailed where a set-up command fails.
        """
        engine = self._engine
        workspace = await trio.to_thread.run_sync(
            lambda: Workspace.prepare(
                engine.private, folder, engine.batch.base, include=engine.resolved.included
            )
        )
        await trio.to_thread.run_sync(self._give, folder.parent / "given")
        commands_ = engine.plan.workspace.setup
        for command in commands_:
            require(await self.run(phase, command, workspace), "setup", "set-up")
        if commands_:
            await trio.to_thread.run_sync(workspace.snapshot)
        return workspace

    async def tear_down(self, workspace: Workspace) -> None:
        """Runs the plan's teardown commands, whose end changes nothing any more."""
        for command in self._engine.plan.workspace.teardown:
            await self.run("setup", command, workspace)

    async def run(self, phase: Phase, command: str, workspace: Workspace) -> Ended:
        """Runs one command by `sh -c` in the workspace's root. Raises Denied and BudgetExceeded."""
        engine, kernel = self._engine, self._engine.system.kernel
        script = commands.expand(command, self._values)
        remaining = self._deadline - time.monotonic()
        self._count += 1
        digest = hashlib.sha256(os.fsencode(script)).hexdigest()[:16]
        given = workspace.folder.parent / "given"
        mandate: list[AnyScope] = [
            PathScope(path=str(workspace.tree), rights="read_write"),
            PathScope(path=str(given), rights="read"),
            *(PathScope(path=path, rights="read") for path in engine.resolved.readable),
        ]
        ticket = await kernel.request(
            self._pid,
            ExecAction(command=f"{phase} {digest}", mandate=mandate),
            key=f"{self._number}:{phase}:{self._count}",
            estimate=Cost(wall_us=max(0, int(remaining * 1e6))),
        )
        log = Log(kernel, stream(self._unit.batch, self._unit.id, self._number, phase))
        began = time.monotonic()
        outcome: Literal["ok", "error", "cancelled"] = "cancelled"
        try:
            spec = await trio.to_thread.run_sync(self._specification, script, workspace, mandate)
            ended = await self._confined(spec, log, ticket, remaining)
            outcome = "ok" if ended.exit_code == 0 else "error"
        finally:
            with trio.CancelScope(shield=True):
                await log.close()
                wall_us = int((time.monotonic() - began) * 1e6)
                await kernel.complete(ticket, outcome, Cost(wall_us=wall_us))
        return ended

    def _specification(self, script: str, workspace: Workspace, mandate: list[AnyScope]) -> LaunchSpec:
        engine = self._engine
        argv = ["/bin/sh", "-c", script]
        if len(os.fsencode(script)) > commands.ARGUMENT_BYTES:
            # Too long for one argument: the same words as a file.
            file = workspace.folder.parent / "given" / f"command-{self._count}"
            file.write_bytes(os.fsencode(script))
            argv = ["/bin/sh", str(file)]
        return LaunchSpec.from_mandate(
            mandate, argv, cwd=workspace.tree, env=self._environment, level=engine.level,
            home=engine.resolved.home, hidden=engine.hidden,
        )  # fmt: skip

    async def _confined(self, spec: LaunchSpec, log: Log, ticket: Ticket, remaining: float) -> Ended:
        engine = self._engine

        async def keep(data: bytes) -> None:
            await log.write(data)
            engine.feed.publish({"event": "output", "unit": self._unit.id})

        found = await confinement.run(
            spec, home=engine.system.home, ticket=f"batch-{ticket.id}", output=keep,
            cancel=ticket.cancelled, timeout=max(0.0, remaining),
        )  # fmt: skip
        if found.error:
            await keep(f"{found.error}\n".encode())
        return Ended(
            exit_code=found.exit_code,
            signal=found.signal,
            timed_out=found.timed_out,
            cancelled=found.cancelled,
            seconds=found.seconds,
            log=log.end,
        )

    def _give(self, folder: Path) -> None:
        """What the commands may read beside the workspace: the prompt."""
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "prompt").write_text(self._values.prompt, errors="surrogateescape")


def require(ended: Ended, kind: Literal["setup", "exit", "verify"], what: str) -> None:
    """Raises AttemptFailed or UnitCancelled unless the command ended with exit code 0."""
    if ended.cancelled:
        raise UnitCancelled
    if ended.timed_out:
        raise AttemptFailed(
            Failure.of("timeout", f"{what} was still running when its time was up"), ended.log
        )
    if ended.signal is not None:
        message = f"{what} was killed by signal {ended.signal}"
        raise AttemptFailed(Failure.of("crash" if kind == "exit" else kind, message), ended.log)
    if ended.exit_code != 0:
        message = f"{what} ended with exit code {ended.exit_code}{ended.last_line}"
        raise AttemptFailed(Failure.of(kind, message), ended.log)
