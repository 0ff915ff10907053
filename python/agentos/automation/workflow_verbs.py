"""The daemon's verbs on workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentos.automation import performing
from agentos.automation import workflow_records as records
from agentos.automation.workflow import Definition
from agentos.automation.workflow_run import Decision, Runner, begin, live
from agentos.errors import UsageError

if TYPE_CHECKING:
    from agentos.automation.workflow_records import Run
    from agentos.runtime.system import Acting, Reading, Session, System, View

_EXIT_CODES = {"done": 0, "waiting": 5, "interrupted": 130}


async def _add(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Adds a workflow, or puts another version in its place: runs that began go on with theirs."""
    kernel = system.kernel
    definition = msgspec.convert(params["definition"], Definition)
    known = {kept.name: kept for kept in records.workflows(kernel)}
    before = known.get(definition.name)
    if before is not None and before.file != definition.file:
        raise UsageError(
            f"there is a workflow `{definition.name}` already, from {before.file}",
            where=definition.file,
            hint=f"give this one a `name` of its own, or: agentos workflow remove '{definition.name}'",
        )
    if before is None and len(known) >= records.HOME_WORKFLOWS:
        raise UsageError(f"there are {len(known)} workflows in this home already", hint="remove some")
    kept = records.Kept(
        name=definition.name,
        file=definition.file,
        definition=await kernel.blob_put(msgspec.json.encode(definition)),
        steps=len(definition.steps),
    )
    await kernel.put("workflow", kept.name, msgspec.to_builtins(kept))
    return {"workflow": kept.name, "steps": kept.steps, "replaced": before is not None}


async def _remove(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    found = [records.find_workflow(system.kernel, name) for name in params["names"]]
    for kept in found:
        gone = msgspec.structs.replace(kept, removed=True)
        await system.kernel.put("workflow", kept.name, msgspec.to_builtins(gone))
    return {"removed": [kept.name for kept in found]}


async def _run(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Runs a workflow. `key` makes a repeat the same run."""
    run = await begin(
        system, params["name"], params.get("input"), f"hand {params['key']}", session.submission
    )
    return await _go_on(system, session, run, params)


async def _resume(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Goes on with a run that did not come to its end; steps that failed are done again."""
    run = records.find_run(system.kernel, params.get("run"))
    if run.id not in live(system):
        if run.state == "done":
            raise UsageError(f"the run {run.id} is done", hint=f"agentos workflow run '{run.name}'")
        for step in records.steps(system.kernel, run.id):
            if step.state == "failed":
                again = msgspec.structs.replace(step, state="queued", message="", ended_us=None)
                await records.put(system.kernel, again)
    return await _go_on(system, session, run, params)


async def _go_on(system: System, session: Session, run: Run, params: dict[str, Any]) -> dict[str, Any]:
    """Attaches the session to the run, which is started where it does not run."""
    await session.emit({"event": "started", "run": run.id, "workflow": run.name})
    session.hint = f"go on with: agentos workflow resume {run.id}"
    decision: Decision | None = params.get("decision")
    runner = live(system).get(run.id)
    if runner is None:
        if run.state in ("done", "failed", "cancelled") and "key" in params:
            return _summary(system, run)
        runner = live(system)[run.id] = Runner(system, run, decision)
    detach = bool(params.get("detach"))
    if detach:
        await runner.detach()
    performing.serve(system, session.id)
    try:
        with runner.feed.watch() as events:
            work = system.start(run.id, runner.work, detached=detach)
            if detach:
                return {"event": "detached", "run": run.id, "workflow": run.name, "exit_code": 0}
            async with system.attach(work):
                async for event in events:
                    await session.emit(event)
                await work.done.wait()
    finally:
        performing.leave(system, session.id)
    if runner.error is not None:
        raise runner.error
    return _summary(system, runner.run)


def _summary(system: System, run: Run) -> dict[str, Any]:
    shown = records.status(system.kernel, run)
    del shown["steps"]
    return {"event": "summary", **shown, "exit_code": _EXIT_CODES.get(run.state, 1)}


def _list(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    last = {run.name: run for run in records.runs(view.kernel)}
    return [
        {
            "name": kept.name,
            "file": kept.file,
            "steps": kept.steps,
            "last": {"run": last[kept.name].id, "state": last[kept.name].state}
            if kept.name in last
            else None,
        }
        for kept in records.workflows(view.kernel)
    ]


def _status(view: View, params: dict[str, Any]) -> dict[str, Any]:
    return records.status(view.kernel, records.find_run(view.kernel, params.get("run")))


def _runs(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    found = [records.status(view.kernel, run) for run in records.runs(view.kernel)]
    return [{key: value for key, value in row.items() if key != "steps"} for row in found]


READING: dict[str, Reading] = {"workflow.list": _list, "workflow.status": _status, "workflow.runs": _runs}
ACTING: dict[str, Acting] = {
    "workflow.add": _add,
    "workflow.remove": _remove,
    "workflow.run": _run,
    "workflow.resume": _resume,
}
