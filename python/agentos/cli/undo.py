"""`agentos undo`: restore what a run changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentos.home import Home

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("pid", metavar="PID", help="the run's process id, or the start of one")
    parser.add_argument("--force", action="store_true", help="also files that changed again after the run")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from agentos.daemon.client import connect

    params = {"pid": arguments.pid, "force": arguments.force, "dry_run": arguments.dry_run}
    with connect(Home.find()) as daemon:
        done = daemon.call("run.undo", params)
    if arguments.json:
        print(json.dumps(done))
        return 0
    for path in done["restored"]:
        print(path)
    count = len(done["restored"])
    verb = "would be restored" if arguments.dry_run else "restored"
    print(f"{count} path{'' if count == 1 else 's'} {verb}")
    for path in done["kept"]:
        print(f"kept, for it holds something newer: {path}")
    if done["left_out"]:
        print(f"not covered, for git ignores them: {', '.join(done['left_out'][:5])}")
    return 0
