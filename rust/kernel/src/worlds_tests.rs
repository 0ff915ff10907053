//! Small worlds, whole: every state that two processes and three capabilities can get the kernel into, found by
//! breadth-first search over the kernel itself, with the invariants of the capability model in each.
//!
//! States that differ only in how things are called, or in what is remembered of the past, count as one: slots
//! are renamed in the order of derivation. A state is kept as the journal that led to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use agentos_abi::*;

use crate::capability::{covers, is_within};
use crate::driven::*;
use crate::request::carried;
use crate::state::State;
use crate::{Kernel, decide};

const READ: Done = Done(Rights::Read);
const WRITE: Done = Done(Rights::Write);

/// What is done in this world: reading or writing one file.
#[derive(Clone, Copy)]
struct Done(Rights);

impl Done {
    fn action(self) -> Action {
        let path = "/f".to_owned();
        if self.0 == Rights::Read { Action::Read { path } } else { Action::Write { path } }
    }

    fn scope(self) -> Scope {
        Scope::Path { path: "/f".to_owned(), rights: self.0 }
    }
}

struct World {
    /// Besides the root's.
    slots: usize,
    members: [Pid; 2],
    states: BTreeSet<String>,
    transitions: u64,
}

fn start() -> (Driven, [Pid; 2]) {
    let (mut os, root) = Driven::new();
    let all = Scope::Path { path: "/".to_owned(), rights: Rights::ReadWrite };
    let first = os.spawn(root, vec![all], Limit::default(), None);
    let second = os.spawn(root, Vec::new(), Limit::default(), None);
    (os, [first, second])
}

fn capabilities(state: &State) -> Vec<CapabilityId> {
    let all = state.capabilities.iter();
    all.map(|((index, generation), _)| CapabilityId::new(index, generation)).collect()
}

fn tickets(state: &State) -> Vec<TicketId> {
    let all = state.tickets.iter().filter(|(_, row)| row.child.is_none());
    all.map(|((index, generation), _)| TicketId::new(index, generation)).collect()
}

/// A state as the model sees it: the least over all orders in which its tree of derivations can be written.
fn canonical(state: &State, members: [Pid; 2]) -> String {
    fn tree(state: &State, id: CapabilityId, members: [Pid; 2]) -> String {
        let row = state.capability(id).expect("listed");
        let mut below: Vec<String> = row.derived.iter().map(|id| tree(state, *id, members)).collect();
        below.sort();
        let carries = row.tickets.iter().filter_map(|id| Some((id, state.ticket(*id)?)));
        let carries: BTreeSet<String> = carries
            .filter(|(_, ticket)| ticket.child.is_none())
            .map(|(_, ticket)| format!("{}{}", ticket.action.kind(), ticket.cancelling))
            .collect();
        let owner = members.iter().position(|pid| *pid == row.owner);
        format!("{owner:?}{:?}{carries:?}{below:?}", row.grant.scope)
    }
    let roots = state.capabilities.iter().filter(|(_, row)| row.from.is_none());
    let roots = roots.map(|((index, generation), _)| CapabilityId::new(index, generation));
    let mut text: Vec<String> = roots.map(|id| tree(state, id, members)).collect();
    // Those whose capability is gone.
    let orphans = tickets(state).into_iter().filter_map(|id| state.ticket(id));
    let orphans = orphans.filter(|ticket| ticket.by.iter().all(|by| state.capability(*by).is_none()));
    let mut orphans: Vec<String> = orphans
        .map(|ticket| format!("{:?}{}{}", ticket.pid, ticket.action.kind(), ticket.cancelling))
        .collect();
    orphans.sort();
    text.extend(orphans);
    text.join(";")
}

impl World {
    /// Everything that somebody could call here.
    fn calls(&self, state: &State, key: usize) -> Vec<Call> {
        let mut calls = Vec::new();
        let held = capabilities(state);
        for pid in self.members {
            let busy = tickets(state).iter().any(|id| state.ticket(*id).is_some_and(|row| row.pid == pid));
            for done in [READ, WRITE].into_iter().filter(|_| !busy) {
                calls.push(asking(pid, format!("k{key}"), done.action()));
            }
            for id in &held {
                calls.push(Call::Revoke { pid, capability: *id });
                let of_root = state.capability(*id).is_some_and(|row| Some(row.owner) == state.root());
                if held.len() > self.slots || of_root {
                    continue;
                }
                for to in self.members {
                    for rights in [Rights::Read, Rights::Write, Rights::ReadWrite] {
                        let grant = Grant::from(Scope::Path { path: "/f".to_owned(), rights });
                        calls.push(Call::Derive { pid, capability: *id, to, grant });
                    }
                }
            }
        }
        for ticket in tickets(state) {
            let (outcome, cost, labels) = (Outcome::Ok, Cost::ZERO, Labels::BOTTOM);
            calls.push(Call::Complete { ticket, outcome, cost, labels });
        }
        calls
    }

