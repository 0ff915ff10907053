"""What tests of model calls share: a broker with one session, and calls through it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from agentos.drivers.broker import Broker, Timeouts
from agentos.drivers.model_events import Error, ModelEvent, Stop, Text
from agentos.models.environment import Credential, send_credentials

KEY = "sk-scripted-0123456789-abcdefgh"
PATHS = {"anthropic": "/v1/messages", "openai": "/chat/completions"}
HEADERS = {"anthropic": "x-api-key", "openai": "bearer"}


def credential(wire: Any, url: str, **changes: Any) -> Credential:
    """A credential for `wire` at `url`, named like the wire."""
    base = {"provider": wire, "wire": wire, "base_url": url, "header": HEADERS[wire], "key": KEY}
    return Credential(**{**base, **changes})


@asynccontextmanager
async def session(*credentials: Credential, roots: str | None = None) -> AsyncIterator[Broker]:
    """A broker whose session `s1` has these credentials."""
    async with Broker.start() as broker:
        await submit(broker, "s1", *credentials, roots=roots)
        yield broker


async def submit(broker: Broker, name: str, *credentials: Credential, roots: str | None = None) -> None:
    """What a client does: open the session's channel and send credentials over it."""
    with await broker.open_session(name) as channel:
        await trio.to_thread.run_sync(lambda: send_credentials(channel, credentials, roots=roots))


async def ask(broker: Broker, wire: str, *, ticket: int = 1, **options: Any) -> list[ModelEvent]:
    """One streamed call; all its events."""
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "messages": []}
    call = {"session": "s1", "provider": wire, "path": PATHS[wire], "body": json.dumps(body).encode()}
    async with broker.model_call(ticket, **{**call, **options}) as events:
        return [event async for event in events]


def said(events: list[ModelEvent]) -> str:
    """The text of a reply."""
    return "".join(event.delta for event in events if isinstance(event, Text))


def failure(events: list[ModelEvent]) -> Error:
    """The one error of a failed call, which has no stop."""
    [error] = [event for event in events if isinstance(event, Error)]
    assert not any(isinstance(event, Stop) for event in events)
    return error


def patience(**changes: int) -> Timeouts:
    """Time limits with some changed, in milliseconds."""
    return Timeouts(**changes)


def run(test: Callable[[], Any]) -> Any:
    """Run a test in trio, with a limit."""

    async def limited() -> Any:
        with trio.fail_after(30):
            return await test()

    return trio.run(limited)


def memory_holds(process: int, needle: bytes) -> bool:
    """Whether the readable memory of `process` holds `needle` anywhere."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            start, end, flags = re.match(r"(\w+)-(\w+) (\S+)", line).groups()  # type: ignore[union-attr]
            if not flags.startswith("r") or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            memory.seek(int(start, 16))
            try:
                if needle in memory.read(int(end, 16) - int(start, 16)):
                    return True
            except OSError:
                continue
    return False
