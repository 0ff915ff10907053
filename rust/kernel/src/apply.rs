//! Turns one decided fact into state. Decides nothing: recovery runs this and nothing else.

use agentos_abi::{
    Action, Awaited, CapabilityId, ChildSpec, Cost, Entry, Fact, GroupSpec, Labels, Move, Outcome, Pid,
    Refusal, RequestId, Signal, State as ProcessState, TicketId,
};

use crate::budget;
use crate::label;
use crate::life::{bear, closing, exited, given_up, hand_out, restarted, restarting, revoke};
use crate::mailbox;
use crate::place;
use crate::process::{Answer, Process};
use crate::queue::{self, Stand, UNLIMITED};
use crate::send;
use crate::settle::CLOSING_GRACE_US;
use crate::state::{Held, State, Ticket, Waiting};
use crate::wait;
use crate::wait_for::{self, suspect};

pub(crate) fn apply(state: &mut State, entry: &Entry) {
    take_in(state, entry);
    wait_for::keep_stuck(state);
}

fn take_in(state: &mut State, entry: &Entry) {
    state.now_us = state.now_us.max(entry.at_us);
    match &entry.fact {
        Fact::Epoch { epoch, root } => {
            state.epoch = *epoch;
            if let Some(born) = root {
                let spec = ChildSpec {
                    name: "root".to_owned(),
                    group: Some(GroupSpec { weight: 1, concurrency: 0 }),
                    ..ChildSpec::default()
                };
                bear(state, born, None, None, &spec);
                state.root = Some(born.pid);
            }
        }
        Fact::Queued { .. } => queued(state, &entry.fact),
        Fact::Go { .. } => go(state, &entry.fact),
        Fact::Passed { pid, action, by, moves } => passed(state, *pid, action, by, moves),
        Fact::Denied { pid, key, request, stage, name, message, .. } => {
            if let Some(request) = request {
                dequeue(state, *request);
            }
            let refusal = Refusal { stage: *stage, name: name.clone(), message: message.clone() };
            answer(state, *pid, key, Answer::Denied(refusal));
        }
        Fact::Parked { request, of } => queue::park(state, *request, *of),
        Fact::Promised { request, of } => queue::promise(state, *request, *of),
        Fact::Withdrawn { request } => {
            if let Some(waiting) = dequeue(state, *request)
                && let Some(process) = state.process_mut(waiting.pid)
            {
                process.answers.remove(&waiting.key);
            }
        }
        Fact::Progress { ticket, cost } => {
            if let Some(ticket) = state.ticket_mut(*ticket) {
                ticket.progress = *cost;
            }
        }
        Fact::Extended { ticket, estimate } => extended(state, *ticket, *estimate),
        Fact::Cancelling { ticket } => {
            let until_us = state.now_us.saturating_add(CLOSING_GRACE_US);
            if let Some(row) = state.ticket_mut(*ticket) {
                row.cancelling = true;
            }
            expire(state, *ticket, until_us);
        }
        Fact::Orphaned { ticket, until_us } => expire(state, *ticket, *until_us),
        Fact::Completed { ticket, outcome, cost, labels, charge } => {
            complete(state, *ticket, *outcome, *cost, *labels, *charge);
        }
        Fact::Asked { request, question, deadline_us } => asked(state, *request, question, *deadline_us),
        Fact::Approved { request, standing, deadline_us } => {
            approved(state, *request, *standing, *deadline_us);
        }
        Fact::Rules { digest, .. } => {
            state.rules.clear();
            state.rules_digest = digest.clone();
        }
        Fact::Rule { rule } => state.rules.push((**rule).clone()),
        Fact::Signalled { pid, signal } => signalled(state, *pid, *signal),
        Fact::Closing { pid, status } => closing(state, *pid, *status),
        Fact::Exited { pid, status } => exited(state, *pid, *status),
        Fact::Restarting { supervisor, members, due_us } => restarting(state, *supervisor, members, *due_us),
        Fact::Restarted { pid, born } => restarted(state, *pid, born),
        Fact::GivenUp { pid } => given_up(state, *pid),
        Fact::Derived { capability, from, to, grant } => {
            hand_out(state, *capability, Some(*from), *to, grant.clone());
        }
        Fact::Revoked { capability } => revoke(state, *capability),
        Fact::Lane { lane, capacity, rates } => {
            state.lanes.entry(lane.clone()).or_default().set(entry.at_us, *capacity, rates);
            queue::rouse(state, lane);
        }
        Fact::Pressure { lane, places, until_us } => {
            state.lanes.entry(lane.clone()).or_default().press(*places, *until_us);
            queue::rouse(state, lane);
        }
        Fact::Put { kind, id, body } => {
            state.records.entry(kind.clone()).or_default().insert(id.clone(), body.clone());
        }
        Fact::Awaiting { pid, awaited, until_us } => wait::begin(state, *pid, *awaited, *until_us),
        Fact::Received { pid, message, awaited } => mailbox::take(state, *pid, *message, *awaited),
        Fact::Waited { pid, child, .. } => wait::end(state, *pid, Awaited::Exit { child: *child }),
        Fact::Forgone { pid, awaited, .. } => wait::end(state, *pid, *awaited),
        Fact::Timer { id, due_us } => state.timers.set(id, *due_us),
        Fact::Due { id } => state.timers.set(id, None),
    }
}

