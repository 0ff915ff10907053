"""`agentos inbox | approve | deny`: questions that the kernel put to a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentos.daemon.client import connect, read
from agentos.home import Home
from agentos.policy import in_words

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    verb = parser.get_default("verb")
    if verb != "inbox":
        parser.add_argument("id", metavar="ID", help="a question as `agentos inbox` shows it, or its start")
    if verb == "approve":
        parser.add_argument(
            "--always",
            action="store_true",
            help="do not ask again when the same process wants exactly the same",
        )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    home = Home.find()
    if arguments.verb == "inbox":
        _show(read("question.list", {}, home), as_json=arguments.json)
        return 0
    approve = arguments.verb == "approve"
    params = {"id": arguments.id, "approve": approve, "standing": approve and arguments.always}
    with connect(home) as daemon:
        done = daemon.call("question.answer", params)
    print(
        json.dumps(done) if arguments.json else f"{done['answer']}: {done['name']} {in_words(done['action'])}"
    )
    return 0


def _show(questions: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(questions))
        return
    if not questions:
        print("Nothing waits for an answer.")
    for question in questions:
        action = in_words(question["action"])
        print(f"{question['id']}  {question['name']} ({question['pid']}) wants to {action}")
        print(f"    {question['stage']} {question['rule']}: {question['why']}")
        print(f"    agentos approve {question['id']}  |  agentos deny {question['id']}", end="")
        print(f"    (denied at {question['deadline']})" if question["deadline"] else "")
