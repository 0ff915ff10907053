//! What processes wait for from each other, and the cycles among that.
//!
//! The edges of the wait-for graph are read off the state, so none can be forgotten: a receive from a given
//! process, a send to a full mailbox, a wait for the end of a child. A process can go on by itself as long as
//! it has anything else under way: a ticket, a request that waits for something else, a receive from any. It
//! is *stuck* if it cannot, and all that it waits for, and all children that it has, are stuck.
//! INVARIANT: between calls no process is stuck. A change can only make the process stuck that it is of, or
//! those that wait for it, so each entry names its `suspects`, the search starts there, and those that are
//! stuck stay: what follows is read off the state.
//! Rejected: a graph of each task (two tasks that wait for each other are in no one's chain), and a search
//! when deadlines pass.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use agentos_abi::{Awaited, Fact, Pid, RequestId, Stage};

use crate::mailbox;
use crate::process::Process;
use crate::request::{denied, refusal};
use crate::state::State;
use crate::wait::describe;

/// How many processes of a cycle a refusal names.
const NAMED: usize = 6;

/// Why a process does not go on by itself.
#[derive(Clone, Copy)]
enum Edge {
    Awaits(Awaited),
    Sends(RequestId),
    /// It has this child, which may yet do something.
    Holds,
}

type Stuck = BTreeMap<Pid, Vec<(Edge, Pid)>>;

/// Has a process looked at once the entry is applied, if it waits for anything.
pub(crate) fn suspect(state: &mut State, pid: Pid) {
    let waits = |process: &Process| !process.awaiting.is_empty() || !process.waiting.is_empty();
    if state.process(pid).is_some_and(waits) {
        state.suspects.insert(pid);
    }
}

/// Of the suspects of an entry that has been applied, and of those known before, keeps who is stuck.
pub(crate) fn keep_stuck(state: &mut State) {
    let mut suspects = std::mem::take(&mut state.suspects);
    suspects.retain(|pid| stuck(state, *pid).is_some());
    state.suspects = suspects;
}

/// The refusal that ends a deadlock, if there is one: to the youngest member of its cycle.
pub(crate) fn deadlock(state: &State) -> Option<Fact> {
    let stuck = state.suspects.iter().find_map(|pid| stuck(state, *pid))?;
    let mut members: Vec<Pid> = stuck.keys().copied().collect();
    members.sort_by_key(|pid| std::cmp::Reverse(state.process(*pid).map(|process| process.rank)));
    let (victim, cycle) = members.into_iter().find_map(|pid| Some((pid, cycle(&stuck, pid)?)))?;
    let refusal = refusal(Stage::Process, "deadlock", in_words(state, victim, &cycle));
    match cycle.first()?.0 {
        Edge::Awaits(awaited) => Some(Fact::Forgone { pid: victim, awaited, refusal }),
        Edge::Sends(id) => Some(denied(state.request(id)?, id, refusal)),
        Edge::Holds => None,
    }
}

/// `pid` and all that it waits for, if none of them can go on by itself.
fn stuck(state: &State, pid: Pid) -> Option<Stuck> {
    let mut found = Stuck::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        if let Entry::Vacant(place) = found.entry(pid) {
            let edges = edges(state, pid)?;
            next.extend(edges.iter().map(|(_, target)| *target));
            place.insert(edges);
        }
    }
    Some(found)
}

/// All that `pid` waits for; `None` if it can go on by itself. The root is the person, who always can.
fn edges(state: &State, pid: Pid) -> Option<Vec<(Edge, Pid)>> {
    let process = state.process(pid).filter(|process| !process.is_ending())?;
    if state.root == Some(pid) || state.arrivals.contains(&pid) {
        return None;
    }
    let mut edges = Vec::new();
    for awaited in process.awaiting.keys() {
        edges.push((Edge::Awaits(*awaited), awaited.on()?));
    }
    for id in &process.waiting {
        edges.push((Edge::Sends(*id), mailbox::blocked(state, state.request(*id)?)?));
    }
    if edges.is_empty() {
        return None;
    }
    for ticket in &process.tickets {
        edges.push((Edge::Holds, state.ticket(*ticket)?.child?));
    }
    Some(edges)
}

/// The shortest way along waits from `start` back to itself.
fn cycle(stuck: &Stuck, start: Pid) -> Option<Vec<(Edge, Pid)>> {
    let mut came: BTreeMap<Pid, (Pid, Edge)> = BTreeMap::new();
    let mut frontier = VecDeque::from([start]);
    while let Some(pid) = frontier.pop_front() {
        let waits = stuck.get(&pid)?.iter().filter(|(edge, _)| !matches!(edge, Edge::Holds));
        for (edge, target) in waits {
            if came.contains_key(target) {
                continue;
            }
            came.insert(*target, (pid, *edge));
            frontier.push_back(*target);
        }
    }
    let mut path = Vec::new();
    let mut at = start;
    loop {
        let (before, edge) = came.get(&at)?;
        path.push((*edge, at));
        at = *before;
        if at == start {
            path.reverse();
            return Some(path);
        }
    }
}

fn in_words(state: &State, victim: Pid, cycle: &[(Edge, Pid)]) -> String {
    let name = |pid: Pid| state.process(pid).map_or("", |process| process.name.as_str());
    let mut waiter = victim;
    let mut steps = Vec::new();
    for (edge, target) in cycle {
        let what = match edge {
            Edge::Awaits(awaited) => describe(state, *awaited),
            Edge::Sends(_) | Edge::Holds => format!("room in the mailbox of `{}`", name(*target)),
        };
        steps.push(format!("`{}` waits for {what}", name(waiter)));
        waiter = *target;
    }
    let more = steps.len().saturating_sub(NAMED);
    steps.truncate(NAMED);
    if more > 0 {
        steps.push(format!("and so on over {more} more"));
    }
    format!("deadlock: {}; the youngest, `{}`, waits no longer", steps.join(", "), name(victim))
}

#[cfg(test)]
#[path = "wait_for_tests.rs"]
pub(crate) mod tests;
