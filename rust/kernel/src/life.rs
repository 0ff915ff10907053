//! Births, ends and restarts of processes: what facts about them do to the state.

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::{
    Born, CapabilityId, ChildSpec, Cost, ExitStatus, Grant, Labels, Outcome, Pid, State as ProcessState,
    TicketId,
};

use crate::apply::complete;
use crate::holdings::Holdings;
use crate::mailbox::{self, Mailbox};
use crate::need::Need;
use crate::process::{Group, Pending, Process, Supervisor};
use crate::state::{Capability, State};
use crate::supervise;

pub(crate) fn bear(
    state: &mut State,
    born: &Born,
    parent: Option<Pid>,
    spawn_ticket: Option<TicketId>,
    spec: &ChildSpec,
) {
    // A child begins with what its parent knows: its task was made from that.
    let known = parent.and_then(|parent| state.process(parent));
    let labels = known.map(|parent| parent.labels).unwrap_or_default();
    let history = known.map(|parent| parent.history.clone()).unwrap_or_default();
    let supervised = known.is_some_and(|parent| parent.supervises.is_some());
    let again = (supervised && !spec.restart.is_never()).then(|| {
        let grants = born.capabilities.iter().map(|derivation| derivation.grant.clone()).collect();
        Box::new(ChildSpec { grants, ..spec.clone() })
    });
    let supervises =
        spec.supervises.map(|spec| Box::new(Supervisor { spec, log: Vec::new(), pending: Vec::new() }));
    let rank = state.births;
    state.births = state.births.saturating_add(1);
    let process = Process {
        parent,
        name: spec.name.clone(),
        state: ProcessState::Ready,
        since_us: state.now_us,
        closing: None,
        children: BTreeSet::new(),
        capabilities: Holdings::default(),
        tickets: BTreeSet::new(),
        waiting: BTreeSet::new(),
        spawn_ticket,
        budget: spec.budget,
        spent: Cost::ZERO,
        reserved: Cost::ZERO,
        parked: BTreeSet::new(),
        promised: Cost::ZERO,
        group: spec.group.clone().map(|spec| Group { spec, running: 0 }),
        answers: BTreeMap::new(),
        labels,
        history,
        standing: Vec::new(),
        isolated: spec.isolated,
        supervises,
        again,
        rank,
        restarts: 0,
        spawns: 0,
        mailbox: Mailbox::new(spec.mailbox),
        awaiting: BTreeMap::new(),
        awaited_by: BTreeSet::new(),
    };
    // INVARIANT: whoever has a parent was born after it, so that every line of ancestors has an end.
    let has_parent = parent.is_none_or(|parent| state.process(parent).is_some());
    if !has_parent || !state.processes.insert((born.pid.index(), born.pid.generation()), process) {
        return;
    }
    state.names.entry(spec.name.clone()).or_default().insert(born.pid);
    if let Some(parent) = parent.and_then(|parent| state.process_mut(parent)) {
        parent.children.insert(born.pid);
    }
    for derivation in &born.capabilities {
        hand_out(state, derivation.capability, derivation.from, born.pid, derivation.grant.clone());
    }
}

pub(crate) fn hand_out(
    state: &mut State,
    id: CapabilityId,
    from: Option<CapabilityId>,
    to: Pid,
    grant: Grant,
) {
    // INVARIANT: a source was there before what is derived from it, so that derivations are trees.
    if from.is_some_and(|from| state.capability(from).is_none()) {
        return;
    }
    let row = Capability { owner: to, from, derived: BTreeSet::new(), grant, tickets: BTreeSet::new() };
    if !state.capabilities.insert((id.index(), id.generation()), row) {
        return;
    }
    if let Some(source) = from.and_then(|from| state.capability_mut(from)) {
        source.derived.insert(id);
    }
    // Both at once: the process is changed while what others hold is looked up.
    let (processes, capabilities) = (&mut state.processes, &state.capabilities);
    let given = |id: CapabilityId| {
        capabilities.get((id.index(), id.generation())).map(|row| Need::of(&row.grant.scope))
    };
    if let (Some(process), Some(need)) = (processes.get_mut((to.index(), to.generation())), given(id)) {
        process.capabilities.insert(id, need, given);
    }
}

