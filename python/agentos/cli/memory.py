"""`agentos memory …`: import chatbot exports, search and list what they hold, export it elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from agentos.errors import UsageError
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agentos memory import ~/Downloads/chatgpt-export.zip
  agentos memory search 'sourdough starter'
  agentos memory export --to claude -o memories.md
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.epilog = _EXAMPLES
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, line: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=line, description=line.capitalize() + ".", allow_abbrev=False)
        verb.add_argument("--json", action="store_true", help="JSON on stdout")
        return verb

    bring = add("import", "read exports of ChatGPT and Claude: zip, folder, JSON, or - for standard input")
    bring.add_argument("inputs", nargs="+", metavar="FILE", help="what the provider sent you")
    add("imports", "what was imported, and when")
    take = add("undo", "remove what one import alone brought")
    take.add_argument("id", metavar="IMPORT", help="an import's id, or the start of one")
    find = add("search", "find messages and facts by their words")
    find.add_argument("query", nargs="+", metavar="QUERY", help='words, "a phrase", word*, -without')
    find.add_argument("--limit", type=_count, default=10, metavar="N", help="results at most (default 10)")
    find.add_argument("--provider", metavar="NAME", help="only chatgpt, or only claude")
    find.add_argument("--since", metavar="DATE", help="only what is as new, such as 2025-01-31")
    one = add("show", "one fact, conversation or message with its sources")
    one.add_argument("id", metavar="ID", help="an id as search and list print it, or the start of one")
    everything = add("list", "what is known about you")
    everything.add_argument("--all", action="store_true", help="also facts that were superseded")
    add("stats", "how much there is")
    out = add("export", "write facts in the format of another product")
    out.add_argument("--to", required=True, metavar="FORMAT", help="claude, jsonl or markdown")
    out.add_argument("-o", "--output", metavar="FILE", help="a file instead of stdout")
    ask = add("prompt", "the text to paste into a chatbot that does not export its memories")
    ask.add_argument("name", metavar="NAME", help="chatgpt or claude")


def _count(text: str) -> int:
    import argparse

    if not text.isdigit() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError("a number from 1 to 10000")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from agentos.cli import memory_show as show
    from agentos.memory import reading

    home = Home.find()
    home.check()
    match arguments.action:
        case "import":
            return _import(home, arguments)
        case "undo":
            return _undo(home, arguments)
        case "export":
            return _export(home, arguments)
        case "prompt":
            return _prompt(arguments)
        case "imports":
            show.imports(reading.imports(home), as_json=arguments.json)
        case "search":
            found = reading.search(
                home,
                " ".join(arguments.query),
                limit=arguments.limit,
                provider=arguments.provider,
                since=arguments.since,
            )
            show.hits(found, as_json=arguments.json)
        case "show":
            show.record(reading.show(home, arguments.id), as_json=arguments.json)
        case "list":
            show.facts(reading.facts(home), everything=arguments.all, as_json=arguments.json)
        case "stats":
            show.stats(reading.stats(home), home, as_json=arguments.json)
    return 0


def _import(home: Home, arguments: argparse.Namespace) -> int:
    from agentos.cli.memory_show import ProgressLine, end_of_import
    from agentos.daemon.client import connect
    from agentos.memory import guidance, importing
    from agentos.memory.ticket import ticket

    # Before a daemon is started for it: a mistyped name is no reason to start one.
    for name in arguments.inputs:
        if name != "-" and not _may_be_there(name):
            raise UsageError(
                "there is no such file or folder",
                where=name,
                hint="give the zip, folder or JSON file that the provider sent you",
            )
    with connect(home) as daemon, ticket(daemon), ProgressLine(as_json=arguments.json) as progress:
        summary = importing.run(home, arguments.inputs, progress.update)
    summary["next"] = guidance.next_commands(summary)
    if arguments.json:
        print(json.dumps({"event": "summary", **summary}), flush=True)
    else:
        end_of_import(summary, guidance.lacks(summary), home)
    return 3 if summary["dropped"] else 0


def _may_be_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # the import will say what is wrong with it
        return True


def _undo(home: Home, arguments: argparse.Namespace) -> int:
    from agentos.daemon.client import connect
    from agentos.kernel import Archive
    from agentos.memory.ticket import ticket

    if not (home.archive / "archive.db").exists():
        raise UsageError(f"there is no import `{arguments.id}`", hint="nothing was imported yet")
    with connect(home) as daemon, ticket(daemon):
        undone: dict[str, Any] = json.loads(Archive(str(home.archive)).undo(arguments.id))
    if arguments.json:
        print(json.dumps(undone))
    else:
        print(
            f"{undone['import']} is undone: {undone['conversations']} conversations, "
            f"{undone['messages']} messages and {undone['facts']} facts that it alone had brought are gone"
        )
    return 0


def _export(home: Home, arguments: argparse.Namespace) -> int:
    from agentos.memory import targets
    from agentos.memory.exporting import export, export_to_file

    if arguments.output:
        counts = export_to_file(home, arguments.to, Path(arguments.output))
        if not arguments.json:
            print(f"{counts['facts']} facts written to {arguments.output}{_held_back(counts)}")
    elif arguments.json:
        # One document, written as it comes: the export is a string in it, of whatever length.
        targets.find(arguments.to)
        sys.stdout.write('{"text": "')
        counts = export(home, arguments.to, _InJson(sys.stdout)) | {"file": None}
        print(f'", {json.dumps(counts)[1:]}')
        return 0
    else:
        counts = export(home, arguments.to, sys.stdout)
        print(f"{counts['facts']} facts{_held_back(counts)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(counts))
    return 0


class _InJson:
    """A stream into the inside of a JSON string."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, piece: str) -> object:
        """Writes `piece` escaped."""
        return self._stream.write(json.dumps(piece)[1:-1])


def _held_back(counts: dict[str, Any]) -> str:
    return f"; {counts['held_back']} held back (see `agentos memory list`)" if counts["held_back"] else ""


def _prompt(arguments: argparse.Namespace) -> int:
    from agentos.memory.guidance import PROMPTS

    if arguments.name not in PROMPTS:
        raise UsageError(f"there is no prompt `{arguments.name}`", hint=f"one of: {', '.join(PROMPTS)}")
    text = PROMPTS[arguments.name]
    print(json.dumps({"name": arguments.name, "prompt": text}) if arguments.json else text)
    return 0
