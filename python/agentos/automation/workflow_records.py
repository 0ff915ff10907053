"""What the journal knows of workflows: the workflow itself, its runs, and the steps of each run.

A step's record is written before the step starts and after it has ended. A run that goes on reads its
document again from the top: steps that have ended give what they gave, and the first that has not is where it
goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from agentos.automation.cron import instant
from agentos.automation.workflow import Definition
from agentos.errors import Failed, UsageError
from agentos.money import usd
from agentos.runtime.system import Submission

if TYPE_CHECKING:
    from agentos.kernel import Kernel, ReadOnlyKernel

HOME_WORKFLOWS = 500
MESSAGE_CHARACTERS = 400

RunState = Literal["running", "waiting", "interrupted", "done", "failed", "cancelled"]
StepState = Literal["queued", "running", "retrying", "done", "skipped", "passed", "failed"]
OVER: frozenset[str] = frozenset({"done", "skipped", "passed"})


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow of this home, the record of kind `workflow` under its name. `definition` is a blob."""

    name: str
    file: str
    definition: str
    steps: int
    removed: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run. `definition`, `input`, `submission` and `output` are blobs; `key` is the name that whoever
    started it gave it; `nested` is one that other work started and goes on with."""

    id: str
    key: str
    name: str
    definition: str
    input: str
    submission: str
    created_us: int
    state: RunState = "running"
    detached: bool = False
    nested: bool = False
    ended_us: int | None = None
    output: str | None = None
    message: str = ""
    spent_micros: int = 0


class StepRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a run, by its place in it. `output` is a blob, `until_us` when it is tried again."""

    run: str
    place: str
    name: str
    started_us: int
    state: StepState = "running"
    attempt: int = 1
    output: str | None = None
    message: str = ""
    ended_us: int | None = None
    until_us: int | None = None

    @property
    def key(self) -> str:
        """The record's id."""
        return f"{self.run}/{self.place}"


def workflows(kernel: ReadOnlyKernel) -> list[Kept]:
    """The workflows of the home, by name."""
    found = [msgspec.convert(body, Kept) for _, body in sorted(kernel.records("workflow").items())]
    return [kept for kept in found if not kept.removed]


def find_workflow(kernel: ReadOnlyKernel, name: str) -> Kept:
    """The workflow `name`. Raises UsageError."""
    body = kernel.record("workflow", name)
    kept = None if body is None else msgspec.convert(body, Kept)
    if kept is None or kept.removed:
        raise UsageError(f"there is no workflow `{name}`", hint="`agentos workflow list` shows them")
    return kept


def runs(kernel: ReadOnlyKernel) -> list[Run]:
    """Every run, the oldest first."""
    found = [msgspec.convert(body, Run) for body in kernel.records("workflow_run").values()]
    return sorted(found, key=lambda run: (run.created_us, run.id))


def find_run(kernel: ReadOnlyKernel, name: str | None) -> Run:
    """The run whose id begins with `name`; None: the latest. Raises UsageError."""
    known = runs(kernel)
    if name is None:
        found = known[-1:]
    else:
        wanted = name if name.startswith("w-") else f"w-{name}"
        found = [run for run in known if run.id.startswith(wanted)]
    if len(found) != 1:
        what = "no run of a workflow" if not found else f"{len(found)} runs"
        raise UsageError(
            f"`{name or 'the latest'}` means {what}", hint="`agentos workflow status` shows the latest"
        )
    return found[0]


def steps(kernel: ReadOnlyKernel, run: str) -> list[StepRecord]:
    """The steps of a run that began, in the order of their beginning."""
    prefix = f"{run}/"
    found = [
        msgspec.convert(body, StepRecord)
        for id, body in kernel.records("workflow_step").items()
        if id.startswith(prefix)
    ]
    return sorted(found, key=lambda step: (step.started_us, step.place))


async def put(kernel: Kernel, record: Run | StepRecord) -> None:
    """Writes a record; durable when it returns."""
    kind, id = ("workflow_run", record.id) if isinstance(record, Run) else ("workflow_step", record.key)
    await kernel.put(kind, id, msgspec.to_builtins(record))


def text(kernel: ReadOnlyKernel, blob: str | None) -> str:
    """A blob as text; empty where there is none."""
    data = kernel.blob(blob) if blob is not None else None
    return (data or b"").decode(errors="replace")


def definition(kernel: ReadOnlyKernel, blob: str) -> Definition:
    """The workflow in a blob. Raises Failed where it is gone."""
    data = kernel.blob(blob)
    if data is None:
        raise Failed("what the workflow is was deleted", hint="add it again: agentos workflow add FILE")
    return msgspec.json.decode(data, type=Definition)


def submission(kernel: ReadOnlyKernel, run: Run) -> Submission:
    """Who asked for the run, and where."""
    data = kernel.blob(run.submission)
    if data is None:
        raise Failed("who asked for the run was deleted, so it cannot go on", where=run.id)
    return msgspec.json.decode(data, type=Submission)


def status(kernel: ReadOnlyKernel, run: Run) -> dict[str, Any]:
    """A run as `workflow status --json` shows it."""
    return {
        "run": run.id,
        "workflow": run.name,
        "state": run.state,
        "created": instant(run.created_us),
        "ended": instant(run.ended_us),
        "spent_usd": usd(run.spent_micros),
        "message": run.message,
        "output": text(kernel, run.output),
        "steps": [
            {
                "place": step.place,
                "name": step.name,
                "state": step.state,
                "attempt": step.attempt,
                "message": step.message,
                "started": instant(step.started_us),
                "ended": instant(step.ended_us),
                "until": instant(step.until_us),
                "output": text(kernel, step.output),
            }
            for step in steps(kernel, run.id)
        ],
    }
