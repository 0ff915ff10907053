"""What the scripted model server puts on the wire: replies, rendered in both formats, and their framing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentos.testing.loopback import Framing, Request, framed


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool by the model. `arguments` as a string is sent as it stands, valid or not."""

    id: str
    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The arguments as they travel."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@dataclass(frozen=True)
class Usage:
    """Tokens. `input` is what was not read from or written to a cache; `cache_write` includes
    `cache_write_hour`, `output` includes `reasoning`."""

    input: int = 10
    output: int = 5
    cache_read: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Reply:
    """What the model answers.

    `stop` is one of end_turn, tool_use, max_tokens, refusal; None: tool_use if there are tool calls, else
    end_turn. `text` as a sequence is sent in those deltas. A `status` other than 200 is an error reply with
    `error` as its message; `stream_error` is one that comes in the middle of the stream, after the text.
    `streamed=False` answers one JSON document even when a stream was asked for. `raw` replaces the whole
    body, with `content_type`.
    """

    text: str | Sequence[str] = ""
    thinking: str = ""
    tool_calls: Sequence[ToolCall] = ()
    usage: Usage | None = field(default_factory=Usage)
    stop: Literal["end_turn", "tool_use", "max_tokens", "refusal"] | None = None
    model: str = "scripted"
    status: int = 200
    error: str = ""
    error_type: str = ""
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stream_error: str | None = None
    streamed: bool | None = None
    terminated: bool = True
    raw: bytes | None = None
    content_type: str | None = None
    framing: Framing = field(default_factory=Framing)

    @property
    def deltas(self) -> list[str]:
        """The text, in the pieces that it is streamed in."""
        if not isinstance(self.text, str):
            return list(self.text)
        words = self.text.split(" ")
        return [w if n == 0 else f" {w}" for n, w in enumerate(words)] if self.text else []

    @property
    def whole_text(self) -> str:
        """The text in one."""
        return self.text if isinstance(self.text, str) else "".join(self.text)

    @property
    def stop_reason(self) -> str:
        """The reason that applies when `stop` is None."""
        return self.stop or ("tool_use" if self.tool_calls else "end_turn")


REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests"}
OPENAI_STOP = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def render(reply: Reply, request: Request) -> bytes:
    """The whole HTTP reply, head and body, cut where the framing says."""
    body, content_type = _body(reply, request)
    headers = [
        f"Content-Type: {content_type}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    if reply.retry_after is not None:
        headers.append(f"Retry-After: {reply.retry_after}")
    return framed(f"{reply.status} {REASONS.get(reply.status, 'Status')}", headers, body, reply.framing)


def _body(reply: Reply, request: Request) -> tuple[bytes, str]:
    if reply.raw is not None:
        return reply.raw, reply.content_type or "text/event-stream"
    if reply.status != 200:
        return json.dumps(_error(reply, request.wire)).encode(), reply.content_type or "application/json"
    streamed = request.body.get("stream", False) if reply.streamed is None else reply.streamed
    if not streamed:
        whole = _anthropic_message(reply) if request.wire == "anthropic" else _openai_completion(reply)
        return json.dumps(whole).encode(), reply.content_type or "application/json"
    events = _anthropic_events(reply) if request.wire == "anthropic" else _openai_events(reply, request)
    return _event_stream(events, reply.framing).encode(), reply.content_type or "text/event-stream"


def _event_stream(events: Iterator[tuple[str, Any]], framing: Framing) -> str:
    lines: list[str] = []
    for name, data in events:
        if framing.comments:
            lines += [": keep-alive", ""]
        if name:
            lines.append(f"event: {name}")
        lines += [f"data: {data if isinstance(data, str) else json.dumps(data)}", ""]
    return "".join(f"{line}{framing.newline}" for line in lines)


def _error(reply: Reply, wire: str) -> dict[str, Any]:
    kind = reply.error_type or ERROR_TYPES.get(reply.status, "api_error")
    if wire == "anthropic":
        return {
            "type": "error",
            "error": {"type": kind, "message": reply.error},
            "request_id": "req_scripted",
        }
    return {"error": {"message": reply.error, "type": kind, "param": None, "code": None}}


def _anthropic_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_hour,
            "ephemeral_1h_input_tokens": usage.cache_write_hour,
        },
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }


