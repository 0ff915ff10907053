"""Whatever was said, in whatever order: the repaired conversation keeps to the rules of both wire formats."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentos.models import anthropic, openai
from agentos.models.conversation import (
    Block,
    Message,
    Options,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    said,
)
from agentos.runtime.session_repair import Report, repair

OPTIONS = Options(model="m", system="", max_tokens=1)
# Few and alike, so that they meet: one name is what the repair would give to a second `a`.
ids = st.sampled_from(["a", "b", "a_2", ""])
texts = st.sampled_from(["", " \n", "words", "QUJD" * 300, "data:image/png;base64," + "iVBORw0K" * 20])
blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(Text, text=texts),
    st.builds(Thinking, text=texts, signature=st.sampled_from(["", "sealed"])),
    st.builds(Thinking, redacted=st.just("sealed")),
    st.builds(ToolUse, id=ids, name=st.just("read"), malformed=st.sampled_from(["", "{"])),
    st.builds(ToolResult, id=ids, text=texts, error=st.booleans()),
)
messages = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant"]),
    content=st.lists(blocks, max_size=4).map(tuple),
)


def check_anthropic(conversation: list[Message]) -> None:
    """The rules of the Messages API: roles, contents that are not empty, results first and complete."""
    body = anthropic.body(conversation, [], OPTIONS)["messages"]
    seen: set[str] = set()
    waiting: list[str] = []
    for number, message in enumerate(body):
        assert message["role"] == ("user", "assistant")[number % 2]
        kinds = [block["type"] for block in message["content"]]
        assert kinds
        results = [block for block in message["content"] if block["type"] == "tool_result"]
        assert kinds[: len(results)] == ["tool_result"] * len(results)
        assert [block["tool_use_id"] for block in results] == waiting
        waiting = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        assert all(waiting) and len(set(waiting)) == len(waiting) and not seen & set(waiting)
        seen |= set(waiting)
        if message["role"] == "assistant":
            assert kinds[-1] in ("text", "tool_use")
        else:
            assert not {"tool_use", "thinking", "redacted_thinking"} & set(kinds)
    assert not waiting


def check_openai(conversation: list[Message]) -> None:
    """The rules of chat completions: each call is answered by a `tool` message before anything else comes."""
    body = openai.body(conversation, [], OPTIONS)["messages"]
    waiting: list[str] = []
    before = ""
    for number, message in enumerate(body):
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert not waiting
            assert message["role"] == "user" if number == 0 else message["role"] != before
            waiting = [call["id"] for call in message.get("tool_calls", [])]
            for call in message.get("tool_calls", []):
                json.loads(call["function"]["arguments"])
            if not waiting:
                assert message["content"].strip()
        before = message["role"]
    assert not waiting


@settings(max_examples=400)
@given(st.lists(messages, max_size=8))
@example([Message(role="assistant", content=(ToolUse(id="a", name="read"), ToolUse(id="a", name="read")))])
@example([said("x"), Message(role="user", content=(ToolResult(id="a", text="lost"),))])
@example([Message(role="assistant", content=(Thinking(text="t", signature="s"),)), said(" ")])
def test_what_is_sent_keeps_to_the_rules_of_both_formats(conversation: list[Message]) -> None:
    repaired, report = repair(conversation)
    check_anthropic(repaired)
    check_openai(repaired)
    again, nothing = repair(repaired)
    assert again == repaired
    assert nothing == Report()
    if conversation and conversation[-1].role == "user":
        assert repaired[-1].role == "user"
    if not report:
        assert [message.role for message in repaired] == [message.role for message in conversation]


@settings(max_examples=100)
@given(st.lists(messages, max_size=8))
def test_no_words_and_no_calls_are_lost(conversation: list[Message]) -> None:
    def words(found: list[Message]) -> list[tuple[str, str]]:
        return [
            (message.role, block.text)
            for message in found
            for block in message.content
            if isinstance(block, Text) and block.text.strip() and not block.text.startswith("[")
        ]

    def calls(found: list[Message]) -> int:
        return sum(len(message.tool_uses()) for message in found if message.role == "assistant")

    repaired, _ = repair(conversation)
    assert words(repaired) == words(conversation)
    assert calls(repaired) == calls(conversation)


turns: st.SearchStrategy[Any] = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=6)


@given(turns)
def test_a_sound_conversation_comes_back_as_it_was(shape: list[tuple[int, bool]]) -> None:
    conversation = [said("task")]
    for turn, (count, asides) in enumerate(shape):
        uses = tuple(ToolUse(id=f"c{turn}.{n}", name="read") for n in range(count))
        thinking = (Thinking(text="hm", signature="s"),) if asides else ()
        conversation.append(Message(role="assistant", content=(*thinking, Text(text="I look."), *uses)))
        results = tuple(ToolResult(id=use.id, text="found") for use in uses)
        words = (Text(text="and?"),) if asides or not uses else ()
        conversation.append(Message(role="user", content=(*results, *words)))
    repaired, report = repair(conversation)
    assert repaired == conversation
    assert not report
