//! Journal entries: decided facts. Recovery applies them and gets the identical state, whatever the
//! rules say by then; so an entry holds results, never something to decide again.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tagged::{Read, Written, expect_key, tagged};
use crate::{
    Action, Awaited, CapabilityId, Cost, ExitStatus, Grant, Labels, Move, Outcome, Pid, Priority, Rates,
    Recovery, Refusal, RequestId, Rule, Signal, TicketId, lane,
};

/// One line of the journal: `at_us`, the fact's `type` and the fact's fields in one object, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// UTC microseconds, never decreasing.
    pub at_us: u64,
    pub fact: Fact,
}

/// The longest entry that a journal takes, in bytes of JSON.
pub const ENTRY_BYTES: usize = 4_096;

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Fact::serialize(&self.fact, Written::at(to, self.at_us))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Entry;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object whose first fields are `at_us` and `type`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Entry, A::Error> {
                expect_key(&mut fields, "at_us")?;
                Ok(Entry { at_us: fields.next_value()?, fact: Fact::deserialize(Read(fields))? })
            }
        }

        from.deserialize_map(Fields)
    }
}

/// What was decided or reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case")]
pub enum Fact {
    /// A daemon took over; the first one brings the root process to life.
    Epoch {
        epoch: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root: Option<Born>,
    },
    /// A request that must wait joined its queue.
    Queued {
        request: RequestId,
        pid: Pid,
        key: String,
        action: Action,
        estimate: Cost,
        parent: Option<TicketId>,
        lane: Option<String>,
        recovery: Recovery,
        deadline_us: Option<u64>,
        client: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Why a person is asked first; `deadline_us` is then by when they must have answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<Refusal>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unattended: bool,
        #[serde(default, skip_serializing_if = "Priority::is_normal")]
        priority: Priority,
        /// Its place among those of its group: smaller goes first.
        #[serde(default)]
        order_us: u64,
        /// The process whose budget it waits for, rather than for a place in its lane.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parked: Option<Pid>,
    },
    /// A waiting request is short of what others have reserved of the budget of `of`: it leaves its lane
    /// and waits for that.
    Parked {
        request: RequestId,
        of: Pid,
    },
    /// The budget of `of` has room for a parked request again, and keeps it until its turn in its lane.
    Promised {
        request: RequestId,
        of: Pid,
    },
    /// A request left its queue because a person has to be asked about it now.
    Asked {
        request: RequestId,
        question: Refusal,
        deadline_us: u64,
    },
    /// A person approved a request; it now waits for its turn.
    Approved {
        request: RequestId,
        standing: bool,
        /// By when it must have gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_us: Option<u64>,
    },
    /// The rules are replaced: this many follow.
    Rules {
        digest: String,
        count: u32,
    },
    /// One rule of the set, its examples left out.
    Rule {
        rule: Box<Rule>,
    },
    /// A ticket was issued and its reservation made up the tree; from the queue when `request` is given.
    Go {
        ticket: TicketId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
        pid: Pid,
        key: String,
        action: Action,
        estimate: Cost,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<TicketId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lane: Option<String>,
        recovery: Recovery,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        client: bool,
        /// What its group is charged for it in its lane.
        #[serde(default = "lane::place", skip_serializing_if = "lane::is_place")]
        charge: u64,
        /// The capabilities that admitted it; revoking one cancels the ticket.
        by: Vec<CapabilityId>,
        /// The process that a spawn brought to life.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<Born>,
        /// What it moves in the history rules.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        moves: Vec<Move>,
    },
    /// A pure effect was let pass.
    Passed {
        pid: Pid,
        action: Action,
        by: Vec<CapabilityId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        moves: Vec<Move>,
    },
    /// A request was refused: at once, or while it waited.
    Denied {
        pid: Pid,
        key: String,
        request: Option<RequestId>,
        action: Action,
        stage: crate::Stage,
        name: String,
        message: String,
    },
    Withdrawn {
        request: RequestId,
    },
    Progress {
        ticket: TicketId,
        cost: Cost,
    },
    Extended {
        ticket: TicketId,
        estimate: Cost,
    },
    Cancelling {
        ticket: TicketId,
    },
    /// Its holder is gone with the last daemon: lost unless it comes back in time.
    Orphaned {
        ticket: TicketId,
        until_us: u64,
    },
    Completed {
        ticket: TicketId,
        outcome: Outcome,
        cost: Cost,
        #[serde(default, skip_serializing_if = "Labels::is_bottom")]
        labels: Labels,
        /// What its group is charged in its lane in the end, where that is not what was charged first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<u64>,
    },
    /// Suspended or resumed.
    Signalled {
        pid: Pid,
        signal: Signal,
    },
    Closing {
        pid: Pid,
        status: ExitStatus,
    },
    Exited {
        pid: Pid,
        status: ExitStatus,
    },
    /// These children of a supervisor are ended and, from `due_us` on, started again, in this order.
    Restarting {
        supervisor: Pid,
        members: Vec<Pid>,
        /// Not `at_us`: that is when the entry was written, and stands beside these fields.
        due_us: u64,
    },
    /// A fallen child lives on in a new process, which takes over its spawn ticket.
    Restarted {
        pid: Pid,
        born: Born,
    },
    /// A fallen child is not started again.
    GivenUp {
        pid: Pid,
    },
    Derived {
        capability: CapabilityId,
        from: CapabilityId,
        to: Pid,
        grant: Grant,
    },
    Revoked {
        capability: CapabilityId,
    },
    Lane {
        lane: String,
        capacity: u32,
        #[serde(default, skip_serializing_if = "Rates::is_unlimited")]
        rates: Rates,
    },
    /// A lane's provider is overloaded: `places` for now, and none until `until_us`.
    Pressure {
        lane: String,
        places: u32,
        until_us: u64,
    },
    Put {
        kind: String,
        id: String,
        body: String,
    },
    /// A process began to wait.
    Awaiting {
        pid: Pid,
        awaited: Awaited,
        until_us: u64,
    },
    /// A message left the mailbox of `pid` for good; ends the wait that it had.
    Received {
        pid: Pid,
        message: TicketId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awaited: Option<Awaited>,
    },
    /// A process was told of the end of a child that it waited for.
    Waited {
        pid: Pid,
        child: Pid,
        status: ExitStatus,
    },
    /// A process waits no longer, in vain.
    Forgone {
        pid: Pid,
        awaited: Awaited,
        refusal: Refusal,
    },
    /// A timer was set, or taken back where there is no time.
    Timer {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_us: Option<u64>,
    },
    /// A timer went off.
    Due {
        id: String,
    },
}

tagged!(Fact);

/// A new process, with its capabilities already met with its parent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Born {
    pub pid: Pid,
    pub capabilities: Vec<Derivation>,
}

/// One capability of a new process: its name, what it came from and what is left after the meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derivation {
    pub capability: CapabilityId,
    pub from: Option<CapabilityId>,
    pub grant: Grant,
}
