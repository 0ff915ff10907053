//! Waiting for another process: for a message, or for the end of a child.
//!
//! INVARIANT: every wait has a deadline, is known at both its ends (`awaiting`, `awaited_by`), and ends with
//! one entry: what was awaited came, or a refusal says why it does not.

use agentos_abi::{Awaited, Fact, Pid, Refusal, Reply, Stage, State as ProcessState};

use crate::apply::refresh;
use crate::decide::Decided;
use crate::mailbox;
use crate::process::Process;
use crate::request::{denied, refusal};
use crate::state::State;
use crate::wait_for::suspect;

/// How long a receive, and a send to a full mailbox, waits that names no deadline: ten minutes.
pub(crate) const MESSAGE_US: u64 = 600 * 1_000_000;
/// How long a wait for a child's end waits that names no deadline: a day.
const EXIT_US: u64 = 24 * 3600 * 1_000_000;

/// Decides a receive: the oldest message at once, or a wait for one.
pub(crate) fn receive(
    state: &State,
    now_us: u64,
    pid: Pid,
    from: Option<Pid>,
    deadline_us: Option<u64>,
) -> Decided {
    let Some(process) = state.process(pid).filter(|process| !process.is_ending()) else {
        return Decided::stale("process");
    };
    let message = process.mailbox.oldest(from).filter(|_| process.is_active());
    if let Some(message) = message {
        let fact = Fact::Received { pid, message: message.id, awaited: None };
        return Decided { reply: Reply::Received { message: message.clone() }, facts: vec![fact] };
    }
    if let Some(from) = from
        && process.mailbox.oldest(Some(from)).is_none()
        && state.process(from).is_none_or(Process::is_ending)
    {
        return Decided { reply: Reply::Refused { refusal: gone(state, from) }, facts: Vec::new() };
    }
    let until_us = deadline_us.unwrap_or(now_us.saturating_add(MESSAGE_US));
    wait(process, pid, Awaited::Message { from }, until_us)
}

/// Decides a wait for the end of a child: its status at once, or a wait for it.
pub(crate) fn exit(state: &State, now_us: u64, pid: Pid, child: Pid, deadline_us: Option<u64>) -> Decided {
    let Some(process) = state.process(pid).filter(|process| !process.is_ending()) else {
        return Decided::stale("process");
    };
    let Some(row) = state.process(child).filter(|row| row.parent == Some(pid)) else {
        let message = "it has no such child, or the status of that child's end is kept no longer".to_owned();
        return Decided::refused(Stage::Process, "child", message);
    };
    if let ProcessState::Exited { status } = row.state {
        return Decided { reply: Reply::Exited { status }, facts: Vec::new() };
    }
    let until_us = deadline_us.unwrap_or(now_us.saturating_add(EXIT_US));
    wait(process, pid, Awaited::Exit { child }, until_us)
}

fn wait(process: &Process, pid: Pid, awaited: Awaited, until_us: u64) -> Decided {
    if process.awaiting.contains_key(&awaited) {
        let message = format!("`{}` waits for that already", process.name);
        return Decided::refused(Stage::Process, "waits", message);
    }
    let fact = Fact::Awaiting { pid, awaited, until_us };
    Decided { reply: Reply::Waiting { until_us }, facts: vec![fact] }
}

pub(crate) fn forgo(state: &State, pid: Pid, awaited: Awaited) -> Decided {
    let waits = state.process(pid).is_some_and(|process| process.awaiting.contains_key(&awaited));
    let refusal = refusal(Stage::Process, "withdrawn", "it was withdrawn".to_owned());
    Decided::done(if waits { vec![Fact::Forgone { pid, awaited, refusal }] } else { Vec::new() })
}

/// The end of all waits: whoever waited is gone with the last daemon.
pub(crate) fn all_gone(state: &State) -> impl Iterator<Item = Fact> {
    state.patience.iter().map(|(_, pid, awaited)| {
        let refusal = refusal(Stage::Process, "withdrawn", "its daemon ended while it waited".to_owned());
        Fact::Forgone { pid: *pid, awaited: *awaited, refusal }
    })
}

fn gone(state: &State, from: Pid) -> Refusal {
    let name = state.process(from).map_or("that process", |process| process.name.as_str());
    refusal(Stage::Process, "exited", format!("`{name}` has exited, or is about to: it sends nothing more"))
}

/// The wait whose deadline has passed.
pub(crate) fn overdue(state: &State, now_us: u64) -> Option<Fact> {
    let (_, pid, awaited) = state.patience.first().filter(|(at, ..)| *at <= now_us)?;
    let message = format!("it waited until its deadline for {}", describe(state, *awaited));
    let refusal = refusal(Stage::Queue, "deadline", message);
    Some(Fact::Forgone { pid: *pid, awaited: *awaited, refusal })
}

/// One step that cuts the ties of a closing process: what it waits for, and who waits for it to act.
pub(crate) fn cut(state: &State, pid: Pid) -> Option<Fact> {
    let process = state.process(pid)?;
    if let Some(awaited) = process.awaiting.keys().next() {
        let refusal = refusal(Stage::Process, "closing", format!("`{}` is ending", process.name));
        return Some(Fact::Forgone { pid, awaited: *awaited, refusal });
    }
    let receiver = process.awaited_by.iter().find(|(_, awaited)| matches!(awaited, Awaited::Message { .. }));
    if let Some((waiter, awaited)) = receiver {
        return Some(Fact::Forgone { pid: *waiter, awaited: *awaited, refusal: gone(state, pid) });
    }
    let id = process.mailbox.senders.values().next()?;
    let message = format!("`{}` has exited, or is about to: nobody reads its mailbox", process.name);
    Some(denied(state.request(*id)?, *id, refusal(Stage::Process, "exited", message)))
}

/// Applies the beginning of a wait.
pub(crate) fn begin(state: &mut State, pid: Pid, awaited: Awaited, until_us: u64) {
    let Some(process) = state.process_mut(pid) else { return };
    if let Some(before) = process.awaiting.insert(awaited, until_us) {
        state.patience.remove(&(before, pid, awaited));
    }
    state.patience.insert((until_us, pid, awaited));
    if let Some(target) = awaited.on().and_then(|target| state.process_mut(target)) {
        target.awaited_by.insert((pid, awaited));
    }
    changed(state, pid);
}

/// Applies the end of a wait, however it ends.
pub(crate) fn end(state: &mut State, pid: Pid, awaited: Awaited) {
    let until_us = state.process_mut(pid).and_then(|process| process.awaiting.remove(&awaited));
    if let Some(until_us) = until_us {
        state.patience.remove(&(until_us, pid, awaited));
    }
    if let Some(on) = awaited.on() {
        if let Some(target) = state.process_mut(on) {
            target.awaited_by.remove(&(pid, awaited));
        }
        // It may have been about to send just that: now it waits for room like others.
        suspect(state, on);
    }
    changed(state, pid);
}

fn changed(state: &mut State, pid: Pid) {
    suspect(state, pid);
    mailbox::note(state, pid);
    refresh(state, pid);
}

/// What is awaited, in words.
pub(crate) fn describe(state: &State, awaited: Awaited) -> String {
    let name = |pid: Pid| state.process(pid).map_or("", |process| process.name.as_str()).to_owned();
    match awaited {
        Awaited::Message { from: None } => "a message".to_owned(),
        Awaited::Message { from: Some(from) } => format!("a message from `{}`", name(from)),
        Awaited::Exit { child } => format!("the end of `{}`", name(child)),
    }
}
