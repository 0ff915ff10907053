"""The verb `run.undo`: what a run did to its workspace is taken back, through the one door."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import trio

from agentos.errors import Failed, NeedsPerson, UsageError
from agentos.messages import Outcome, WriteAction
from agentos.runtime.agent_run import live
from agentos.runtime.checkpoint import look
from agentos.runtime.log import find_agent
from agentos.runtime.manifest import Manifest, load
from agentos.runtime.undo import plan_undo, restore
from agentos.runtime.workspace import after_path, before_path, check_workspace
from agentos.tools.failure import ToolFailure
from agentos.tools.names import quote
from agentos.tools.tool import action_path

if TYPE_CHECKING:
    from agentos.runtime.system import Session, System


async def undo_run(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Takes back what a run did to its workspace. `force` also where somebody changed it again since."""
    record = find_agent(system.kernel, params["pid"])
    if record.id in live():
        raise UsageError(f"the run `{params['pid']}` is under way", hint="end it first: agentos cancel")
    if record.before is None:
        return {"pid": params["pid"], "restored": [], "kept": [], "left_out": []}
    root = check_workspace(record.root, system.home)
    before = load(before_path(system.home, record.id), record.before)
    now_there = await trio.to_thread.run_sync(look, root, before)
    # A run that was killed has no account of what it left: what is there now counts as its doing.
    after = now_there if record.after is None else load(after_path(system.home, record.id), record.after)
    plan = plan_undo(before, after, now_there)
    if plan.conflicts and not params.get("force"):
        names = ", ".join(shown(plan.conflicts)[:5])
        raise NeedsPerson(
            f"{len(plan.conflicts)} of the run's files changed again after it: {names}",
            where=quote(root),
            hint="keep them elsewhere, then restore with --force",
        )
    kept: list[str] = []
    if plan.restore and not params.get("dry_run"):
        kept = await _restored(system, session, before, now_there, plan.restore)
    return {
        "pid": params["pid"],
        "workspace": quote(root),
        "restored": shown(plan.restore),
        "kept": kept,
        "left_out": shown(before.left_out),
    }


async def _restored(
    system: System, session: Session, before: Manifest, now: Manifest, paths: tuple[bytes, ...]
) -> list[str]:
    ticket = await system.kernel.request(
        session.pid, WriteAction(path=action_path(before.root)), key=system.kernel.new_id("undo")
    )
    outcome: Outcome = "error"
    try:
        kept = await trio.to_thread.run_sync(restore, before, now, paths, system.home.checkpoints)
        outcome = "ok"
    except ToolFailure as failure:
        raise Failed(
            f"not everything could be restored: {failure}", hint="make room for it, then undo again"
        ) from None
    finally:
        with trio.CancelScope(shield=True):
            await system.kernel.complete(ticket, outcome)
    return kept


def shown(paths: Iterable[bytes]) -> list[str]:
    """Paths for people and JSON: as git quotes them."""
    return [quote(os.fsdecode(path)) for path in paths]
