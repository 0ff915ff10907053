"""The OpenAI chat-completions wire format: request bodies.

Spoken by OpenAI, and by Ollama, vLLM, llama.cpp and most other servers. Thinking is never sent back:
the format has no place for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from agentos.models.conversation import Message, Options, Text, ToolResult, ToolSpec, ToolUse

PATH = "/chat/completions"


def body(conversation: Sequence[Message], tools: Sequence[ToolSpec], options: Options) -> dict[str, Any]:
    """The JSON body of a streaming call that ends with its usage."""
    messages: list[dict[str, Any]] = []
    if options.system:
        messages.append({"role": "system", "content": options.system})
    for message in conversation:
        messages.extend(_assistant(message) if message.role == "assistant" else _user(message))
    request: dict[str, Any] = {
        "model": options.model,
        options.max_tokens_key: options.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": messages,
    }
    if tools:
        request["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in tools
        ]
    return request


def _user(message: Message) -> Iterator[dict[str, Any]]:
    """Results first: the format wants them right after the calls that they answer."""
    for block in message.content:
        if isinstance(block, ToolResult):
            # The format has no error flag; the word is what models read.
            text = f"error: {block.text}" if block.error else block.text
            yield {"role": "tool", "tool_call_id": block.id, "content": text}
    texts = [block.text for block in message.content if isinstance(block, Text)]
    if texts:
        yield {"role": "user", "content": "\n".join(texts)}


def _assistant(message: Message) -> Iterator[dict[str, Any]]:
    calls = [
        {
            "id": use.id,
            "type": "function",
            "function": {"name": use.name, "arguments": _arguments(use)},
        }
        for use in message.tool_uses()
    ]
    text = message.text()
    reply: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        reply["tool_calls"] = calls
    yield reply


def _arguments(use: ToolUse) -> str:
    # Arguments that are no JSON would be refused by servers that parse the history for their template.
    return "{}" if use.malformed else msgspec.json.encode(use.input).decode()
