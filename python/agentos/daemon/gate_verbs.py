"""Verbs on the gate: questions to a person, explanations, and the policy file of the home."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from agentos import policy
from agentos.daemon.process_verbs import find
from agentos.errors import Denied, UsageError
from agentos.messages import Question
from agentos.money import micros

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Reading, Session, System, View

_STRICTEST = ("deny", "ask", "wait", "go")


def _row(view: View, question: Question) -> dict[str, Any]:
    """A question as `inbox --json` shows it."""
    deadline = question.deadline_us
    return {
        "id": view.kernel.name("q", question.request),
        "pid": view.kernel.name("p", question.pid),
        "name": question.process,
        "action": msgspec.to_builtins(question.action),
        "digest": question.digest,
        "stage": question.why.stage,
        "rule": question.why.name,
        "why": question.why.message,
        "deadline": None
        if deadline is None
        else datetime.fromtimestamp(deadline / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _list(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    return [_row(view, question) for question in view.kernel.questions()]


async def _answer(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    wanted = params["id"] if params["id"].startswith("q-") else f"q-{params['id']}"
    name = system.kernel.name
    found = [q for q in system.kernel.questions() if name("q", q.request).startswith(wanted)]
    if len(found) != 1:
        what = "no open question" if not found else f"{len(found)} questions"
        raise UsageError(f"`{params['id']}` means {what}", hint="`agentos inbox` lists them")
    row = _row(system.view, found[0])
    approve = bool(params["approve"])
    await system.kernel.answer(found[0].request, approve=approve, standing=bool(params.get("standing")))
    return {**row, "answer": "approved" if approve else "denied"}


def _explain(view: View, params: dict[str, Any]) -> dict[str, Any]:
    pid = find(view, params["pid"])
    action = policy.action(params["action"])
    from agentos.messages import Cost

    estimate = Cost(usd_micros=micros(params.get("estimate_usd") or "0"))
    found = view.kernel.explain(pid, action, estimate=estimate, lane=params.get("lane"))
    decision = min((row.decision for row in found), key=_STRICTEST.index)
    return {
        "pid": view.kernel.name("p", pid),
        "action": msgspec.to_builtins(action),
        "decision": decision,
        "by": [row.stage for row in found if row.decision == decision] if decision != "go" else [],
        "stages": [msgspec.to_builtins(row) for row in found],
    }


async def enforce(system: System) -> None:
    """Puts the home's policy file in force where it has changed. Raises UsageError where it is wrong: then
    nothing that acts starts until it is mended, and the rules from before stay in force."""
    path = system.home.policy
    loaded = policy.load(path)
    try:
        await system.kernel.set_rules(loaded.rules, loaded.digest)
    except Denied as refused:
        raise UsageError(refused.message, where=str(path), hint="`agentos policy check` tells more") from None


READING: dict[str, Reading] = {"question.list": _list, "policy.explain": _explain}
ACTING: dict[str, Acting] = {"question.answer": _answer}
