"""From exec to a recovered journal of a million entries: time and peak memory, with the chain verified.

The floor is a program that reads the same rows and hashes the same bytes, and checks nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import Line, line
from journal import PROGRAM, ROOT, build

ENTRIES = 1_000_000
MEMORY = 64.0
"""MiB that recovery may need beyond the floor, however long the journal."""
_STATUS = "print(open('/proc/self/status').read())"
LOAD = f"import sys; from agentos._kernel import KernelReader; KernelReader(sys.argv[1]); {_STATUS}"
VERB = f"import sys; from agentos.cli import main; sys.argv = ['agentos', 'ps']; main(); {_STATUS}"


def lines(*, smoke: bool) -> list[Line]:
    """Milliseconds and MiB: of the chain alone, of the kernel's state, and of a verb that reads."""
    entries, rounds, few = (2_000, 1, 1) if smoke else (ENTRIES, 9, 3)
    build()
    folder = ROOT / "target" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        database = str(Path(place) / "kernel.db")
        _write(database, entries)
        environment = os.environ | {"AGENTOS_HOME": place}

        def side(*command: str) -> Callable[[], tuple[float, float]]:
            return lambda: _measured(command, environment)

        floor = side(str(PROGRAM), "floor", database)
        recover = side(str(PROGRAM), "recover", database)
        state = side(sys.executable, "-c", LOAD, database)
        verb = side(sys.executable, "-c", VERB)
        what = f"{entries:,} entries"
        least = floor()[1]
        return [
            _time(f"recovery of {what}", recover, floor, rounds, at_most=1.5),
            _time(f"kernel state of {what}", state, floor, few),
            _time(f"agentos ps on {what}", verb, floor, few),
            line(
                f"memory to recover {what}",
                "MiB",
                [lambda: recover()[1], lambda: floor()[1]],
                1,
                note=f"at most {MEMORY:.0f} MiB beyond the floor",
                at_most=(least + MEMORY) / least,
            ),
        ]


_Side = Callable[[], tuple[float, float]]


def _time(name: str, subject: _Side, floor: _Side, rounds: int, at_most: float | None = None) -> Line:
    sides = [lambda: subject()[0], lambda: floor()[0]]
    return line(name, "ms", sides, rounds, at_most=at_most, note=f"peak {subject()[1]:.0f} MiB")


def _measured(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Milliseconds from exec to exit, and the peak of its resident memory in MiB.

    It says its own peak: what the system counts for a child begins with the memory of its parent.
    """
    started = time.perf_counter()
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    milliseconds = (time.perf_counter() - started) * 1000
    peak = next(row.split()[1] for row in done.stdout.splitlines() if row.startswith("VmHWM:"))
    return milliseconds, int(peak) / 1024


def _write(database: str, entries: int) -> None:
    """A journal as work makes it: an agent's calls, each admitted and completed."""
    import msgspec

    from agentos._kernel import Kernel
    from agentos.messages import (
        CallAction,
        ChildSpec,
        CompleteCall,
        Cost,
        EpochCall,
        Everything,
        ExitCall,
        Grant,
        RequestCall,
        SpawnAction,
    )

    kernel = Kernel(database)
    encode = msgspec.json.Encoder().encode

    def call(message: object) -> dict[str, Any]:
        reply: dict[str, Any] = msgspec.json.decode(kernel.call(encode(message))[0])
        return reply

    call(EpochCall())
    root = kernel.root()
    assert root is not None
    # Each call is two entries; an agent of fifty calls is three more: born, closing, gone.
    for agent in range(entries // 103):
        child = ChildSpec(name="agent", grants=[Grant(scope=Everything())])
        spawn = RequestCall(
            pid=root, key=f"agent {agent}", action=SpawnAction(child=child), recovery="repeatable"
        )
        pid = call(spawn)["decision"]["child"]
        for number in range(50):
            request = RequestCall(
                pid=pid,
                key=f"call {number}",
                action=CallAction(tool="search"),
                estimate=Cost(usd_micros=1000),
                recovery="repeatable",
            )
            ticket = call(request)["decision"]["ticket"]
            call(CompleteCall(ticket=ticket, outcome="ok", cost=Cost(usd_micros=700, wall_us=1234)))
        call(ExitCall(pid=pid, status="done"))
    kernel.close()
