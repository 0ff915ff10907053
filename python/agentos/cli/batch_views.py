"""What `agentos batch` shows people: plans, status, logs, diffs. Text of agents is made harmless first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from agentos.batch import paths
from agentos.printable import printable, printable_line

if TYPE_CHECKING:
    import argparse

    from agentos.batch.plan import Plan
    from agentos.batch.resolved import Resolved

_SHOWN = 30
_PHASES = {"setup": "set-up", "agent": "agent", "verify": "verification"}


def clean(text: str) -> str:
    """One line of text of unknown origin."""
    return printable_line(text)


# --- plan -------------------------------------------------------------------------------------------------


def plan_document(plan: Plan, resolved: Resolved) -> dict[str, Any]:
    """The JSON of `batch plan`."""
    return {
        "name": plan.title,
        "repo": str(resolved.repository.top),
        "base": resolved.base,
        "concurrency": resolved.concurrency,
        "plan": resolved.plan,
        "notes": list(resolved.notes),
        "units": [
            {
                "id": unit.id,
                "title": unit.title,
                "paths": [paths.quote(path) for path in unit.paths],
                "tests": [paths.quote(path) for path in unit.tests],
                "after": list(unit.after),
            }
            for unit in resolved.units
        ],
    }


def print_plan(plan: Plan, resolved: Resolved, to: TextIO) -> None:
    """The plan as a person reads it before they say yes."""
    count = len(resolved.units)
    verify = clean(plan.verify.run) if plan.verify else "nothing: whatever the program does lands"
    lines = [
        f"{clean(plan.title)}: {count} unit{'s' * (count != 1)} from {resolved.base[:12]} "
        f"of {resolved.repository.top}",
        f"  program   {clean(plan.agent.program)}",
        f"  verify    {verify}",
        f"  at once   {resolved.concurrency}, confined: strict",
        f"  limits    {plan.limits.attempts} attempts of {plan.limits.timeout}, "
        f"{plan.limits.budget_micros / 1e6:.2f} USD",
        f"  deliver   {plan.deliver.as_}",
    ]
    lines += [f"  {index:>4}  {clean(unit.title)}" for index, unit in enumerate(resolved.units[:_SHOWN], 1)]
    if count > _SHOWN:
        lines.append(f"        … and {count - _SHOWN} more")
    lines += [f"  note: {clean(note)}" for note in resolved.notes]
    print("\n".join(lines), file=to, flush=True)


# --- results ----------------------------------------------------------------------------------------------


def show(action: str, done: Any, arguments: argparse.Namespace) -> None:
    """Prints the result of a verb for a person."""
    if action in ("status", "stop", "accept", "reject"):
        print_status(done)
    elif action == "list":
        print_list(done)
    elif action == "diff":
        print("\n".join(printable(row["diff"].encode("latin-1")) for row in done), end="")
    elif action == "conflicts":
        for row in done:
            word = "both change, and git can merge" if row["merges"] else "conflict in"
            print(f"{row['first']} and {row['second']} {word} {', '.join(row['paths'])}")
        if not done:
            print("no two units change the same paths")
    elif action == "salvage":
        for row in done:
            why = clean(row["failure"]["message"]) if row["failure"] else "cut"
            print(f"{row['ref']}  {row['commit'][:12]}  {why}")
        if not done:
            print("nothing is salvaged: every attempt landed or left no change")
    elif action == "merge":
        _print_merge(done)
    elif action == "undo":
        print(f"moved back: {', '.join(done['undone'])}")
    elif action == "report":
        from agentos.batch.report import html, markdown

        print(html(done) if arguments.html else markdown(done), end="")


def print_status(status: dict[str, Any]) -> None:
    """A batch and its units, one line each."""
    landed = sum(unit["commit"] is not None for unit in status["units"])
    counts = f"{landed} of {len(status['units'])} landed"
    print(f"{status['batch']}  {clean(status['name'])}  {status['state']}: {counts}")
    print(f"base {status['base'][:12]} of {status['repo']}; confined: {status['level']}; {_baseline(status)}")
    if status["failure"]:
        print(f"  {clean(status['failure']['message'])}")
    width = max((len(clean(unit["title"])) for unit in status["units"]), default=0)
    for unit in status["units"]:
        print(f"  {clean(unit['title']):<{min(width, 48)}}  {unit_words(unit)}")
    if status["patches"]:
        print(f"patches: {status['patches']}")
    if status["state"] in ("interrupted", "stopped"):
        print(f"`agentos batch resume {status['batch']}` goes on with it")


def unit_words(unit: dict[str, Any]) -> str:
    """A unit's state with what matters about it."""
    words = [f"{unit['state']:<10}"]
    if unit["commit"]:
        words.append(f"{unit['branch']}  {unit['files_changed']} changed")
    if unit["review"] != "none":
        words.append(unit["review"])
    if unit["failure"]:
        words.append(f"{unit['failure']['kind']}: {clean(unit['failure']['message'])}")
    return "  ".join(words).rstrip()


def _baseline(status: dict[str, Any]) -> str:
    if status["baseline"] is None:
        return "no baseline"
    code = status["baseline"]["exit_code"]
    return (
        "verification is green on the base" if code == 0 else f"verification is RED on the base (exit {code})"
    )


def print_list(rows: list[dict[str, Any]]) -> None:
    """Batches, latest first."""
    for row in rows:
        counts = f"{row['landed']}/{row['units']}"
        print(f"{row['batch']}  {row['created'][:16]}  {row['state']:<11} {counts:>7}  {clean(row['name'])}")
    if not rows:
        print("no batch yet: `agentos batch run --help` says how to start one")


def _print_merge(done: dict[str, Any]) -> None:
    print(f"{done['branch']}: {len(done['units'])} units, {done['commit'][:12]}")
    for one in done["conflicts"]:
        print(f"  left out: {one['second']}, it conflicts with {one['first']} in {', '.join(one['paths'])}")
    print(f"moved `{done['into']}` to it" if done["into"] else f"take it with:  {done['command']}")


# --- logs -------------------------------------------------------------------------------------------------


def print_logs(found: dict[str, Any]) -> None:
    """A unit's output, phase by phase."""
    for phase, text in found["phases"].items():
        if text:
            print(f"── {found['unit']}, attempt {found['attempt']}: {_PHASES[phase]}", file=sys.stderr)
            write_output(text)


def write_output(text: str) -> None:
    """Writes bytes that came as Latin-1 text, harmless for a terminal, bytes as they are elsewhere."""
    data = text.encode("latin-1")
    if sys.stdout.isatty():
        sys.stdout.write(printable(data))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    sys.stdout.flush()


def log_document(found: dict[str, Any]) -> dict[str, Any]:
    """The JSON of `batch logs`: output as text."""
    phases = {
        phase: text.encode("latin-1").decode("utf-8", "backslashreplace")
        for phase, text in found["phases"].items()
    }
    return {**found, "phases": phases}


def printable_event(event: dict[str, Any]) -> dict[str, Any]:
    """An output event with its bytes as text."""
    return {**event, "data": event["data"].encode("latin-1").decode("utf-8", "backslashreplace")}
