"""Request bodies of both wire formats, built from one conversation."""

from __future__ import annotations

from agentos.models import anthropic, openai
from agentos.models.conversation import (
    Message,
    Options,
    Text,
    Thinking,
    ToolResult,
    ToolSpec,
    ToolUse,
    said,
)

READ = ToolSpec(name="read", description="Read it.", parameters={"type": "object"})
OPTIONS = Options(model="m-1", system="Be brief.", max_tokens=100)
CONVERSATION = (
    said("fix it"),
    Message(
        role="assistant",
        content=(
            Thinking(text="hm", signature="s1"),
            Thinking(redacted="sealed"),
            Thinking(text="from another provider"),
            Text(text="I look."),
            ToolUse(id="c1", name="read", input={"path": "a"}),
            ToolUse(id="c2", name="read", malformed='{"path": '),
        ),
    ),
    Message(
        role="user",
        content=(
            ToolResult(id="c1", text="content"),
            ToolResult(id="c2", text="no JSON", error=True),
            Text(text="and hurry"),
        ),
    ),
)


def test_anthropic_body_carries_thinking_calls_and_results() -> None:
    assert anthropic.body(CONVERSATION, [READ], OPTIONS) == {
        "model": "m-1",
        "max_tokens": 100,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "read", "description": "Read it.", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "fix it"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s1"},
                    {"type": "redacted_thinking", "data": "sealed"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "c1", "name": "read", "input": {"path": "a"}},
                    {"type": "tool_use", "id": "c2", "name": "read", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "content", "is_error": False},
                    {"type": "tool_result", "tool_use_id": "c2", "content": "no JSON", "is_error": True},
                    {"type": "text", "text": "and hurry", "cache_control": {"type": "ephemeral"}},
                ],
            },
        ],
    }


def test_openai_body_splits_results_into_messages_of_their_own() -> None:
    function = {"name": "read", "description": "Read it.", "parameters": {"type": "object"}}
    assert openai.body(CONVERSATION, [READ], OPTIONS) == {
        "model": "m-1",
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": function}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "fix it"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "read", "arguments": '{"path":"a"}'},
                    },
                    {"id": "c2", "type": "function", "function": {"name": "read", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "content"},
            {"role": "tool", "tool_call_id": "c2", "content": "error: no JSON"},
            {"role": "user", "content": "and hurry"},
        ],
    }


def test_openai_content_is_null_only_beside_calls() -> None:
    call = Message(role="assistant", content=(ToolUse(id="c", name="read"),))
    silent = Message(role="assistant", content=())
    messages = openai.body((call, silent), [], OPTIONS)["messages"]
    assert [message["content"] for message in messages] == ["Be brief.", None, ""]


def test_max_tokens_go_under_the_name_that_the_provider_knows() -> None:
    options = Options(model="m", system="", max_tokens=7, max_tokens_key="max_completion_tokens")
    body = openai.body((said("x"),), [], options)
    assert body["max_completion_tokens"] == 7 and "max_tokens" not in body


def test_blank_text_is_left_out_of_anthropic_bodies() -> None:
    reply = Message(role="assistant", content=(Text(text=" \n"), ToolUse(id="c", name="read")))
    body = anthropic.body((said("x"), reply, said("y")), [], OPTIONS)
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use"]
