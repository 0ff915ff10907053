//! Turns one decided fact into state. Decides nothing: recovery runs this and nothing else.

use agentos_abi::{
    Action, CapabilityId, ChildSpec, Cost, Entry, Fact, GroupSpec, Labels, Move, Pid, Refusal, RequestId,
    Signal, State as ProcessState, TicketId,
};

use crate::budget::{charge, reserve};
use crate::label;
use crate::life::{bear, closing, exited, given_up, hand_out, restarted, restarting, revoke};
use crate::process::Answer;
use crate::queue::UNLIMITED;
use crate::settle::CLOSING_GRACE_US;
use crate::state::{State, Ticket, Waiting};

pub(crate) fn apply(state: &mut State, entry: &Entry) {
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
        Fact::Completed { ticket, cost, labels, .. } => complete(state, *ticket, *cost, *labels),
        Fact::Asked { request, question, deadline_us } => asked(state, *request, question, *deadline_us),
        Fact::Approved { request, standing } => approved(state, *request, *standing),
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
        Fact::Lane { lane, capacity } => {
            state.lanes.entry(lane.clone()).or_default().capacity = *capacity;
            state.stirred = true;
        }
        Fact::Put { kind, id, body } => {
            state.records.entry(kind.clone()).or_default().insert(id.clone(), body.clone());
        }
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
        group,
        turn,
    };
    if !state.requests.insert((request.index(), request.generation()), waiting) {
        return;
    }
    if question.is_some() {
        state.questions.insert(*request);
    } else {
        line_up(state, *request);
    }
    if let Some(at) = deadline_us {
        state.deadlines.insert((*at, *request));
    }
    if let Some(process) = state.process_mut(*pid) {
        process.waiting.insert(*request);
    }
    answer(state, *pid, key, Answer::Waiting(*request));
    state.stirred = true;
}

fn passed(state: &mut State, pid: Pid, action: &Action, by: &[CapabilityId], moves: &[Move]) {
    for id in by {
        if let Some(row) = state.capability_mut(*id) {
            row.grant.uses = row.grant.uses.map(|uses| uses.saturating_sub(1));
        }
    }
    if let Some(process) = state.process_mut(pid) {
        process.labels = label::after(process.labels, action);
        process.history.extend(moves.iter().map(|step| (step.rule.clone(), step.met)));
    }
}

/// Puts a request into the queue of its lane.
fn line_up(state: &mut State, id: RequestId) {
    let Some(waiting) = state.request(id) else { return };
    let lane = waiting.lane.as_deref().unwrap_or(UNLIMITED).to_owned();
    let (group, turn) = (waiting.group, waiting.turn);
    state.lanes.entry(lane).or_default().join(group, turn, id);
}

