"""`agentos config list | get KEY | set KEY VALUE`: settings and where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from agentos import settings
from agentos.home import Home

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    import argparse

    parser.epilog = (
        "Flags win over AGENTOS_* variables, these over config.toml in the home, that over agentos.toml\n"
    )
    parser.epilog += (
        "in the repository (which may only narrow levels and budgets), that over what is built in."
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    actions = parser.add_subparsers(dest="action", metavar="list|get|set")
    for name, line in (
        ("list", "all settings"),
        ("get", "one setting"),
        ("set", "write one into config.toml"),
    ):
        action = actions.add_parser(name, help=line, description=line.capitalize() + ".")
        # Suppressed: without the flag here, the one before the action stands.
        action.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document"
        )
        if name != "list":
            action.add_argument("key", metavar="KEY", help="as `agentos config list` shows it")
        if name == "set":
            action.add_argument("value", metavar="VALUE")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    home = Home.find()
    home.check()
    if arguments.action == "set":
        path = settings.store(home, arguments.key, arguments.value)
        shown = {"key": arguments.key, "value": arguments.value, "origin": str(path)}
        print(json.dumps(shown) if arguments.json else f"{arguments.key} = {arguments.value}  ({path})")
        return 0
    found = settings.values(home, settings.repository_of(Path.cwd()))
    if arguments.action == "get":
        one = found[settings.find(arguments.key).key]
        print(json.dumps(_row(one)) if arguments.json else one.value)
    elif arguments.json:
        print(json.dumps([_row(one) for one in found.values()]))
    else:
        width = max(len(key) for key in found)
        for key, one in found.items():
            print(f"{key:<{width}}  {one.value or '-':<8}  {one.origin:<10}  {one.setting.meaning}")
    return 0


def _row(one: settings.Value) -> dict[str, str]:
    return {
        "key": one.setting.key,
        "value": one.value,
        "origin": one.origin,
        "variable": one.setting.variable,
        "meaning": one.setting.meaning,
    }
