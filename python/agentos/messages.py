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
SignalName = Literal["suspend", "resume", "cancel", "kill"]
StateName = Literal["created", "ready", "running", "waiting", "suspended", "closing", "exited"]
Rights = Literal["read", "write", "read_write"]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, unknown fields refused."""


class Cost(Struct, omit_defaults=True):
    """What an effect consumes: micro-dollars, tokens, wall time in microseconds, turns."""

    usd_micros: int = 0
    tokens: int = 0
    wall_us: int = 0
    turns: int = 0


class Limit(Struct, omit_defaults=True):
    """A ceiling on each amount of a `Cost`; `None` is no limit."""

    usd_micros: int | None = None
    tokens: int | None = None
    wall_us: int | None = None
    turns: int | None = None


# --- scopes -----------------------------------------------------------------------------------------------

Pattern = Literal["any"] | dict[str, str]
"""Any value (`"any"`), or exactly one (`{"is": value}`): see `exactly`."""

ANY: Literal["any"] = "any"


def exactly(value: str) -> dict[str, str]:
    """The pattern that matches `value` alone."""
    return {"is": value}


class Scope(Struct, tag_field="type"):
    """What a capability designates."""


class Everything(Scope, tag="everything"):
    """The whole of everything: what the person at the keyboard holds."""


class Path(Scope, tag="path"):
    """A subtree of the host's files; `path` is absolute and normal."""

    path: str
    rights: Rights


class Host(Scope, tag="host"):
    """A network peer; port 0 is any port."""

    host: Pattern
    port: int


class Model(Scope, tag="model"):
    """A model by its provider's name for it."""

    model: Pattern


class Tool(Scope, tag="tool"):
    """A tool by name."""

    tool: Pattern


class Exec(Scope, tag="exec"):
    """Run host programs, confined to what else the holder has."""


class Spawn(Scope, tag="spawn"):
    """Create child processes."""


class Secret(Scope, tag="secret"):
    """A secret by name, for use on the wire."""

    name: Pattern


class Mailbox(Scope, tag="mailbox"):
    """A mailbox by its owner's name."""

    name: Pattern


class Memory(Scope, tag="memory"):
    """A memory space to recall from or to remember into."""

    space: Pattern
    rights: Rights


class Publish(Scope, tag="publish"):
    """Refs of a repository at or below a full ref name."""

    repository: Pattern
    reference: str


AnyScope = Everything | Path | Host | Model | Tool | Exec | Spawn | Secret | Mailbox | Memory | Publish


class Grant(Struct, omit_defaults=True):
    """A scope with its bounds: expiry (UTC microseconds) and number of uses."""

    scope: AnyScope
    expires_us: int | None = None
    uses: int | None = None


# --- actions ----------------------------------------------------------------------------------------------


class GroupSpec(Struct):
    """A scheduling group: its weight against its siblings, and how many queued tickets it may hold (0: any)."""

    weight: int = 1
    concurrency: int = 0


class ChildSpec(Struct):
    """What a child process starts with; it gets the meet of `grants` with what its parent holds."""

    name: str
    grants: list[Grant] = []
    budget: Limit = Limit()
    group: GroupSpec | None = None


class Action(Struct, tag_field="type"):
    """An effect that a process asks for: the vocabulary of the one door."""


class ModelAction(Action, tag="model"):
    """One call of a model at the provider reached under `host:port`."""

    model: str
    host: str
    port: int


class ExecAction(Action, tag="exec"):
    """Run a host program confined to `mandate`; `command` is a short name for people (at most 128 bytes)."""

    command: str
    mandate: list[AnyScope]


class ReadAction(Action, tag="read"):
    """Read a file or list a folder."""

    path: str


class WriteAction(Action, tag="write"):
    """Write, create or delete a file."""

    path: str


class ConnectAction(Action, tag="connect"):
    """Open a connection."""

    host: str
    port: int


class SendAction(Action, tag="send"):
    """Put a message into a mailbox."""

    mailbox: str


class SpawnAction(Action, tag="spawn"):
    """Start a child process; completed by its exit."""

    child: ChildSpec


class UseSecretAction(Action, tag="use_secret"):
    """Use a secret on the wire."""

    name: str


class RememberAction(Action, tag="remember"):
    """Write into a memory space."""

    space: str


class RecallAction(Action, tag="recall"):
    """Read from a memory space."""

    space: str


class PublishAction(Action, tag="publish"):
    """Move a ref of a repository (its git common folder)."""

    repository: str
    reference: str


