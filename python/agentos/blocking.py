"""AgentOS for programs without an event loop, and notebooks: the names of `agentos`, without `await`.

    with agentos.blocking.open() as system:
        agent = system.spawn("reviewer", grants=[agentos.read("src/**")], budget="0.50")
        print(agent.run("find dead code").text)

The system lives in a thread of its own. Ctrl-C cancels the call that one waits for, waits until the agent has
come to rest, and is raised then; a second one does not wait. Several threads may use one system. Functions of
the program (tools, `on_ask`) run in other threads than the caller's; async ones run in trio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

from agentos.embedding.host import Host
from agentos.embedding.mirror import Surface
from agentos.embedding.opening import opened


def _wait(host: Host, work: Callable[[], Awaitable[Any]]) -> Any:
    call = host.submit(work)
    try:
        return call.future.result()
    except KeyboardInterrupt:
        if not call.future.done():
            host.cancel(call)
            with suppress(Exception, CancelledError):
                call.future.result()
        raise


_SURFACE = Surface(__name__, _wait)
System, Agent, Events, Batches, Memory, Audit = _SURFACE.kinds.values()


@contextmanager
def open(home: Any = "", *, on_ask: Any = None, level: Any = None) -> Iterator[Any]:
    """`agentos.open` for programs without an event loop: a context manager that gives a `System`."""
    host = Host(lambda: opened(home, on_ask=on_ask, level=level))
    try:
        yield _SURFACE.wrap(host, host.opened.result())
    finally:
        host.end()