    /// What the model promises, in one state.
    fn check(&self, state: &State) {
        let may = |pid: Pid, done: Done| carried(state, 0, pid, &done.action()).is_ok();
        for id in capabilities(state) {
            let row = state.capability(id).expect("listed");
            let Some(from) = row.from else { continue };
            // NoDangling: what it came from is there, and knows it.
            let source = state.capability(from).expect("its source is there");
            assert!(source.derived.contains(&id));
            // NoAmplification.
            assert!(is_within(&row.grant, &source.grant), "{row:?} of {source:?}");
        }
        for pid in self.members {
            // What somebody may do is exactly what some capability in the tree gives to them.
            for done in [READ, WRITE] {
                let gives = |id: &CapabilityId| {
                    state
                        .capability(*id)
                        .is_some_and(|row| row.owner == pid && covers(&row.grant.scope, &done.scope()))
                };
                assert_eq!(may(pid, done), capabilities(state).iter().any(gives), "{pid:?}");
            }
        }
        for id in tickets(state) {
            // NoUseAfterRevoke: whatever goes on after its capability is gone was told to stop.
            let ticket = state.ticket(id).expect("listed");
            let carried = ticket.by.iter().all(|by| {
                state.capability(*by).is_some_and(|row| row.owner == ticket.pid && row.tickets.contains(&id))
            });
            assert!(carried || ticket.cancelling, "{ticket:?}");
        }
        // A name that was given back means nothing, whatever has its slot now.
        for id in capabilities(state).into_iter().filter(|id| id.generation() > 1) {
            let stale = CapabilityId::new(id.index(), id.generation() - 1);
            for pid in self.members {
                let grant = Grant::from(Scope::Everything);
                let calls = [
                    Call::Revoke { pid, capability: stale },
                    Call::Derive { pid, capability: stale, to: pid, grant },
                ];
                assert!(calls.iter().all(|call| decide::decide(state, 1, call).facts.is_empty()));
            }
        }
    }

    fn explore(slots: usize) -> Self {
        let (os, members) = start();
        let mut world = Self { slots, members, states: BTreeSet::new(), transitions: 0 };
        world.states.insert(canonical(os.kernel.state(), members));
        let mut next = VecDeque::from([os.journal]);
        while let Some(journal) = next.pop_front() {
            let mut here = Kernel::default();
            journal.iter().for_each(|entry| here.recover(entry));
            world.check(here.state());
            for call in world.calls(here.state(), journal.len()) {
                if decide::decide(here.state(), 1, &call).facts.is_empty() {
                    continue;
                }
                world.transitions += 1;
                let mut there = Kernel::default();
                journal.iter().for_each(|entry| there.recover(entry));
                let step = there.step(1, &call);
                if world.states.insert(canonical(there.state(), members)) {
                    next.push_back(journal.iter().cloned().chain(step.entries).collect());
                }
            }
        }
        world
    }
}

fn asking(pid: Pid, key: String, action: Action) -> Call {
    Call::Request {
        pid,
        key,
        action,
        estimate: Cost::ZERO,
        parent: None,
        lane: None,
        recovery: Recovery::Repeatable,
        deadline_us: None,
        priority: Priority::Normal,
        client: false,
        digest: None,
        unattended: false,
    }
}

/// Distinct states and transitions for so many capabilities besides the root's. A change of the kernel that
/// changes them has to be meant.
#[test]
fn no_state_of_a_small_world_breaks_the_capability_model() {
    let known = BTreeMap::from([
        (1, (6, 23)),
        (2, (84, 454)),
        (3, (591, 4_625)),
        (4, (4_509, 45_936)),
        (5, (35_577, 445_149)),
    ]);
    let slots = if random_calls(0) < 1_000_000 { 3 } else { 5 };
    for (slots, counts) in known.range(1..=slots) {
        let world = World::explore(*slots);
        assert_eq!((world.states.len(), world.transitions), *counts, "{slots} capabilities");
    }
}