pub(crate) fn closing(state: &mut State, pid: Pid, status: ExitStatus) {
    let now_us = state.now_us;
    let Some(process) = state.process_mut(pid) else { return };
    process.state = ProcessState::Closing;
    process.since_us = now_us;
    process.closing = Some(status);
    state.closing.insert(pid);
}

pub(crate) fn exited(state: &mut State, pid: Pid, status: ExitStatus) {
    state.closing.remove(&pid);
    let supervised = state.process(pid).is_some_and(|process| supervise::is_supervised(state, process));
    let left = supervised.then(|| left_over(state, pid));
    let now_us = state.now_us;
    let Some(process) = state.process_mut(pid) else { return };
    process.state = ProcessState::Exited { status };
    process.since_us = now_us;
    process.answers.clear();
    if let (Some(again), Some(left)) = (&mut process.again, left) {
        again.grants = left;
    }
    let parent = process.parent;
    let heads_group = process.group.is_some();
    let capabilities: Vec<CapabilityId> = process.capabilities.ids().to_vec();
    for capability in capabilities {
        revoke(state, capability);
    }
    if heads_group {
        for lane in state.lanes.values_mut() {
            lane.forget(pid);
        }
    }
    flow_back(state, pid);
    mailbox::close(state, pid);
    if supervised {
        fall(state, pid);
    } else {
        let ticket = state.process_mut(pid).and_then(|process| process.spawn_ticket.take());
        if let Some(ticket) = ticket {
            complete(state, ticket, Outcome::Ok, Cost::ZERO, Labels::BOTTOM, None);
        }
        // A child of root has nobody to be looked up by once it has exited; others stay until their parent
        // goes.
        if parent == state.root {
            reap(state, pid);
        }
    }
}

/// The grants that a process still holds, with what is left of their uses.
fn left_over(state: &State, pid: Pid) -> Vec<Grant> {
    let ids = state.process(pid).into_iter().flat_map(|process| process.capabilities.ids());
    ids.filter_map(|id| Some(state.capability(*id)?.grant.clone())).collect()
}

/// A supervised child has ended: unless that was part of a restart, its supervisor decides what becomes of it.
fn fall(state: &mut State, pid: Pid) {
    let parent = state.process(pid).and_then(|process| process.parent);
    let supervisor = parent.and_then(|parent| state.process(parent)?.supervises.as_ref());
    let expected = supervisor
        .is_some_and(|supervisor| supervisor.pending.iter().any(|pending| pending.members.contains(&pid)));
    if !expected {
        state.fallen.insert(pid);
    }
}

pub(crate) fn restarting(state: &mut State, keeper: Pid, members: &[Pid], at_us: u64) {
    let now_us = state.now_us;
    // INVARIANT: whoever is to be started again is a child of its supervisor, or nothing would end the wait.
    let is_child = |pid: &Pid| state.process(*pid).is_some_and(|member| member.parent == Some(keeper));
    let members: Vec<Pid> = members.iter().copied().filter(is_child).collect();
    for pid in &members {
        state.fallen.remove(pid);
    }
    let Some(supervisor) = state.process_mut(keeper).and_then(|keeper| keeper.supervises.as_mut()) else {
        return;
    };
    if members.is_empty() {
        return;
    }
    let since_us = now_us.saturating_sub(supervisor.spec.within_us);
    supervisor.log.retain(|at| *at >= since_us);
    supervisor.log.push(now_us);
    supervisor.pending.push(Pending { at_us, members });
    state.restarts.insert((at_us, keeper));
}