/// Takes a request out of the queue of its lane, or off the list of questions.
fn step_out(state: &mut State, id: RequestId) {
    state.questions.remove(&id);
    let Some(waiting) = state.request(id) else { return };
    let (group, turn, deadline) = (waiting.group, waiting.turn, waiting.deadline_us);
    let lane = waiting.lane.as_deref().unwrap_or(UNLIMITED).to_owned();
    if let Some(lane) = state.lanes.get_mut(&lane) {
        lane.leave(group, turn);
    }
    if let Some(at) = deadline {
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
    state.stirred = true;
}

fn approved(state: &mut State, id: RequestId, standing: bool) {
    state.questions.remove(&id);
    let Some(waiting) = state.request_mut(id) else { return };
    let Some(question) = waiting.question.take() else { return };
    waiting.approved = Some(question.name.clone());
    let answered = (question.name, waiting.action.clone(), waiting.digest.clone());
    let (pid, deadline) = (waiting.pid, waiting.deadline_us.take());
    if let Some(at) = deadline {
        state.deadlines.remove(&(at, id));
    }
    if standing && let Some(process) = state.process_mut(pid) {
        process.standing.push(answered);
    }
    line_up(state, id);
    state.stirred = true;
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
    let group = state.group_of(*pid);
    let weight =
        state.process(group).and_then(|head| head.group.as_ref()).map_or(1, |group| group.spec.weight);
    let place = lane.as_ref().filter(|lane| lane.as_str() != UNLIMITED).map(|lane| (lane.clone(), group));
    if let Some((lane, group)) = &place {
        state.lanes.entry(lane.clone()).or_default().admit(*group, weight);
        if let Some(group) = state.process_mut(*group).and_then(|head| head.group.as_mut()) {
            group.running = group.running.saturating_add(1);
        }
    }
    for id in by {
        if let Some(row) = state.capability_mut(*id) {
            row.grant.uses = row.grant.uses.map(|uses| uses.saturating_sub(1));
            row.tickets.insert(*ticket);
        }
    }
    let row = Ticket {
        pid: *pid,
        key: key.clone(),
        action: action.clone(),
        reserved: *estimate,
        progress: Cost::ZERO,
        parent: *parent,
        place,
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
    reserve(state, *pid, *estimate);
    if let Some(process) = state.process_mut(*pid) {
        process.tickets.insert(*ticket);
        process.labels = label::after(process.labels, action);
        process.history.extend(moves.iter().map(|step| (step.rule.clone(), step.met)));
    }
    if let (Action::Spawn { child: spec }, Some(born)) = (action, child) {
        bear(state, born, Some(*pid), Some(*ticket), spec);
    }
    answer(state, *pid, key, Answer::Went(*ticket, child.as_ref().map(|born| born.pid)));
}

fn extended(state: &mut State, id: TicketId, estimate: Cost) {
    let Some(ticket) = state.ticket_mut(id) else { return };
    ticket.reserved = ticket.reserved.plus(estimate);
    let pid = ticket.pid;
    reserve(state, pid, estimate);
}

fn expire(state: &mut State, id: TicketId, until_us: u64) {
    let Some(ticket) = state.ticket_mut(id) else { return };
    let before = ticket.expires_us.replace(until_us);
    if let Some(before) = before {
        state.expiries.remove(&(before, id));
    }
    state.expiries.insert((until_us, id));
}

pub(crate) fn complete(state: &mut State, id: TicketId, cost: Cost, labels: Labels) {
    let Some(ticket) = state.tickets.remove((id.index(), id.generation())) else { return };
    if let Some(at) = ticket.expires_us {
        state.expiries.remove(&(at, id));
    }
    if let Some((lane, group)) = &ticket.place {
        if let Some(lane) = state.lanes.get_mut(lane) {
            lane.release();
        }
        if let Some(group) = state.process_mut(*group).and_then(|head| head.group.as_mut()) {
            group.running = group.running.saturating_sub(1);
        }
    }
    for capability in &ticket.by {
        if let Some(row) = state.capability_mut(*capability) {
            row.tickets.remove(&id);
        }
    }
    charge(state, ticket.pid, ticket.reserved, cost);
    if let Some(process) = state.process_mut(ticket.pid) {
        process.tickets.remove(&id);
        process.labels = process.labels.join(labels);
    }
    refresh(state, ticket.pid);
    state.stirred = true;
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
    state.stirred = true;
}

/// Takes a request out of its queue and returns it.
fn dequeue(state: &mut State, id: RequestId) -> Option<Waiting> {
    step_out(state, id);
    let waiting = state.requests.remove((id.index(), id.generation()))?;
    if let Some(process) = state.process_mut(waiting.pid) {
        process.waiting.remove(&id);
    }
    refresh(state, waiting.pid);
    state.stirred = true;
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
fn refresh(state: &mut State, pid: Pid) {
    let now_us = state.now_us;
    let Some(process) = state.process_mut(pid) else { return };
    let next = process.activity();
    if process.is_active() && process.state != next {
        process.state = next;
        process.since_us = now_us;
    }
}
