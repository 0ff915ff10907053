//! Weighted fair queueing over scheduling groups, one queue per lane and group.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): each admission moves its group's tag on by
//! `STRIDE / weight`; the group with the smallest tag is admitted next. INVARIANT: a group that was idle
//! enters at the lane's virtual time, so it neither hoards credit nor pays for its absence.

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::{Pid, RequestId};

use crate::budget::{Verdict, verdict};
use crate::state::{State, Waiting};

/// The distance between two admissions of a group of weight 1.
const STRIDE: u64 = 1 << 20;

/// The lane of requests that wait for budget alone.
pub(crate) const UNLIMITED: &str = "";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    /// How many tickets it admits at once.
    pub(crate) capacity: u32,
    pub(crate) used: u32,
    virtual_time: u64,
    groups: BTreeMap<Pid, Queue>,
    /// Groups with someone waiting, by tag.
    heads: BTreeSet<(u64, Pid)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Queue {
    tag: u64,
    requests: BTreeMap<u64, RequestId>,
}

impl Default for Lane {
    fn default() -> Self {
        Self { capacity: u32::MAX, used: 0, virtual_time: 0, groups: BTreeMap::new(), heads: BTreeSet::new() }
    }
}

impl Lane {
    pub(crate) fn join(&mut self, group: Pid, turn: u64, request: RequestId) {
        let queue = self.groups.entry(group).or_default();
        if queue.requests.is_empty() {
            queue.tag = queue.tag.max(self.virtual_time);
            self.heads.insert((queue.tag, group));
        }
        queue.requests.insert(turn, request);
    }

    pub(crate) fn leave(&mut self, group: Pid, turn: u64) {
        if let Some(queue) = self.groups.get_mut(&group) {
            queue.requests.remove(&turn);
            if queue.requests.is_empty() {
                self.heads.remove(&(queue.tag, group));
            }
        }
    }

    /// Takes a place for `group` and moves its tag on.
    pub(crate) fn admit(&mut self, group: Pid, weight: u32) {
        self.used = self.used.saturating_add(1);
        let queue = self.groups.entry(group).or_default();
        self.heads.remove(&(queue.tag, group));
        queue.tag = queue.tag.max(self.virtual_time);
        self.virtual_time = queue.tag;
        queue.tag = queue.tag.saturating_add(STRIDE / u64::from(weight.max(1)));
        if !queue.requests.is_empty() {
            self.heads.insert((queue.tag, group));
        }
    }

    pub(crate) fn release(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// Forgets a group that has exited.
    pub(crate) fn forget(&mut self, group: Pid) {
        if let Some(queue) = self.groups.remove(&group) {
            self.heads.remove(&(queue.tag, group));
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.used < self.capacity
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.heads.is_empty()
    }
}

/// What the queues say next.
pub(crate) enum Next {
    Admit(RequestId),
    /// Its budget can no longer carry it, whatever is released.
    Refuse(RequestId, Pid, &'static str),
}

/// The next request that a lane can admit, in lane order, then by tag, then by turn.
pub(crate) fn next(state: &State) -> Option<Next> {
    for lane in state.lanes.values().filter(|lane| lane.is_free()) {
        for (_, group) in &lane.heads {
            if !group_has_room(state, *group) {
                continue;
            }
            let Some(queue) = lane.groups.get(group) else { continue };
            for request in queue.requests.values() {
                let Some(waiting) = state.request(*request) else { continue };
                match outlook(state, waiting) {
                    Some(Verdict::Fits) => return Some(Next::Admit(*request)),
                    Some(Verdict::Never { of, amount }) => return Some(Next::Refuse(*request, of, amount)),
                    Some(Verdict::Later { .. }) | None => {}
                }
            }
        }
    }
    None
}

/// Whether the group may hold one more queued ticket.
pub(crate) fn group_has_room(state: &State, group: Pid) -> bool {
    state
        .process(group)
        .and_then(|process| process.group.as_ref())
        .is_none_or(|group| group.spec.concurrency == 0 || group.running < group.spec.concurrency)
}

/// The budget's word on a waiting request; `None` while its process is suspended.
fn outlook(state: &State, waiting: &Waiting) -> Option<Verdict> {
    state.process(waiting.pid).filter(|process| process.is_active())?;
    Some(verdict(state, waiting.pid, waiting.estimate))
}
