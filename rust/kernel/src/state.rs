//! The whole state of a kernel, and how its tables are reached.

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::{
    Action, Awaited, CapabilityId, Cost, Grant, Pid, Priority, Recovery, Refusal, RequestId, Rule, TicketId,
};

use crate::fair::Order;
use crate::lane::Lane;
use crate::process::Process;
use crate::queue::{Stand, UNLIMITED};
use crate::table::Table;
use crate::timer::Timers;

/// One capability: who holds it, where it came from, what was derived from it, what it carries now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    pub(crate) owner: Pid,
    pub(crate) from: Option<CapabilityId>,
    pub(crate) derived: BTreeSet<CapabilityId>,
    pub(crate) grant: Grant,
    pub(crate) tickets: BTreeSet<TicketId>,
}

/// An effect under way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) pid: Pid,
    pub(crate) key: String,
    pub(crate) action: Action,
    /// What its completion releases up the tree.
    pub(crate) reserved: Cost,
    pub(crate) progress: Cost,
    pub(crate) parent: Option<TicketId>,
    pub(crate) held: Option<Held>,
    pub(crate) recovery: Recovery,
    pub(crate) client: bool,
    pub(crate) cancelling: bool,
    /// When it is taken for lost: its holder was asked to stop, or is gone.
    pub(crate) expires_us: Option<u64>,
    pub(crate) by: Vec<CapabilityId>,
    pub(crate) child: Option<Pid>,
}

/// The place that a ticket takes in a lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) lane: String,
    /// The group it counts for.
    pub(crate) group: Pid,
    /// What that was charged, and what it was charged for.
    pub(crate) charge: u64,
    pub(crate) estimate: Cost,
}

/// A request in the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    pub(crate) key: String,
    pub(crate) action: Action,
    pub(crate) estimate: Cost,
    pub(crate) parent: Option<TicketId>,
    pub(crate) lane: Option<String>,
    pub(crate) recovery: Recovery,
    pub(crate) deadline_us: Option<u64>,
    pub(crate) client: bool,
    pub(crate) digest: Option<String>,
    /// Nobody can be asked about it.
    pub(crate) unattended: bool,
    /// What a person is asked before it may queue.
    pub(crate) question: Option<Refusal>,
    /// The name of the question that a person has answered with yes.
    pub(crate) approved: Option<String>,
    pub(crate) priority: Priority,
    pub(crate) group: Pid,
    /// Its age: the smaller, the older.
    pub(crate) turn: u64,
    /// Its place among those of its group, with `turn` among equals.
    pub(crate) order_us: u64,
    pub(crate) stand: Stand,
    /// The process whose budget keeps its estimate for it.
    pub(crate) promised: Option<Pid>,
}

impl Waiting {
    pub(crate) fn lane_name(&self) -> &str {
        self.lane.as_deref().unwrap_or(UNLIMITED)
    }

    pub(crate) fn order(&self) -> Order {
        (self.order_us, self.turn)
    }
}

/// Everything the kernel knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) now_us: u64,
    pub(crate) epoch: u64,
    pub(crate) root: Option<Pid>,
    pub(crate) processes: Table<Process>,
    pub(crate) capabilities: Table<Capability>,
    pub(crate) tickets: Table<Ticket>,
    pub(crate) requests: Table<Waiting>,
    pub(crate) lanes: BTreeMap<String, Lane>,
    /// The turn of the next request that queues.
    pub(crate) turn: u64,
    pub(crate) deadlines: BTreeSet<(u64, RequestId)>,
    pub(crate) expiries: BTreeSet<(u64, TicketId)>,
    pub(crate) closing: BTreeSet<Pid>,
    /// Children that ended and of which their supervisor has yet to say what becomes of them.
    pub(crate) fallen: BTreeSet<Pid>,
    /// When supervisors start children again.
    pub(crate) restarts: BTreeSet<(u64, Pid)>,
    /// Ranks handed out to processes.
    pub(crate) births: u64,
    /// Lanes that can admit their next, with when (UTC microseconds).
    pub(crate) wakes: BTreeSet<(u64, String)>,
    /// Processes whose budget decides on the first request that waits for it.
    pub(crate) due: BTreeSet<Pid>,
    pub(crate) records: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) timers: Timers,
    /// Requests that wait for a person.
    pub(crate) questions: BTreeSet<RequestId>,
    pub(crate) rules: Vec<Rule>,
    /// Names the set of rules in force.
    pub(crate) rules_digest: String,
    /// Processes that have not exited, by name.
    pub(crate) names: BTreeMap<String, BTreeSet<Pid>>,
    /// What processes wait for from each other, by when (UTC microseconds) they do no longer.
    pub(crate) patience: BTreeSet<(u64, Pid, Awaited)>,
    /// Processes with a message in their mailbox that they wait for.
    pub(crate) arrivals: BTreeSet<Pid>,
    /// Processes whose mailbox has room for one that waits to send to it.
    pub(crate) deliverable: BTreeSet<Pid>,
    /// Processes that an entry may have left waiting in a circle; once it is applied, those that do.
    pub(crate) suspects: BTreeSet<Pid>,
}

