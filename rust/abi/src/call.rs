//! The kernel's calls, replies and events: the same messages in process and over the socket.

use serde::{Deserialize, Serialize};

use crate::tagged::tagged;
use crate::{
    Action, Awaited, CapabilityId, Cost, ExitStatus, Grant, Labels, Message, Outcome, Pid, Priority, Rates,
    Recovery, RequestId, Rule, Signal, TicketId,
};

/// Everything that can be asked of the kernel. `Request` is the one door to the world; the others say
/// what became of it or steer processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// A new daemon takes over: settles what the last one held.
    Epoch,
    /// Ask to perform an effect. `key` makes a repeat harmless: it gets the same answer.
    Request {
        pid: Pid,
        key: String,
        action: Action,
        #[serde(default)]
        estimate: Cost,
        #[serde(default)]
        parent: Option<TicketId>,
        /// The scarce thing it queues for (`exec`, `model:<host>`); none: does not queue.
        #[serde(default)]
        lane: Option<String>,
        recovery: Recovery,
        /// UTC microseconds by which a waiting request must be decided; then it is denied. None: a week.
        #[serde(default)]
        deadline_us: Option<u64>,
        #[serde(default)]
        priority: Priority,
        /// Performed by a client rather than by the daemon: survives the daemon for its holder's return.
        #[serde(default)]
        client: bool,
        /// SHA-256 (hex) of the exact arguments, where the action does not hold them all: what a person
        /// approves is bound to it.
        #[serde(default)]
        digest: Option<String>,
        /// Nobody can be asked: what would need a person is denied.
        #[serde(default)]
        unattended: bool,
    },
    /// Perform a pure effect: it leaves no trace outside, costs nothing and cannot be lost, so it needs no
    /// ticket and its entry may follow it. What would have to wait or to be asked is refused here: request it.
    Pass { pid: Pid, action: Action },
    /// Withdraw a request that waits.
    Withdraw { request: RequestId },
    /// A person's answer to a question. With `standing`, the same process is not asked the same again.
    Answer {
        request: RequestId,
        approve: bool,
        #[serde(default)]
        standing: bool,
    },
    /// The rules in force from now on; refused whole where an example of one of them does not hold.
    Rules { rules: Vec<Rule>, digest: String },
    /// Report the cost so far; never beyond the reservation.
    Progress { ticket: TicketId, cost: Cost },
    /// Reserve more, on top of what is reserved.
    Extend { ticket: TicketId, estimate: Cost },
    /// Ask the performer to stop; the reservation stays until it completes.
    Cancel { ticket: TicketId },
    /// The effect is over. The first report wins; a repeat gets its answer.
    Complete {
        ticket: TicketId,
        outcome: Outcome,
        #[serde(default)]
        cost: Cost,
        /// What was read by it: joined into the process's.
        #[serde(default)]
        labels: Labels,
    },
    /// A process says that it has ended; completes its spawn ticket.
    Exit { pid: Pid, status: ExitStatus },
    /// `by` must be an ancestor of `pid`, or hold a capability for its name.
    Signal { by: Pid, pid: Pid, signal: Signal },
    /// Hand a child an attenuated copy of a capability: `capability ⊓ grant`.
    Derive { pid: Pid, capability: CapabilityId, to: Pid, grant: Grant },
    /// Kill a capability and everything derived from it.
    Revoke { pid: Pid, capability: CapabilityId },
    /// How many tickets a lane admits at once, and what it gives a minute.
    Lane {
        lane: String,
        capacity: u32,
        #[serde(default)]
        rates: Rates,
    },
    /// What is behind a lane is overloaded and wants to be left alone for `retry_after_us`: fewer places
    /// for all who use it, and none until then.
    Pressure { lane: String, retry_after_us: u64 },
    /// A durable record of userland: opaque to the kernel, at most `RECORD_BYTES` of JSON.
    Put { kind: String, id: String, body: String },
    /// Take the oldest message out of the mailbox of `pid`, or the oldest from one process; wait for one
    /// where there is none. One receive waits for each sender, and one for any.
    Receive {
        pid: Pid,
        #[serde(default)]
        from: Option<Pid>,
        /// UTC microseconds by which it must have come; ten minutes from now by default.
        #[serde(default)]
        deadline_us: Option<u64>,
    },
    /// Wait for the end of a child.
    Wait {
        pid: Pid,
        child: Pid,
        /// UTC microseconds by which it must have ended; a day from now by default.
        #[serde(default)]
        deadline_us: Option<u64>,
    },
    /// Wait no longer.
    Forgo { pid: Pid, awaited: Awaited },
    /// Set the durable timer `id` to go off at `due_us` (UTC microseconds), in place of when it was set for;
    /// `None` takes it back. One that is past goes off at once, also after a restart.
    Timer {
        id: String,
        #[serde(default)]
        due_us: Option<u64>,
    },
    /// Let time act: deadlines, expiries, timers.
    Tick,
}

