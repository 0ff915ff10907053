"""`agentos cron`: jobs at their times."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.cli.automation import call, credentials, show_changes, show_ended, show_rows, verbs
from agentos.daemon.client import connect, read
from agentos.errors import AgentOSError, Interrupted, UsageError
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("id", "when", "state", "next", "runs", "errors", "last")
_EPILOG = """A job fires while a daemon of this home lives: while a command is attached, or work goes on.
`agentos cron serve` stays attached until Ctrl-C. What comes due while no daemon lives is caught up with when
the next one starts, as the job's `catch_up` says. docs/automation.md shows what a document looks like."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.epilog = _EPILOG
    verb = verbs(parser)
    verb("add", "make a document's jobs those of this home").add_argument("file", metavar="FILE")
    verb("list", "the jobs of this home")
    removed = verb("remove", "remove jobs")
    removed.add_argument("names", metavar="NAME", nargs="+", help="DOCUMENT/JOB, or a whole DOCUMENT")
    verb("run", "run a job now, and wait").add_argument("name", metavar="DOCUMENT/JOB")
    verb("show", "how a job's last run ended, and its output").add_argument("name", metavar="DOCUMENT/JOB")
    verb("serve", "keep a daemon for jobs and triggers until Ctrl-C, with the keys of this environment")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    action, as_json = arguments.action, arguments.json
    if action == "add":
        return show_changes(call("cron.add", _document(Path(arguments.file))), as_json=as_json)
    if action == "list":
        return show_rows(read("cron.list", {}, Home.find()), _COLUMNS, as_json=as_json)
    if action == "remove":
        return show_changes(call("cron.remove", {"names": arguments.names}), as_json=as_json)
    if action == "show":
        return show_ended(read("cron.show", {"name": arguments.name}, Home.find()), as_json=as_json)
    if action == "serve":
        return _serve(as_json=as_json)
    with connect(Home.find(), credentials()) as daemon:
        return show_ended(daemon.call("cron.run", {"name": arguments.name}), as_json=as_json)


def _document(path: Path) -> dict[str, Any]:
    """The jobs of a document, checked, as the daemon takes them."""
    import time

    import msgspec

    from agentos.automation.clock import Definition
    from agentos.automation.cron import TIMEOUT_SECONDS, Jobs
    from agentos.automation.document import Document
    from agentos.automation.task import prepare

    home = Home.find()
    document = Document(path)
    jobs = document.convert(Jobs)
    name = document.name(jobs.name)
    over = {row["id"]: row["when"] for row in read("cron.list", {}, home) if row["state"] == "done"}
    items = []
    for number, job in enumerate(jobs.jobs):
        try:
            # One that is done stays so, though its time has passed.
            if over.get(f"{name}/{job.name}") != job.when:
                job.check_times(time.time_ns() // 1000)
            base = path.absolute().parent
            prepared = prepare(job, base, home, os.environ, timeout=TIMEOUT_SECONDS)
        except AgentOSError as error:
            place = document.where(f"jobs[{number}]")
            error.where = f"{place}: {error.where}" if error.where else place
            raise
        items.append(msgspec.to_builtins(Definition(job=job, prepared=prepared)))
    return {"document": name, "file": str(path.absolute()), "items": items}


def _serve(*, as_json: bool) -> int:
    """Shows what happens until Ctrl-C. A daemon that dies is replaced by another."""
    show = _print_json if as_json else _print
    with connect(Home.find(), credentials()) as daemon:
        try:
            for event in daemon.stream("cron.serve", {}, lambda first: ("cron.serve", {})):
                show(event)
        except Interrupted as interruption:
            print(f"agentos: no longer serving; {interruption.hint}", file=sys.stderr)
            return interruption.exit_code
    raise UsageError("the daemon stopped serving")


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


def _print(event: dict[str, Any]) -> None:
    about = event.get("job") or event.get("trigger")
    if event["event"] == "serving":
        said = f"serving {event['jobs']} jobs and {event['triggers']} triggers; Ctrl-C ends it"
    elif event["event"] == "ended":
        said = f"{about}: {'done' if event['ok'] else 'failed: ' + event['message']}"
        said += "; after this many failures it is disabled" if event.get("disabled") else ""
    elif event["event"] == "skipped":
        said = f"{about}: skipped, {'it still runs' if event['running'] else 'its time was missed'}"
    else:
        said = f"{about}: started"
    print(said, flush=True)
