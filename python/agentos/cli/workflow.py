"""`agentos workflow`: work of several steps."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.cli.automation import call, credentials, show_changes, show_rows, verbs
from agentos.daemon.client import connect, read
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("name", "steps", "last", "file")
_RUN_COLUMNS = ("run", "workflow", "state", "created", "ended", "spent_usd")
_STEP_COLUMNS = ("place", "name", "state", "attempt", "message")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.epilog = "docs/automation.md shows what a document looks like."
    verb = verbs(parser)
    verb("add", "add a workflow, or put another version in its place").add_argument("file", metavar="FILE")
    verb("list", "the workflows of this home")
    verb("remove", "remove workflows; runs that began can go on").add_argument(
        "names", metavar="NAME", nargs="+"
    )
    started = verb("run", "run a workflow")
    started.add_argument("name", metavar="NAME")
    started.add_argument("--input", metavar="TEXT", help="what the first step gets; `-` reads it from stdin")
    started.add_argument("--detach", action="store_true", help="leave it running; print its run's id")
    resumed = verb(
        "resume", "go on with a run that did not come to its end; steps that failed are done again"
    )
    resumed.add_argument("run", metavar="RUN", nargs="?", help="default: the latest")
    resumed.add_argument("--detach", action="store_true", help="leave it running")
    decision = resumed.add_mutually_exclusive_group()
    decision.add_argument("--repeat", action="store_true", help="run steps again that were cut off")
    decision.add_argument("--skip", action="store_true", help="go on without steps that were cut off")
    verb("runs", "all runs")
    verb("status", "how a run stands, step by step").add_argument("run", metavar="RUN", nargs="?")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    action, as_json = arguments.action, arguments.json
    if action == "add":
        done = call("workflow.add", {"definition": _document(Path(arguments.file))})
        return show_changes({**done, "added": [done["workflow"]]}, as_json=as_json)
    if action == "list":
        return show_rows(read("workflow.list", {}, Home.find()), _COLUMNS, as_json=as_json)
    if action == "runs":
        return show_rows(read("workflow.runs", {}, Home.find()), _RUN_COLUMNS, as_json=as_json)
    if action == "remove":
        return show_changes(call("workflow.remove", {"names": arguments.names}), as_json=as_json)
    if action == "status":
        return _status(read("workflow.status", {"run": arguments.run}, Home.find()), as_json=as_json)
    return _stream(arguments)


def _document(path: Path) -> Any:
    import msgspec

    from agentos.automation.workflow import read as read_workflow

    return msgspec.to_builtins(read_workflow(path, Home.find(), os.environ))


def _stream(arguments: argparse.Namespace) -> int:
    """Runs a workflow or goes on with a run, and shows its steps; its output is all that goes to stdout."""
    params: dict[str, Any] = {"detach": arguments.detach}
    if arguments.action == "run":
        given = sys.stdin.read() if arguments.input == "-" else arguments.input
        params |= {"name": arguments.name, "input": given, "key": os.urandom(12).hex()}
    else:
        params["run"] = arguments.run
        params["decision"] = "repeat" if arguments.repeat else "skip" if arguments.skip else None

    def again(first: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        # The daemon died under us: another one goes on with the same run.
        if first is None:
            return f"workflow.{arguments.action}", params
        return "workflow.resume", {
            "run": first["run"],
            "detach": arguments.detach,
            "decision": params.get("decision"),
        }

    show = _print_json if arguments.json else _print
    with connect(Home.find(), credentials()) as daemon:
        for event in daemon.stream(f"workflow.{arguments.action}", params, again):
            show(event)
        summary: dict[str, Any] = daemon.result
    code = int(summary.pop("exit_code"))
    if arguments.json:
        print(json.dumps(summary), flush=True)
    elif summary["event"] == "detached":
        print(summary["run"])
    else:
        if summary["output"]:
            print(summary["output"])
        if code:
            print(
                f"agentos: the run {summary['run']} is {summary['state']}: {summary['message']}",
                file=sys.stderr,
            )
            print(f"  → agentos workflow resume {summary['run']}", file=sys.stderr)
    return code


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


def _print(event: dict[str, Any]) -> None:
    if event["event"] == "started":
        print(f"{event['run']}: {event['workflow']}", file=sys.stderr)
    elif event["event"] == "step":
        about = f" ({event['message']})" if event["message"] else ""
        print(f"  {event['step']}: {event['state']}{about}", file=sys.stderr)


def _status(run: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(run))
        return 0
    print(
        f"{run['run']} {run['workflow']}: {run['state']}" + (f" ({run['message']})" if run["message"] else "")
    )
    return show_rows(run["steps"], _STEP_COLUMNS, as_json=False)
