"""`agentos trigger`: work on events."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.cli.automation import call, credentials, show_changes, show_ended, show_rows, verbs
from agentos.daemon.client import connect, read
from agentos.errors import AgentOSError
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("id", "on", "state", "fires", "max_fires", "last")
_EPILOG = """A trigger fires on what happens while a daemon of this home lives, such as `agentos cron serve`.
docs/automation.md shows what a document looks like."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.epilog = _EPILOG
    verb = verbs(parser)
    verb("add", "make a document's triggers those of this home").add_argument("file", metavar="FILE")
    verb("list", "the triggers of this home")
    removed = verb("remove", "remove triggers")
    removed.add_argument("names", metavar="NAME", nargs="+", help="DOCUMENT/TRIGGER, or a whole DOCUMENT")
    verb("run", "fire a trigger now, and wait").add_argument("name", metavar="DOCUMENT/TRIGGER")
    verb("show", "how a trigger's last work ended, and its output").add_argument(
        "name", metavar="DOCUMENT/TRIGGER"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    action, as_json = arguments.action, arguments.json
    if action == "add":
        return show_changes(call("trigger.add", _document(Path(arguments.file))), as_json=as_json)
    if action == "list":
        return show_rows(read("trigger.list", {}, Home.find()), _COLUMNS, as_json=as_json)
    if action == "remove":
        return show_changes(call("trigger.remove", {"names": arguments.names}), as_json=as_json)
    if action == "show":
        return show_ended(read("trigger.show", {"name": arguments.name}, Home.find()), as_json=as_json)
    with connect(Home.find(), credentials()) as daemon:
        return show_ended(daemon.call("trigger.run", {"name": arguments.name}), as_json=as_json)


def _document(path: Path) -> dict[str, Any]:
    """The triggers of a document, checked, as the daemon takes them."""
    import msgspec

    from agentos.automation.cron import TIMEOUT_SECONDS
    from agentos.automation.document import Document
    from agentos.automation.task import prepare
    from agentos.automation.trigger import Triggers
    from agentos.automation.watch import Definition

    home = Home.find()
    document = Document(path)
    triggers = document.convert(Triggers)
    name = document.name(triggers.name)
    items = []
    for number, trigger in enumerate(triggers.triggers):
        try:
            trigger.check_event()
            base = path.absolute().parent
            prepared = prepare(trigger, base, home, os.environ, timeout=TIMEOUT_SECONDS)
        except AgentOSError as error:
            place = document.where(f"triggers[{number}]")
            error.where = f"{place}: {error.where}" if error.where else place
            raise
        items.append(msgspec.to_builtins(Definition(trigger=trigger, prepared=prepared)))
    return {"document": name, "file": str(path.absolute()), "items": items}
