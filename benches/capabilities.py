"""Capability checks by how many grants are held; from Python, one tool call as a pure effect.

Floor of the checks: the same at ten grants, so the ratio is the growth. Peer: one glob after the other, which
is how OpenFang v0.6.9 looks a capability up (its shape, not its code).
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import trio
from harness import Line, line, verdict

from agentos.kernel import open_kernel
from agentos.messages import Tool, exactly

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1_000, 100_000, 1_000_000)
GROWTH = {1_000: 4.0, 100_000: 4.0}
"""A check at so many grants may take so many times one at ten."""
TOOL_CALL = 2.0
"""So many microseconds may a pure tool call take."""
PEER_SIZE = 1_000


def lines(*, smoke: bool) -> list[Line]:
    """Nanoseconds a check; microseconds a tool call."""
    found = [] if smoke else _checks()
    return [*found, *trio.run(_tool_call, smoke)]


def _checks() -> list[Line]:
    command = ["cargo", "run", "--quiet", "--release", "--locked", "--package", "agentos-kernel"]
    done = subprocess.run(
        [*command, "--example", "capability_bench"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    rows = [json.loads(text) for text in done.stdout.splitlines()]
    took = {(row["name"], row["grants"]): float(row["ns"]) for row in rows}
    peer = took["linear", PEER_SIZE]
    found = []
    for kind in ("exact", "path"):
        floor = took[kind, 10]
        for size in SIZES:
            ratio = took[kind, size] / floor
            found.append(
                Line(
                    name=f"capability check ({kind}), {size:,} held",
                    value=took[kind, size],
                    unit="ns",
                    floor=floor,
                    ratio=ratio,
                    interval=(ratio, ratio),
                    peer_name=f"one after the other, {PEER_SIZE:,} held",
                    peer=peer,
                    peer_ratio=took[kind, size] / peer,
                    note="one run, floor: 10 held",
                    verdict=verdict((ratio, ratio), at_most=GROWTH.get(size)),
                )
            )
    return found


async def _tool_call(smoke: bool) -> list[Line]:
    count, rounds = (200, 3) if smoke else (5_000, 9)
    async with open_kernel(None) as kernel:
        await kernel.epoch()
        agent = await kernel.spawn(kernel.root, "agent", key="agent", grants=[Tool(tool=exactly("noop"))])

        def noop(value: int) -> int:
            return value

        def called() -> float:
            started = time.perf_counter()
            for number in range(count):
                kernel.pass_pure(agent.pid, "call", "noop")
                noop(number)
            return (time.perf_counter() - started) / count * 1e6

        def bare() -> float:
            native = kernel._kernel
            started = time.perf_counter()
            for number in range(count):
                native.now_us()
                noop(number)
            return (time.perf_counter() - started) / count * 1e6

        # In a thread: the loop takes what has become durable meanwhile, as it does in real work.
        measured = await trio.to_thread.run_sync(
            lambda: line("tool call as a pure effect, in process", "µs", [called, bare], rounds)
        )
    return [replace(measured, verdict=verdict((measured.value, measured.value), at_most=TOOL_CALL))]
