"""`agentos ps | show | suspend | resume | cancel | kill`: the process table, and signals to its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentos.daemon.client import connect, read
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("pid", "name", "state", "waiting_on", "spent_usd", "budget_usd", "since")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    verb = parser.get_default("verb")
    if verb == "ps":
        parser.add_argument("--all", action="store_true", help="also processes that have exited")
    else:
        parser.add_argument(
            "pid", metavar="PID", help="a process id as `agentos ps` shows it, or the start of one"
        )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    home = Home.find()
    if arguments.verb == "ps":
        rows = read("process.list", {}, home)
        shown = rows if arguments.all or arguments.json else [row for row in rows if row["state"] != "exited"]
        _print(shown, as_json=arguments.json)
    elif arguments.verb == "show":
        row = _shown(arguments.pid, home)
        row.pop("event", None)
        print(json.dumps(row) if arguments.json else "\n".join(f"{key:<11} {row[key]}" for key in row))
    elif arguments.verb == "resume" and _is_run_to_resume(arguments.pid, home):
        from agentos.cli.run import resume

        return resume(home, arguments.pid, as_json=arguments.json)
    else:
        with connect(home) as daemon:
            done = daemon.call("process.signal", {"pid": arguments.pid, "signal": arguments.verb})
        print(json.dumps(done) if arguments.json else f"{done['pid']}: {done['signal']}")
    return 0


def _shown(pid: str, home: Home) -> dict[str, Any]:
    """A row of the process table, an agent's run, or both in one."""
    from agentos.errors import UsageError

    try:
        process = read("process.show", {"pid": pid}, home)
    except UsageError as unknown:
        try:
            return dict(read("run.show", {"pid": pid}, home))
        except UsageError:
            raise unknown from None
    try:
        return {**read("run.show", {"pid": pid}, home), **process}
    except UsageError:
        return dict(process)


def _is_run_to_resume(pid: str, home: Home) -> bool:
    """Whether `pid` is an agent's run that came to rest before its end, rather than a process held."""
    from agentos.errors import UsageError

    # Asked of a daemon, which on its start has settled what the last one left.
    with connect(home) as daemon:
        try:
            return bool(daemon.call("run.show", {"pid": pid})["state"] != "running")
        except UsageError:
            return False


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    cells = [[str(row[column] if row[column] is not None else "-") for column in _COLUMNS] for row in rows]
    table = [[column.replace("_", " ") for column in _COLUMNS], *cells]
    widths = [max(len(line[at]) for line in table) for at in range(len(_COLUMNS))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
