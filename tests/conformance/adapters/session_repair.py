"""Repairs conversations."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.conformance.adapters.texts import text

from agentos.models.conversation import Block, Message, Text, Thinking, ToolResult, ToolUse
from agentos.runtime.inline_data import strip_base64
from agentos.runtime.session_repair import LOST, repair


def run(given: dict[str, Any]) -> dict[str, Any]:
    if "strip" in given:
        kept, stripped = strip_base64(text(given["strip"]))
        # A text that came back as it was is told as it was given.
        return {"text": given["strip"] if kept == text(given["strip"]) else kept, "stripped": stripped}
    repaired, report = repair([_message(message) for message in given["messages"]])
    return {
        "messages": [[message.role, *map(_shown, message.content)] for message in repaired],
        "report": msgspec.to_builtins(report),
    }


def _message(given: list[Any]) -> Message:
    return Message(role=given[0], content=tuple(map(_block, given[1:])))


def _block(given: str | dict[str, Any]) -> Block:
    if isinstance(given, str):
        return Text(text=given)
    if "call" in given:
        return ToolUse(id=given["call"], name="tool")
    if "thinking" in given:
        return Thinking(text=given["thinking"], signature=given["signature"])
    return ToolResult(id=given["result"], text=text(given["text"]), error=given.get("error", False))


def _shown(block: Block) -> str | dict[str, Any]:
    match block:
        case Text(text=said):
            return said
        case ToolUse(id=id):
            return {"call": id}
        case Thinking(text=said, signature=signature):
            return {"thinking": said, "signature": signature}
        case ToolResult(id=id, text=said, error=True) if said == LOST:
            return {"result": id, "lost": True}
        case ToolResult(id=id, text=said, error=error):
            return {"result": id, "text": said, **({"error": True} if error else {})}
