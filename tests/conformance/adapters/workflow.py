"""Runs workflows of real programs, unconfined, in a kernel in memory."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import trio

from agentos.automation import workflow_records as records
from agentos.automation.workflow import read
from agentos.automation.workflow_run import Runner, begin
from agentos.automation.workflow_verbs import ACTING, READING
from agentos.drivers.broker import Broker
from agentos.errors import AgentOSError
from agentos.home import Home
from agentos.kernel import open_kernel
from agentos.runtime.system import Submission, System


def run(given: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        outcome: dict[str, Any] = trio.run(_run, given, Path(folder))
    return outcome


async def _run(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    home = Home(folder / "home")
    home.create()
    (folder / "work").mkdir()
    document = folder / "work" / "flow.yaml"
    document.write_text(json.dumps({"steps": [_step(step) for step in given["steps"]]}))
    try:
        definition = read(document, home, {})
    except AgentOSError as error:
        return {"registered": False, "said": error.message}
    async with open_kernel(None) as kernel, Broker.start() as broker, trio.open_nursery() as nursery:
        await kernel.epoch()
        await kernel.lane("exec", 8)
        system = System(home, kernel, broker, nursery)
        session: Any = None
        await ACTING["workflow.add"](system, session, {"definition": msgspec.to_builtins(definition)})
        listed = [row["name"] for row in READING["workflow.list"](system.view, {})]
        person = Submission(cwd=str(folder), path=os.environ["PATH"], home=str(folder), version="0")
        run = await begin(system, "flow", given.get("input", ""), "hand k", person)
        repeated = await begin(system, "flow", "", "hand k", person)
        ended = await Runner(system, run).execute()
        shown = records.status(kernel, records.find_run(kernel, run.id))
        nursery.cancel_scope.cancel()
    return {
        "registered": True,
        "listed": listed,
        "same_run": repeated.id == run.id,
        "state": shown["state"],
        "output": ended.output,
        "message": ended.message,
        "steps": {step["name"]: step["state"] for step in shown["steps"]},
        "runs_of": _counts(shown["steps"]),
        "attempts": {step["name"]: step["attempt"] for step in shown["steps"]},
        "stored": msgspec.json.decode(msgspec.json.encode(definition), type=type(definition)) == definition,
    }


def _counts(steps: list[dict[str, Any]]) -> dict[str, int]:
    names = [step["name"] for step in steps]
    return {name: names.count(name) for name in names}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    """The step, its programs without confinement: what is asked about is their order."""
    inner = {key: [_step(one) for one in step[key]] for key in ("sequence", "fan_out", "loop") if key in step}
    return {**step, **inner, **({"level": "none"} if "program" in step else {})}
