"""Writes a synthetic ChatGPT export of a given size: the same bytes for the same seed.

    python benches/generate_export.py 500 conversations.json [--seed 1] [--zip]

Shapes, field names and proportions follow real exports: about half of the bytes are people's words (Zipf's
law over 60,000 invented ones), the rest is the tree and its metadata; one answer in twelve was asked for
again, so there are branches; some conversations carry custom instructions or a saved memory.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000
_LETTERS = "bdfghjklmnprstvwz"
_SYLLABLES = [first + second for first in _LETTERS for second in "aeiou"]
_START = 1_650_000_000


class Words:
    """Invented words, common and rare ones, as frequent as in a language."""

    def __init__(self, chance: random.Random, count: int = 60_000) -> None:
        self._chance = chance
        made: dict[str, None] = {}
        while len(made) < count:
            made["".join(chance.choices(_SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4))))] = None
            ending = chance.choice(("s", "ed", "ing", "ly"))
            made["".join(chance.choices(_SYLLABLES, k=3)) + ending] = None
        self._words = list(made)[:count]
        self._weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(count)))

    def text(self, count: int) -> str:
        """Sentences of `count` words together."""
        total, draw = self._weights[-1], self._chance.random
        chosen = [self._words[bisect.bisect(self._weights, draw() * total)] for _ in range(count)]
        for start in range(0, count, 12):
            chosen[start] = chosen[start].capitalize()
            chosen[min(start + 11, count - 1)] += "." if start % 60 else ".\n\n"
        return " ".join(chosen)


class Export:
    """Makes one conversation after the other."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.words = Words(self.chance)
        self.number = 0

    def _id(self) -> str:
        text = f"{self.chance.getrandbits(128):032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def conversation(self) -> dict[str, Any]:
        """The next conversation."""
        self.number += 1
        created = _START + self.number * 3_000 + self.chance.random()
        root = self._id()
        mapping = {root: {"id": root, "message": None, "parent": None, "children": []}}
        current, updated = self._turns(mapping, root, created)
        identity = self._id()
        return {
            "title": self.words.text(5).rstrip(".\n").title(),
            "create_time": created,
            "update_time": updated,
            "mapping": mapping,
            "moderation_results": [],
            "current_node": current,
            "plugin_ids": None,
            "conversation_id": identity,
            "conversation_template_id": None,
            "gizmo_id": None,
            "is_archived": False,
            "is_starred": None,
            "safe_urls": [],
            "default_model_slug": "gpt-4o",
            "disabled_tool_ids": [],
            "is_do_not_remember": False,
            "id": identity,
        }

    def _turns(self, mapping: dict[str, Any], parent: str, time: float) -> tuple[str, float]:
        if self.number % 4 == 0:
            context = {
                "content_type": "user_editable_context",
                "user_profile": "I keep bees and the books of a mill.",
                "user_instructions": "Be brief and name your sources.",
            }
            parent = self._add(mapping, parent, "user", context, None, hidden=True)
        for turn in range(max(1, int(self.chance.gammavariate(2, 4)))):
            time += self.chance.uniform(5, 400)
            asked = self._text(self.chance.randint(4, 90))
            parent = self._add(mapping, parent, "user", asked, time)
            for attempt in range(2 if self.chance.random() < 1 / 12 else 1):
                answer = self._text(int(self.chance.lognormvariate(4.9, 0.8)) + 8)
                last = self._add(mapping, parent, "assistant", answer, time + 3 + attempt)
            parent = last
            if self.number % 25 == 0 and turn == 0:
                memory = {"content_type": "text", "parts": [f"User likes {self.words.text(4)}"]}
                parent = self._add(mapping, parent, "assistant", memory, time + 9, recipient="bio")
        return parent, time + 10

    def _text(self, words: int) -> dict[str, Any]:
        return {"content_type": "text", "parts": [self.words.text(words)]}

    def _add(
        self,
        mapping: dict[str, Any],
        parent: str,
        role: str,
        content: dict[str, Any],
        time: float | None,
        *,
        hidden: bool = False,
        recipient: str = "all",
    ) -> str:
        identity = self._id()
        metadata: dict[str, Any] = {"timestamp_": "absolute", "message_type": None}
        if role == "assistant":
            metadata |= {
                "finish_details": {"type": "stop", "stop_tokens": [200002]},
                "is_complete": True,
                "citations": [],
                "content_references": [],
                "model_slug": "gpt-4o",
                "default_model_slug": "gpt-4o",
                "parent_id": parent,
            }
        if hidden:
            metadata |= {"is_visually_hidden_from_conversation": True, "is_user_system_message": True}
        else:
            metadata["request_id"] = self._id()
        message = {
            "id": identity,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": time,
            "update_time": None,
            "content": content,
            "status": "finished_successfully",
            "end_turn": True if role == "assistant" else None,
            "weight": 1.0,
            "metadata": metadata,
            "recipient": recipient,
            "channel": None,
        }
        mapping[identity] = {"id": identity, "message": message, "parent": parent, "children": []}
        mapping[parent]["children"].append(identity)
        return identity


def chunks(megabytes: float, seed: int) -> Iterator[bytes]:
    """The bytes of `conversations.json`, a conversation at a time."""
    export = Export(seed)
    written = 0
    while written < megabytes * MEGABYTE:
        text = json.dumps(export.conversation()).encode()
        yield (b"," if written else b"[") + text
        written += len(text) + 1
    yield b"]"


def write(path: Path, megabytes: float, seed: int = 1, *, zipped: bool = False) -> None:
    """Writes the export to `path`, in a zip on demand."""
    if not zipped:
        with path.open("wb") as file:
            file.writelines(chunks(megabytes, seed))
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("conversations.json", "w", force_zip64=True) as member:
            for chunk in chunks(megabytes, seed):
                member.write(chunk)
        archive.writestr("user.json", '{"id": "user-1", "email": "sam@example.org"}')


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description="Write a synthetic ChatGPT export.")
    parser.add_argument("megabytes", type=float)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zip", action="store_true")
    arguments = parser.parse_args()
    write(arguments.path, arguments.megabytes, arguments.seed, zipped=arguments.zip)


if __name__ == "__main__":
    main()
