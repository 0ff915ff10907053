"""Exports whose fields hold anything: an import never breaks, never loses what it could read, and is the same
when it is repeated."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exports import chat

from agentos.errors import UsageError
from agentos.kernel import Archive, ImportJob

texts = st.text(alphabet='ab \0\x1b\u2028\ue200\ue201😀"\\[{', max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

CHATGPT = {
    "title",
    "create_time",
    "update_time",
    "current_node",
    "is_do_not_remember",
    "id",
    "conversation_id",
}
NODE = {"id", "parent", "children", "message"}
MESSAGE = {"id", "author", "create_time", "content", "recipient", "weight", "metadata", "status"}
CONTENT = {
    "content_type", "parts", "text", "result", "summary", "title", "url", "thoughts", "content",
    "user_profile", "user_instructions", "model_set_context",
}  # fmt: skip
KINDS = [
    "text",
    "code",
    "thoughts",
    "user_editable_context",
    "model_editable_context",
    "multimodal_text",
    "new",
]
CLAUDE = {"uuid", "name", "created_at", "updated_at", "account", "current_leaf_message_uuid"}
TURN = {
    "uuid", "text", "content", "sender", "created_at", "parent_message_uuid", "attachments", "files"
}  # fmt: skip
BLOCK = {"type", "text", "thinking", "name", "input", "content"}


def fields(names: set[str], **known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of `names`, each with what it should hold, or with anything."""
    return st.fixed_dictionaries(
        {}, optional={name: known[name] | junk if name in known else junk for name in sorted(names)}
    )


content = fields(CONTENT, content_type=st.sampled_from(KINDS), parts=st.lists(texts, max_size=3))
said = fields(
    MESSAGE, content=content, author=fields({"role", "name"}, role=st.sampled_from(["user", "tool"]))
)
keys = st.sampled_from(["a", "b", "c", ""])
nodes = fields(NODE, parent=keys, children=st.lists(keys, max_size=3), message=said)
mapped = st.dictionaries(keys, nodes, max_size=4)
chatgpt = st.builds(lambda base, mapping: {**base, "mapping": mapping}, fields(CHATGPT), mapped | junk)
blocks = fields(BLOCK, type=st.sampled_from(["text", "thinking", "tool_use", "tool_result"]))
turns = fields(TURN, uuid=keys, content=st.lists(blocks, max_size=2), sender=st.sampled_from(["human", "x"]))
claude = st.builds(
    lambda base, turns: {**base, "chat_messages": turns},
    fields(CLAUDE, uuid=keys),
    st.lists(turns, max_size=4),
)


@given(st.lists(chatgpt | claude | junk, max_size=4))
@settings(max_examples=60, deadline=None)
def test_an_import_takes_anything_and_repeats_itself(elements: list[Any]) -> None:
    good = chat("good", ["a pear", "an apple"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conversations.json"
        path.write_text(json.dumps([good, *elements]))
        archive = Archive(str(Path(folder) / "archive"))
        summary = json.loads(archive.run_import(ImportJob([str(path)])))
        dropped = sum(gone["count"] for gone in summary["dropped"])
        assert summary["conversations"]["seen"] + dropped >= 1
        assert json.loads(archive.search("pear", 5))
        for record in json.loads(archive.records()):
            shown = json.loads(archive.show(record["id"]))
            assert len({message["id"] for message in shown["messages"]}) == len(shown["messages"])
            json.loads(archive.raw(record["id"]))
        again = json.loads(archive.run_import(ImportJob([str(path)])))
        assert not again["written"], again
        archive.undo(summary["import"])
        assert json.loads(archive.records()) == []
        assert json.loads(archive.facts()) == []


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",: \n0"ab\\', max_size=60).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_no_export_are_bad_input_and_leave_nothing(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conversations.json"
        path.write_bytes(data)
        archive = Archive(str(Path(folder) / "archive"))
        try:
            archive.run_import(ImportJob([str(path)]))
        except UsageError as error:
            assert error.where is not None
        assert json.loads(archive.records()) == []
        assert json.loads(archive.imports()) == []
