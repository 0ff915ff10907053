"""The steps of a run, each as the journal has it or done now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import trio

from agentos.automation import workflow_records as records
from agentos.automation.performing import Place, perform
from agentos.automation.task import Ended, Program
from agentos.automation.workflow_records import OVER, StepRecord
from agentos.errors import NeedsPerson
from agentos.messages import AnyEvent, DueEvent

if TYPE_CHECKING:
    from agentos.automation.workflow import Ready
    from agentos.runtime.feed import Feed

BACKOFF_AT_MOST_US = 3_600_000_000

Values = dict[str, str]


class StepFailed(Exception):
    """A step failed, and so what it is part of does."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Steps:
    """Interprets steps. A step's place is its number, inside of its attempt or iteration of what is around
    it, so that it is the same each time the run is read."""

    def __init__(self, place: Place, run: str, feed: Feed) -> None:
        self._place = place
        self._kernel = place.system.kernel
        self._run = run
        self._feed = feed

    async def run(self, steps: tuple[Ready, ...]) -> str:
        """Runs the steps one after the other; what the last one gives. Raises StepFailed and NeedsPerson."""
        values = dict(self._place.values)
        return await self._sequence(steps, "", values["input"], values)

    async def _sequence(self, steps: tuple[Ready, ...], prefix: str, given: str, values: Values) -> str:
        for number, step in enumerate(steps):
            given = await self._step(step, f"{prefix}{number}", given, values)
        return given

    async def _step(self, step: Ready, place: str, given: str, values: Values) -> str:
        record = self._record(place)
        if record is None or record.state not in OVER:
            record = await self._do(step, place, record, given, values)
        if record.state != "done":
            return given
        output = records.text(self._kernel, record.output)
        values[step.output] = output
        return output

    async def _do(
        self, step: Ready, place: str, record: StepRecord | None, given: str, values: Values
    ) -> StepRecord:
        """Does the step until it is over. Raises StepFailed."""
        if step.when is not None and step.when.lower() not in given.lower():
            return await self._end(self._new(step, place), "passed", f"not met: {step.when!r}")
        if record is not None and record.state == "failed":
            raise StepFailed(f"`{step.name}`: {record.message}")
        if record is not None and record.state == "running" and step.form == "work":
            skipped = await self._cut_off(step, record)
            if skipped is not None:
                return skipped
        if record is None or record.state == "queued":
            record = self._new(step, place)
        while True:
            record = await self._when_time(record)
            ended = await self._attempt(step, record, given, values)
            if ended.ok:
                return await self._end(record, "done", "", await self._blob(ended.output))
            if record.attempt <= step.max_retries:
                record = await self._again(step, record, ended)
            elif step.on_error == "skip":
                return await self._end(record, "skipped", ended.message)
            else:
                await self._end(record, "failed", ended.message)
                raise StepFailed(f"`{step.name}`: {ended.message}")

    async def _cut_off(self, step: Ready, record: StepRecord) -> StepRecord | None:
        """A step that was under way when its run was cut: by what it declares, or by what a person says."""
        task = step.prepared.task if step.prepared is not None else None
        decision = self._place.decision
        if not isinstance(task, Program) or task.recovery == "repeatable" or decision == "repeat":
            return None
        if decision == "skip":
            return await self._end(record, "skipped", "a person said to go on without it")
        raise NeedsPerson(
            f"the step `{step.name}` was cut off, and it is not known how far it came",
            where=self._run,
            hint=f"agentos workflow resume {self._run} --repeat | --skip",
        )

    async def _attempt(self, step: Ready, record: StepRecord, given: str, values: Values) -> Ended:
        """One try. What is inside has its places below the number of the try."""
        prefix = f"{record.place}.{record.attempt}/"
        if step.form == "work":
            assert step.prepared is not None
            inner = replace(
                self._place,
                name=step.name,
                key=f"workflow {self._run}/{record.place}.{record.attempt}",
                values={**values, "input": given},
            )
            return await perform(inner, step.prepared)
        try:
            if step.form == "sequence":
                output = await self._sequence(step.steps, prefix, given, values)
            elif step.form == "fan_out":
                output = await self._fan_out(step, prefix, given, values)
            else:
                output = await self._loop(step, prefix, given, values)
        except StepFailed as failure:
            return Ended(ok=False, message=failure.message)
        return Ended(ok=True, output=output)

    async def _loop(self, step: Ready, prefix: str, given: str, values: Values) -> str:
        for number in range(step.max_iterations):
            given = await self._sequence(step.steps, f"{prefix}{number}#", given, values)
            if step.until is not None and step.until.lower() in given.lower():
                break
        return given

    async def _fan_out(self, step: Ready, prefix: str, given: str, values: Values) -> str:
        """All at once, each from the same values; the outputs joined in the order of the document. Every
        branch comes to its end, also where another fails."""
        outputs: dict[int, str] = {}
        scopes = [dict(values) for _ in step.steps]
        failures: list[StepFailed | NeedsPerson] = []

        async def branch(number: int, inner: Ready) -> None:
            try:
                output = await self._step(inner, f"{prefix}{number}", given, scopes[number])
            except (StepFailed, NeedsPerson) as failure:
                failures.append(failure)
                return
            record = self._record(f"{prefix}{number}")
            if record is not None and record.state == "done":
                outputs[number] = output

        async with trio.open_nursery() as nursery:
            for number, inner in enumerate(step.steps):
                nursery.start_soon(branch, number, inner)
        for failure in sorted(failures, key=lambda one: isinstance(one, StepFailed)):
            raise failure
        for scope in scopes:
            values.update({name: text for name, text in scope.items() if values.get(name) != text})
        return step.collect.join(outputs[number] for number in sorted(outputs))

    # --- records ------------------------------------------------------------------------------------------

    def _record(self, place: str) -> StepRecord | None:
        body = self._kernel.record("workflow_step", f"{self._run}/{place}")
        return None if body is None else msgspec.convert(body, StepRecord)

    def _new(self, step: Ready, place: str) -> StepRecord:
        return StepRecord(run=self._run, place=place, name=step.name, started_us=self._kernel.now_us())

    async def _when_time(self, record: StepRecord) -> StepRecord:
        """Waits until a step that failed is to be tried again, then says that it is under way."""
        if record.state == "retrying" and record.until_us is not None:
            await self._sleep(f"workflow/{record.key}", record.until_us)
        running = msgspec.structs.replace(record, state="running", until_us=None)
        await self._put(running)
        return running

    async def _again(self, step: Ready, record: StepRecord, ended: Ended) -> StepRecord:
        pause = min(step.backoff_us << (record.attempt - 1), BACKOFF_AT_MOST_US)
        again = msgspec.structs.replace(
            record,
            state="retrying",
            attempt=record.attempt + 1,
            message=ended.message[: records.MESSAGE_CHARACTERS],
            until_us=self._kernel.now_us() + pause,
        )
        await self._put(again)
        return again

    async def _end(
        self, record: StepRecord, state: records.StepState, message: str, output: str | None = None
    ) -> StepRecord:
        over = msgspec.structs.replace(
            record,
            state=state,
            message=message[: records.MESSAGE_CHARACTERS],
            output=output,
            ended_us=self._kernel.now_us(),
        )
        await self._put(over)
        return over

    async def _put(self, record: StepRecord) -> None:
        await records.put(self._kernel, record)
        shown = {"step": record.name, "place": record.place, "state": record.state, "attempt": record.attempt}
        self._feed.send({"event": "step", "run": self._run, **shown, "message": record.message})

    async def _blob(self, text: str) -> str:
        return await self._kernel.blob_put(text.encode(errors="replace"))

    async def _sleep(self, timer: str, until_us: int) -> None:
        """Waits for a durable timer."""
        due = trio.Event()

        def hear(event: AnyEvent) -> None:
            if isinstance(event, DueEvent) and event.id == timer:
                due.set()

        self._kernel.watchers.append(hear)
        try:
            await self._kernel.timer(timer, until_us)
            await due.wait()
        finally:
            self._kernel.watchers.remove(hear)
