"""What a model call reports, the same for every wire format: the broker's `rust/broker/src/event.rs`.

Order: `Started`, then text, thinking and tool calls as they come, `Usage` whenever it is known better; at
the end either `Stop` (the reply is complete) or `Error`, then `Done`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

StopReason = Literal["end_turn", "tool_use", "max_tokens", "refusal", "other"]
ErrorKind = Literal[
    "http",
    "rate_limit",
    "quota",
    "overloaded",
    "auth",
    "invalid",
    "network",
    "broken_stream",
    "tls",
    "timeout",
    "no_credential",
    "no_model",
    "refused",
    "broker_lost",
]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Started(_Event, frozen=True, kw_only=True, tag="started"):
    """The provider answered with this HTTP status; `request_id` is its name for the call."""

    status: int
    request_id: str | None = None


class Text(_Event, frozen=True, kw_only=True, tag="text"):
    delta: str


class Thinking(_Event, frozen=True, kw_only=True, tag="thinking"):
    delta: str


class ThinkingEnd(_Event, frozen=True, kw_only=True, tag="thinking_end"):
    """A block of thinking is over. `signature` goes back with it on the next turn; `redacted` is thinking
    that the provider shows only sealed."""

    signature: str | None = None
    redacted: str | None = None


class ToolCallStart(_Event, frozen=True, kw_only=True, tag="tool_call_start"):
    """`index` counts the reply's tool calls from 0."""

    index: int
    id: str
    name: str


class ToolCallDelta(_Event, frozen=True, kw_only=True, tag="tool_call_delta"):
    """All `json` of one call, joined, are its arguments; not checked to be valid."""

    index: int
    json: str


class ToolCallEnd(_Event, frozen=True, kw_only=True, tag="tool_call_end"):
    index: int


class Usage(_Event, frozen=True, kw_only=True, tag="usage"):
    """Tokens of the call so far: totals, so the last one counts. `input` leaves out what was read from or
    written to the provider's cache; `cache_write` includes `cache_write_hour`, what is kept for an hour and
    not for minutes; `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    reasoning: int = 0


class Stop(_Event, frozen=True, kw_only=True, tag="stop"):
    """The reply is complete. `provider_reason` is the provider's own word."""

    reason: StopReason
    provider_reason: str = ""


class Error(_Event, frozen=True, kw_only=True, tag="error"):
    """The call failed; what came before stands. `status` is HTTP's, when there was a reply; `code` the
    provider's name for the error. `broker_lost`: the broker died, and how far the call came is not known."""

    kind: ErrorKind
    message: str
    status: int | None = None
    code: str | None = None
    retry_after_ms: int | None = None


class Done(_Event, frozen=True, kw_only=True, tag="done"):
    """The ticket is silent from here on."""


ModelEvent = (
    Started
    | Text
    | Thinking
    | ThinkingEnd
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | Usage
    | Stop
    | Error
    | Done
)