impl State {
    pub(crate) fn process(&self, pid: Pid) -> Option<&Process> {
        self.processes.get((pid.index(), pid.generation()))
    }

    pub(crate) fn process_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        self.processes.get_mut((pid.index(), pid.generation()))
    }

    pub(crate) fn capability(&self, id: CapabilityId) -> Option<&Capability> {
        self.capabilities.get((id.index(), id.generation()))
    }

    pub(crate) fn capability_mut(&mut self, id: CapabilityId) -> Option<&mut Capability> {
        self.capabilities.get_mut((id.index(), id.generation()))
    }

    pub(crate) fn ticket(&self, id: TicketId) -> Option<&Ticket> {
        self.tickets.get((id.index(), id.generation()))
    }

    pub(crate) fn ticket_mut(&mut self, id: TicketId) -> Option<&mut Ticket> {
        self.tickets.get_mut((id.index(), id.generation()))
    }

    pub(crate) fn request(&self, id: RequestId) -> Option<&Waiting> {
        self.requests.get((id.index(), id.generation()))
    }

    pub(crate) fn request_mut(&mut self, id: RequestId) -> Option<&mut Waiting> {
        self.requests.get_mut((id.index(), id.generation()))
    }

    /// `pid` and its ancestors, nearest first.
    pub(crate) fn lineage(&self, pid: Pid) -> Vec<Pid> {
        let mut lineage = Vec::new();
        let mut next = Some(pid);
        while let Some(pid) = next {
            lineage.push(pid);
            next = self.process(pid).and_then(|process| process.parent);
        }
        lineage
    }

    /// The nearest process at or above `pid` that heads a scheduling group.
    pub(crate) fn group_of(&self, pid: Pid) -> Pid {
        self.lineage(pid).into_iter().find(|pid| self.heads_group(*pid)).unwrap_or(pid)
    }

    pub(crate) fn heads_group(&self, pid: Pid) -> bool {
        self.process(pid).is_some_and(|process| process.group.is_some())
    }

    /// `capability` and everything derived from it.
    pub(crate) fn derivations(&self, capability: CapabilityId) -> Vec<CapabilityId> {
        let mut subtree = vec![capability];
        let mut at = 0;
        while let Some(&next) = subtree.get(at) {
            if let Some(row) = self.capability(next) {
                subtree.extend(row.derived.iter().copied());
            }
            at += 1;
        }
        subtree
    }

    /// Those of `by`, and of what they were derived from, whose uses are counted: a count bounds the whole line.
    pub(crate) fn counted(&self, by: &[CapabilityId]) -> BTreeSet<CapabilityId> {
        let mut counted = BTreeSet::new();
        for id in by {
            let mut next = Some(*id);
            while let Some(id) = next
                && let Some(row) = self.capability(id).filter(|row| row.grant.uses.is_some())
                && counted.insert(id)
            {
                next = row.from;
            }
        }
        counted
    }

    /// When time next matters (UTC microseconds): the daemon calls `Tick` then.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let restart = self.restarts.first().map(|(at, _)| *at);
        let wake = self.wakes.first().map(|(at, _)| *at);
        let patience = self.patience.first().map(|(at, ..)| *at);
        [deadline, expiry, restart, wake, patience, self.timers.next_us()].into_iter().flatten().min()
    }
}
