"""Trying a policy before it is in force: a kernel decides, a private one that forgets everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import trio

from agentos.errors import Denied, UsageError
from agentos.kernel import open_kernel
from agentos.messages import CallAction, Everything, Rule
from agentos.policy import Case, load


def sound(path: Path) -> list[Rule]:
    """The rules of a file that the kernel takes; raises UsageError with the mistake."""
    loaded = load(path)

    async def taken() -> None:
        async with open_kernel(None) as kernel:
            await kernel.epoch()
            await kernel.set_rules(loaded.rules, loaded.digest)

    try:
        trio.run(taken)
    except* Denied as group:
        mistake = group.exceptions[0]
        raise UsageError(str(mistake), where=str(path)) from None
    return loaded.rules


def played(rules: list[Rule], found: list[Case]) -> list[dict[str, Any]]:
    """Each case played in a kernel of its own, with everything granted: only the gate decides."""

    async def play(case: Case) -> dict[str, Any]:
        async with open_kernel(None) as kernel:
            await kernel.epoch()
            child = await kernel.spawn(kernel.root, case.process, key="case", grants=[Everything()])
            await kernel.set_rules(rules, "case")
            labelled = await kernel.request(child.pid, CallAction(tool="labels"), key="labels")
            await kernel.complete(labelled, "ok", labels=case.labels)
            for number, action in enumerate(case.history):
                key = f"history {number}"
                try:
                    ticket = await kernel.request(child.pid, action, key=key, unattended=True)
                except Denied as refused:
                    row = {"decision": "history denied", "rule": refused.name, "ok": False}
                    return {"action": key, "expect": case.expect, **row}
                await kernel.complete(ticket, "ok")
            stages = kernel.explain(child.pid, case.action)
        said: dict[str, str] = {row.decision: row.name for row in reversed(stages)}
        decision = next((kind for kind in ("deny", "ask") if kind in said), "go")
        rule = None if decision == "go" else said[decision]
        ok = decision == case.expect and case.rule in (None, rule)
        shown = msgspec.json.encode(case.action).decode()
        return {"action": shown, "expect": case.expect, "decision": decision, "rule": rule, "ok": ok}

    return [trio.run(play, case) for case in found]