fn queued(state: &mut State, fact: &Fact) {
    let Fact::Queued {
        request,
        pid,
        key,
        action,
        estimate,
        parent,
        lane,
        recovery,
        deadline_us,
        client,
        digest,
        question,
        unattended,
        priority,
        order_us,
        parked,
    } = fact
    else {
        return;
    };
    let group = state.group_of(*pid);
    let turn = state.turn;
    state.turn = state.turn.saturating_add(1);
    let waiting = Waiting {
        pid: *pid,
        key: key.clone(),
        action: action.clone(),
        estimate: *estimate,
        parent: *parent,
        lane: lane.clone(),
        recovery: *recovery,
        deadline_us: *deadline_us,
        client: *client,
        digest: digest.clone(),
        unattended: *unattended,
        question: question.clone(),
        approved: None,
        priority: *priority,
        group,
        turn,
        order_us: *order_us,
        stand: Stand::Aside,
        promised: None,
    };
    if !state.requests.insert((request.index(), request.generation()), waiting) {
        return;
    }
    if question.is_some() {
        state.questions.insert(*request);
    } else if let Some(of) = parked {
        queue::park(state, *request, *of);
    } else {
        line_up(state, *request);
    }
    if let Some(at) = deadline_us {
        state.deadlines.insert((*at, *request));
    }
    if let Some(process) = state.process_mut(*pid) {
        process.waiting.insert(*request);
    }
    suspect(state, *pid);
    answer(state, *pid, key, Answer::Waiting(*request));
}

/// Counts one use of what carried something, and of all that this was derived from. INVARIANT: what is used up
/// leaves nothing to what was derived from it, so whether a capability is live is read off itself.
fn use_up(state: &mut State, by: &[CapabilityId]) {
    for id in state.counted(by) {
        let Some(row) = state.capability_mut(id) else { continue };
        row.grant.uses = row.grant.uses.map(|uses| uses.saturating_sub(1));
        if row.grant.uses != Some(0) {
            continue;
        }
        for below in state.derivations(id) {
            if let Some(row) = state.capability_mut(below) {
                row.grant.uses = Some(0);
            }
        }
    }
}

fn passed(state: &mut State, pid: Pid, action: &Action, by: &[CapabilityId], moves: &[Move]) {
    use_up(state, by);
    if let Some(process) = state.process_mut(pid) {
        process.labels = label::after(process.labels, action);
        process.history.extend(moves.iter().map(|step| (step.rule.clone(), step.met)));
    }
}

/// Takes a request to where it waits, unless a person is asked about it: a send to its receiver's mailbox,
/// another, unless its process is suspended, to the queue of its lane.
fn line_up(state: &mut State, id: RequestId) {
    let Some(waiting) = state.request(id).filter(|waiting| waiting.question.is_none()) else { return };
    if let Some(owner) = send::receiver(&waiting.action) {
        mailbox::join(state, owner, id);
    } else if state.process(waiting.pid).is_some_and(Process::is_active) {
        queue::join(state, id);
    }
}

/// Takes a request out of wherever it waits, and off the list of questions.
fn step_out(state: &mut State, id: RequestId) {
    state.questions.remove(&id);
    queue::leave(state, id);
    mailbox::leave(state, id);
    if let Some(at) = state.request(id).and_then(|waiting| waiting.deadline_us) {
        state.deadlines.remove(&(at, id));
    }
}

fn asked(state: &mut State, id: RequestId, question: &Refusal, deadline_us: u64) {
    step_out(state, id);
    let Some(waiting) = state.request_mut(id) else { return };
    waiting.question = Some(question.clone());
    waiting.deadline_us = Some(deadline_us);
    state.questions.insert(id);
    state.deadlines.insert((deadline_us, id));
}

fn approved(state: &mut State, id: RequestId, standing: bool, deadline_us: Option<u64>) {
    state.questions.remove(&id);
    let Some(waiting) = state.request_mut(id) else { return };
    let Some(question) = waiting.question.take() else { return };
    waiting.approved = Some(question.name.clone());
    let answered = (question.name, waiting.action.clone(), waiting.digest.clone());
    let (pid, before) = (waiting.pid, std::mem::replace(&mut waiting.deadline_us, deadline_us));
    if let Some(at) = before {
        state.deadlines.remove(&(at, id));
    }
    if let Some(at) = deadline_us {
        state.deadlines.insert((at, id));
    }
    if standing && let Some(process) = state.process_mut(pid) {
        process.standing.push(answered);
    }
    line_up(state, id);
}

