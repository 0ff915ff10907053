"""What `agentos cron`, `trigger` and `workflow` have in common on the command line."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from agentos.daemon.client import connect
from agentos.home import Home

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from agentos.models.environment import Credential


def verbs(parser: argparse.ArgumentParser) -> Callable[[str, str], argparse.ArgumentParser]:
    """A function that adds a verb of the area to its parser."""
    group = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = group.add_parser(
            name, help=text, description=text, allow_abbrev=False
        )
        added.add_argument("--json", action="store_true", help="JSON on stdout; JSON Lines where it streams")
        return added

    return verb


def call(verb: str, params: dict[str, Any]) -> Any:
    """Calls an acting verb of the daemon that does not stream."""
    with connect(Home.find()) as daemon:
        return daemon.call(verb, params)


def credentials() -> Sequence[Credential]:
    """The provider keys of the environment, for the agents that are run."""
    from agentos.models.environment import credentials_from_environment

    return credentials_from_environment(os.environ)


def show_changes(done: dict[str, Any], *, as_json: bool) -> int:
    """Prints what was added and removed."""
    if as_json:
        print(json.dumps(done))
    else:
        lines = [f"{word} {name}" for word in ("added", "removed") for name in done.get(word, [])]
        print("\n".join(lines))
    return 0


def show_rows(rows: list[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> int:
    """Prints rows as a table."""
    if as_json:
        print(json.dumps(rows))
        return 0
    cells = [[_cell(row, column) for column in columns] for row in rows]
    table = [list(columns), *cells]
    widths = [max(len(line[at]) for line in table) for at in range(len(columns))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if column == "last" and value is not None:
        if "ok" not in value:
            return f"{value['run']} {value['state']}"
        return "ok" if value["ok"] else f"failed: {value['message']}"
    return "-" if value is None else str(value)


def show_ended(ended: dict[str, Any], *, as_json: bool) -> int:
    """Prints how one run ended: its output alone on stdout; the exit code is 0 where it went well."""
    if as_json:
        print(json.dumps(ended))
    else:
        if ended["output"]:
            print(ended["output"])
        if not ended["ok"]:
            print(f"agentos: it failed: {ended['message']}", file=sys.stderr)
    return 0 if ended["ok"] else 1
