"""Opening a system: on a home's daemon, which is started if there is none, or on a private kernel."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import trio

from agentos import settings
from agentos.daemon.client import greet, hand_over, start
from agentos.daemon.connection import Connection
from agentos.embedding.agent import OnAsk
from agentos.embedding.alone import alone
from agentos.embedding.functions import Run, in_trio
from agentos.embedding.link import Link
from agentos.embedding.result import Question
from agentos.embedding.system import System
from agentos.home import Home
from agentos.models.environment import credentials_from_environment
from agentos.printable import printable_line
from agentos.runtime.agent import Level

if TYPE_CHECKING:
    from agentos.daemon.private import Private

AnyHome = str | os.PathLike[str] | Literal[""] | None


@asynccontextmanager
async def open(
    home: AnyHome = "", *, on_ask: OnAsk | None = None, level: Level | None = None
) -> AsyncIterator[System]:
    """Opens the system of `home` for the length of the block: the folder that it names, this user's home
    (`$AGENTOS_HOME`) by default, or with None a private kernel in memory that leaves nothing behind.

    `on_ask(question)` answers what the kernel puts to a person; without it, questions are asked on the
    terminal, and where there is none they are denied. `level` is how commands are confined: by default what
    the settings say, else `strict`. Provider keys come from the environment, as for the command.

    Raises UsageError for a home that cannot be used, MissingMechanism where its daemon does not answer.
    """
    async with opened(home, on_ask=on_ask, level=level) as system:
        yield system


@asynccontextmanager
async def opened(
    home: AnyHome,
    *,
    on_ask: OnAsk | None,
    level: Level | None,
    run: Run = in_trio,
    environment: Mapping[str, str] | None = None,
    daemon: Private | None = None,
) -> AsyncIterator[System]:
    """`open`, for those who call functions in another way, have an environment of their own for providers, or
    run a private `daemon`."""
    environ = os.environ if environment is None else environment
    with alone():
        async with AsyncExitStack() as stack:
            if home is None and daemon is None:
                from agentos.daemon.private import private

                daemon = await stack.enter_async_context(private())
            place = Home.find(home or None) if daemon is None else daemon.home
            nursery = await stack.enter_async_context(trio.open_nursery())
            link = Link(partial(_dial, place, daemon), partial(_give_keys, environ), nursery)
            stack.push_async_callback(_close, link, nursery)
            await link.connect()
            found = settings.values(place, settings.repository_of(Path.cwd()))["level"].value
            yield System(
                link,
                place,
                # The strongest that there is.
                level=level or ("strict" if found == "auto" else found),  # type: ignore[arg-type]
                on_ask=on_ask or (_at_the_terminal if sys.stdin and sys.stdin.isatty() else None),
                run=run,
                environment=environ,
                private=daemon is not None,
            )


async def _close(link: Link, nursery: trio.Nursery) -> None:
    await link.close()
    nursery.cancel_scope.cancel()


async def _dial(home: Home, daemon: Private | None) -> Connection:
    """A new connection to the home's daemon, which is started if there is none, or to the private one."""
    if daemon is None:
        return await trio.to_thread.run_sync(start, home)
    return await trio.to_thread.run_sync(greet, await daemon.dial())


async def _give_keys(environ: Mapping[str, str], channel: socket.socket) -> None:
    """Sends the keys that the environment has then."""
    with channel:
        credentials = credentials_from_environment(environ)
        await trio.to_thread.run_sync(hand_over, channel, credentials)


async def _at_the_terminal(question: Question) -> bool:
    """Asks the person at the keyboard."""
    from agentos.policy import in_words

    action = in_words(msgspec.to_builtins(question.action))
    print(f"{question.name} wants to {action}: {printable_line(question.why)}", file=sys.stderr)
    print("Allow it? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return answer.strip().lower() in ("y", "yes")


__all__ = ["open", "opened"]
