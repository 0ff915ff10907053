"""What is said between a person, a model and its tools, in one shape for every wire format.

A conversation is append-only: a turn adds an assistant message and, when that called tools, one user
message with a result for each call. Wire modules translate it; nothing else knows their shapes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Words, from either side."""

    text: str


class Thinking(msgspec.Struct, frozen=True, kw_only=True, tag="thinking", omit_defaults=True):
    """A model's reasoning. `signature` and `redacted` belong to the provider that made them: they go back
    to it unchanged, and to no other."""

    text: str = ""
    signature: str = ""
    redacted: str = ""


class ToolUse(msgspec.Struct, frozen=True, kw_only=True, tag="tool_use", omit_defaults=True):
    """A call of a tool by the model. `malformed` holds the arguments' text when it is not a JSON object."""

    id: str
    name: str
    input: dict[str, Any] = {}
    malformed: str = ""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, tag="tool_result", omit_defaults=True):
    """The answer to the tool call `id`."""

    id: str
    text: str
    error: bool = False


Block = Text | Thinking | ToolUse | ToolResult


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One side's contribution: text and tool results from the user; text, thinking and calls from a model."""

    role: Literal["user", "assistant"]
    content: tuple[Block, ...]

    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tool calls in it, in order."""
        return tuple(block for block in self.content if isinstance(block, ToolUse))

    def text(self) -> str:
        """Its words, without thinking and calls."""
        return "\n".join(block.text for block in self.content if isinstance(block, Text))


def said(text: str) -> Message:
    """A user message of plain text."""
    return Message(role="user", content=(Text(text=text),))


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as a model sees it; `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to call a model: its provider's name for it, its instructions, the longest reply in tokens."""

    model: str
    system: str
    max_tokens: int
    # OpenAI's own newer models refuse `max_tokens`; most compatible servers know nothing else.
    max_tokens_key: str = "max_tokens"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one call. `input_tokens` are those neither read from nor written to the provider's cache.

    Two are parts of others and count once: `cache_write_hour_tokens` of those written, kept for an hour and
    not for minutes; `reasoning_tokens` of the output.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_hour_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything sent, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.__struct_fields__})

    def minus(self, other: Usage) -> Usage:
        """What came since `other`."""
        return Usage(**{name: getattr(self, name) - getattr(other, name) for name in Usage.__struct_fields__})
