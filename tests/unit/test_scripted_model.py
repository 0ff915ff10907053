"""The scripted model server speaks what the tests believe it speaks."""

from __future__ import annotations

import http.client
import json

import pytest

from agentos.testing import Framing, Reply, ScriptedModel, ToolCall, Usage


def ask(server: ScriptedModel, path: str, *, stream: bool = True) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        body = {"model": "m", "stream": stream, "stream_options": {"include_usage": True}}
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_both_wires_stream_the_same_reply() -> None:
    reply = Reply(text="one two", tool_calls=[ToolCall("t1", "read", {"path": "a"})], usage=Usage(3, 4))
    with ScriptedModel([reply, reply]) as server:
        _, _, anthropic = ask(server, "/v1/messages")
        _, _, openai = ask(server, "/v1/chat/completions")
    assert b"event: message_stop" in anthropic
    assert b'"text": " two"' in anthropic
    assert openai.endswith(b"data: [DONE]\n\n")
    assert b'"finish_reason": "tool_calls"' in openai
    assert b'"prompt_tokens": 3' in openai


def test_reply_without_stream_is_one_document() -> None:
    with ScriptedModel([Reply(text="whole")]) as server:
        _, headers, body = ask(server, "/v1/messages", stream=False)
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["content"] == [{"type": "text", "text": "whole"}]


@pytest.mark.parametrize("body", ["chunked", "length", "close"])
def test_framings_carry_the_same_bytes(body: str) -> None:
    framing = Framing(body=body, chunk=7, piece=3, newline="\r\n", comments=True)  # type: ignore[arg-type]
    with ScriptedModel([Reply(text="same", framing=framing)]) as server:
        _, _, got = ask(server, "/v1/messages")
    assert got.startswith(b": keep-alive\r\n\r\nevent: message_start\r\ndata: ")
    assert got.endswith(b"\r\n\r\n")


def test_rate_limit_carries_retry_after() -> None:
    with ScriptedModel([Reply(status=429, error="slow down", retry_after="7")]) as server:
        status, headers, body = ask(server, "/v1/messages")
    assert (status, headers["retry-after"]) == (429, "7")
    assert json.loads(body)["error"] == {"type": "rate_limit_error", "message": "slow down"}


def test_cut_reply_is_incomplete() -> None:
    cut = Reply(text="never whole", framing=Framing(cut_after=-20))
    with ScriptedModel([cut]) as server, pytest.raises(http.client.IncompleteRead):
        ask(server, "/v1/messages")
