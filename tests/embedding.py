"""A program that embeds AgentOS on a private kernel, as tests have it; only the model is scripted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

import agentos
from agentos.testing import Reply, Request, ScriptedModel, ToolCall

Script = Sequence[Reply] | Callable[[Request], Reply]
Test = Callable[[agentos.System, ScriptedModel], Awaitable[None]]


def embed(script: Script, test: Test, **options: Any) -> None:
    """Runs `test` with a system of its own, whose models follow `script`."""

    async def main() -> None:
        with trio.fail_after(60), ScriptedModel(script) as model:
            async with agentos.testing.system(model, **options) as system:
                await test(system, model)

    trio.run(main)


def calls(name: str, number: int = 0, **arguments: Any) -> Reply:
    return Reply(tool_calls=[ToolCall(f"c{number}", name, arguments)])
