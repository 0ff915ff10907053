"""`agentos batch`: many agents in parallel on a repository."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.daemon.client import connect, read
from agentos.errors import MissingMechanism, NeedsPerson, UsageError
from agentos.home import Home

if TYPE_CHECKING:
    import argparse

    from agentos.batch.plan import Plan
    from agentos.batch.resolved import Resolved


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="JSON on stdout; JSON Lines where it streams")
        return added

    def with_batch(name: str, text: str, unit: str | None = None) -> argparse.ArgumentParser:
        added = verb(name, text)
        if unit:
            added.add_argument("unit", metavar="UNIT", nargs=unit, help="a unit's id, or the start of one")
            added.add_argument("--batch", metavar="ID", help="default: this repository's latest")
        else:
            added.add_argument("batch", metavar="BATCH", nargs="?", help="default: this repository's latest")
        return added

    plan = verb("plan", "show what a batch would do, or write its plan file")
    _plan_flags(plan)
    plan.add_argument("-o", "--output", metavar="FILE", help="write the plan as YAML")
    run = verb("run", "run a batch")
    _plan_flags(run)
    _start_flags(run)
    run.add_argument("--yes", action="store_true", help="start without asking")
    _start_flags(with_batch("resume", "go on with a batch that was interrupted or stopped, or join it"))
    retry = with_batch("retry", "run units again that did not land, or were rejected", "*")
    _start_flags(retry)
    listed = verb("list", "the batches of this repository")
    listed.add_argument("--all", action="store_true", help="of all repositories")
    with_batch("status", "how a batch stands")
    with_batch("watch", "follow a batch until it is at rest")
    logs = with_batch("logs", "what a unit's agent and verification said", "?")
    logs.add_argument("-f", "--follow", action="store_true", help="as it comes, until the unit is at rest")
    logs.add_argument("--attempt", type=int, metavar="N", help="default: the latest")
    with_batch("diff", "what units changed", "*")
    with_batch("conflicts", "which units change the same paths")
    report = with_batch("report", "a report of a batch")
    form = report.add_mutually_exclusive_group()
    form.add_argument("--html", action="store_true", help="as a web page")
    form.add_argument("--md", action="store_true", help="as Markdown (the default)")
    with_batch("salvage", "what is kept of attempts that did not land")
    with_batch("stop", "stop a batch; its work is kept")
    with_batch("accept", "mark units as reviewed and good", "+")
    with_batch("reject", "mark units as not wanted: they are left out of merges", "+")
    merge = with_batch("merge", "build one branch of all units that were not rejected", "*")
    merge.add_argument("--into", metavar="BRANCH", help="also move this branch of yours forward")
    with_batch("undo", "move the refs of the last merge back")


def _plan_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", nargs="?", help="a plan file, or a task in words")
    parser.add_argument("--units", metavar="GLOB", help="files, or folders with a trailing `/`")
    parser.add_argument("--program", metavar="CMD", help="the command that does a unit's work")
    parser.add_argument("--verify", metavar="CMD", help="the command that decides whether it stands")
    parser.add_argument("--name", metavar="NAME", help="the batch's name")
    parser.add_argument("--base", metavar="REF", help="the commit that units start from (default: HEAD)")
    parser.add_argument("--concurrency", type=int, metavar="N", help="units at once")
    parser.add_argument("--budget", metavar="USD", help="the most the batch may spend")
    parser.add_argument("--deliver", metavar="AS", help="branch or patch")


def _start_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="leave it running and return")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from agentos.cli import batch_views

    action = arguments.action
    if action == "plan":
        return _plan(arguments)
    if action == "run":
        return _run(arguments)
    if action in ("resume", "retry", "watch"):
        return _stream(arguments, f"batch.{action}", _named(arguments))
    if action == "logs":
        return _logs(arguments)
    if action in ("stop", "accept", "reject", "merge", "undo"):
        with connect(Home.find()) as daemon:
            done = daemon.call(f"batch.{action}", _named(arguments))
    else:
        asked = "status" if action == "report" else action
        done = read(f"batch.{asked}", _named(arguments), Home.find())
    if arguments.json:
        print(json.dumps(done))
    else:
        batch_views.show(action, done, arguments)
    return _exit_code(action, done)


def _exit_code(action: str, done: Any) -> int:
    return 3 if action == "merge" and done["conflicts"] else 0


def _named(arguments: argparse.Namespace) -> dict[str, Any]:
    """The parameters that say which batch and which units are meant."""
    params: dict[str, Any] = {"batch": getattr(arguments, "batch", None), "repository": None}
    if params["batch"] is None and not getattr(arguments, "all", False):
        from agentos.batch.repository import Repository

        params["repository"] = str(Repository.open(Path.cwd(), os.environ).top)
    given = getattr(arguments, "unit", None)
    if isinstance(given, list):
        params["units"] = given
    elif given is not None:
        params["unit"] = given
    if getattr(arguments, "into", None):
        params["into"] = arguments.into
    if getattr(arguments, "attempt", None) is not None:
        params["attempt"] = arguments.attempt
    if getattr(arguments, "detach", False):
        params["detach"] = True
    return params


# --- plan and run -----------------------------------------------------------------------------------------


def _plan(arguments: argparse.Namespace) -> int:
    from agentos.batch.plan import to_yaml
    from agentos.cli import batch_views

    plan, resolved = _resolve(arguments)
    if arguments.output:
        _write(Path(arguments.output), to_yaml(plan))
    if arguments.json:
        print(json.dumps(batch_views.plan_document(plan, resolved)))
    else:
        batch_views.print_plan(plan, resolved, sys.stdout)
    return 0


def _write(target: Path, text: str) -> None:
    """Writes a new file. Raises UsageError where it is there already, or cannot be made."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError("the file is there already", where=str(target), hint="give another name") from error
    except OSError as error:
        raise UsageError(f"the plan cannot be written: {error.strerror}", where=str(target)) from error