class CallAction(Action, tag="call"):
    """Call a tool."""

    tool: str


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
)

# --- calls, replies, events -------------------------------------------------------------------------------


class Refusal(Struct):
    """Which stage decided, by what name, and the sentence for a person."""

    stage: Literal["process", "capability", "label", "rule", "queue", "budget", "ticket"]
    name: str
    message: str


class Call(Struct, tag_field="type"):
    """Everything that can be asked of the kernel."""


class EpochCall(Call, tag="epoch"):
    """A new daemon takes over."""


class RequestCall(Call, tag="request"):
    """Ask to perform an effect."""

    pid: Pid
    key: str
    action: AnyAction
    recovery: Recovery
    estimate: Cost = Cost()
    parent: TicketId | None = None
    lane: str | None = None
    deadline_us: int | None = None
    client: bool = False


class WithdrawCall(Call, tag="withdraw"):
    """Withdraw a waiting request."""

    request: RequestId


class ProgressCall(Call, tag="progress"):
    """Report the cost so far."""

    ticket: TicketId
    cost: Cost


class ExtendCall(Call, tag="extend"):
    """Reserve more."""

    ticket: TicketId
    estimate: Cost


class CancelCall(Call, tag="cancel"):
    """Ask the performer to stop."""

    ticket: TicketId


class CompleteCall(Call, tag="complete"):
    """The effect is over."""

    ticket: TicketId
    outcome: Outcome
    cost: Cost = Cost()


class ExitCall(Call, tag="exit"):
    """A process has ended."""

    pid: Pid
    status: ExitStatus


class SignalCall(Call, tag="signal"):
    """Signal a descendant."""

    by: Pid
    pid: Pid
    signal: SignalName


class DeriveCall(Call, tag="derive"):
    """Hand another process an attenuated copy of a capability."""

    pid: Pid
    capability: CapabilityId
    to: Pid
    grant: Grant


class RevokeCall(Call, tag="revoke"):
    """Kill a capability and all that was derived from it."""

    pid: Pid
    capability: CapabilityId


class LaneCall(Call, tag="lane"):
    """Set how many tickets a lane admits at once."""

    lane: str
    capacity: int


class PutCall(Call, tag="put"):
    """Write a durable record; the kernel does not look inside."""

    kind: str
    id: str
    body: str


class TickCall(Call, tag="tick"):
    """Let time act."""


class Decision(Struct, tag_field="decision"):
    """The answer to a request."""


class Deny(Decision, tag="deny"):
    """Not to happen."""

    refusal: Refusal


class Ask(Decision, tag="ask"):
    """A person decides."""

    request: RequestId
    refusal: Refusal


class Wait(Decision, tag="wait"):
    """Queued; a `Decided` event follows."""

    request: RequestId
    refusal: Refusal


class Go(Decision, tag="go"):
    """Perform it."""

    ticket: TicketId
    child: Pid | None


AnyDecision = Deny | Ask | Wait | Go


class Reply(Struct, tag_field="type"):
    """What a call returns at once."""


class DecidedReply(Reply, tag="decided"):
    """The decision on a request."""

    decision: AnyDecision


class CapabilityReply(Reply, tag="capability"):
    """The derived capability."""

    capability: CapabilityId


class EpochReply(Reply, tag="epoch"):
    """The number of the new epoch."""

    epoch: int


class DoneReply(Reply, tag="done"):
    """It is so."""


class RefusedReply(Reply, tag="refused"):
    """The call itself was wrong."""

    refusal: Refusal


AnyReply = DecidedReply | CapabilityReply | EpochReply | DoneReply | RefusedReply


class Event(Struct, tag_field="event"):
    """What happens later, to whom it concerns."""


class DecidedEvent(Event, tag="decided"):
    """A waiting request was decided."""

    pid: Pid
    request: RequestId
    decision: AnyDecision


class CancelEvent(Event, tag="cancel"):
    """Stop performing this effect and complete it."""

    pid: Pid
    ticket: TicketId


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process stands; `status` only once exited."""

    state: StateName
    status: ExitStatus | None = None


class StateEvent(Event, tag="state"):
    """A process is closing or has exited."""

    pid: Pid
    state: ProcessState


class SuspendEvent(Event, tag="suspend"):
    """A process was suspended."""

    pid: Pid


class ResumeEvent(Event, tag="resume"):
    """A process was resumed."""

    pid: Pid


AnyEvent = DecidedEvent | CancelEvent | StateEvent | SuspendEvent | ResumeEvent


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
