"""Folds the pieces of a streamed reply into one assistant message, whatever wire they came over."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from agentos.models.conversation import Block, Message, Text, Thinking, ToolUse


class _Call(msgspec.Struct, kw_only=True):
    """A tool call under way."""

    id: str
    name: str
    json: list[str]
    ended: bool = False


class Fold:
    """Takes pieces in the order in which they come; `message` is what they amount to so far."""

    def __init__(self) -> None:
        self._parts: list[Block | _Call] = []
        self._kind: Literal["", "text", "thinking"] = ""
        self._open: list[str] = []
        self._calls: dict[int, _Call] = {}
        self.characters = 0
        """How much the model has said, thinking and arguments included."""

    def text(self, delta: str) -> None:
        self._append("text", delta)

    def thinking(self, delta: str) -> None:
        self._append("thinking", delta)

    def thinking_end(self, signature: str | None, redacted: str | None) -> None:
        """Seals the thinking under way; a redacted block has no text of its own."""
        text = "".join(self._open) if self._kind == "thinking" else ""
        if self._kind == "text":
            self._close()
        self._kind, self._open = "", []
        self._parts.append(Thinking(text=text, signature=signature or "", redacted=redacted or ""))

    def call_start(self, index: int, call_id: str, name: str) -> None:
        self._close()
        call = self._calls[index] = _Call(id=call_id, name=name, json=[])
        self._parts.append(call)

    def call_delta(self, index: int, json: str) -> None:
        self._calls[index].json.append(json)
        self.characters += len(json)

    def call_end(self, index: int) -> None:
        self._calls[index].ended = True

    def message(self) -> Message:
        """The reply so far. A call whose arguments are not a whole JSON object is marked as malformed."""
        self._close()
        blocks = (_tool_use(part) if isinstance(part, _Call) else part for part in self._parts)
        return Message(role="assistant", content=tuple(blocks))

    def _append(self, kind: Literal["text", "thinking"], delta: str) -> None:
        if not delta:
            return
        if self._kind != kind:
            self._close()
            self._kind = kind
        self._open.append(delta)
        self.characters += len(delta)

    def _close(self) -> None:
        said = "".join(self._open)
        if self._kind == "text":
            self._parts.append(Text(text=said))
        elif self._kind == "thinking":
            self._parts.append(Thinking(text=said))
        self._kind, self._open = "", []


def _tool_use(call: _Call) -> ToolUse:
    raw = "".join(call.json)
    arguments: Any = None
    if call.ended:
        try:
            # Some servers send nothing at all for a tool without arguments.
            arguments = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            arguments = None
    if isinstance(arguments, dict):
        return ToolUse(id=call.id, name=call.name, input=arguments)
    return ToolUse(id=call.id, name=call.name, malformed=raw or "(cut off)")
