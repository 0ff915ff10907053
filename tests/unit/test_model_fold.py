"""Streamed pieces folded into one message."""

from __future__ import annotations

from agentos.models.conversation import Text, Thinking, ToolUse
from agentos.models.fold import Fold


def test_pieces_of_a_kind_join_and_kinds_stay_apart() -> None:
    fold = Fold()
    for delta in ("I ", "think"):
        fold.thinking(delta)
    fold.thinking_end("sig", None)
    fold.thinking_end(None, "sealed")
    for delta in ("Hel", "lo"):
        fold.text(delta)
    fold.call_start(0, "c0", "read")
    fold.call_start(1, "c1", "write")
    fold.call_delta(1, '{"path":')
    fold.call_delta(0, '{"path":"a"}')
    fold.call_delta(1, '"b"}')
    fold.call_end(0)
    fold.call_end(1)
    assert fold.message().content == (
        Thinking(text="I think", signature="sig"),
        Thinking(redacted="sealed"),
        Text(text="Hello"),
        ToolUse(id="c0", name="read", input={"path": "a"}),
        ToolUse(id="c1", name="write", input={"path": "b"}),
    )
    assert fold.characters == len("I thinkHello") + len('{"path":"a"}{"path":"b"}')


def test_thinking_without_end_is_thinking_and_not_text() -> None:
    fold = Fold()
    fold.thinking("hm")
    fold.text("so")
    assert fold.message().content == (Thinking(text="hm"), Text(text="so"))


def test_arguments_that_are_no_whole_object_are_malformed() -> None:
    for raw, ended in (('{"path": "a', True), ("[1]", True), ('{"path":"a"}', False), ("", False)):
        fold = Fold()
        fold.call_start(0, "c", "read")
        fold.call_delta(0, raw)
        if ended:
            fold.call_end(0)
        assert fold.message().tool_uses() == (ToolUse(id="c", name="read", malformed=raw or "(cut off)"),)


def test_a_call_without_arguments_is_an_empty_object() -> None:
    fold = Fold()
    fold.call_start(0, "c", "list")
    fold.call_end(0)
    assert fold.message().tool_uses() == (ToolUse(id="c", name="list"),)
