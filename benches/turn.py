"""An agent's run with a null model: two model calls and one tool, each in a conversation of its own.

Ours is the runtime's loop against a scripted broker in this process (no HTTP, no model): from the spawn of
the agent's process to its exit, with its record and transcript in the journal. Floor: the kernel's part of
that, asked for the same without the loop. The peers keep nothing, unless that is said.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Any, ClassVar, cast

import msgspec
import peers
import trio
from harness import STEADY, Line, calibration, interval, verdict

from agentos.drivers import model_events as said
from agentos.drivers.broker import Broker
from agentos.kernel import Kernel, Ticket, open_kernel
from agentos.messages import ANY, Cost, Model, ModelAction, Path, Pid, ReadAction, Recovery
from agentos.models.conversation import Message, Text, ToolUse
from agentos.models.reference import ModelReference
from agentos.runtime.agent import Record, Spec
from agentos.runtime.loop import Loop, specifications
from agentos.runtime.model_call import Caller, Retry
from agentos.runtime.transcript import Transcript
from agentos.tools.tool import Place, Shell
from agentos.tools.toolset import TOOLS

ROOT = FilePath(__file__).resolve().parent.parent
MUST_US = {"in memory": 120.0, "durable": 500.0}
MODEL = ModelReference(provider="openai", model="null", wire="openai", url="http://127.0.0.1:9")
TASK = "How is the weather in Oslo?"


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """The weather of a city."""

    NAME: ClassVar[str] = "weather"
    RECOVERY: ClassVar[Recovery] = "pure"

    city: str

    def action(self, place: Place) -> ReadAction:
        """What the kernel is asked about: a look at something that exists."""
        return ReadAction(path="/srv/weather")

    async def perform(self, place: Place) -> str:
        """Says it."""
        return "dry"


class Scripted:
    """A broker whose model asks for the tool first, and then says what it heard."""

    def __init__(self) -> None:
        self._calls = 0

    @asynccontextmanager
    async def model_call(self, *_: object, **__: object) -> AsyncIterator[AsyncIterator[said.ModelEvent]]:
        """The next reply."""
        self._calls += 1
        first = self._calls % 2 == 1
        yield _events(_ASKS if first else _ENDS)


_ASKS = (
    said.Started(status=200),
    said.ToolCallStart(index=0, id="call", name="weather"),
    said.ToolCallDelta(index=0, json='{"city":"Oslo"}'),
    said.ToolCallEnd(index=0),
    said.Usage(input=20, output=8),
    said.Stop(reason="tool_use"),
)
_ENDS = (
    said.Started(status=200),
    said.Text(delta="It is dry."),
    said.Usage(input=40, output=4),
    said.Stop(reason="end_turn"),
)


async def _events(found: Iterable[said.ModelEvent]) -> AsyncIterator[said.ModelEvent]:
    for event in found:
        yield event


def lines(*, smoke: bool) -> list[Line]:
    """Microseconds a run: of processor time in memory, of wall time where durable."""
    count, rounds = (5, 1) if smoke else (100, 9)
    agno = None if smoke else peers.measured("agno", AGNO, "500")
    langgraph = None if smoke else peers.measured("langgraph", LANGGRAPH, "200")
    TOOLS["weather"] = cast(Any, Weather)
    try:
        with tempfile.TemporaryDirectory(dir=_disk()) as place:
            memory = trio.run(_measured, None, count, rounds, time.process_time)
            durable = trio.run(_measured, FilePath(place) / "kernel.db", count, rounds, time.perf_counter)
    finally:
        del TOOLS["weather"]
    kept = langgraph and {"us": langgraph["saved_us"]}
    return [
        _line("in memory", memory, "agno", agno),
        _line("in memory", memory, "LangGraph", langgraph),
        _line("durable", durable, "LangGraph + InMemorySaver", kept),
    ]


def _disk() -> FilePath:
    folder = ROOT / "target" / "bench"  # in memory a sync costs nothing
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_Found = tuple[list[float], list[float], bool]


async def _measured(database: FilePath | None, count: int, rounds: int, clock: Callable[[], float]) -> _Found:
    """Microseconds of each round, of the loop and of the kernel alone, in turns A B B A; and whether the
    machine was unsteady."""
    serial = iter(range(10**9))
    async with open_kernel(database) as kernel:
        await kernel.epoch()
        await kernel.lane(MODEL.lane, 16)
        broker = cast(Broker, Scripted())

        async def took(one: Callable[[Kernel, Broker, str], Awaitable[None]]) -> float:
            started = clock()
            for _ in range(count):
                await one(kernel, broker, str(next(serial)))
            return (clock() - started) / count * 1e6

        await took(_run)
        before = calibration()
        values, floors = [], []
        for _ in range(rounds):
            there = [await took(_run), await took(_kernel_alone)]
            back = [await took(_kernel_alone), await took(_run)]
            values.append((there[0] + back[1]) / 2)
            floors.append((there[1] + back[0]) / 2)
        after = calibration()
    return values, floors, max(before, after) / min(before, after) > STEADY


async def _agent(kernel: Kernel, name: str) -> Pid:
    grants = [Model(model=ANY), Path(path="/srv", rights="read")]
    return (await kernel.spawn(kernel.root, "agent", key=f"agent {name}", grants=grants)).pid


async def _run(kernel: Kernel, broker: Broker, name: str) -> None:
    """A run as the runtime does it: process, record, transcript, loop, exit."""
    pid = await _agent(kernel, name)
    spec = Spec(name="agent", model=MODEL, tools=cast(Any, ("weather",)))
    record = Record(
        id=name,
        spec="",
        name="agent",
        model=str(MODEL),
        url=MODEL.url,
        workspace="/srv",
        level="strict",
        task=TASK,
        created="",
    )
    transcript = Transcript(kernel, record)
    await transcript.add(Message(role="user", content=(Text(text=TASK),)))
    caller = Caller(
        kernel=kernel,
        broker=broker,
        session=_session,
        pid=pid,
        model=MODEL,
        price=MODEL.price(),
        system=spec.system,
        tools=specifications(spec),
        max_tokens=spec.max_tokens,
        retry=Retry(),
        emit=lambda event: None,
        charge=lambda cost: None,
    )
    loop = Loop(kernel, pid, spec, record, transcript, caller, _shell, _unguarded, _performed)
    ending = await loop.run()
    assert (ending.stop, record.turns) == ("end_turn", 2), ending
    await kernel.exit(pid, "done")


async def _session() -> str:
    return "session"


def _shell(ticket: Ticket) -> Shell:
    raise AssertionError("the script has no command")


async def _performed(ticket: Ticket, use: ToolUse) -> str:
    raise AssertionError("the script calls no function of a client")


async def _unguarded() -> tuple[str, ...]:
    return ()


async def _kernel_alone(kernel: Kernel, broker: Broker, name: str) -> None:
    """What a run asks of the kernel at the least: a process, two calls of a model, a look."""
    pid = await _agent(kernel, name)
    action = ModelAction(model=MODEL.model, host=MODEL.host, port=MODEL.port)
    for turn in range(2):
        ticket = await kernel.request(pid, action, key=f"model {turn}", lane=MODEL.lane)
        await kernel.complete(ticket, "ok", Cost(turns=1))
        if turn == 0:
            kernel.pass_pure(pid, "read", "/srv/weather")
    await kernel.exit(pid, "done")


def _line(how: str, found: _Found, peer: str, theirs: dict[str, float] | None) -> Line:
    values, floors, noisy = found
    ratios = [value / floor for value, floor in zip(values, floors, strict=True)]
    value = statistics.median(values)
    return Line(
        name=f"run of 2 model calls and a tool, {how}",
        value=value,
        unit="µs",
        floor=statistics.median(floors),
        ratio=statistics.median(ratios),
        interval=interval(ratios),
        peer_name=peer if theirs else f"{peer}: not installed",
        peer=theirs and theirs["us"],
        peer_ratio=theirs and value / theirs["us"],
        noisy=noisy,
        note=f"must {MUST_US[how]:.0f}",
        verdict=verdict(interval(values), at_most=MUST_US[how]),
    )


AGNO = """
import gc, json, statistics, sys, time
from agno.agent import Agent
from agno.models.base import Model
from agno.models.response import ModelResponse

