"""Workflows as their documents say them, and ready to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from agentos.automation.document import Document
from agentos.automation.task import Prepared, prepare
from agentos.automation.work import KINDS, LONGEST_SECONDS, Work, bounded, check_name
from agentos.errors import AgentOSError, UsageError
from agentos.home import Home

STEPS = 200
DEPTH = 8
ITERATIONS = 1_000
RETRIES = 20
TIMEOUT_SECONDS = 120
SEPARATOR = "\n\n---\n\n"
"""Between the outputs that a fan-out collects."""

OnError = Literal["fail", "skip", "retry"]


class Step(Work, frozen=True, kw_only=True):
    """A step: work, or one of `sequence`, `fan_out` and `loop` with steps of its own.

    `when`: only if what the step gets contains this, in whatever case. `until` ends a loop likewise.
    `collect` joins what a fan-out's steps give. A step that is passed over gives what it got.
    """

    name: str
    sequence: tuple[Step, ...] | None = None
    fan_out: tuple[Step, ...] | None = None
    loop: tuple[Step, ...] | None = None
    when: str | None = None
    collect: str = SEPARATOR
    max_iterations: int = 1
    until: str | None = None
    on_error: OnError = "fail"
    max_retries: int = 3
    backoff: str = "1s"
    output: str | None = None

    @property
    def form(self) -> str:
        """`work`, or which of the three it is. Raises UsageError where it is several things or none."""
        given = [form for form in ("sequence", "fan_out", "loop") if getattr(self, form) is not None]
        works = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) + len(works) != 1:
            what = "does nothing" if not given + works else f"is several things ({', '.join(given + works)})"
            raise UsageError(
                f"the step `{self.name}` {what}",
                hint="give one of: program, task, batch, workflow, sequence, fan_out, loop",
            )
        return given[0] if given else "work"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps inside it."""
        return self.sequence or self.fan_out or self.loop or ()


class Workflow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document with a workflow. Its name is that of its file where it gives none; `budget` (USD) bounds all
    of its steps together."""

    steps: tuple[Step, ...]
    name: str | None = None
    description: str = ""
    budget: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A step that can be run."""

    name: str
    form: Literal["work", "sequence", "fan_out", "loop"]
    prepared: Prepared | None = None
    steps: tuple[Ready, ...] = ()
    when: str | None = None
    collect: str = SEPARATOR
    max_iterations: int = 1
    until: str | None = None
    on_error: OnError = "fail"
    max_retries: int = 0
    backoff_us: int = 1_000_000
    output: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that can be run, as the journal keeps it. The budget is in micro-dollars."""

    name: str
    file: str
    description: str
    steps: tuple[Ready, ...]
    budget_micros: int | None = None


def read(path: Path, home: Home, environment: Mapping[str, str]) -> Definition:
    """The workflow in a document. Raises UsageError with file and line."""
    from agentos.money import micros

    document = Document(path)
    workflow = document.convert(Workflow)
    name = document.name(workflow.name)
    try:
        budget = None if workflow.budget is None else micros(workflow.budget)
    except UsageError as error:
        raise UsageError(error.message, where=document.where("budget"), hint=error.hint) from None
    count = sum(1 for _ in _all(workflow.steps))
    if not 1 <= count <= STEPS:
        raise UsageError(f"the workflow has {count} steps, and may have 1 to {STEPS}", where=str(path))
    reader = _Reader(document, path.absolute().parent, home, environment)
    steps = reader.steps(workflow.steps, "steps", 1)
    return Definition(
        name=name,
        file=str(path.absolute()),
        description=workflow.description,
        steps=steps,
        budget_micros=budget,
    )


def _all(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all(step.steps)


class _Reader:
    """Makes a document's steps ready, each error at its place."""

    def __init__(self, document: Document, base: Path, home: Home, environment: Mapping[str, str]) -> None:
        self._document = document
        self._base = base
        self._home = home
        self._environment = environment

    def steps(self, steps: tuple[Step, ...], key: str, depth: int) -> tuple[Ready, ...]:
        """The steps that stand under `key`, ready."""
        if depth > DEPTH:
            raise UsageError(
                f"steps lie more than {DEPTH} deep in one another", where=self._document.where(key)
            )
        names: set[str] = set()
        ready = []
        for number, step in enumerate(steps):
            place = f"{key}[{number}]"
            try:
                check_name(step.name)
                if step.name in names or step.name == "input":
                    raise UsageError(f"the name `{step.name}` is taken")
                names.add(step.name)
                ready.append(self._ready(step, place, depth))
            except AgentOSError as error:
                if error.where is None or not error.where.startswith(str(self._document.path)):
                    error.where = self._document.where(place)
                raise
        return tuple(ready)

    def _ready(self, step: Step, place: str, depth: int) -> Ready:
        form = step.form
        if form != "work" and (step.timeout is not None or step.recovery != "once"):
            raise UsageError("`timeout` and `recovery` are for steps that do work themselves")
        if form != "work" and not step.steps:
            raise UsageError(f"the {form} has no steps")
        if form == "loop" and not 1 <= step.max_iterations <= ITERATIONS:
            raise UsageError(f"`max_iterations` is {step.max_iterations}, and may be 1 to {ITERATIONS}")
        if form != "loop" and (step.until is not None or step.max_iterations != 1):
            raise UsageError("`until` and `max_iterations` are for a loop")
        if not 0 <= step.max_retries <= RETRIES:
            raise UsageError(f"`max_retries` is {step.max_retries}, and may be 0 to {RETRIES}")
        output = check_name(step.output if step.output is not None else step.name)
        prepared = None
        if form == "work":
            prepared = prepare(step, self._base, self._home, self._environment, timeout=TIMEOUT_SECONDS)
        return Ready(
            name=step.name,
            form=form,  # type: ignore[arg-type]
            prepared=prepared,
            steps=self.steps(step.steps, f"{place}.{form}", depth + 1),
            when=step.when,
            collect=step.collect,
            max_iterations=step.max_iterations,
            until=step.until,
            on_error=step.on_error,
            max_retries=step.max_retries if step.on_error == "retry" else 0,
            backoff_us=bounded("backoff", step.backoff, 1, LONGEST_SECONDS) * 1_000_000,
            output=output,
        )
