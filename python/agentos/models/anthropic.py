"""The Anthropic Messages wire format: request bodies.

Cache marks go on the instructions and on the newest message, so that each turn of a loop reads what the
turn before it wrote. Thinking goes back with its signature, exactly as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentos.models.conversation import Block, Message, Options, Text, Thinking, ToolResult, ToolSpec, ToolUse

PATH = "/v1/messages"
CACHED = {"type": "ephemeral"}


def body(conversation: Sequence[Message], tools: Sequence[ToolSpec], options: Options) -> dict[str, Any]:
    """The JSON body of a streaming call."""
    messages = [_message(message) for message in conversation]
    if messages and messages[-1]["content"]:
        messages[-1]["content"][-1]["cache_control"] = CACHED
    request: dict[str, Any] = {
        "model": options.model,
        "max_tokens": options.max_tokens,
        "stream": True,
        "messages": messages,
    }
    if options.system:
        request["system"] = [{"type": "text", "text": options.system, "cache_control": CACHED}]
    if tools:
        request["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in tools
        ]
    return request


def _message(message: Message) -> dict[str, Any]:
    content = [part for block in message.content if (part := _block(block)) is not None]
    return {"role": message.role, "content": content}


def _block(block: Block) -> dict[str, Any] | None:
    match block:
        case Text(text=text):
            # The API refuses text that is empty or blank.
            return {"type": "text", "text": text} if text.strip() else None
        case Thinking(redacted=redacted) if redacted:
            return {"type": "redacted_thinking", "data": redacted}
        case Thinking(text=text, signature=signature):
            if not signature:
                return None
            return {"type": "thinking", "thinking": text, "signature": signature}
        case ToolUse(id=id, name=name, input=input):
            return {"type": "tool_use", "id": id, "name": name, "input": input}
        case ToolResult(id=id, text=text, error=error):
            return {"type": "tool_result", "tool_use_id": id, "content": text, "is_error": error}
