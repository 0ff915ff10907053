"""AgentOS for asyncio: the same names and methods as `agentos`.

    async with agentos.aio.open() as system:
        agent = await system.spawn("reviewer", grants=[agentos.read("src/**")], budget="0.50")
        print((await agent.run("find dead code")).text)

The system lives in a thread of its own. Cancelling a task that awaits a call cancels the call, and the task
ends once the agent has come to rest. Async functions of the program (tools, `on_ask`) run in the loop that
opened the system, others in threads.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from agentos.embedding.functions import in_trio
from agentos.embedding.host import Host
from agentos.embedding.mirror import Surface
from agentos.embedding.opening import AnyHome, opened

if TYPE_CHECKING:
    from agentos.embedding.agent import Agent as Agent
    from agentos.embedding.agent import OnAsk
    from agentos.embedding.areas import Audit as Audit
    from agentos.embedding.areas import Batches as Batches
    from agentos.embedding.areas import Memory as Memory
    from agentos.embedding.events import Events as Events
    from agentos.embedding.system import System as System
    from agentos.runtime.agent import Level


async def _wait(host: Host, work: Callable[[], Awaitable[Any]]) -> Any:
    call = host.submit(work)
    waiting = asyncio.wrap_future(call.future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        host.cancel(call)
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.shield(waiting)
        raise


_SURFACE = Surface(__name__, _wait)
if not TYPE_CHECKING:
    System, Agent, Events, Batches, Memory, Audit = _SURFACE.kinds.values()


@asynccontextmanager
async def open(
    home: AnyHome = "", *, on_ask: OnAsk | None = None, level: Level | None = None
) -> AsyncIterator[System]:
    """`agentos.open` for asyncio."""
    run = partial(_in_loop, asyncio.get_running_loop())
    host = Host(lambda: opened(home, on_ask=on_ask, level=level, run=run))
    try:
        yield _SURFACE.wrap(host, await asyncio.wrap_future(host.opened))
    finally:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, host.end))


async def _in_loop(
    loop: asyncio.AbstractEventLoop, function: Callable[..., Any], /, *arguments: Any, **named: Any
) -> Any:
    """Calls an async function in the program's loop, another one in a thread."""
    if not inspect.iscoroutinefunction(function):
        return await in_trio(function, *arguments, **named)
    done, token = trio.Event(), trio.lowlevel.current_trio_token()
    future = asyncio.run_coroutine_threadsafe(function(*arguments, **named), loop)
    future.add_done_callback(lambda _: token.run_sync_soon(done.set))
    try:
        await done.wait()
    except trio.Cancelled:
        future.cancel()
        with trio.CancelScope(shield=True):
            await done.wait()
        raise
    return future.result()
