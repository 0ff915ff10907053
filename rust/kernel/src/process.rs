//! The process table's rows and the transitions they may make.

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::{
    Action, Awaited, ChildSpec, Cost, GroupSpec, Labels, Limit, Pid, RequestId, State, Supervision, TicketId,
};

use crate::holdings::Holdings;
use crate::mailbox::Mailbox;

/// What a repeated request gets: the answer the first one got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Waiting(RequestId),
    Went(TicketId, Option<Pid>),
    Denied(agentos_abi::Refusal),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) parent: Option<Pid>,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) since_us: u64,
    /// The status it will exit with, once closing.
    pub(crate) closing: Option<agentos_abi::ExitStatus>,
    pub(crate) children: BTreeSet<Pid>,
    pub(crate) capabilities: Holdings,
    pub(crate) tickets: BTreeSet<TicketId>,
    pub(crate) waiting: BTreeSet<RequestId>,
    /// The ticket that its exit completes.
    pub(crate) spawn_ticket: Option<TicketId>,
    pub(crate) budget: Limit,
    pub(crate) spent: Cost,
    pub(crate) reserved: Cost,
    /// Requests that wait for this budget, oldest first, by their turns.
    pub(crate) parked: BTreeSet<(u64, RequestId)>,
    /// What is kept for requests that waited for it, until they go.
    pub(crate) promised: Cost,
    /// The scheduling group it heads, if any.
    pub(crate) group: Option<Group>,
    pub(crate) answers: BTreeMap<String, Answer>,
    /// What it has touched.
    pub(crate) labels: Labels,
    /// How far it is in each history rule.
    pub(crate) history: BTreeMap<String, u32>,
    /// What a person approved for good: the name of the question, and the exact action.
    pub(crate) standing: Vec<(String, Action, Option<String>)>,
    /// Its parent reads nothing that it produces.
    pub(crate) isolated: bool,
    /// How it keeps its children.
    pub(crate) supervises: Option<Box<Supervisor>>,
    /// What it is started from again; only where its parent supervises it.
    pub(crate) again: Option<Box<ChildSpec>>,
    /// Its place in the order in which its parent started its children; kept over restarts.
    pub(crate) rank: u64,
    pub(crate) restarts: u32,
    /// How many of its tickets are those of children.
    pub(crate) spawns: usize,
    pub(crate) mailbox: Mailbox,
    /// What it waits for from other processes, and until when (UTC microseconds).
    pub(crate) awaiting: BTreeMap<Awaited, u64>,
    /// Who waits for it.
    pub(crate) awaited_by: BTreeSet<(Pid, Awaited)>,
}

/// What a supervisor is about to do, and what it did lately.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Supervisor {
    pub(crate) spec: Supervision,
    /// When restarts were decided (UTC microseconds), those within the window at least.
    pub(crate) log: Vec<u64>,
    pub(crate) pending: Vec<Pending>,
}

/// Children that are being ended and will be started again, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) at_us: u64,
    pub(crate) members: Vec<Pid>,
}

/// A scheduling group's share and what it uses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) spec: GroupSpec,
    /// Tickets from queued requests that it holds.
    pub(crate) running: u32,
}

impl Group {
    pub(crate) fn has_room(&self) -> bool {
        self.spec.concurrency == 0 || self.running < self.spec.concurrency
    }
}

impl Process {
    /// The state that its tickets and waiting requests give an active process.
    pub(crate) fn activity(&self) -> State {
        let only_children = self.tickets.len() == self.spawns && !self.awaiting.is_empty();
        if !self.tickets.is_empty() && !only_children {
            State::Running
        } else if !self.waiting.is_empty() || !self.awaiting.is_empty() {
            State::Waiting
        } else {
            State::Ready
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, State::Created | State::Ready | State::Running | State::Waiting)
    }

    /// Whether it has exited or is about to.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, State::Closing | State::Exited { .. })
    }

    /// It has read what another knew.
    pub(crate) fn learn(&mut self, labels: Labels, history: &BTreeMap<String, u32>) {
        self.labels = self.labels.join(labels);
        for (rule, met) in history {
            let known = self.history.entry(rule.clone()).or_default();
            *known = (*known).max(*met);
        }
    }
}

/// Whether a process may go from one state to another.
pub(crate) fn legal(from: State, to: State) -> bool {
    use State::{Closing, Created, Exited, Ready, Running, Suspended, Waiting};
    match (from, to) {
        (Created, Ready | Running | Waiting | Suspended | Closing) => true,
        (Ready | Running | Waiting, Ready | Running | Waiting | Suspended | Closing) => true,
        (Suspended, Ready | Running | Waiting | Closing) => true,
        (Closing, Exited { .. }) => true,
        (Created | Suspended | Closing | Ready | Running | Waiting | Exited { .. }, _) => false,
    }
}
