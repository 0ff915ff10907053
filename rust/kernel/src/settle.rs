//! What follows of itself from a state: deadlines, the end of closing processes, and admissions.

use agentos_abi::{
    Action, CapabilityId, Decision, Event, ExitStatus, Fact, Pid, Refusal, Signal, Stage,
    State as ProcessState,
};

use crate::decide::{cancellations, lost};
use crate::mailbox;
use crate::process::Process;
use crate::queue::{self, Next};
use crate::request::{admit, denied, over_budget, refusal};
use crate::state::State;
use crate::supervise;
use crate::wait;
use crate::wait_for;

/// How long a performer has to stop after it was asked to; then its effect counts as lost.
pub(crate) const CLOSING_GRACE_US: u64 = 30_000_000;
/// How long a client's ticket waits for its holder to come back to a new daemon.
pub(crate) const CLIENT_GRACE_US: u64 = 10_000_000;

/// The next fact that follows from `state` at `now_us`, if any does.
pub(crate) fn next(state: &State, now_us: u64) -> Option<Fact> {
    expired(state, now_us)
        .or_else(|| overdue(state, now_us))
        .or_else(|| wait::overdue(state, now_us))
        .or_else(|| state.timers.due(now_us).map(|id| Fact::Due { id: id.to_owned() }))
        .or_else(|| closing(state))
        .or_else(|| supervise::next(state, now_us))
        .or_else(|| mailbox::next(state, now_us))
        .or_else(|| admission(state, now_us))
        .or_else(|| wait_for::deadlock(state))
}

fn expired(state: &State, now_us: u64) -> Option<Fact> {
    let (at, id) = state.expiries.first().filter(|(at, _)| *at <= now_us)?;
    let _ = at;
    let ticket = state.ticket(*id)?;
    Some(lost(state, *id, ticket))
}

fn overdue(state: &State, now_us: u64) -> Option<Fact> {
    let (_, id) = state.deadlines.first().filter(|(at, _)| *at <= now_us)?;
    let waiting = state.request(*id)?;
    let refusal = match &waiting.question {
        Some(question) => {
            let message = format!("nobody answered in time: {}", question.message);
            refusal(question.stage, &question.name, message)
        }
        None => refusal(Stage::Queue, "deadline", "its deadline passed while it waited".to_owned()),
    };
    Some(denied(waiting, *id, refusal))
}

/// One step towards the exit of a closing process: its waiting requests go, its tickets are cancelled, its
/// children are closed, and then it exits.
fn closing(state: &State) -> Option<Fact> {
    state.closing.iter().find_map(|pid| {
        let process = state.process(*pid)?;
        if let Some(request) = process.waiting.first() {
            return Some(Fact::Withdrawn { request: *request });
        }
        if let Some(fact) = wait::cut(state, *pid) {
            return Some(fact);
        }
        for ticket in &process.tickets {
            let row = state.ticket(*ticket)?;
            match row.child {
                Some(child) => {
                    if let Some(fact) = close_child(state, child) {
                        return Some(fact);
                    }
                }
                None if !row.cancelling => return Some(Fact::Cancelling { ticket: *ticket }),
                None => {}
            }
        }
        let status = process.closing?;
        if !process.tickets.is_empty() {
            return None;
        }
        let told = process.awaited_by.first().map(|(waiter, _)| *waiter);
        let last = match told {
            Some(waiter) => Fact::Waited { pid: waiter, child: *pid, status },
            None => Fact::Exited { pid: *pid, status },
        };
        Some(carried(state, process).unwrap_or(last))
    })
}

/// The end of what others do by capabilities that go with `process`: whoever revokes one cancels what it carries.
fn carried(state: &State, process: &Process) -> Option<Fact> {
    let handed_on = |id: &&CapabilityId| state.capability(**id).is_some_and(|row| !row.derived.is_empty());
    let gone = process.capabilities.ids().iter().filter(handed_on).flat_map(|id| state.derivations(*id));
    let tickets = gone.filter_map(|id| state.capability(id)).flat_map(|row| row.tickets.iter());
    tickets.flat_map(|ticket| cancellations(state, *ticket)).next()
}

fn close_child(state: &State, child: Pid) -> Option<Fact> {
    let open = state.process(child)?.is_active() || state.process(child)?.state == ProcessState::Suspended;
    open.then_some(Fact::Closing { pid: child, status: ExitStatus::Killed })
}

