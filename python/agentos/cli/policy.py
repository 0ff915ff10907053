"""`agentos policy check | test | explain`: the rules of the gate, before and while they are in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from agentos.home import Home

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    verbs = parser.add_subparsers(dest="policy_verb", metavar="VERB", required=True)
    check = verbs.add_parser("check", help="whether a policy file is sound and its examples hold")
    check.add_argument("file", metavar="FILE", nargs="?", help="default: the home's policy.toml")
    test = verbs.add_parser("test", help="ask a policy questions with expected answers")
    test.add_argument("file", metavar="FILE", help="TOML with [[case]] tables")
    test.add_argument("--policy", metavar="FILE", help="default: the home's policy.toml")
    explain = verbs.add_parser("explain", help="what decides about an action, and what would change it")
    explain.add_argument("pid", metavar="PID")
    explain.add_argument("action", metavar="ACTION", nargs="+", help="`connect example.org:443`, or JSON")
    explain.add_argument("--lane", help="the lane that it would queue for")
    explain.add_argument("--estimate", metavar="USD", help="what it would reserve")
    for each in (check, test, explain):
        each.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    return {"check": _check, "test": _test, "explain": _explain}[arguments.policy_verb](arguments)


def _check(arguments: argparse.Namespace) -> int:
    from agentos.runtime.policy_trial import sound

    path = _file(arguments.file)
    rules = sound(path)
    found = [{"name": rule.name, "effect": rule.effect, "reason": rule.reason} for rule in rules]
    if arguments.json:
        print(json.dumps({"file": str(path), "ok": True, "rules": found}))
    else:
        for rule in found:
            print(f"{rule['effect']:<5} {rule['name']}: {rule['reason']}")
        print(f"ok: {len(found)} rules, all examples hold")
    return 0


def _file(given: str | None) -> Path:
    from agentos.errors import UsageError

    path = Path(given) if given else Home.find().policy
    if not path.is_file():
        hint = "docs/policy.md shows how to write one"
        raise UsageError("there is no such policy file", where=str(path), hint=hint)
    return path


def _test(arguments: argparse.Namespace) -> int:
    from agentos.policy import cases
    from agentos.runtime.policy_trial import played, sound

    policy = _file(arguments.policy)
    results = played(sound(policy), cases(Path(arguments.file)))
    failed = sum(not row["ok"] for row in results)
    if arguments.json:
        print(json.dumps({"policy": str(policy), "cases": results, "failed": failed}))
    else:
        for number, row in enumerate(results, 1):
            mark = "ok  " if row["ok"] else "FAIL"
            by = f" by {row['rule']}" if row["rule"] else ""
            wanted = "" if row["ok"] else f"; expected {row['expect']}"
            print(f"{mark} {number}: {row['action']} → {row['decision']}{by}{wanted}")
        print(f"{len(results) - failed} of {len(results)} cases hold")
    return 1 if failed else 0


def _explain(arguments: argparse.Namespace) -> int:
    from agentos.daemon.client import read

    params = {"pid": arguments.pid, "action": " ".join(arguments.action)}
    params.update(lane=arguments.lane, estimate_usd=arguments.estimate)
    found = read("policy.explain", params, Home.find())
    if arguments.json:
        print(json.dumps(found))
        return 0
    print(f"{found['decision']}" + (f", by {' and '.join(found['by'])}" if found["by"] else ""))
    for row in found["stages"]:
        print(f"  {row['stage']:<10} {row['decision']:<5} {row['name']}: {row['message']}")
        if row["change"] and row["decision"] != "go":
            print(f"  {'':<10} {'':<5} → {row['change']}")
    return 0
