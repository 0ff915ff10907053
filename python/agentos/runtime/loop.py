"""The agent loop: ask the model, do what it calls for, tell it what came of it, until it is done.

The newest message of the transcript alone says what comes next, so a run that was cut off goes on by entering
the loop again. Each model call and each tool call is one request to the kernel; a refusal is an error result
that the model reads, never an exception that ends the run, unless it is the budget's.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import trio
from msgspec.structs import replace

from agentos.errors import (
    AgentOSError,
    BudgetExceeded,
    Denied,
    Failed,
    InternalError,
    MissingMechanism,
    to_dict,
)
from agentos.kernel import Kernel, Ticket
from agentos.messages import AnyAction, CallAction, Cost, Outcome, Pid, ReadAction, Recovery
from agentos.models.conversation import Message, Text, ToolResult, ToolSpec, ToolUse, said
from agentos.money import usd
from agentos.runtime.agent import Ending, Record, Spec, paths
from agentos.runtime.loop_guard import LoopGuard, call_of
from agentos.runtime.model_call import Caller, TicketCancelled
from agentos.runtime.transcript import Transcript
from agentos.tools.failure import ToolFailure
from agentos.tools.output import bounded
from agentos.tools.tool import Place, Shell, Tool
from agentos.tools.toolset import TOOLS

CUT_OFF = "[Your reply was cut off at its longest length. Go on where it stopped, in smaller pieces.]"
MALFORMED = "the arguments were no JSON object, or cut off: send the call again"
INTERRUPTED = (
    "interrupted: AgentOS was stopped while this ran, so its outcome is unknown. "
    "Look at what is there before you repeat it."
)


class Loop:
    """One agent at work."""

    def __init__(
        self,
        kernel: Kernel,
        pid: Pid,
        spec: Spec,
        record: Record,
        transcript: Transcript,
        caller: Caller,
        shell: Callable[[Ticket], Shell],
        before_writing: Callable[[], Awaitable[tuple[str, ...]]],
        perform: Callable[[Ticket, ToolUse], Awaitable[str]],
        *,
        unattended: bool = False,
        results: Mapping[str, ToolResult] | None = None,
    ) -> None:
        self._kernel = kernel
        self._pid = pid
        self._spec = spec
        self._record = record
        self._transcript = transcript
        self._caller = caller
        self._shell = shell
        self._before_writing = before_writing
        self._perform_function = perform
        self._functions = {function.name: function for function in spec.functions}
        self._unattended = unattended
        self._results = results
        self._emit = caller.emit
        self._place = Place(root=record.root, paths=paths(spec, record.root))
        self._calls = 0
        self._guard = LoopGuard()

    async def run(self) -> Ending:
        """Runs until there is nothing left to do; says how it ended."""
        await self._repair()
        try:
            while (ending := await self._step()) is None:
                pass
        except BudgetExceeded as error:
            turns = self._record.turns >= self._spec.max_turns
            return Ending(state="failed", stop="turns" if turns else "budget", error=to_dict(error))
        except TicketCancelled:
            return Ending(state="cancelled", stop="cancelled")
        except InternalError:
            raise
        except AgentOSError as error:
            return Ending(state="failed", stop="error", error=to_dict(error))
        return ending

    async def _repair(self) -> None:
        """Calls that were open when the run was cut off are answered: a conversation in which a call has no
        result is refused by every provider. Nobody knows how one ended, but of functions its client may."""
        uses = self._transcript.open_calls()
        if uses:
            results = [await self._repaired(use) for use in uses]
            await self._transcript.add(Message(role="user", content=tuple(results)))

    async def _repaired(self, use: ToolUse) -> ToolResult:
        if self._results is None or use.name not in self._functions:
            return ToolResult(id=use.id, text=INTERRUPTED, error=True)
        # The client tells all that it has performed: what is not among it was not begun.
        return self._results.get(use.id) or await self._called(use)

    async def _step(self) -> Ending | None:
        if uses := self._transcript.open_calls():
            return await self._answer(uses)
        if (text := await self._transcript.hear()) is not None:
            self._emit({"event": "message", "text": text})
            return None
        last = self._transcript.last
        if last.message.role == "user":
            return await self._ask()
        elif last.stop == "max_tokens":
            await self._transcript.add(said(CUT_OFF))
        elif last.stop == "refusal":
            error = {"code": "failed", "message": "the model refused", "where": None, "hint": None}
            return Ending(state="failed", stop="refusal", error=error)
        else:
            return Ending(state="done", stop="end_turn")
        return None

    async def _ask(self) -> Ending | None:
        turn = self._record.turns + 1
        try:
            reply = await self._caller.reply(self._transcript, turn)
        except (Failed, MissingMechanism) as error:
            return Ending(state="failed", stop="model", error=to_dict(error))
        message = reply.message
        if not message.content:
            # An empty message cannot be sent back; an empty text stands for "nothing to say".
            message = Message(role="assistant", content=(Text(text=""),))
        await self._transcript.add(message, usage=reply.usage, cost_micros=reply.cost_micros, stop=reply.stop)
        self._emit(
            {
                "event": "turn",
                "turn": turn,
                "stop": reply.stop,
                "usage": msgspec.to_builtins(reply.usage),
                "cost_usd": usd(reply.cost_micros),
                "spent_usd": usd(self._record.spent_micros),
            }
        )
        return None

    async def _answer(self, uses: tuple[ToolUse, ...]) -> Ending | None:
        results = [await self._called(use) for use in uses]
        await self._transcript.add(Message(role="user", content=tuple(results)))
        if self._guard.broken is None:
            return None
        error = {"code": "failed", "message": self._guard.broken, "where": None, "hint": None}
        return Ending(state="failed", stop="loop", error=error)

    async def _called(self, use: ToolUse) -> ToolResult:
        """The call's result, with the events that tell of it."""
        call = {"id": use.id, "name": use.name}
        self._emit({"event": "tool_call", **call, "input": use.input})
        result = await self._guarded(use)
        self._emit({"event": "tool_result", **call, "text": result.text, "error": result.error})
        return result

    async def _guarded(self, use: ToolUse) -> ToolResult:
        """The call's result, unless the model goes round in circles: then the guard's word."""
        call = call_of(use, self._kind(use))
        if function := self._functions.get(use.name):
            call = replace(call, changes=function.recovery != "pure")
        verdict = self._guard.check(call)
        if verdict.kind in ("block", "break"):
            return ToolResult(id=use.id, text=verdict.reason, error=True)
        if verdict.pause:
            self._emit({"event": "pause", "id": use.id, "seconds": verdict.pause})
            await trio.sleep(verdict.pause)
        result = await self._call(use)
        note = self._guard.record(call, result.text, failed=result.error) or verdict.reason
        return replace(result, text=f"{result.text}\n[{note}]") if note else result

    def _kind(self, use: ToolUse) -> type[Tool] | None:
        return TOOLS.get(use.name) if use.name in self._spec.tools else None

    async def _call(self, use: ToolUse) -> ToolResult:
        self._calls += 1
        try:
            if use.name in self._functions:
                text = await self._function(use)
            else:
                text = await self._perform(self._decode(use))
        except (ToolFailure, Denied) as failure:
            reason = f"denied by the kernel: {failure}" if isinstance(failure, Denied) else str(failure)
            return ToolResult(id=use.id, text=bounded(reason, 2_000), error=True)
        return ToolResult(id=use.id, text=text)

    def _decode(self, use: ToolUse) -> Tool:
        kind = self._kind(use)
        if kind is None:
            names = ", ".join([*self._spec.tools, *self._functions]) or "none"
            raise ToolFailure(f"there is no tool `{use.name}`; there are: {names}")
        if use.malformed:
            raise ToolFailure(MALFORMED)
        try:
            tool: Tool = msgspec.convert(use.input, kind)
        except msgspec.ValidationError as error:
            raise ToolFailure(f"wrong arguments: {error}") from None
        return tool

    async def _perform(self, tool: Tool) -> str:
        place = self._place
        if tool.RECOVERY != "pure":
            place = replace(place, guarded=await self._before_writing())
        action = tool.action(place)
        if tool.RECOVERY == "pure" and self._passes(action):
            return await _performed(tool, place)

        async def perform(ticket: Ticket) -> str:
            return await _performed(tool, replace(place, shell=self._shell(ticket)))

        return await self._effect(action, tool.RECOVERY, digest(tool), perform)

    async def _function(self, use: ToolUse) -> str:
        """A call of a function of the client's, which performs it."""
        if use.malformed:
            raise ToolFailure(MALFORMED)
        recovery = self._functions[use.name].recovery
        exact = _sha256([use.name, use.input])

        async def perform(ticket: Ticket) -> str:
            return await self._perform_function(ticket, use)

        return await self._effect(CallAction(tool=use.name), recovery, exact, perform, client=True)

    async def _effect(
        self,
        action: AnyAction,
        recovery: Recovery,
        exact: str,
        perform: Callable[[Ticket], Awaitable[str]],
        *,
        client: bool = False,
    ) -> str:
        """One request to the kernel, and with its consent the effect."""
        ticket = await self._kernel.request(
            self._pid,
            action,
            key=f"tool {self._record.turns}.{self._calls}",
            recovery=recovery,
            digest=exact,
            unattended=self._unattended,
            client=client,
        )
        started = trio.current_time()
        outcome: Outcome = "cancelled"
        try:
            text = await perform(ticket)
            outcome = "ok"
        except ToolFailure:
            outcome = "error"
            raise
        finally:
            with trio.CancelScope(shield=True):
                wall_us = int((trio.current_time() - started) * 1e6)
                await self._kernel.complete(ticket, outcome, Cost(wall_us=wall_us))
        return text

    def _passes(self, action: AnyAction) -> bool:
        """Whether a pure effect goes without a ticket. Where not, a request waits, asks, or says why."""
        if not isinstance(action, ReadAction):
            return False
        try:
            self._kernel.pass_pure(self._pid, "read", action.path)
        except Denied:
            return False
        return True