fn admission(state: &State, now_us: u64) -> Option<Fact> {
    match queue::next(state, now_us)? {
        Next::Admit(request) => admit(state, now_us, request),
        Next::Park(request, of) => Some(Fact::Parked { request, of }),
        Next::Promise(request, of) => Some(Fact::Promised { request, of }),
        Next::Refuse(request, of, amount) => {
            Some(denied(state.request(request)?, request, over_budget(state, of, amount, true)))
        }
    }
}

/// What a fact tells others, seen from the state just before it is applied.
pub(crate) fn event(state: &State, fact: &Fact) -> Option<Event> {
    match fact {
        Fact::Go { pid, request: Some(request), ticket, child, .. } => {
            let decision = Decision::Go { ticket: *ticket, child: child.as_ref().map(|born| born.pid) };
            Some(Event::Decided { pid: *pid, request: *request, decision })
        }
        Fact::Denied { pid, request: Some(request), stage, name, message, .. } => {
            let refusal = Refusal { stage: *stage, name: name.clone(), message: message.clone() };
            Some(Event::Decided { pid: *pid, request: *request, decision: Decision::Deny { refusal } })
        }
        Fact::Queued { request, pid, question: Some(question), .. } => {
            Some(Event::Asked { pid: *pid, request: *request, refusal: question.clone() })
        }
        Fact::Asked { request, question, .. } => {
            let pid = state.request(*request)?.pid;
            Some(Event::Asked { pid, request: *request, refusal: question.clone() })
        }
        Fact::Withdrawn { request } => {
            let waiting = state.request(*request)?;
            let refusal = refusal(Stage::Process, "withdrawn", "it was withdrawn".to_owned());
            let decision = Decision::Deny { refusal };
            Some(Event::Decided { pid: waiting.pid, request: *request, decision })
        }
        Fact::Cancelling { ticket } => {
            Some(Event::Cancel { pid: state.ticket(*ticket)?.pid, ticket: *ticket })
        }
        Fact::Signalled { pid, signal: Signal::Suspend } => Some(Event::Suspend { pid: *pid }),
        Fact::Signalled { pid, .. } => Some(Event::Resume { pid: *pid }),
        Fact::Closing { pid, .. } => Some(Event::State { pid: *pid, state: ProcessState::Closing }),
        Fact::Restarted { pid, born } => {
            let name = state.process(*pid)?.name.clone();
            Some(Event::Restarted { old: *pid, pid: born.pid, name })
        }
        Fact::Exited { pid, status } => {
            Some(Event::State { pid: *pid, state: ProcessState::Exited { status: *status } })
        }
        Fact::Received { pid, message, awaited: Some(awaited) } => {
            let message = state.process(*pid)?.mailbox.iter().find(|kept| kept.id == *message)?.clone();
            Some(Event::Received { pid: *pid, awaited: *awaited, message })
        }
        Fact::Waited { pid, child, status } => {
            Some(Event::Exited { pid: *pid, child: *child, status: *status })
        }
        Fact::Forgone { pid, awaited, refusal } => {
            Some(Event::Forgone { pid: *pid, awaited: *awaited, refusal: refusal.clone() })
        }
        Fact::Put { kind, id, .. } => Some(Event::Written { kind: kind.clone(), id: id.clone() }),
        Fact::Due { id } => Some(Event::Due { id: id.clone() }),
        Fact::Epoch { .. }
        | Fact::Awaiting { .. }
        | Fact::Received { .. }
        | Fact::Queued { .. }
        | Fact::Approved { .. }
        | Fact::Passed { .. }
        | Fact::Rules { .. }
        | Fact::Rule { .. }
        | Fact::Parked { .. }
        | Fact::Promised { .. }
        | Fact::Go { .. }
        | Fact::Denied { .. }
        | Fact::Progress { .. }
        | Fact::Extended { .. }
        | Fact::Orphaned { .. }
        | Fact::Completed { .. }
        | Fact::Restarting { .. }
        | Fact::GivenUp { .. }
        | Fact::Derived { .. }
        | Fact::Revoked { .. }
        | Fact::Lane { .. }
        | Fact::Pressure { .. }
        | Fact::Timer { .. } => None,
    }
}

/// The birth that a fact tells of, beside what it tells whoever asked for it.
pub(crate) fn born(fact: &Fact) -> Option<Event> {
    match fact {
        Fact::Go { pid, action: Action::Spawn { child: spec }, child: Some(born), .. } => {
            Some(Event::Spawned { pid: born.pid, parent: *pid, name: spec.name.clone() })
        }
        _ => None,
    }
}
