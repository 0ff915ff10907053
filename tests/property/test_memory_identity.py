"""Identity by content: order, pieces and repetition do not change what the archive comes to."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exports import chat, node, saved

from agentos.kernel import Archive, ImportJob

words = st.lists(st.text(alphabet='abcdé 😀\n"\\', min_size=1, max_size=12), min_size=1, max_size=4)


@st.composite
def exports(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Conversations with a side branch and saved memories here and there."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        identity = f"c{number}"
        extra = {}
        if draw(st.booleans()):
            lines = draw(
                st.lists(st.sampled_from(["User likes tea.", "User is old.", "User rows."]), max_size=3)
            )
            extra["saved"] = node("saved", f"{identity}-0", saved(lines, draw(st.integers(1, 9))))
        made.append(chat(identity, draw(words), extra=extra, updated=draw(st.integers(1, 5))))
    return made


def shuffled(draw: st.DrawFn, export: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same conversations with their order and the order of their nodes changed."""
    mixed = [
        {**talk, "mapping": dict(draw(st.permutations(list(talk["mapping"].items()))))} for talk in export
    ]
    return list(draw(st.permutations(mixed)))


class Room:
    """An archive in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = Archive(str(folder / "archive"))

    def bring(self, *shards: list[dict[str, Any]]) -> dict[str, Any]:
        """Imports one export in one or more files."""
        paths: list[str | None] = []
        for number, shard in enumerate(shards):
            path = self.folder / f"conversations-{number:03}.json"
            path.write_text(json.dumps(shard))
            paths.append(str(path))
        summary: dict[str, Any] = json.loads(self.archive.run_import(ImportJob(paths)))
        return summary

    def undo(self, name: str) -> None:
        """Takes an import back."""
        self.archive.undo(name)

    def content(self) -> Any:
        """All that people can see, less the names of files."""
        records = sorted(json.loads(self.archive.records()), key=lambda record: record["id"])
        shown = [json.loads(self.archive.show(record["id"])) for record in records]
        facts = json.loads(self.archive.facts())
        found = [json.loads(self.archive.search(query, 50)) for query in ("a", "tea rows", "talk", "é")]
        hits = [sorted((hit["id"], hit["text"]) for hit in hits) for hits in found]
        return json.loads(
            json.dumps([shown, sorted(facts, key=lambda fact: str(fact["id"])), hits]),
            object_hook=lambda value: {key: value[key] for key in value if key != "file"},
        )


@given(st.data())
@settings(max_examples=40)
def test_order_and_shards_do_not_matter(data: st.DataObject) -> None:
    export = data.draw(exports())
    mixed = shuffled(data.draw, export)
    cut = data.draw(st.integers(0, len(mixed)))
    shards = [shard for shard in (mixed[:cut], mixed[cut:]) if shard]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        plain, other = Room(Path(one)), Room(Path(two))
        plain.bring(export)
        other.bring(*shards)
        assert other.content() == plain.content()
        again = plain.bring(*shards)
        assert (again["written"], again["conversations"]["unchanged"]) == (False, len(export))


@given(st.data())
@settings(max_examples=40)
def test_undo_restores_what_was_there_before(data: st.DataObject) -> None:
    first, second = data.draw(exports()), data.draw(exports())
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        room.bring(first)
        before = room.content()
        summary = room.bring(second)
        if summary["written"]:
            room.undo(summary["import"])
        assert room.content() == before


@given(st.data())
@settings(max_examples=25)
def test_undoing_the_first_leaves_what_the_second_brought(data: st.DataObject) -> None:
    first, second = data.draw(exports()), data.draw(exports())
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        both, alone = Room(Path(one)), Room(Path(two))
        brought = both.bring(first)["import"]
        if not both.bring(second)["written"]:
            return
        both.undo(brought)
        alone.bring(second)
        assert both.content() == alone.content()
