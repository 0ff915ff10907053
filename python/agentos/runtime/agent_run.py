"""A run under way in this daemon: an agent's kernel process, its loop, and those who watch it."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from agentos.errors import AgentOSError, Failed, InternalError, JournalError, to_dict
from agentos.kernel import Kernel, ReadOnlyKernel, Ticket
from agentos.messages import (
    AnyEvent,
    AskedEvent,
    ExitStatus,
    Limit,
    Pid,
    Refusal,
    RequestId,
    StateEvent,
)
from agentos.models.conversation import ToolUse
from agentos.models.reference import ModelReference
from agentos.money import usd
from agentos.runtime.agent import Ending, Record, Spec, Stop, held
from agentos.runtime.feed import Event, Feed
from agentos.runtime.log import final_text
from agentos.runtime.loop import Loop, specifications
from agentos.runtime.model_call import Caller, Retry
from agentos.runtime.performer import GONE, Performed, Performer, of_turn
from agentos.runtime.shell import Surroundings, shell_for
from agentos.runtime.system import Submission, System, Work
from agentos.runtime.transcript import Transcript, cut, now, save
from agentos.runtime.workspace import Checkpoint
from agentos.tools.failure import ToolFailure
from agentos.tools.names import quote

STREAMS = 16
"""How many calls one provider gets at once."""
SHOWN_FILES = 200
KEPT_PIDS = 8
_SHOWN = {"message": 500, "where": 200, "hint": 200}
"""Bytes of an error's parts that a record has room for."""

_EXIT: dict[str, ExitStatus] = {"done": "done", "failed": "failed", "interrupted": "cancelled"}
_LIVE: trio.lowlevel.RunVar[dict[str, AgentRun]] = trio.lowlevel.RunVar("agentos_runs")