tagged!(Call);

/// Largest body of a record, so that an entry stays under 4 KiB.
pub const RECORD_BYTES: usize = 3_584;

/// Longest name of a timer.
pub const TIMER_BYTES: usize = 512;

/// Which stage of the pipeline decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Process,
    Capability,
    Label,
    Rule,
    Queue,
    Budget,
    Ticket,
}

/// Why something is not to happen: `name` is the capability, rule, budget or lane that decided, for
/// machines; `message` is the sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub stage: Stage,
    pub name: String,
    pub message: String,
}

/// The answer to a request, strictest first: `Deny < Ask < Wait < Go`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    Deny {
        refusal: Refusal,
    },
    Ask {
        request: RequestId,
        refusal: Refusal,
    },
    Wait {
        request: RequestId,
        refusal: Refusal,
    },
    /// Perform it. `child` is the new process of a spawn.
    Go {
        ticket: TicketId,
        child: Option<Pid>,
    },
}

/// What a call returns at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    Decided {
        decision: Decision,
    },
    Capability {
        capability: CapabilityId,
    },
    Epoch {
        epoch: u64,
    },
    Done,
    Received {
        message: Message,
    },
    /// The child has exited.
    Exited {
        status: ExitStatus,
    },
    /// `Received`, `Exited` or `Forgone` follows, at the latest at `until_us`.
    Waiting {
        until_us: u64,
    },
    /// The call itself was wrong (a stale name, an illegal transition, a record too large).
    Refused {
        refusal: Refusal,
    },
}

/// What one stage of the pipeline says to a request, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub stage: Stage,
    /// `go`, `wait`, `ask` or `deny`.
    pub decision: String,
    pub name: String,
    pub message: String,
    pub change: Option<String>,
}

/// What happens later, to whom it concerns. Released only once its entry is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A waiting request was decided.
    Decided {
        pid: Pid,
        request: RequestId,
        decision: Decision,
    },
    /// A person is asked.
    Asked {
        pid: Pid,
        request: RequestId,
        refusal: Refusal,
    },
    /// Stop performing this effect and complete it.
    Cancel {
        pid: Pid,
        ticket: TicketId,
    },
    /// A process reached another state.
    State {
        pid: Pid,
        state: crate::State,
    },
    /// A supervisor's child fell and lives on as `pid`: whoever performs it starts anew.
    Restarted {
        old: Pid,
        pid: Pid,
        name: String,
    },
    Suspend {
        pid: Pid,
    },
    Resume {
        pid: Pid,
    },
    /// A message came that `pid` waited for, as `awaited` says.
    Received {
        pid: Pid,
        awaited: Awaited,
        message: Message,
    },
    /// A child ended whose end `pid` waited for.
    Exited {
        pid: Pid,
        child: Pid,
        status: ExitStatus,
    },
    /// What `pid` waited for does not come: its deadline passed, its sender exited, or all wait for each other.
    Forgone {
        pid: Pid,
        awaited: Awaited,
        refusal: Refusal,
    },
    /// A process was born.
    Spawned {
        pid: Pid,
        parent: Pid,
        name: String,
    },
    /// A record was written.
    Written {
        kind: String,
        id: String,
    },
    /// A timer went off, and is gone.
    Due {
        id: String,
    },
}
