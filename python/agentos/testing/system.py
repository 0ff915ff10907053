"""A system for a test: a private kernel, a scripted model, and time as the test wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from agentos.daemon.private import private
from agentos.embedding.agent import OnAsk
from agentos.embedding.alone import alone
from agentos.embedding.functions import Run, in_trio
from agentos.embedding.opening import opened
from agentos.embedding.system import System
from agentos.runtime.agent import Level
from agentos.testing.clock import Clock
from agentos.testing.scripted_model import Script, ScriptedModel

MODEL = "anthropic/claude-sonnet-4-5"
"""The model of agents that name none. Any other is scripted just the same."""


@asynccontextmanager
async def system(
    script: Script | ScriptedModel = (),
    *,
    clock: Clock | None = None,
    on_ask: OnAsk | None = None,
    level: Level | None = None,
    run: Run = in_trio,
) -> AsyncIterator[System]:
    """A system on a private kernel whose models all answer by `script`; a `ScriptedModel` that already serves
    is used as it is, and keeps the requests. `clock` is the kernel's time, which then stands still."""
    with alone(), ExitStack() as stack:
        model = script if isinstance(script, ScriptedModel) else stack.enter_context(ScriptedModel(script))
        environment = {"AGENTOS_MODEL": MODEL, **model.environment()}
        async with private(clock) as daemon:
            if clock is not None:
                clock.watchers.append(daemon.kernel.tick)
                stack.callback(clock.watchers.remove, daemon.kernel.tick)
            async with opened(
                None, on_ask=on_ask, level=level, run=run, environment=environment, daemon=daemon
            ) as made:
                yield made
