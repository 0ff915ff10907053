"""A generated ChatGPT export of any size: `python benches/chat_export.py FILE MEGABYTES`."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = [
    "bread",
    "flour",
    "water",
    "salt",
    "oven",
    "starter",
    "rye",
    "invoice",
    "reminder",
    "parcel",
    "shelf",
    "label",
    "python",
    "test",
    "branch",
    "commit",
    "walk",
    "hill",
    "river",
    "garden",
    "summer",
    "winter",
    "letter",
    "music",
    "piano",
    "cello",
    "train",
    "ticket",
    "harbour",
    "morning",
]


def conversations(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Endless conversations of 4 to 24 messages; every fifth has a second branch."""
    number = 0
    while True:
        number += 1
        yield _conversation(number, chance)


def _conversation(number: int, chance: random.Random) -> dict[str, Any]:
    begun = 1_700_000_000.0 + number * 3600
    turns = chance.randrange(4, 25)
    names = [f"{number:08x}-0000-4000-8000-{turn:012d}" for turn in range(turns + 1)]
    mapping: dict[str, Any] = {
        names[0]: {"id": names[0], "parent": None, "children": [names[1]], "message": None}
    }
    for turn in range(1, turns + 1):
        branch = number % 5 == 0 and turn == turns
        parent = names[turn - 2] if branch else names[turn - 1]
        if branch:
            mapping[parent]["children"].append(names[turn])
        following = [names[turn + 1]] if turn < turns and not (number % 5 == 0 and turn + 1 == turns) else []
        mapping[names[turn]] = {
            "id": names[turn],
            "parent": parent,
            "children": following,
            "message": _message(names[turn], "user" if turn % 2 else "assistant", begun + turn * 30, chance),
        }
    return {
        "id": names[0],
        "conversation_id": names[0],
        "title": " ".join(chance.choices(WORDS, k=4)).capitalize(),
        "create_time": begun,
        "update_time": begun + turns * 30,
        "mapping": mapping,
        "current_node": names[turns],
        "default_model_slug": "gpt-4o",
        "is_archived": False,
    }


def _message(name: str, role: str, time: float, chance: random.Random) -> dict[str, Any]:
    words = chance.choices(WORDS, k=chance.randrange(8, 160))
    return {
        "id": name,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": time,
        "update_time": None,
        "content": {"content_type": "text", "parts": [" ".join(words).capitalize() + "."]},
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": {"model_slug": "gpt-4o", "request_id": name[:18]},
        "recipient": "all",
        "channel": None,
    }


def write(path: Path, size_bytes: int, seed: int = 0) -> None:
    """Writes an export of at least `size_bytes`."""
    with path.open("w") as stream:
        stream.write("[")
        for number, conversation in enumerate(conversations(random.Random(seed))):
            stream.write(",\n" if number else "\n")
            json.dump(conversation, stream)
            if stream.tell() >= size_bytes:
                break
        stream.write("\n]\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(float(sys.argv[2]) * 1e6))