class Null(Model):
    def __init__(self):
        super().__init__(id="null")
    def invoke(self, *args, **kwargs):
        messages = kwargs.get("messages") or args[0]
        if messages[-1].role == "tool":
            return ModelResponse(role="assistant", content="It is dry.")
        function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
        call = {"id": "call", "type": "function", "function": function}
        return ModelResponse(role="assistant", tool_calls=[call])
    async def ainvoke(self, *args, **kwargs):
        return self.invoke(*args, **kwargs)
    def invoke_stream(self, *args, **kwargs):
        yield self.invoke(*args, **kwargs)
    async def ainvoke_stream(self, *args, **kwargs):
        yield self.invoke(*args, **kwargs)
    def _parse_provider_response(self, response, **kwargs):
        return response
    def _parse_provider_response_delta(self, response):
        return response

def weather(city: str) -> str:
    "The weather of a city."
    calls.append(city)
    return "dry"

calls = []
agent = Agent(name="agent", model=Null(), tools=[weather], telemetry=False)
count = int(sys.argv[1])
def turns(n):
    started = time.process_time()
    for _ in range(n):
        said = agent.run("How is the weather in Oslo?").content
    assert said == "It is dry.", said
    return (time.process_time() - started) / n * 1e6
turns(20)
best = statistics.median(turns(count // 5) for _ in range(5))
assert len(calls) == 20 + count // 5 * 5
print(json.dumps({"us": best}))
"""

LANGGRAPH = """
import json, statistics, sys, time, warnings
warnings.simplefilter("ignore")
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import create_react_agent

class Null(BaseChatModel):
    @property
    def _llm_type(self):
        return "null"
    def bind_tools(self, tools, **kwargs):
        return self
    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        if messages[-1].type == "tool":
            said = AIMessage("It is dry.")
        else:
            said = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "call"}])
        return ChatResult(generations=[ChatGeneration(message=said)])

calls = []
def weather(city: str) -> str:
    "The weather of a city."
    calls.append(city)
    return "dry"

def measured(saver, count):
    graph = create_react_agent(Null(), [weather], checkpointer=saver)
    serial = iter(range(10**9))
    def turns(n):
        started = time.process_time()
        for _ in range(n):
            config = {"configurable": {"thread_id": str(next(serial))}}
            state = graph.invoke({"messages": [("user", "How is the weather in Oslo?")]}, config)
        assert state["messages"][-1].content == "It is dry."
        return (time.process_time() - started) / n * 1e6
    turns(10)
    return statistics.median(turns(count // 5) for _ in range(5))

count = int(sys.argv[1])
print(json.dumps({"us": measured(None, count), "saved_us": measured(InMemorySaver(), count)}))
"""