class AgentRun:
    """One agent, from its start or resumption to its next end."""

    def __init__(
        self,
        system: System,
        record: Record,
        spec: Spec,
        submission: Submission,
        retry: Retry,
        *,
        unattended: bool = False,
        parent: Pid | None = None,
        results: Sequence[Performed] | None = None,
    ) -> None:
        self.record = record
        self.feed = Feed()
        self.sessions: list[str] = []
        """The client sessions that keep it going, the oldest first."""
        self.performers: list[Performer] = []
        """Who performs the agent's function tools; the newest does."""
        self.summary: Event = {}
        self._system = system
        self._spec = spec
        self._submission = submission
        self._retry = retry
        self._unattended = unattended
        self._parent = parent
        self._results = results
        self._closed = trio.CancelScope()
        self._exited_as: ExitStatus | None = None

    async def work(self, work: Work) -> None:
        """The task: run, and settle whatever happens. An interruption leaves a run that can be resumed."""
        live()[self.record.id] = self
        try:
            pid = await self._start()
            await self._keep(pid)
        except Exception as error:
            # One run's failure must not be the daemon's.
            with trio.CancelScope(shield=True):
                await self._failed(error)
        finally:
            with trio.CancelScope(shield=True):
                await self._system.release_keys(self.record.id)
            # From here to the end of the work nothing waits: nobody can join a run that is over.
            self.feed.close()
            del live()[self.record.id]

    async def _keep(self, pid: Pid) -> None:
        """Runs the loop until it ends, or is ended by an interruption or by the kernel; then settles."""
        ending = Ending(state="interrupted", stop="interrupted")
        watchers = self._system.kernel.watchers

        def watch(event: AnyEvent) -> None:
            if isinstance(event, AskedEvent) and event.pid == pid:
                self.feed.send(asked(self._system.kernel, event.request, event.refusal))
            elif isinstance(event, StateEvent) and event.pid == pid:
                self._exited_as = event.state.status
                self._closed.cancel()

        watchers.append(watch)
        try:
            with self._closed:
                ending = await self._loop(pid)
        finally:
            with trio.CancelScope(shield=True):
                await self._finish(pid, ending)
            watchers.remove(watch)

    async def _failed(self, error: Exception) -> None:
        if not isinstance(error, AgentOSError):
            traceback.print_exception(error, file=sys.stderr)
            log = str(self._system.home.daemon_log)
            error = InternalError(f"{type(error).__name__}: {error}", where=log)
        record = self.record
        record.state, record.stop, record.ended = "failed", "error", now()
        record.error = _bounded(to_dict(error))
        self.summary = summary(self._system.kernel, record)
        self.feed.send(self.summary)
        with contextlib.suppress(JournalError):
            await save(self._system.kernel, record)

    async def _start(self) -> Pid:
        kernel, record, spec = self._system.kernel, self.record, self._spec
        remaining = max(0, spec.budget_micros - record.settled_micros)
        tokens = spec.budget_tokens
        if tokens is not None:
            tokens = max(0, tokens - record.usage.total_tokens)
        turns = max(0, spec.max_turns - record.turns)
        child = await kernel.spawn(
            kernel.root if self._parent is None else self._parent,
            spec.name,
            key=f"agent {record.id} {record.starts}",
            grants=held(spec, record.root),
            budget=Limit(usd_micros=remaining, tokens=tokens, turns=turns),
        )
        record.starts += 1
        record.pids = [*record.pids, child.pid][-KEPT_PIDS:]
        record.state, record.stop, record.error, record.ended = "running", None, None, None
        record.spent_micros = record.settled_micros
        await save(kernel, record)
        price = spec.model.price()
        self.feed.send(
            {
                "event": "started",
                "pid": kernel.name("p", child.pid),
                "agent": record.id,
                "model": str(spec.model),
                "url": spec.model.url,
                "price": price.source,
                "workspace": record.workspace,
                "level": record.level,
                "budget_usd": usd(spec.budget_micros),
                "spent_usd": usd(record.settled_micros),
                "turn": record.turns,
            }
        )
        return child.pid

    async def _loop(self, pid: Pid) -> Ending:
        system, spec = self._system, self._spec
        await open_lane(system.kernel, spec.model)
        surroundings = Surroundings(
            home=system.home, submission=self._submission, level=self.record.level, root=self.record.root
        )
        caller = Caller(
            kernel=system.kernel,
            broker=system.broker,
            session=self._key_holder,
            pid=pid,
            model=spec.model,
            price=spec.model.price(),
            system=spec.system,
            tools=specifications(spec),
            max_tokens=spec.max_tokens,
            retry=self._retry,
            emit=self.feed.send,
            charge=self._charge,
        )
        loop = Loop(
            system.kernel,
            pid,
            spec,
            self.record,
            Transcript(system.kernel, self.record),
            caller,
            shell=lambda ticket: shell_for(surroundings, ticket),
            before_writing=Checkpoint(system.kernel, system.home, self.record).ensure,
            perform=self._perform,
            unattended=self._unattended,
            results=None if self._results is None else of_turn(self._results, self.record.turns),
        )

        return await loop.run()

    async def _key_holder(self) -> str:
        """The session whose key is used: the submitter's, or of those who joined later the first with one."""
        model = self._spec.model
        for session in tuple(self.sessions):
            for endpoint in await self._system.broker.wait_credentials(session):
                found = (endpoint.provider, endpoint.host, endpoint.port)
                if found == (model.provider, model.host, model.port):
                    return session
        return self.sessions[0] if self.sessions else ""

    async def _perform(self, ticket: Ticket, use: ToolUse) -> str:
        if not self.performers:
            raise ToolFailure(GONE)
        return await self.performers[-1].perform(ticket, use, self.record.turns)

    def _charge(self, cost_micros: int) -> None:
        self.record.spent_micros += cost_micros

    async def _finish(self, pid: Pid, ending: Ending) -> None:
        kernel, record = self._system.kernel, self.record
        row = next((row for row in kernel.processes() if row.pid == pid), None)
        closed = row is None or row.state in ("closing", "exited")
        if closed:
            # Ended by the kernel's word, a signal, and not by the loop. Its last ticket is settled by now, so
            # the exit is at hand.
            await kernel.wait_exited(pid)
            await kernel.wait_durable()
            stop: Stop = "killed" if self._exited_as == "killed" else "cancelled"
            ending = Ending(state="cancelled", stop=stop)
        changed: list[str] = []
        try:
            changed = await Checkpoint(kernel, self._system.home, record).compare()
        except (OSError, AgentOSError) as error:
            # The workspace is gone, or the checkpoint is: the run has ended all the same.
            reason = error.strerror if isinstance(error, OSError) else error.message
            self.feed.send({"event": "warning", "text": f"what changed cannot be told: {reason}"})
        record.state, record.stop, record.ended = ending.state, ending.stop, now()
        record.settled_micros = record.spent_micros
        record.error = None if ending.error is None else _bounded(ending.error)
        await save(kernel, record)
        if not closed:
            await kernel.exit(pid, _EXIT.get(ending.state, "cancelled"))
        files = [quote(path) for path in changed[:SHOWN_FILES]]
        self.summary = {**summary(kernel, record), "files": files}
        self.feed.send(self.summary)


def _bounded(error: dict[str, Any]) -> dict[str, Any]:
    """An error short enough for a record."""
    return {
        key: cut(value, _SHOWN.get(key, 100)) if isinstance(value, str) else value
        for key, value in error.items()
    }


def summary(kernel: ReadOnlyKernel, record: Record) -> Event:
    """The summary event of a run as its record stands."""
    return {
        "event": "summary",
        "pid": kernel.name("p", record.pids[-1]) if record.pids else None,
        "agent": record.id,
        "state": record.state,
        "text": final_text(kernel, record),
        "stop": record.stop,
        "files_changed": record.files_changed,
        "spent_usd": usd(record.spent_micros),
        "turns": record.turns,
        "usage": msgspec.to_builtins(record.usage),
        "error": record.error,
    }


def asked(kernel: ReadOnlyKernel, request: RequestId, why: Refusal) -> Event:
    """The event that tells of a question to a person."""
    question = kernel.name("q", request)
    return {"event": "asked", "id": question, "stage": why.stage, "rule": why.name, "why": why.message}


def live() -> dict[str, AgentRun]:
    """The runs of this daemon by the agent's id."""
    try:
        return _LIVE.get()
    except LookupError:
        _LIVE.set({})
        return _LIVE.get()


async def open_lane(kernel: Kernel, model: ModelReference) -> None:
    """Bounds how many calls a provider gets at once."""
    await kernel.lane(model.lane, STREAMS)


def load_spec(kernel: Kernel, record: Record) -> Spec:
    """The agent's `Spec`, as it was given with the run."""
    data = kernel.blob(record.spec)
    if data is None:
        raise Failed("the run's settings were deleted, so it cannot go on", where=record.id)
    return msgspec.json.decode(data, type=Spec)
