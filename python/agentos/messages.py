"""The kernel's vocabulary as msgspec structs: the same shapes as `rust/abi`, which is their source.

Field names carry units. `usd_micros` are micro-dollars, `*_us` microseconds, times UTC. Tagged unions
use `type` (`decision`, `event` where the Rust enum does).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Pid = int
TicketId = int
RequestId = int
CapabilityId = int

Recovery = Literal["pure", "repeatable", "keyed", "once"]
Outcome = Literal["ok", "error", "cancelled", "lost"]
ExitStatus = Literal["done", "failed", "cancelled", "killed", "lost"]
Priority = Literal["low", "normal", "high", "critical"]
SignalName = Literal["suspend", "resume", "cancel", "kill"]
StateName = Literal["created", "ready", "running", "waiting", "suspended", "closing", "exited"]
Restart = Literal["never", "on_failure", "always"]
Rights = Literal["read", "write", "read_write"]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, unknown fields refused."""


class Cost(Struct, omit_defaults=True, frozen=True):
    """What an effect consumes: micro-dollars, tokens, wall time in microseconds, turns."""

    usd_micros: int = 0
    tokens: int = 0
    wall_us: int = 0
    turns: int = 0


class Limit(Struct, omit_defaults=True, frozen=True):
    """A ceiling on each amount of a `Cost`; `None` is no limit."""

    usd_micros: int | None = None
    tokens: int | None = None
    wall_us: int | None = None
    turns: int | None = None


Secrecy = Literal["public", "private", "secret"]
Integrity = Literal["trusted", "untrusted"]


class Labels(Struct, omit_defaults=True, frozen=True):
    """What a process has touched: how far it may travel, and who may have written it."""

    secrecy: Secrecy = "public"
    integrity: Integrity = "trusted"


# --- scopes -----------------------------------------------------------------------------------------------

Pattern = Literal["any"] | dict[str, str]
"""Any value (`"any"`), or exactly one (`{"is": value}`): see `exactly`."""

ANY: Literal["any"] = "any"


def exactly(value: str) -> dict[str, str]:
    """The pattern that matches `value` alone."""
    return {"is": value}


class Scope(Struct, tag_field="type", frozen=True):
    """What a capability designates."""


class Everything(Scope, tag="everything", frozen=True):
    """The whole of everything: what the person at the keyboard holds."""


class Path(Scope, tag="path", frozen=True):
    """A subtree of the host's files; `path` is absolute and normal."""

    path: str
    rights: Rights


class Host(Scope, tag="host", frozen=True):
    """A network peer; port 0 is any port."""

    host: Pattern
    port: int


class Model(Scope, tag="model", frozen=True):
    """A model by its provider's name for it."""

    model: Pattern


class Tool(Scope, tag="tool", frozen=True):
    """A tool by name."""

    tool: Pattern


class Exec(Scope, tag="exec", frozen=True):
    """Run host programs, confined to what else the holder has."""


class Spawn(Scope, tag="spawn", frozen=True):
    """Create child processes."""


class Secret(Scope, tag="secret", frozen=True):
    """A secret by name, for use on the wire."""

    name: Pattern


class Mailbox(Scope, tag="mailbox", frozen=True):
    """A mailbox by its owner's name."""

    name: Pattern


class Memory(Scope, tag="memory", frozen=True):
    """A memory space to recall from or to remember into."""

    space: Pattern
    rights: Rights


class Publish(Scope, tag="publish", frozen=True):
    """Refs of a repository at or below a full ref name."""

    repository: Pattern
    reference: str


class Process(Scope, tag="process", frozen=True):
    """Signal processes by name, besides one's own descendants."""

    name: Pattern


class Endorse(Scope, tag="endorse", frozen=True):
    """Vouch for untrusted data that one has read."""


class Declassify(Scope, tag="declassify", frozen=True):
    """Let data out that one has read as private or secret."""


