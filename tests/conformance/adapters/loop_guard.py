"""Plays calls to the loop guard."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.conformance.adapters.texts import text

from agentos.models.conversation import ToolUse
from agentos.runtime.loop_guard import Call, Limits, LoopGuard, call_of, canonical
from agentos.tools.toolset import TOOLS


def run(given: dict[str, Any]) -> dict[str, Any]:
    limits = msgspec.convert(given.get("limits", {}), Limits)
    if "steps" in given:
        return _played(LoopGuard(limits), given["steps"])
    if "pauses" in given:
        step = given["pauses"]
        guard = LoopGuard(limits)
        return {"pauses": [guard.check(_call(step)).pause for _ in range(step["times"])]}
    if "defaults" in given:
        return {name: getattr(limits, name) for name in given["defaults"]}
    if "poll" in given:
        return {"poll": _use(given["poll"]).poll}
    if "same_call" in given:
        one, other = map(_use, given["same_call"])
        return {"same_call": one.key == other.key}
    if "circle_of" in given:
        guard = LoopGuard(Limits(warn=100, block=100))
        calls = [Call(name="tool", arguments=canonical(number)) for number in range(given["circle_of"])] * 3
        return {"found": "block" in [guard.check(call).kind for call in calls]}
    guard = LoopGuard(limits)
    for number in range(given["different_calls"]):
        guard.check(Call(name="tool", arguments=canonical(number)))
    stats: dict[str, Any] = msgspec.to_builtins(guard.stats())
    return stats


def _played(guard: LoopGuard, steps: list[dict[str, Any]]) -> dict[str, Any]:
    verdicts: list[str] = []
    reason = ""
    for step in steps:
        for _ in range(step.get("times", 1)):
            call = _call(step)
            verdict = guard.check(call)
            kind, reason = str(verdict.kind), verdict.reason
            if kind in ("allow", "warn"):
                result = text(step.get("result", f"news {len(verdicts)}"))
                note = guard.record(call, result, failed=step.get("failed", False))
                kind = "warn" if note else kind
            verdicts.append(kind)
    stats = msgspec.to_builtins(guard.stats())
    wanted = ("calls", "different", "blocked", "most_repeated", "most_repeated_count")
    return {
        "verdicts": verdicts,
        "broken": guard.broken is not None,
        "circling": stats["circling"],
        "last_reason": "warned about often enough" if "warned about often enough" in reason else reason,
        "stats": {key: stats[key] for key in wanted if stats[key] is not None},
    }


def _call(step: dict[str, Any]) -> Call:
    return Call(
        name=step["call"],
        arguments=canonical(step.get("arguments", {})),
        poll=step.get("poll", False),
        changes=step.get("changes", False),
    )


def _use(given: dict[str, Any]) -> Call:
    use = ToolUse(id="c", name=given["tool"], input=given["arguments"])
    return call_of(use, TOOLS.get(given["tool"]))
