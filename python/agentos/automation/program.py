"""Runs a program as a process of the kernel: one request for it, confined to the mandate of its ticket."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import trio

from agentos.automation.task import Ended, Program
from agentos.drivers import confinement
from agentos.drivers.launch import LaunchSpec
from agentos.errors import UsageError
from agentos.messages import AnyScope, Cost, Exec, ExecAction, ExitStatus, Path
from agentos.tools.output import Tail
from agentos.tools.tool import action_path

if TYPE_CHECKING:
    from agentos.automation.performing import Place
    from agentos.drivers.launch import Exit
    from agentos.kernel import Ticket

ARGUMENT_BYTES = 120_000
"""Linux refuses a single argument of 128 KiB."""
OUTPUT_BYTES = 64 << 10
"""How much of the end of its output a program hands on."""

_VARIABLE = re.compile(r"(?<![$\w])\{(\w[\w -]*)\}")
_SHOWN = 120


def expand(text: str, values: Mapping[str, str], *, quoted: bool = False) -> str:
    """`text` with the variables in it replaced, quoted for a shell where asked for. Braces that name none
    stay as they are, and so does what a value contains."""

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1])
        return found[0] if known is None else shlex.quote(known) if quoted else known

    return _VARIABLE.sub(value, text)


async def run(place: Place, program: Program, timeout: float | None) -> Ended:
    """Runs `program` under `place.parent` to its end. Its output is what it wrote, the end of it where it is
    long; its standard input is the variable `input`. Raises Denied, BudgetExceeded and MissingMechanism."""
    kernel = place.system.kernel
    mandate = _mandate(program)
    child = await kernel.spawn(
        place.parent, place.name, key=f"program {kernel.new_id('x')}", grants=[Exec(), *mandate]
    )
    status: ExitStatus = "cancelled"
    try:
        line = expand(program.line, place.values, quoted=True)
        if len(os.fsencode(line)) > ARGUMENT_BYTES:
            raise UsageError(
                f"with its variables the line is longer than {ARGUMENT_BYTES} bytes",
                hint="read the input from standard input instead of `{input}`",
            )
        action = ExecAction(command=program.line.encode()[:_SHOWN].decode(errors="ignore"), mandate=mandate)
        ticket = await kernel.request(child.pid, action, key="run", lane="exec", recovery=program.recovery)
        began, outcome = time.monotonic(), "cancelled"
        try:
            ended, said = await _confined(place, program, line, ticket, timeout)
            outcome = "ok" if ended.exit_code == 0 and not (ended.cancelled or ended.timed_out) else "error"
        finally:
            with trio.CancelScope(shield=True):
                wall_us = int((time.monotonic() - began) * 1e6)
                told: Literal["ok", "error", "cancelled"] = outcome  # type: ignore[assignment]
                await kernel.complete(ticket, told, Cost(wall_us=wall_us))
        status = "done" if outcome == "ok" else "failed"
        return Ended(ok=outcome == "ok", output=said.rstrip("\n"), message=_message(ended, timeout))
    finally:
        with trio.CancelScope(shield=True):
            await kernel.exit(child.pid, status)


def _mandate(program: Program) -> list[AnyScope]:
    read = dict.fromkeys(program.read, "read")
    granted = {**read, **dict.fromkeys(program.write, "read_write")}
    return [Path(path=action_path(path), rights=rights) for path, rights in granted.items()]  # type: ignore[arg-type]


async def _confined(
    place: Place,
    program: Program,
    line: str,
    ticket: Ticket,
    timeout: float | None,
) -> tuple[Exit, str]:
    person = place.submission
    spec = LaunchSpec.from_mandate(
        _mandate(program),
        ["/bin/sh", "-c", line],
        cwd=program.folder,
        env={"PATH": person.path, "LANG": person.lang, "TERM": "dumb"},
        level=program.level,
        home=person.home,
        paths=[*program.read, *program.write],
    )
    said = Tail(OUTPUT_BYTES)

    async def take(data: bytes) -> None:
        said.add(data)

    ended = await confinement.run(
        spec,
        home=place.system.home,
        ticket=f"program-{ticket.id}",
        output=take,
        stdin=place.values.get("input", "").encode(errors="replace"),
        cancel=ticket.cancelled,
        timeout=timeout,
    )
    return ended, said.text()


def _message(ended: Exit, timeout: float | None) -> str:
    if ended.error:
        return f"it could not be started: {ended.error}"
    if ended.timed_out:
        return f"it was still running after {timeout:.0f} seconds"
    if ended.cancelled:
        return "it was stopped"
    if ended.signal is not None:
        return f"it was ended by signal {ended.signal}"
    return "" if ended.exit_code == 0 else f"it ended with exit code {ended.exit_code}"