AnyScope = (
    Everything
    | Path
    | Host
    | Model
    | Tool
    | Exec
    | Spawn
    | Secret
    | Mailbox
    | Memory
    | Publish
    | Process
    | Endorse
    | Declassify
)


class Grant(Struct, omit_defaults=True, frozen=True):
    """A scope with its bounds: expiry (UTC microseconds) and number of uses."""

    scope: AnyScope
    expires_us: int | None = None
    uses: int | None = None


# --- actions ----------------------------------------------------------------------------------------------


class GroupSpec(Struct, frozen=True):
    """A scheduling group: its weight, and how many queued tickets it may hold at once (0: no limit)."""

    weight: int = 1
    concurrency: int = 0


class Supervision(Struct, frozen=True):
    """How a process keeps its children: more than `restarts` within `within_us` microseconds, and it fails
    itself. The pause before a restart doubles with each one, up to `longest_us`."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"]
    restarts: int
    within_us: int
    pause_us: int = 0
    longest_us: int = 0


class MailboxSpec(Struct, frozen=True):
    """The bounds of a mailbox: it is full once it holds as many messages, or as many bytes (blobs count).

    At most 4,096 messages; with 0, a message passes only into the hands of who waits for it.
    """

    messages: int = 64
    bytes: int = 16 << 20


class ChildSpec(Struct, frozen=True):
    """What a child process starts with; it gets the meet of `grants` with what its parent holds."""

    name: str
    grants: list[Grant] = []
    budget: Limit = Limit()
    group: GroupSpec | None = None
    isolated: bool = False
    """Its parent reads nothing of what it produces: labels do not flow back."""
    supervises: Supervision | None = None
    restart: Restart = "never"
    """When a parent that supervises starts it again."""
    mailbox: MailboxSpec = MailboxSpec()


class Action(Struct, tag_field="type", frozen=True):
    """An effect that a process asks for: the vocabulary of the one door."""


class ModelAction(Action, tag="model", frozen=True):
    """One call of a model at the provider reached under `host:port`."""

    model: str
    host: str
    port: int


class ExecAction(Action, tag="exec", frozen=True):
    """Run a host program confined to `mandate`; `command` is a short name for people (at most 128 bytes)."""

    command: str
    mandate: list[AnyScope]


class ReadAction(Action, tag="read", frozen=True):
    """Read a file or list a folder."""

    path: str


class WriteAction(Action, tag="write", frozen=True):
    """Write, create or delete a file."""

    path: str


class ConnectAction(Action, tag="connect", frozen=True):
    """Open a connection."""

    host: str
    port: int


class Text(Struct, tag_field="type", tag="text", frozen=True):
    """A short text, at most 1,024 bytes as JSON writes it."""

    text: str = ""


class Blob(Struct, tag_field="type", tag="blob", frozen=True):
    """A blob by its SHA-256 (hex), with its size in bytes."""

    digest: str
    size: int


Content = Text | Blob


class SendAction(Action, tag="send", frozen=True):
    """Put a message into the mailbox of the process called `mailbox`: the nearest of that name in the tree,
    or the one of them that `to` names."""

    mailbox: str
    to: Pid | None = None
    content: Content = Text()
    reply_to: TicketId | None = None


class SpawnAction(Action, tag="spawn", frozen=True):
    """Start a child process; completed by its exit."""

    child: ChildSpec


class UseSecretAction(Action, tag="use_secret", frozen=True):
    """Use a secret on the wire."""

    name: str


class RememberAction(Action, tag="remember", frozen=True):
    """Write into a memory space."""

    space: str


class RecallAction(Action, tag="recall", frozen=True):
    """Read from a memory space."""

    space: str


class PublishAction(Action, tag="publish", frozen=True):
    """Move a ref of a repository (its git common folder)."""

    repository: str
    reference: str


class CallAction(Action, tag="call", frozen=True):
    """Call a tool."""

    tool: str


class EndorseAction(Action, tag="endorse", frozen=True):
    """Take the mark of untrusted data off the process."""


class DeclassifyAction(Action, tag="declassify", frozen=True):
    """Take the mark of private and secret data off the process."""


AnyAction = (
    ModelAction
    | ExecAction
    | ReadAction
    | WriteAction
    | ConnectAction
    | SendAction
    | SpawnAction
    | UseSecretAction
    | RememberAction
    | RecallAction
    | PublishAction
    | CallAction
    | EndorseAction
    | DeclassifyAction
)

# --- rules ------------------------------------------------------------------------------------------------


class Matcher(Struct, frozen=True, omit_defaults=True):
    """Which actions a rule speaks of; an empty list is "whatever it is". See `docs/policy.md`."""

    action: list[str] = []
    process: list[str] = []
    path: list[str] = []
    host: list[str] = []
    port: list[int] = []
    name: list[str] = []
    reference: list[str] = []
    secrecy: Secrecy | None = None
    integrity: Integrity | None = None


class Example(Struct, frozen=True, omit_defaults=True):
    """A situation that a rule must catch, or must spare."""

    action: AnyAction
    process: str = ""
    labels: Labels = Labels()
    history: list[AnyAction] = []


class Rule(Struct, frozen=True, omit_defaults=True):
    """Denies or asks for what `when` matches and `except` does not, once the process has done `after`."""

    name: str
    effect: Literal["deny", "ask"]
    reason: str
    when: Matcher = Matcher()
    unless: list[Matcher] = msgspec.field(name="except", default_factory=list)
    after: list[Matcher] = []
    until: Matcher | None = None
    catches: list[Example] = []
    spares: list[Example] = []


# --- calls, replies, events -------------------------------------------------------------------------------


class Refusal(Struct, frozen=True):
    """Which stage decided, by what name, and the sentence for a person."""

    stage: Literal["process", "capability", "label", "rule", "queue", "budget", "ticket"]
    name: str
    message: str


class Call(Struct, tag_field="type", frozen=True):
    """Everything that can be asked of the kernel."""


class EpochCall(Call, tag="epoch", frozen=True):
    """A new daemon takes over."""


class RequestCall(Call, tag="request", frozen=True):
    """Ask to perform an effect."""

    pid: Pid
    key: str
    action: AnyAction
    recovery: Recovery
    estimate: Cost = Cost()
    parent: TicketId | None = None
    lane: str | None = None
    deadline_us: int | None = None
    priority: Priority = "normal"
    client: bool = False
    digest: str | None = None
    unattended: bool = False


class PassCall(Call, tag="pass", frozen=True):
    """Perform a pure effect: no ticket, and its entry may follow it."""

    pid: Pid
    action: AnyAction


class AnswerCall(Call, tag="answer", frozen=True):
    """A person's answer to a question; `standing` is for the same action by the same process from now on."""

    request: RequestId
    approve: bool
    standing: bool = False


