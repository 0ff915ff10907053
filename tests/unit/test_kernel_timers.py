"""Durable timers through the façade: once each, in time, and past a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from agentos.errors import Denied
from agentos.kernel import Kernel, open_kernel
from agentos.messages import AnyEvent, DueEvent


class Clock:
    """Time that only moves when told to (UTC microseconds)."""

    now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


def heard(kernel: Kernel) -> list[str]:
    """The timers that go off from now on, as they do."""
    due: list[str] = []

    def hear(event: AnyEvent) -> None:
        if isinstance(event, DueEvent):
            due.append(event.id)

    kernel.watchers.append(hear)
    return due


async def until(due: list[str], count: int) -> None:
    with trio.fail_after(20):
        while len(due) < count:
            await trio.lowlevel.checkpoint()


def test_a_timer_goes_off_once_and_outlives_its_kernel(tmp_path: Path) -> None:
    clock = Clock()

    async def first() -> None:
        async with open_kernel(tmp_path / "kernel.db", clock=clock) as kernel:
            await kernel.epoch()
            due = heard(kernel)
            await kernel.timer("now", clock.now_us)
            await kernel.timer("later", clock.now_us + 10)
            await kernel.timer("never", clock.now_us + 10)
            await kernel.timer("never", None)
            with pytest.raises(Denied):
                await kernel.timer("x" * 513, clock.now_us)
            await until(due, 1)
            assert due == ["now"]

    async def second() -> None:
        async with open_kernel(tmp_path / "kernel.db", clock=clock) as kernel:
            due = heard(kernel)
            await kernel.epoch()
            await until(due, 1)
            await kernel.put("any", "thing", {})
            assert due == ["later"]

    trio.run(first)
    clock.now_us += 1_000
    trio.run(second)