async def _performed(tool: Tool, place: Place) -> str:
    """What the tool says; what the system refuses is a failure of the tool."""
    try:
        return await tool.perform(place)
    except OSError as error:
        raise ToolFailure(f"the system refused: {error.strerror}") from None


def digest(tool: Tool) -> str:
    """SHA-256 (hex) of a call's exact arguments: a person's yes is for these and no others."""
    return _sha256([type(tool).__name__, tool])


def _sha256(arguments: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(arguments, order="sorted")).hexdigest()


def specifications(spec: Spec) -> list[ToolSpec]:
    """The tools of an agent as a model sees them."""
    functions = [
        ToolSpec(name=function.name, description=function.description, parameters=function.parameters)
        for function in spec.functions
    ]
    return [*functions, *(_specification(name, TOOLS[name]) for name in spec.tools)]


@functools.cache
def _specification(name: str, kind: type[Tool]) -> ToolSpec:
    # The same for every run; to derive a schema takes longer than all else before the first call.
    schemas, components = msgspec.json.schema_components([kind], ref_template="{name}")
    parameters = components.get(kind.__name__, schemas[0])
    description = " ".join((kind.__doc__ or "").split())
    keep = {key: parameters[key] for key in ("type", "properties", "required") if key in parameters}
    return ToolSpec(name=name, description=description, parameters=keep)
