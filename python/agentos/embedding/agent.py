"""An agent as a program holds it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from agentos.embedding import output as structured
from agentos.embedding.events import Events
from agentos.embedding.functions import FunctionTool, Run
from agentos.embedding.result import Event, Question, Result
from agentos.errors import Failed, Interrupted, UsageError, from_dict
from agentos.models.conversation import Usage
from agentos.money import micros, usd

if TYPE_CHECKING:
    from agentos.embedding.link import Link

OnAsk = Callable[[Question], bool | Awaitable[bool]]


class Agent:
    """An agent that was spawned: it does one task after another, in one conversation and within one budget.
    Made by `System.spawn`."""

    def __init__(
        self,
        link: Link,
        id: str,
        name: str,
        *,
        tools: Sequence[FunctionTool] = (),
        output: Any = None,
        on_ask: OnAsk | None,
        run: Run,
    ) -> None:
        self._link = link
        self._id = id
        self._name = name
        self._tools = {tool.spec.name: tool for tool in tools}
        self._output = output
        self._on_ask = on_ask
        self._run_function = run
        self._watchers: list[trio.MemorySendChannel[Event]] = []
        self._spent_micros = 0
        self._usage = Usage()
        self._turns = 0
        self._counted = True
        self._running = False
        self._result: Result | None = None

    @property
    def id(self) -> str:
        """Its name in this home (`a-…`), which outlives the program."""
        return self._id

    @property
    def name(self) -> str:
        """The name that it was spawned with."""
        return self._name

    @property
    def result(self) -> Result | None:
        """Of its last task, also of one for which `run` raised; None before the first."""
        return self._result

    async def run(self, task: str) -> Result:
        """Has the agent do `task` and returns what came of it.

        Raises BudgetExceeded where its budget or its turns do not admit it, Denied, Failed (the model cannot
        be reached, refuses, goes in circles, or its output does not fit the type twice), Interrupted where
        the daemon was told to end, and UsageError while another task of it runs. What it did until then
        stands, and is in `result`. A cancelled call brings the agent to rest; its next task goes on there.
        """
        if self._running:
            raise UsageError(f"the agent `{self._name}` has a task already", hint="use `say`, or await it")
        self._running = True
        try:
            result = await self._one(task)
            if self._output is None or result.stop != "end_turn":
                return result
            return await self._with_output(result)
        finally:
            self._running = False

    async def say(self, text: str) -> None:
        """Tells the agent something that it hears before its next turn, or with its next task where it has
        none now; durable when this returns. Raises UsageError where it has not heard the last 16 yet."""
        await self._link.call("agent.say", {"agent": self._id, "text": text})

    def events(self) -> Events:
        """What it does from now on, until the summary of the task under way, or else of the next one."""
        send, receive = trio.open_memory_channel[Event](math.inf)
        self._watchers.append(send)
        return Events(receive)

    async def cancel(self) -> None:
        """Ends the task under way: its `run` returns with `stop` "cancelled". Nothing happens without one."""
        await self._link.call("agent.cancel", {"agent": self._id})

    async def _with_output(self, result: Result) -> Result:
        try:
            return msgspec.structs.replace(result, output=structured.parse(result.text, self._output))
        except structured.Unfit as unfit:
            again = await self._one(structured.repair(unfit))
        self._result = both = _added(result, again)
        if both.stop != "end_turn":
            return both
        try:
            value = structured.parse(both.text, self._output)
        except structured.Unfit as unfit:
            raise Failed(
                f"the answer of `{self._name}` does not fit its output type: {unfit}",
                hint="say in the task what is wanted, or choose another model",
            ) from None
        self._result = msgspec.structs.replace(both, output=value)
        return self._result

    async def _one(self, task: str) -> Result:
        from agentos.embedding.task import Task

        work = Task(self._link, self._tools, self._run_function, self._on_ask, self._tell)
        params = {
            "agent": self._id,
            "task": task,
            "key": secrets.token_hex(16),
            "unattended": self._on_ask is None,
        }
        if not self._counted:
            # A task that was cancelled had no end to count from.
            self._settled(await self._link.call("run.show", {"pid": self._id}))
        self._counted = False
        try:
            summary = await work.run(params)
        except BaseException:
            self._close()
            raise
        self._result = self._settled(summary)
        self._tell(summary)
        if summary["error"] is not None:
            raise from_dict(summary["error"])
        if summary["state"] == "interrupted":
            raise Interrupted("the daemon was told to end", hint="give the agent another task to go on")
        return self._result

    def _settled(self, summary: Event) -> Result:
        """The result of a task from the agent's summary, which counts all its tasks."""
        spent, usage = micros(summary["spent_usd"]), msgspec.convert(summary["usage"], Usage)
        result = Result(
            text=summary["text"] if summary["turns"] > self._turns else "",
            output=None,
            stop=summary["stop"],
            usage=usage.minus(self._usage),
            spent_usd=usd(spent - self._spent_micros),
            turns=summary["turns"] - self._turns,
            files=summary.get("files", []),
            files_changed=summary["files_changed"],
            pid=summary["pid"] or "",
        )
        self._spent_micros, self._usage, self._turns = spent, usage, summary["turns"]
        self._counted = True
        return result

    def _tell(self, event: Event) -> None:
        for watcher in list(self._watchers):
            try:
                watcher.send_nowait(event)
            except trio.BrokenResourceError:
                self._watchers.remove(watcher)
        if event["event"] == "summary":
            self._close()

    def _close(self) -> None:
        for watcher in self._watchers:
            watcher.close()
        self._watchers = []


def _added(first: Result, second: Result) -> Result:
    """Both runs as one task."""
    return msgspec.structs.replace(
        second,
        usage=first.usage.plus(second.usage),
        spent_usd=usd(micros(first.spent_usd) + micros(second.spent_usd)),
        turns=first.turns + second.turns,
    )