def _run(arguments: argparse.Namespace) -> int:
    from agentos.cli import batch_views

    plan, resolved = _resolve(arguments)
    batch_views.print_plan(plan, resolved, sys.stderr)
    if not arguments.yes:
        _ask(len(resolved.units))
    params = {
        "resolved": resolved.encode().decode(),
        "key": os.urandom(12).hex(),
        "detach": arguments.detach,
        "environment": _passed(plan),
    }
    return _stream(arguments, "batch.run", params)


def _passed(plan: Plan) -> dict[str, str]:
    from agentos.batch.paths import is_text

    found = {name: os.environ[name] for name in plan.workspace.pass_env if name in os.environ}
    for name, value in found.items():
        if not is_text(value):
            raise UsageError(f"the value of `{name}`, which is to be passed on, is not UTF-8 text")
    return found


def _resolve(arguments: argparse.Namespace) -> tuple[Plan, Resolved]:
    """The plan that the command line means, met with the repository."""
    from agentos.batch.paths import is_text
    from agentos.batch.plan import from_flags, override
    from agentos.batch.plan_file import load
    from agentos.batch.resolved import resolve

    for flag in ("units", "program", "verify", "name", "base"):
        if not is_text(getattr(arguments, flag) or ""):
            raise UsageError(
                f"--{flag} is not UTF-8 text",
                hint=r'write a path as git quotes it ("caf\351"), and put such a command into a script',
            )
    given = arguments.plan
    is_file = given is not None and (Path(given).exists() or Path(given).suffix in _PLAN_SUFFIXES)
    flags = {
        "name": arguments.name,
        "base": arguments.base,
        "concurrency": arguments.concurrency,
        "budget": arguments.budget,
        "deliver": arguments.deliver,
    }
    if is_file:
        if arguments.units or arguments.program:
            raise UsageError("a plan file has its own units and program", hint="leave the flags out")
        plan = override(load(given), verify=arguments.verify, **flags)
    elif arguments.program and arguments.units:
        plan = from_flags(
            units=arguments.units, program=arguments.program, verify=arguments.verify,
            **{**flags, "name": flags["name"] or given},
        )  # fmt: skip
    elif given is not None and not arguments.program:
        raise MissingMechanism(
            "a task in words needs a model agent, which `batch` does not have in this version",
            hint="say what to run: --units 'src/*/' --program 'CMD {paths}'",
        )
    else:
        raise UsageError(
            "there is no plan: give a file, or --units and --program",
            hint="agentos batch run --units 'src/*/' --program 'ruff check --fix {paths}'",
        )
    return plan, resolve(plan, Path.cwd(), os.environ, where=given if is_file else None)


_PLAN_SUFFIXES = (".yaml", ".yml", ".json", ".md")


def _ask(count: int) -> None:
    """Returns on a yes. Raises NeedsPerson without a terminal and on a no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NeedsPerson("a batch starts when a person says so", hint="add --yes to start without asking")
    print(f"Run {count} unit{'s' * (count != 1)}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NeedsPerson("nothing was started", hint="add --yes to start without asking")


# --- streams ----------------------------------------------------------------------------------------------


def _stream(arguments: argparse.Namespace, verb: str, params: dict[str, Any]) -> int:
    """Runs a streaming verb and shows its events; the summary decides the exit code."""
    from agentos.cli.batch_table import table_for

    def again(first: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        # The daemon died under us: another one goes on with the same batch.
        if first is None:
            return verb, params
        resumed = "batch.watch" if verb == "batch.watch" else "batch.resume"
        return resumed, {"batch": first["batch"], "environment": params.get("environment")}

    started = False
    with connect(Home.find()) as daemon, table_for(arguments.json) as table:
        for event in daemon.stream(verb, params, again):
            if event["event"] == "started" and started:
                continue
            started = started or event["event"] == "started"
            table.show(event)
        summary: dict[str, Any] = daemon.result
        code = int(summary.pop("exit_code"))
        table.finish(summary)
    return code


def _logs(arguments: argparse.Namespace) -> int:
    from agentos.cli import batch_views

    params = _named(arguments)
    if arguments.unit is None:
        raise UsageError("which unit?", hint="`agentos batch status` shows them; `baseline` is one, too")
    if not arguments.follow:
        found = read("batch.logs", params, Home.find())
        if arguments.json:
            print(json.dumps(batch_views.log_document(found)))
        else:
            batch_views.print_logs(found)
        return 0
    with connect(Home.find()) as daemon:
        for event in daemon.stream("batch.follow", params):
            if arguments.json:
                print(json.dumps(batch_views.printable_event(event)), flush=True)
            else:
                batch_views.write_output(event["data"])
        if arguments.json:
            print(json.dumps({"event": "summary", **daemon.result}))
    return 0
