"""A live kernel for a test, with a clock that only moves when told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path as FilePath

import trio

from agentos.kernel import Kernel, open_kernel


class Clock:
    """Time that only moves when told to (UTC microseconds)."""

    def __init__(self) -> None:
        self.now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


def in_kernel(test: Callable[[Kernel, Clock], Awaitable[None]], database: FilePath | None = None) -> None:
    """Runs `test` with a live kernel."""

    async def main() -> None:
        clock = Clock()
        with trio.fail_after(20):
            async with open_kernel(database, clock=clock) as kernel:
                await kernel.epoch()
                await test(kernel, clock)

    trio.run(main)
