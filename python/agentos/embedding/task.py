"""One task under way: the client's part of it. It performs the functions that the agent calls, and puts the
kernel's questions to whoever answers them.

A daemon that dies is replaced. Functions that run then go on to their end, and what they came to is told to
the next daemon: none is called twice for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.daemon.connection import ConnectionLost
from agentos.embedding.alone import alone
from agentos.embedding.functions import FunctionTool, Run
from agentos.embedding.result import Event, Question
from agentos.errors import UsageError

if TYPE_CHECKING:
    from agentos.embedding.agent import OnAsk
    from agentos.embedding.link import Link


class Task:
    """Runs one `agent.run`. `tell` is given every event that is for people."""

    def __init__(
        self,
        link: Link,
        tools: Mapping[str, FunctionTool],
        run: Run,
        on_ask: OnAsk | None,
        tell: Callable[[Event], None],
    ) -> None:
        self._link = link
        self._tools = tools
        self._run = run
        self._on_ask = on_ask
        self._tell = tell
        self._nursery: trio.Nursery
        self._performing: dict[int, trio.CancelScope] = {}
        self._results: list[dict[str, Any]] = []
        self._ended = trio.Event()

    async def run(self, params: dict[str, Any]) -> Event:
        """The summary of the run."""

        async def resume() -> tuple[str, dict[str, Any]]:
            while self._performing:
                self._ended = trio.Event()
                await self._ended.wait()
            return "agent.run", {**params, "results": self._results}

        with alone():
            async with trio.open_nursery() as self._nursery:
                summary: Event = await self._link.call("agent.run", params, take=self._take, resume=resume)
                self._nursery.cancel_scope.cancel()
        return summary

    async def _take(self, event: Event) -> None:
        kind = event["event"]
        if kind == "perform":
            scope = self._performing[event["ticket"]] = trio.CancelScope()
            self._nursery.start_soon(self._perform, event, scope)
        elif kind == "stop":
            scope = self._performing.get(event["ticket"], trio.CancelScope())
            scope.cancel()
        elif kind != "summary":  # that is the run's result, which comes also where its event was lost
            if kind == "asked" and self._on_ask is not None:
                self._nursery.start_soon(self._ask, event["id"])
            self._tell(event)

    async def _perform(self, call: Event, scope: trio.CancelScope) -> None:
        text, error = "stopped", True
        try:
            with scope:
                text, error = await self._tools[call["name"]].perform(call["input"], self._run)
            if scope.cancelled_caught:
                return
            key = {"turn": call["turn"], "id": call["id"]}
            self._results = [it for it in self._results if it["turn"] == call["turn"]]
            self._results.append({**key, "text": text, "error": error})
        finally:
            del self._performing[call["ticket"]]
            self._ended.set()
        # Where the daemon has gone, the next one is told with the task itself.
        with suppress(ConnectionLost):
            report = {"ticket": call["ticket"], "text": text, "error": error}
            await self._link.call("function.report", report)

    async def _ask(self, id: str) -> None:
        rows = await self._link.call("question.list")
        question = next((row for row in rows if row["id"] == id), None)
        if question is None or self._on_ask is None:
            return
        asked = msgspec.convert(question, Question)
        approve = await self._run(self._on_ask, asked)
        # Somebody else may have answered it meanwhile.
        with suppress(UsageError):
            await self._link.call("question.answer", {"id": id, "approve": bool(approve)})