def _anthropic_blocks(reply: Reply) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": "c2lnbmVk"})
    if reply.whole_text:
        blocks.append({"type": "text", "text": reply.whole_text})
    for call in reply.tool_calls:
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.json)})
    return blocks


def _anthropic_message(reply: Reply) -> dict[str, Any]:
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": _anthropic_blocks(reply),
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "usage": _anthropic_usage(reply.usage or Usage(0, 0)),
    }


def _anthropic_events(reply: Reply) -> Iterator[tuple[str, Any]]:
    usage = reply.usage or Usage(0, 0)
    start = {**_anthropic_message(reply), "content": [], "stop_reason": None}
    start["usage"] = {**_anthropic_usage(usage), "output_tokens": 1}
    yield "message_start", {"type": "message_start", "message": start}
    yield "ping", {"type": "ping"}
    index = 0
    if reply.thinking:
        yield from _anthropic_block(
            index,
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                {"type": "thinking_delta", "thinking": reply.thinking},
                {"type": "signature_delta", "signature": "c2lnbmVk"},
            ],
        )
        index += 1
    if reply.deltas:
        deltas = [{"type": "text_delta", "text": text} for text in reply.deltas]
        yield from _anthropic_block(index, {"type": "text", "text": ""}, deltas)
        index += 1
    if reply.stream_error is not None:
        kind = reply.error_type or "overloaded_error"
        yield "error", {"type": "error", "error": {"type": kind, "message": reply.stream_error}}
        return
    for call in reply.tool_calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *_halves(call.json))]
        yield from _anthropic_block(index, block, deltas)
        index += 1
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.output}}
    if reply.terminated:
        yield "message_stop", {"type": "message_stop"}


def _anthropic_block(
    index: int, block: dict[str, Any], deltas: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, Any]]:
    yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": index}


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _openai_usage(usage: Usage) -> dict[str, Any]:
    prompt = usage.input + usage.cache_read
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _openai_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json}}


def _openai_completion(reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.whole_text or None}
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    if reply.tool_calls:
        message["tool_calls"] = [_openai_call(call) for call in reply.tool_calls]
    choice = {"index": 0, "message": message, "finish_reason": OPENAI_STOP[reply.stop_reason]}
    whole = {"id": "chatcmpl-scripted", "object": "chat.completion", "created": 0, "model": reply.model}
    usage = {} if reply.usage is None else {"usage": _openai_usage(reply.usage)}
    return {**whole, "choices": [choice], **usage}


def _openai_deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    if reply.thinking:
        yield {"reasoning_content": reply.thinking}
    for text in reply.deltas:
        yield {"content": text}
    if reply.stream_error is not None:
        return
    for index, call in enumerate(reply.tool_calls):
        whole = _openai_call(call)
        whole["function"] = {"name": call.name, "arguments": ""}
        yield {"tool_calls": [{"index": index, **whole}]}
        for part in _halves(call.json):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _openai_events(reply: Reply, request: Request) -> Iterator[tuple[str, Any]]:
    base = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 0, "model": reply.model}
    for delta in _openai_deltas(reply):
        yield "", {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    if reply.stream_error is not None:
        kind = reply.error_type or "server_error"
        yield "", {"error": {"message": reply.stream_error, "type": kind, "code": 500}}
        return
    finish = {"index": 0, "delta": {}, "finish_reason": OPENAI_STOP[reply.stop_reason]}
    yield "", {**base, "choices": [finish]}
    options = request.body.get("stream_options") or {}
    if reply.usage is not None and options.get("include_usage"):
        yield "", {**base, "choices": [], "usage": _openai_usage(reply.usage)}
    if reply.terminated:
        yield "", "[DONE]"