fn go(state: &mut State, fact: &Fact) {
    let Fact::Go {
        ticket,
        request,
        pid,
        key,
        action,
        estimate,
        parent,
        lane,
        recovery,
        client,
        charge,
        by,
        child,
        moves,
    } = fact
    else {
        return;
    };
    if let Some(request) = request {
        dequeue(state, *request);
    }
    let held = lane.as_ref().filter(|lane| lane.as_str() != UNLIMITED).map(|lane| Held {
        lane: lane.clone(),
        group: state.group_of(*pid),
        charge: *charge,
        estimate: *estimate,
    });
    if let Some(held) = &held {
        place::admit(state, held);
    }
    for id in by {
        if let Some(row) = state.capability_mut(*id) {
            row.tickets.insert(*ticket);
        }
    }
    use_up(state, by);
    let row = Ticket {
        pid: *pid,
        key: key.clone(),
        action: action.clone(),
        reserved: *estimate,
        progress: Cost::ZERO,
        parent: *parent,
        held,
        recovery: *recovery,
        client: *client,
        cancelling: false,
        expires_us: None,
        by: by.clone(),
        child: child.as_ref().map(|born| born.pid),
    };
    if !state.tickets.insert((ticket.index(), ticket.generation()), row) {
        return;
    }
    budget::reserve(state, *pid, *estimate);
    if let Some(process) = state.process_mut(*pid) {
        process.tickets.insert(*ticket);
        process.spawns += usize::from(child.is_some());
        process.labels = label::after(process.labels, action);
        process.history.extend(moves.iter().map(|step| (step.rule.clone(), step.met)));
    }
    if let (Action::Spawn { child: spec }, Some(born)) = (action, child) {
        bear(state, born, Some(*pid), Some(*ticket), spec);
    }
    if send::receiver(action).is_some() {
        mailbox::deliver(state, *ticket, *pid, action);
        complete(state, *ticket, Outcome::Ok, *estimate, Labels::BOTTOM, None);
    }
    answer(state, *pid, key, Answer::Went(*ticket, child.as_ref().map(|born| born.pid)));
}

fn extended(state: &mut State, id: TicketId, estimate: Cost) {
    let Some(ticket) = state.ticket_mut(id) else { return };
    ticket.reserved = ticket.reserved.plus(estimate);
    let pid = ticket.pid;
    budget::reserve(state, pid, estimate);
}

fn expire(state: &mut State, id: TicketId, until_us: u64) {
    let Some(ticket) = state.ticket_mut(id) else { return };
    let before = ticket.expires_us.replace(until_us);
    if let Some(before) = before {
        state.expiries.remove(&(before, id));
    }
    state.expiries.insert((until_us, id));
}

pub(crate) fn complete(
    state: &mut State,
    id: TicketId,
    outcome: Outcome,
    cost: Cost,
    labels: Labels,
    charge: Option<u64>,
) {
    let Some(ticket) = state.tickets.remove((id.index(), id.generation())) else { return };
    if let Some(at) = ticket.expires_us {
        state.expiries.remove(&(at, id));
    }
    if let Some(held) = &ticket.held {
        place::end(state, held, outcome, &cost, charge);
    }
    for capability in &ticket.by {
        if let Some(row) = state.capability_mut(*capability) {
            row.tickets.remove(&id);
        }
    }
    budget::charge(state, ticket.pid, ticket.reserved, cost);
    if let Some(process) = state.process_mut(ticket.pid) {
        process.tickets.remove(&id);
        process.spawns = process.spawns.saturating_sub(usize::from(ticket.child.is_some()));
        process.labels = process.labels.join(labels);
    }
    refresh(state, ticket.pid);
    suspect(state, ticket.pid);
}

fn signalled(state: &mut State, pid: Pid, signal: Signal) {
    let now_us = state.now_us;
    let Some(process) = state.process_mut(pid) else { return };
    process.since_us = now_us;
    process.state = match signal {
        Signal::Suspend => ProcessState::Suspended,
        Signal::Resume => process.activity(),
        // These close the process: another fact.
        Signal::Cancel | Signal::Kill => process.state,
    };
    for request in process.waiting.clone() {
        match signal {
            Signal::Suspend => queue::leave(state, request),
            Signal::Resume => line_up(state, request),
            Signal::Cancel | Signal::Kill => {}
        }
    }
}

/// Takes a request out of its queue and returns it.
fn dequeue(state: &mut State, id: RequestId) -> Option<Waiting> {
    step_out(state, id);
    let waiting = state.requests.remove((id.index(), id.generation()))?;
    if let Some(process) = state.process_mut(waiting.pid) {
        process.waiting.remove(&id);
    }
    refresh(state, waiting.pid);
    suspect(state, waiting.pid);
    Some(waiting)
}

/// Remembers the answer to a request, and what it makes of its process.
fn answer(state: &mut State, pid: Pid, key: &str, answer: Answer) {
    if let Some(process) = state.process_mut(pid) {
        process.answers.insert(key.to_owned(), answer);
    }
    refresh(state, pid);
}

/// Moves an active process between ready, running and waiting.
pub(crate) fn refresh(state: &mut State, pid: Pid) {
    let now_us = state.now_us;
    let Some(process) = state.process_mut(pid) else { return };
    let next = process.activity();
    if process.is_active() && process.state != next {
        process.state = next;
        process.since_us = now_us;
    }
}
