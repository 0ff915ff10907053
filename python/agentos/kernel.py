"""The façade of the kernel: the only module that imports `_kernel`.

`Kernel` is the live one, inside the daemon or in memory; `ReadOnlyKernel` shows a home's state without a
daemon. INVARIANT: what a caller may act on is returned only once its entry and all earlier ones are
durable (class `pure` excepted).
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from agentos import _kernel
from agentos._kernel import Archive as Archive
from agentos._kernel import ImportJob as ImportJob
from agentos.errors import BudgetExceeded, Denied, InternalError
from agentos.messages import (
    AnswerCall,
    AnyAction,
    AnyDecision,
    AnyEvent,
    AnyReply,
    AnyScope,
    Ask,
    Awaited,
    Blob,
    Call,
    CancelCall,
    CancelEvent,
    ChildSpec,
    CompleteCall,
    Cost,
    DecidedEvent,
    DecidedReply,
    Deny,
    EpochCall,
    EpochReply,
    ExitAwaited,
    ExitCall,
    ExitedEvent,
    ExitedReply,
    ExitStatus,
    ExtendCall,
    Finding,
    ForgoCall,
    ForgoneEvent,
    Go,
    Grant,
    GroupSpec,
    Labels,
    LaneCall,
    Limit,
    MailboxSpec,
    Message,
    MessageAwaited,
    Outcome,
    Pid,
    PressureCall,
    Priority,
    ProcessView,
    ProgressCall,
    PutCall,
    Question,
    Rates,
    ReceiveCall,
    ReceivedEvent,
    ReceivedReply,
    Recovery,
    Refusal,
    RefusedReply,
    RequestCall,
    RequestId,
    Restart,
    Rule,
    RulesCall,
    Scope,
    SendAction,
    SignalCall,
    SignalName,
    SpawnAction,
    StateEvent,
    Supervision,
    Text,
    TickCall,
    TicketId,
    TimerCall,
    Wait,
    WaitCall,
    WaitingReply,
    WithdrawCall,
)

if TYPE_CHECKING:
    import trio

LOW_DISK = "little disk space is left: new work waits until there is more"
"""What a person is told while requests are held back."""

TEXT_BYTES = 1_024
"""Longest text of a message that its entry holds, as JSON writes it without quotes."""

_ENCODER = msgspec.json.Encoder()
_REPLY: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)
_EVENT: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_PROCESSES = msgspec.json.Decoder(list[ProcessView])
_REFUSAL = msgspec.json.Decoder(Refusal)
_QUESTIONS = msgspec.json.Decoder(list[Question])
_RULES = msgspec.json.Decoder(list[Rule])
_FINDINGS = msgspec.json.Decoder(list[Finding])


def refused(refusal: Refusal) -> Denied | BudgetExceeded:
    """The exception that a refusal is raised as."""
    if refusal.stage == "budget":
        return BudgetExceeded(refusal.message, hint="raise the budget, or ask for less")
    return Denied(refusal.message, stage=refusal.stage, name=refusal.name)


class ReadOnlyKernel:
    """What readers need of a home's state: processes, records, blobs and streams."""

    def __init__(self, native: _kernel.Kernel | _kernel.KernelReader) -> None:
        self._native = native

    @classmethod
    def load(cls, database: FilePath) -> ReadOnlyKernel:
        """Replays the journal at `database`, without a lock. Raises JournalError where it is damaged."""
        return cls(_kernel.KernelReader(str(database)))

    @classmethod
    def empty(cls) -> ReadOnlyKernel:
        """The state of a home that has none yet."""
        return cls(_kernel.Kernel(None))

    def processes(self) -> list[ProcessView]:
        """Every process that the table holds."""
        return _PROCESSES.decode(self._native.processes())

    def questions(self) -> list[Question]:
        """The requests that wait for a person, the oldest first."""
        return _QUESTIONS.decode(self._native.questions())

    def rules(self) -> list[Rule]:
        """The rules in force, without their examples."""
        return _RULES.decode(self._native.rules())

    def explain(
        self,
        pid: Pid,
        action: AnyAction,
        *,
        estimate: Cost = Cost(),  # noqa: B008 — immutable
        lane: str | None = None,
    ) -> list[Finding]:
        """What every stage of the pipeline says to `action` by `pid` now; the strictest decides."""
        supposed = {"pid": pid, "action": action, "estimate": estimate, "lane": lane}
        return _FINDINGS.decode(self._native.explain(_ENCODER.encode(supposed)))

    def records(self, kind: str) -> dict[str, dict[str, Any]]:
        """All records of `kind` by id."""
        return {key: msgspec.json.decode(body) for key, body in self._native.records(kind)}

    def record(self, kind: str, id: str) -> dict[str, Any] | None:
        """One record, or None."""
        body = self._native.record(kind, id)
        return None if body is None else msgspec.json.decode(body)

    def blob(self, digest: str) -> bytes | None:
        """The blob with this SHA-256 (hex), or None where there is none (any more)."""
        return self._native.blob(digest)

    def stream(self, name: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        """Up to `limit` bytes of the output stream `name` from byte `offset`."""
        return self._native.stream(name, offset, limit)

    def name(self, kind: str, number: int) -> str:
        """The public name of an identifier (`p-…`, `t-…`): a digest with the home's random id."""
        home = self.record("home", "id") or {"id": ""}
        return _kernel.public_name(home["id"], kind, number)

    def pid(self, name: str) -> Pid | None:
        """The process that a public name, or a unique prefix of one, means."""
        found = [row.pid for row in self.processes() if self.name("p", row.pid).startswith(name)]
        return found[0] if len(found) == 1 else None


@dataclass(eq=False)
class Ticket:
    """The right to perform one effect. `cancelled` is set when the performer must stop."""

    id: TicketId
    pid: Pid
    action: AnyAction
    child: Pid | None
    cancelled: trio.Event
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Child:
    """A spawned process and the ticket that its exit completes."""

    pid: Pid
    ticket: TicketId


@dataclass
class _Waiter:
    """Those who wait for one decision: a repeat of a request waits for that of the first."""

    event: trio.Event
    decision: AnyDecision | None = None
    asking: int = 0
    taken: bool = False


@dataclass
class _Awaiting:
    """A wait for another process, and how it ended."""

    event: trio.Event
    end: ReceivedEvent | ExitedEvent | ForgoneEvent | None = None


@dataclass
class _Durability:
    """Who waits for which sequence number."""

    reached: int = 0
    waiting: list[tuple[int, int, trio.Event]] = field(default_factory=list)
    order: int = 0


class Kernel(ReadOnlyKernel):
    """The live kernel of a home, or a private one in memory. Made by `open_kernel`."""

    def __init__(self, native: _kernel.Kernel, clock: Callable[[], int] | None = None) -> None:
        super().__init__(native)
        self._kernel = native
        self._clock = clock
        self._durable = _Durability()
        self._waiters: dict[RequestId, _Waiter] = {}
        self._tickets: dict[TicketId, Ticket] = {}
        self._awaiting: dict[tuple[Pid, Awaited], _Awaiting] = {}
        self._deadline_us: int | None = None
        self._deadline_moved: trio.Event | None = None
        self._exits: dict[Pid, trio.Event] = {}
        self._progress: trio.Event | None = None
        self._held_by_disk: Counter[Pid] = Counter()
        self._failure: Exception | None = None
        self._counter = 0
        self.watchers: list[Callable[[AnyEvent], None]] = []
        """Called with every event, in order; must not block."""

    # --- the calls ----------------------------------------------------------------------------------------

    async def epoch(self) -> int:
        """Takes over: settles what the last daemon held. Returns the new epoch."""
        reply = self._call(EpochCall())
        await self.wait_durable()
        assert isinstance(reply, EpochReply)
        if self.record("home", "id") is None:
            await self.put("home", "id", {"id": _kernel.random_id()})
        return reply.epoch

    def processes(self) -> list[ProcessView]:
        """Every process that the table holds; one whose new work is held back until there is disk space waits
        on `disk`."""
        rows = super().processes()
        if not +self._held_by_disk:
            return rows
        return [
            msgspec.structs.replace(row, waiting_on="disk") if self._held_by_disk[row.pid] else row
            for row in rows
        ]

    @property
    def root(self) -> Pid:
        """The process of the home itself."""
        root = self._kernel.root()
        if root is None:
            raise InternalError("the kernel has no root before its first epoch")
        return root

    async def request(
        self,
        pid: Pid,
        action: AnyAction,
        *,
        key: str,
        estimate: Cost = Cost(),  # noqa: B008 — immutable
        parent: TicketId | None = None,
        lane: str | None = None,
        recovery: Recovery = "repeatable",
        deadline_us: int | None = None,
        priority: Priority = "normal",
        client: bool = False,
        digest: str | None = None,
        unattended: bool = False,
        on_low_disk: Callable[[], None] = lambda: None,
    ) -> Ticket:
        """Asks to perform `action`; returns the ticket once the decision is *go*.

        Waits while the decision is *wait*, and while a person is asked (never when `unattended`: then that
        is a denial); a cancelled wait withdraws the request. `digest` is the SHA-256 (hex) of arguments that
        the action does not hold: a person's yes is bound to it. Raises Denied or BudgetExceeded. `estimate`
        is reserved up the tree until the ticket is completed. With a `lane` it is new work, which also waits
        while little disk is left; `on_low_disk` is called when it must. It waits until `deadline_us` (UTC
        microseconds; default a week from now) and is denied then. `priority` counts among the requests of
        its group: one step is worth a minute's earlier arrival.
        """
        import trio

        if lane is not None and self._kernel.low_disk():
            on_low_disk()
            await self._enough_disk(pid)
        call = RequestCall(
            pid=pid,
            key=key,
            action=action,
            estimate=estimate,
            parent=parent,
            lane=lane,
            recovery=recovery,
            deadline_us=deadline_us,
            priority=priority,
            client=client,
            digest=digest,
            unattended=unattended,
        )
        reply = self._call(call)
        if isinstance(reply, RefusedReply):
            raise refused(reply.refusal)
        assert isinstance(reply, DecidedReply)
        decision = reply.decision
        if isinstance(decision, Wait | Ask):
            decision = await self._decided(decision.request)
        if isinstance(decision, Deny):
            await self.wait_durable()
            raise refused(decision.refusal)
        assert isinstance(decision, Go)
        ticket = self._tickets.get(decision.ticket)
        if ticket is None:
            ticket = Ticket(decision.ticket, pid, action, decision.child, trio.Event())
            self._tickets[ticket.id] = ticket
        if recovery != "pure":
            await self._durable_or_abandon(ticket)
        return ticket

    def pass_pure(self, pid: Pid, kind: Literal["call", "read", "recall"], name: str) -> None:
        """Lets a pure effect pass: a call of tool `name`, or a read or recall of it. There is no ticket, and
        its entry is durable with the next, or within a second.

        Raises Denied, also where a person would have to be asked: then `request` it.
        """
        if self._failure is not None:
            raise self._failure
        refusal = self._kernel.pass_(pid, kind, name, None if self._clock is None else self._clock())
        if refusal is not None:
            raise refused(_REFUSAL.decode(refusal))

    async def spawn(
        self,
        parent: Pid,
        name: str,
        *,
        key: str,
        grants: Sequence[AnyScope | Grant] = (),
        budget: Limit = Limit(),  # noqa: B008 — immutable
        group: GroupSpec | None = None,
        lane: str | None = None,
        isolated: bool = False,
        supervises: Supervision | None = None,
        restart: Restart = "never",
        mailbox: MailboxSpec = MailboxSpec(),  # noqa: B008 — immutable
        on_low_disk: Callable[[], None] = lambda: None,
    ) -> Child:
        """Starts a child process with the meet of `grants` and what `parent` holds.

        `isolated` says that the parent reads nothing of what it produces. With `lane` it waits for a place in
        its parent's group, and holds it until its exit; for `on_low_disk` see `request`. A child that its
        parent `supervises` is started again as `restart` says: a `RestartedEvent` tells of it.
        """
        wanted = [grant if isinstance(grant, Grant) else Grant(scope=grant) for grant in grants]
        spec = ChildSpec(
            name=name,
            grants=wanted,
            budget=budget,
            group=group,
            isolated=isolated,
            supervises=supervises,
            restart=restart,
            mailbox=mailbox,
        )
        action = SpawnAction(child=spec)
        ticket = await self.request(parent, action, key=key, lane=lane, on_low_disk=on_low_disk)
        assert ticket.child is not None
        return Child(ticket.child, ticket.id)

    async def send(
        self,
        pid: Pid,
        mailbox: str,
        body: str | bytes,
        *,
        key: str,
        to: Pid | None = None,
        reply_to: TicketId | None = None,
        deadline_us: int | None = None,
        unattended: bool = False,
    ) -> TicketId:
        """Puts a message into the mailbox of the process called `mailbox`; returns the message's name.

        Of several processes of that name it is the nearest in the tree, never `pid` itself, unless `to` names
        one of them. A text that an entry does not hold, and bytes, go into a blob. Waits while the mailbox is
        full, by default for ten minutes. Costs one turn of the budget. Raises Denied: named `exited` where
        nobody reads the mailbox any more, `deadlock` where its owner waits, by way of others, for `pid`.
        """
        content: Text | Blob
        if isinstance(body, str) and len(_ENCODER.encode(body)) - 2 <= TEXT_BYTES:
            content = Text(text=body)
        else:
            data = body.encode() if isinstance(body, str) else body
            content = Blob(digest=await self.blob_put(data), size=len(data))
        action = SendAction(mailbox=mailbox, to=to, content=content, reply_to=reply_to)
        ticket = await self.request(
            pid, action, key=key, recovery="once", deadline_us=deadline_us, unattended=unattended
        )
        self._tickets.pop(ticket.id, None)
        return ticket.id

    async def receive(
        self, pid: Pid, sender: Pid | None = None, *, deadline_us: int | None = None
    ) -> Message:
        """Takes the oldest message out of the mailbox of `pid`, or the oldest from `sender`; waits for one.

        What it returns is taken for good, and no other receive gets it. Waits until `deadline_us` (UTC
        microseconds), by default for ten minutes; one receive at a time for each sender, and one for any.
        Raises Denied: named `deadline`, `exited` where `sender` sends nothing more, `deadlock` where that
        waits, by way of others, for `pid`.
        """
        import trio

        reply = self._call(ReceiveCall(pid=pid, sender=sender, deadline_us=deadline_us))
        if isinstance(reply, ReceivedReply):
            # It is taken: who asked must have it.
            with trio.CancelScope(shield=True):
                await self.wait_durable()
            return reply.message
        end = await self._awaited(reply, pid, MessageAwaited(sender=sender))
        assert isinstance(end, ReceivedEvent)
        return end.message

    async def wait(self, pid: Pid, child: Pid, *, deadline_us: int | None = None) -> ExitStatus:
        """Returns how `child`, a child of `pid`, ended, once it has.

        Waits until `deadline_us` (UTC microseconds), by default for a day. Raises Denied: named `child` where
        `pid` has no such child (the root's are forgotten as they end), `deadline`, or `deadlock`.
        """
        reply = self._call(WaitCall(pid=pid, child=child, deadline_us=deadline_us))
        if isinstance(reply, ExitedReply):
            await self.wait_durable()
            return reply.status
        end = await self._awaited(reply, pid, ExitAwaited(child=child))
        assert isinstance(end, ExitedEvent)
        return end.status

    async def complete(
        self,
        ticket: Ticket | TicketId,
        outcome: Outcome,
        cost: Cost = Cost(),  # noqa: B008 — immutable
        labels: Labels = Labels(),  # noqa: B008 — immutable
    ) -> None:
        """Reports that the effect is over; durable when it returns. A repeat changes nothing.

        `labels` are those of what was read by it; the kernel adds what the action itself implies.
        """
        number = ticket.id if isinstance(ticket, Ticket) else ticket
        self._done(self._call(CompleteCall(ticket=number, outcome=outcome, cost=cost, labels=labels)))
        self._tickets.pop(number, None)
        await self.wait_durable()

    async def answer(self, request: RequestId, *, approve: bool, standing: bool = False) -> None:
        """A person's answer to a question. Raises Denied where it is none (any more)."""
        self._done(self._call(AnswerCall(request=request, approve=approve, standing=standing)))
        await self.wait_durable()

    async def set_rules(self, rules: Sequence[Rule], digest: str) -> None:
        """Puts `rules` in force in place of all others; `digest` names the set. Raises Denied, and changes
        nothing, where a rule is wrong in itself or unlike its examples."""
        self._done(self._call(RulesCall(rules=list(rules), digest=digest)))
        await self.wait_durable()

    async def progress(self, ticket: Ticket | TicketId, cost: Cost) -> None:
        """Reports the cost so far; raises BudgetExceeded beyond the reservation."""
        number = ticket.id if isinstance(ticket, Ticket) else ticket
        self._done(self._call(ProgressCall(ticket=number, cost=cost)))

    async def extend(self, ticket: Ticket | TicketId, estimate: Cost) -> None:
        """Reserves `estimate` more; raises BudgetExceeded where there is no room now."""
        number = ticket.id if isinstance(ticket, Ticket) else ticket
        self._done(self._call(ExtendCall(ticket=number, estimate=estimate)))
        await self.wait_durable()

    async def cancel(self, ticket: Ticket | TicketId) -> None:
        """Asks the performer, and those it acts through, to stop."""
        number = ticket.id if isinstance(ticket, Ticket) else ticket
        self._done(self._call(CancelCall(ticket=number)))
        await self.wait_durable()

    async def exit(self, pid: Pid, status: ExitStatus) -> None:
        """Ends a process: its tickets are cancelled, its children killed, then it is gone."""
        self._done(self._call(ExitCall(pid=pid, status=status)))
        await self.wait_durable()

    async def signal(self, pid: Pid, signal: SignalName, *, by: Pid | None = None) -> None:
        """Signals a process in the name of `by` (default: the root)."""
        self._done(self._call(SignalCall(by=self.root if by is None else by, pid=pid, signal=signal)))
        await self.wait_durable()

    async def lane(self, lane: str, capacity: int, rates: Rates = Rates()) -> None:  # noqa: B008 — immutable
        """Sets how many tickets `lane` admits at once, and what it gives a minute."""
        self._done(self._call(LaneCall(lane=lane, capacity=capacity, rates=rates)))
        await self.wait_durable()

    async def pressure(self, lane: str, seconds: float) -> None:
        """Says that what is behind `lane` is overloaded: it admits nothing for that long, for nobody, and
        then half as much as before, until successes show that it can do more."""
        self._done(self._call(PressureCall(lane=lane, retry_after_us=max(0, round(seconds * 1e6)))))
        await self.wait_durable()

    def tick(self) -> None:
        """Lets time act: for a clock that was moved by hand."""
        self._call(TickCall())

    async def put(self, kind: str, id: str, body: Mapping[str, Any]) -> None:
        """Writes a durable record (JSON of at most 3,584 bytes with its names); the last write wins."""
        self.put_nowait(kind, id, body)
        await self.wait_durable()

    def put_nowait(self, kind: str, id: str, body: Mapping[str, Any]) -> None:
        """Like `put`, but durable only with the next `wait_durable`."""
        text = _ENCODER.encode(body).decode()
        self._done(self._call(PutCall(kind=kind, id=id, body=text)))

    async def timer(self, id: str, due_us: int | None) -> None:
        """Sets the durable timer `id` to go off at `due_us` (UTC microseconds), or takes it back (None).

        Going off is an event, `DueEvent`, exactly once; one that is past goes off at once, also after a
        restart.
        """
        self._done(self._call(TimerCall(id=id, due_us=due_us)))
        await self.wait_durable()

    def now_us(self) -> int:
        """The kernel's time, UTC microseconds."""
        return self._kernel.now_us() if self._clock is None else self._clock()

    async def blob_put(self, data: bytes) -> str:
        """Stores `data` beside the chain; returns its SHA-256 (hex). Durable with the next entry. Waits while
        the disk is far behind."""
        await self._progress_while(self._kernel.crowded)
        return self._kernel.put_blob(data)

    async def stream_append(self, stream: str, data: bytes) -> None:
        """Appends to an output stream beside the chain; on disk within a second. Waits while the disk is far
        behind."""
        await self._progress_while(self._kernel.crowded)
        self._kernel.append_stream(stream, data)

    def new_id(self, kind: str) -> str:
        """A short public id (`b-…`), unique in this home."""
        self._counter += 1
        return _kernel.public_name(_kernel.random_id(), kind, self._counter)

    async def wait_exited(self, pid: Pid) -> None:
        """Returns once `pid` has exited."""
        import trio

        if any(row.pid == pid and row.state != "exited" for row in self.processes()):
            await self._exits.setdefault(pid, trio.Event()).wait()

    # --- durability and wake-ups --------------------------------------------------------------------------

    async def wait_durable(self) -> None:
        """Returns once everything decided so far is on disk. Raises JournalError where it cannot be."""
        import trio

        sequence = self._kernel.appended()
        if self._failure is not None:
            raise self._failure
        if sequence <= self._durable.reached:
            return
        self._kernel.urge()
        event = trio.Event()
        self._durable.order += 1
        heapq.heappush(self._durable.waiting, (sequence, self._durable.order, event))
        await event.wait()
        if self._failure is not None:
            raise self._failure

    async def _enough_disk(self, pid: Pid) -> None:
        """Waits while the journal lives on its reserve, which is for settling what is under way."""
        self._held_by_disk[pid] += 1
        try:
            await self._progress_while(self._kernel.low_disk)
        finally:
            self._held_by_disk[pid] -= 1

    async def _progress_while(self, busy: Callable[[], bool]) -> None:
        """Returns once the journal is not `busy` any more, which it tells of."""
        import trio

        while self._failure is None and busy():
            if self._progress is None:
                self._progress = trio.Event()
            await self._progress.wait()

    def _call(self, call: Call) -> AnyReply:
        if self._failure is not None:
            raise self._failure
        now_us = None if self._clock is None else self._clock()
        reply, self._deadline_us = self._kernel.call(_ENCODER.encode(call), now_us)
        if self._deadline_moved is not None:
            self._deadline_moved.set()
        return _REPLY.decode(reply)

    @staticmethod
    def _done(reply: AnyReply) -> None:
        if isinstance(reply, RefusedReply):
            raise refused(reply.refusal)

    async def _decided(self, request: RequestId) -> AnyDecision:
        import trio

        waiter = self._waiters.setdefault(request, _Waiter(trio.Event()))
        waiter.asking += 1
        try:
            await waiter.event.wait()
        except trio.Cancelled:
            if waiter.asking > 1 or waiter.taken:
                # Somebody else asked for the same: it is theirs.
                raise
            if waiter.decision is None:
                self._call(WithdrawCall(request=request))
                # It may have been decided before, which is told once it is durable.
                with trio.CancelScope(shield=True):
                    await waiter.event.wait()
            if isinstance(waiter.decision, Go) and not waiter.taken:
                self._abandon(waiter.decision)
            raise
        finally:
            waiter.asking -= 1
            if not waiter.asking:
                self._waiters.pop(request, None)
        waiter.taken = True
        if self._failure is not None:
            raise self._failure
        assert waiter.decision is not None
        return waiter.decision

    async def _awaited(self, reply: AnyReply, pid: Pid, awaited: Awaited) -> ReceivedEvent | ExitedEvent:
        """How a wait that `reply` says has begun ends. Raises what it is refused with."""
        import trio

        self._done(reply)
        assert isinstance(reply, WaitingReply)
        waiter = self._awaiting[pid, awaited] = _Awaiting(trio.Event())
        cancelled: trio.Cancelled | None = None
        try:
            await waiter.event.wait()
        except trio.Cancelled as caught:
            cancelled = caught
            self._call(ForgoCall(pid=pid, awaited=awaited))
            # Either way an event follows as soon as it is durable: what came before this is not lost.
            with trio.CancelScope(shield=True):
                await waiter.event.wait()
        finally:
            self._awaiting.pop((pid, awaited), None)
        if self._failure is not None:
            raise self._failure
        if isinstance(waiter.end, ForgoneEvent):
            raise cancelled if cancelled is not None else refused(waiter.end.refusal)
        assert waiter.end is not None
        return waiter.end

    def _abandon(self, go: Go) -> None:
        """Gives back a ticket whose asker was cancelled before it could act on it."""
        if go.child is not None:
            self._call(ExitCall(pid=go.child, status="cancelled"))
        else:
            self._call(CompleteCall(ticket=go.ticket, outcome="cancelled"))

    async def _durable_or_abandon(self, ticket: Ticket) -> None:
        import trio

        try:
            await self.wait_durable()
        except trio.Cancelled:
            self._tickets.pop(ticket.id, None)
            self._abandon(Go(ticket=ticket.id, child=ticket.child))
            raise

    def _drain(self) -> None:
        """Takes what has become durable and hands it to whom it concerns."""
        try:
            reached, events = self._kernel.drain()
        except Exception as failure:
            self._fail(failure)
            return
        self._durable.reached = reached
        waiting = self._durable.waiting
        while waiting and waiting[0][0] <= reached:
            heapq.heappop(waiting)[2].set()
        for raw in events:
            self._deliver(_EVENT.decode(raw))
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    def _deliver(self, event: AnyEvent) -> None:
        if isinstance(event, DecidedEvent):
            waiter = self._waiters.get(event.request)
            if waiter is not None:
                waiter.decision = event.decision
                waiter.event.set()
        elif isinstance(event, ReceivedEvent | ExitedEvent | ForgoneEvent):
            awaited = ExitAwaited(child=event.child) if isinstance(event, ExitedEvent) else event.awaited
            awaiting = self._awaiting.get((event.pid, awaited))
            if awaiting is not None:
                awaiting.end = event
                awaiting.event.set()
        elif isinstance(event, CancelEvent):
            ticket = self._tickets.get(event.ticket)
            if ticket is not None:
                ticket.cancelled.set()
        elif isinstance(event, StateEvent) and event.state.state == "exited":
            exited = self._exits.pop(event.pid, None)
            if exited is not None:
                exited.set()
        for watcher in list(self.watchers):
            watcher(event)

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        while self._durable.waiting:
            heapq.heappop(self._durable.waiting)[2].set()
        for waiter in self._waiters.values():
            waiter.event.set()
        for awaiting in self._awaiting.values():
            awaiting.event.set()
        if self._progress is not None:
            self._progress.set()

    async def _pump(self) -> None:
        import trio

        while self._failure is None:
            await trio.lowlevel.wait_readable(self._kernel.fileno())
            self._drain()

    async def _keep_time(self) -> None:
        """Calls `tick` when the kernel's next deadline comes."""
        import trio

        while self._failure is None:
            self._deadline_moved = trio.Event()
            delay = math.inf
            if self._deadline_us is not None:
                delay = max(0.0, (self._deadline_us - self.now_us()) / 1e6)
            with trio.move_on_after(delay) as scope:
                await self._deadline_moved.wait()
            if scope.cancelled_caught:
                self.tick()

    def close(self) -> None:
        """Flushes and closes the journal."""
        self._kernel.close()


@asynccontextmanager
async def open_kernel(
    database: FilePath | None, *, clock: Callable[[], int] | None = None
) -> AsyncIterator[Kernel]:
    """Opens the journal at `database` (None: in memory), recovers the state and keeps it going.

    `clock` gives UTC microseconds (tests); default is the system's. Raises JournalError where the journal
    is damaged or of a newer version.
    """
    import trio

    native = await trio.to_thread.run_sync(_kernel.Kernel, None if database is None else str(database))
    kernel = Kernel(native, clock)
    pumping = trio.CancelScope(shield=True)

    async def pump() -> None:
        # Goes on while what is cancelled still waits for the disk.
        with pumping:
            await kernel._pump()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump)
            nursery.start_soon(kernel._keep_time)
            try:
                yield kernel
            finally:
                pumping.cancel()
                nursery.cancel_scope.cancel()
    finally:
        kernel.close()


