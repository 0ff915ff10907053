"""What an agent said and did, for people and programs that look at it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agentos.errors import AgentOSError, UsageError
from agentos.kernel import ReadOnlyKernel
from agentos.models.conversation import Text, Thinking, ToolResult, ToolUse
from agentos.money import usd
from agentos.runtime.agent import Record
from agentos.runtime.transcript import Entry, entries


def find_agent(kernel: ReadOnlyKernel, name: str) -> Record:
    """The agent that a process id of any of its starts, its own id, or a unique prefix of one means."""
    records = [msgspec.convert(body, Record) for body in kernel.records("agent").values()]
    wanted = name if name.startswith(("p-", "a-")) else f"p-{name}"
    found = [
        record
        for record in records
        if record.id.startswith(wanted)
        or any(kernel.name("p", pid).startswith(wanted) for pid in record.pids)
    ]
    if len(found) != 1:
        what = "no agent's run" if not found else f"{len(found)} runs"
        raise UsageError(f"`{name}` means {what}", hint="`agentos ps --all` lists processes")
    return found[0]


def final_text(kernel: ReadOnlyKernel, record: Record) -> str:
    """The last words of the model; empty where there are none (any more)."""
    try:
        said = [entry.message for entry in entries(kernel, record.head)]
    except AgentOSError:
        return ""
    return next((message.text() for message in reversed(said) if message.role == "assistant"), "")


def lines(kernel: ReadOnlyKernel, record: Record) -> Iterator[dict[str, Any]]:
    """The transcript as events, the same shapes that a running agent emits."""
    spent = 0
    for entry in entries(kernel, record.head):
        yield from _blocks(entry)
        if entry.message.role == "assistant":
            spent += entry.cost_micros
            yield {
                "event": "turn",
                "turn": entry.turn,
                "at": entry.at,
                "stop": entry.stop,
                "usage": msgspec.to_builtins(entry.usage),
                "cost_usd": usd(entry.cost_micros),
                "spent_usd": usd(spent),
            }


def _blocks(entry: Entry) -> Iterator[dict[str, Any]]:
    for block in entry.message.content:
        match block:
            case Text(text=text):
                said = "text" if entry.message.role == "assistant" else "message"
                yield {"event": said, "text": text, "turn": entry.turn}
            case Thinking(text=text) if text:
                yield {"event": "thinking", "text": text, "turn": entry.turn}
            case ToolUse(id=call_id, name=name, input=input):
                yield {"event": "tool_call", "id": call_id, "name": name, "input": input, "turn": entry.turn}
            case ToolResult(id=call_id, text=text, error=error):
                result = {"id": call_id, "text": text, "error": error}
                yield {"event": "tool_result", **result, "turn": entry.turn}