class RulesCall(Call, tag="rules", frozen=True):
    """The rules in force from now on."""

    rules: list[Rule]
    digest: str


class WithdrawCall(Call, tag="withdraw", frozen=True):
    """Withdraw a waiting request."""

    request: RequestId


class ProgressCall(Call, tag="progress", frozen=True):
    """Report the cost so far."""

    ticket: TicketId
    cost: Cost


class ExtendCall(Call, tag="extend", frozen=True):
    """Reserve more."""

    ticket: TicketId
    estimate: Cost


class CancelCall(Call, tag="cancel", frozen=True):
    """Ask the performer to stop."""

    ticket: TicketId


class CompleteCall(Call, tag="complete", frozen=True):
    """The effect is over."""

    ticket: TicketId
    outcome: Outcome
    cost: Cost = Cost()
    labels: Labels = Labels()


class ExitCall(Call, tag="exit", frozen=True):
    """A process has ended."""

    pid: Pid
    status: ExitStatus


class SignalCall(Call, tag="signal", frozen=True):
    """Signal a descendant."""

    by: Pid
    pid: Pid
    signal: SignalName


class DeriveCall(Call, tag="derive", frozen=True):
    """Hand another process an attenuated copy of a capability."""

    pid: Pid
    capability: CapabilityId
    to: Pid
    grant: Grant