def public_name(home_id: str, kind: str, number: int) -> str:
    """The public name (`p-…`) of a number, in the home with this random id."""
    return _kernel.public_name(home_id, kind, number)


def next_instant(expression: str, zone: str, after_us: int) -> int:
    """The first instant after `after_us` at which a cron expression (five fields, as crontab(5)) holds in
    `zone`, an IANA name; UTC microseconds. Raises UsageError.

    A time that a change of clocks leaves out comes once, right after the gap; one that it brings twice comes
    once, at the first.
    """
    return _kernel.next_instant(expression, zone, after_us)


def audit_entries(database: FilePath, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
    """Up to `limit` journal entries after sequence number `after`, oldest first."""
    return [msgspec.json.decode(raw) for raw in _kernel.audit_entries(str(database), after, limit)]


def audit_stored(database: FilePath, after: int = 0, limit: int = 1000) -> list[tuple[int, int, str, bytes]]:
    """Up to `limit` entries after `after` as they are stored: number, version, hash (hex), bytes."""
    return _kernel.audit_stored(str(database), after, limit)


def audit_verify(database: FilePath, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Checks the hash chain: `{"ok", "entries", "head", "first_bad", "records"}`.

    `records` are those of `kinds` that the entries which hold have written: `{"seq", "kind", "id", "body"}`.
    """
    result: dict[str, Any] = msgspec.json.decode(_kernel.audit_verify(str(database), list(kinds)))
    return result


def audit_tree(database: FilePath, size: int, seqs: Sequence[int] = ()) -> dict[str, Any]:
    """The hash tree over the first `size` entries: its `root`, and the `paths` of entries `seqs` to it."""
    result: dict[str, Any] = msgspec.json.decode(_kernel.audit_tree(str(database), size, list(seqs)))
    return result


def entry_hash(previous: str, seq: int, version: int, body: bytes) -> str | None:
    """The hash (hex) of entry `seq` after one with hash `previous`; None where that is no hash."""
    return _kernel.entry_hash(previous, seq, version, body)


def tree_root(hash: str, seq: int, size: int, path: Sequence[str]) -> str | None:
    """The root to which `path` leads from entry `seq`, in a tree of `size`; None where it leads nowhere."""
    return _kernel.tree_root(hash, seq, size, list(path))


__all__ = [
    "LOW_DISK",
    "Child",
    "Kernel",
    "ReadOnlyKernel",
    "Scope",
    "Ticket",
    "audit_entries",
    "audit_stored",
    "audit_tree",
    "audit_verify",
    "entry_hash",
    "next_instant",
    "open_kernel",
    "public_name",
    "refused",
    "tree_root",
]