pub(crate) fn restarted(state: &mut State, pid: Pid, born: &Born) {
    let Some(old) = state.process_mut(pid) else { return };
    let (parent, ticket) = (old.parent, old.spawn_ticket.take());
    let Some(spec) = old.again.take() else { return };
    let kept = (old.rank, old.restarts.saturating_add(1), old.spent, old.labels, old.isolated);
    let (history, standing) = (std::mem::take(&mut old.history), std::mem::take(&mut old.standing));
    bear(state, born, parent, ticket, &spec);
    if let Some(new) = state.process_mut(born.pid) {
        (new.rank, new.restarts, new.spent, new.labels, new.isolated) = kept;
        new.history = history;
        new.standing = standing;
    }
    if let Some(ticket) = ticket.and_then(|ticket| state.ticket_mut(ticket)) {
        ticket.child = Some(born.pid);
    }
    leave_pending(state, pid);
    reap(state, pid);
}

pub(crate) fn given_up(state: &mut State, pid: Pid) {
    state.fallen.remove(&pid);
    leave_pending(state, pid);
    let ticket = state.process_mut(pid).and_then(|process| process.spawn_ticket.take());
    if let Some(ticket) = ticket {
        complete(state, ticket, Outcome::Ok, Cost::ZERO, Labels::BOTTOM, None);
    }
}

fn leave_pending(state: &mut State, pid: Pid) {
    let Some(keeper) = state.process(pid).and_then(|process| process.parent) else { return };
    let Some(supervisor) = state.process_mut(keeper).and_then(|keeper| keeper.supervises.as_mut()) else {
        return;
    };
    let mut over = Vec::new();
    for pending in &mut supervisor.pending {
        pending.members.retain(|member| *member != pid);
        if pending.members.is_empty() {
            over.push(pending.at_us);
        }
    }
    supervisor.pending.retain(|pending| !pending.members.is_empty());
    over.retain(|at_us| !supervisor.pending.iter().any(|pending| pending.at_us == *at_us));
    for at_us in over {
        state.restarts.remove(&(at_us, keeper));
    }
}

/// A parent reads what its child produced. The root is the person, who is told and decides.
fn flow_back(state: &mut State, pid: Pid) {
    let Some(process) = state.process(pid).filter(|process| !process.isolated) else { return };
    let (labels, history) = (process.labels, process.history.clone());
    let Some(parent) = process.parent.filter(|parent| Some(*parent) != state.root) else { return };
    if let Some(parent) = state.process_mut(parent) {
        parent.learn(labels, &history);
    }
}

fn reap(state: &mut State, pid: Pid) {
    let mut doomed = vec![pid];
    while let Some(next) = doomed.pop() {
        let Some(process) = state.processes.remove((next.index(), next.generation())) else { continue };
        doomed.extend(process.children.iter().copied());
        for (awaited, until_us) in process.awaiting {
            state.patience.remove(&(until_us, next, awaited));
        }
        if let Some(parent) = process.parent.and_then(|parent| state.process_mut(parent)) {
            parent.children.remove(&next);
        }
    }
}

pub(crate) fn revoke(state: &mut State, capability: CapabilityId) {
    let source = state.capability(capability).and_then(|row| row.from);
    if let Some(source) = source.and_then(|source| state.capability_mut(source)) {
        source.derived.remove(&capability);
    }
    let subtree = state.derivations(capability).into_iter();
    let mut gone: Vec<(CapabilityId, Capability)> = subtree
        .filter_map(|id| Some((id, state.capabilities.remove((id.index(), id.generation()))?)))
        .collect();
    // One pass over each holder, however much it loses.
    gone.sort_unstable_by_key(|(id, row)| (row.owner, *id));
    for lost in gone.chunk_by(|(_, one), (_, other)| one.owner == other.owner) {
        let Some(owner) = lost.first().and_then(|(_, row)| state.process_mut(row.owner)) else { continue };
        let lost: Vec<_> = lost.iter().map(|(id, row)| (*id, Need::of(&row.grant.scope))).collect();
        owner.capabilities.remove(&lost);
    }
}