class RevokeCall(Call, tag="revoke", frozen=True):
    """Kill a capability and all that was derived from it."""

    pid: Pid
    capability: CapabilityId


class Rates(Struct, omit_defaults=True, frozen=True):
    """What a lane gives a minute: requests, model tokens, micro-dollars. `None` is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    usd_micros_per_minute: int | None = None


class LaneCall(Call, tag="lane", frozen=True):
    """Set how many tickets a lane admits at once, and what it gives a minute."""

    lane: str
    capacity: int
    rates: Rates = Rates()


class PressureCall(Call, tag="pressure", frozen=True):
    """What is behind a lane is overloaded."""

    lane: str
    retry_after_us: int


class PutCall(Call, tag="put", frozen=True):
    """Write a durable record; the kernel does not look inside."""

    kind: str
    id: str
    body: str


class MessageAwaited(Struct, tag_field="type", tag="message", frozen=True):
    """A message from one process, or from any."""

    sender: Pid | None = msgspec.field(name="from", default=None)


class ExitAwaited(Struct, tag_field="type", tag="exit", frozen=True):
    """The end of a child."""

    child: Pid


Awaited = MessageAwaited | ExitAwaited


class ReceiveCall(Call, tag="receive", frozen=True):
    """Take the oldest message, or the oldest from one process; wait where there is none."""

    pid: Pid
    sender: Pid | None = msgspec.field(name="from", default=None)
    deadline_us: int | None = None


class WaitCall(Call, tag="wait", frozen=True):
    """Wait for the end of a child."""

    pid: Pid
    child: Pid
    deadline_us: int | None = None


class ForgoCall(Call, tag="forgo", frozen=True):
    """Wait no longer."""

    pid: Pid
    awaited: Awaited


class TimerCall(Call, tag="timer", frozen=True):
    """Set a durable timer, or take it back."""

    id: str
    due_us: int | None = None


class TickCall(Call, tag="tick", frozen=True):
    """Let time act."""


class Decision(Struct, tag_field="decision", frozen=True):
    """The answer to a request."""


class Deny(Decision, tag="deny", frozen=True):
    """Not to happen."""

    refusal: Refusal


class Ask(Decision, tag="ask", frozen=True):
    """A person decides."""

    request: RequestId
    refusal: Refusal


class Wait(Decision, tag="wait", frozen=True):
    """Queued; a `Decided` event follows."""

    request: RequestId
    refusal: Refusal


class Go(Decision, tag="go", frozen=True):
    """Perform it."""

    ticket: TicketId
    child: Pid | None


AnyDecision = Deny | Ask | Wait | Go


class Reply(Struct, tag_field="type", frozen=True):
    """What a call returns at once."""


class DecidedReply(Reply, tag="decided", frozen=True):
    """The decision on a request."""

    decision: AnyDecision


class CapabilityReply(Reply, tag="capability", frozen=True):
    """The derived capability."""

    capability: CapabilityId


class EpochReply(Reply, tag="epoch", frozen=True):
    """The number of the new epoch."""

    epoch: int


class DoneReply(Reply, tag="done", frozen=True):
    """It is so."""


class RefusedReply(Reply, tag="refused", frozen=True):
    """The call itself was wrong."""

    refusal: Refusal


class Message(Struct, frozen=True):
    """A message as its receiver gets it; the ticket that sent it is its name."""

    id: TicketId
    pid: Pid = msgspec.field(name="from")
    """The process that sent it, which was called `sender`; it may be gone by now."""
    sender: str
    content: Content
    reply_to: TicketId | None
    labels: Labels
    """What its sender had touched; its receiver has touched it too, now."""


class ReceivedReply(Reply, tag="received", frozen=True):
    """A message that was there."""

    message: Message


class ExitedReply(Reply, tag="exited", frozen=True):
    """The child has exited."""

    status: ExitStatus


class WaitingReply(Reply, tag="waiting", frozen=True):
    """Nothing yet: an event follows, at the latest at `until_us` (UTC microseconds)."""

    until_us: int


AnyReply = (
    DecidedReply
    | CapabilityReply
    | EpochReply
    | DoneReply
    | ReceivedReply
    | ExitedReply
    | WaitingReply
    | RefusedReply
)


class Event(Struct, tag_field="event", frozen=True):
    """What happens later, to whom it concerns."""


class DecidedEvent(Event, tag="decided", frozen=True):
    """A waiting request was decided."""

    pid: Pid
    request: RequestId
    decision: AnyDecision


class AskedEvent(Event, tag="asked", frozen=True):
    """A person is asked about a request."""

    pid: Pid
    request: RequestId
    refusal: Refusal


class CancelEvent(Event, tag="cancel", frozen=True):
    """Stop performing this effect and complete it."""

    pid: Pid
    ticket: TicketId


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process stands; `status` only once exited."""

    state: StateName
    status: ExitStatus | None = None


class StateEvent(Event, tag="state", frozen=True):
    """A process is closing or has exited."""

    pid: Pid
    state: ProcessState


class RestartedEvent(Event, tag="restarted", frozen=True):
    """A supervisor's child fell and lives on as `pid`: whoever performs it starts anew."""

    old: Pid
    pid: Pid
    name: str


class SuspendEvent(Event, tag="suspend", frozen=True):
    """A process was suspended."""

    pid: Pid


class ResumeEvent(Event, tag="resume", frozen=True):
    """A process was resumed."""

    pid: Pid


class ReceivedEvent(Event, tag="received", frozen=True):
    """A message came that `pid` waited for."""

    pid: Pid
    awaited: Awaited
    message: Message


class ExitedEvent(Event, tag="exited", frozen=True):
    """A child ended whose end `pid` waited for."""

    pid: Pid
    child: Pid
    status: ExitStatus


class ForgoneEvent(Event, tag="forgone", frozen=True):
    """What `pid` waited for does not come."""

    pid: Pid
    awaited: Awaited
    refusal: Refusal


class SpawnedEvent(Event, tag="spawned", frozen=True):
    """A process was born."""

    pid: Pid
    parent: Pid
    name: str


class WrittenEvent(Event, tag="written", frozen=True):
    """A record was written."""

    kind: str
    id: str


class DueEvent(Event, tag="due", frozen=True):
    """A timer went off, and is gone."""

    id: str


AnyEvent = (
    DecidedEvent
    | AskedEvent
    | CancelEvent
    | StateEvent
    | RestartedEvent
    | SuspendEvent
    | ResumeEvent
    | ReceivedEvent
    | ExitedEvent
    | ForgoneEvent
    | SpawnedEvent
    | WrittenEvent
    | DueEvent
)


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the process table."""

    pid: Pid
    parent: Pid | None
    name: str
    state: StateName
    status: ExitStatus | None = None
    waiting_on: str | None
    since_us: int
    spent: Cost
    reserved: Cost
    budget: Limit
    group: Pid | None
    tickets: int
    labels: Labels = Labels()
    restarts: int = 0


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a person must decide, until `deadline_us` (UTC microseconds)."""

    request: RequestId
    pid: Pid
    process: str
    action: AnyAction
    digest: str | None
    why: Refusal
    deadline_us: int | None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage says to a request (`go`, `wait`, `ask` or `deny`), and what would change that."""

    stage: str
    decision: Literal["go", "wait", "ask", "deny"]
    name: str
    message: str
    change: str | None
