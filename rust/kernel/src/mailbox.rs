//! Mailboxes: one for each process, bounded, first in first out for each sender.
//!
//! INVARIANT: a message goes in with the entry that lets its sender go, and leaves for good with the entry
//! that it was received: never lost, never there twice. Its labels rise at the receiver on receipt.
//! `arrivals` and `deliverable` name exactly the mailboxes that have something for who waits, so what follows
//! is read off the state. A send waits at its receiver, never in a lane.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use agentos_abi::{Action, Awaited, Fact, MailboxSpec, Message, Pid, Refusal, RequestId, Stage, TicketId};

use crate::budget::{Verdict, outlook};
use crate::process::Process;
use crate::request::{admit, denied, over_budget, refusal};
use crate::send::receiver;
use crate::state::{State, Waiting};
use crate::wait;
use crate::wait_for::suspect;

/// A message, with how far its sender was in the history rules.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    message: Message,
    history: BTreeMap<String, u32>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    pub(crate) spec: MailboxSpec,
    messages: VecDeque<Kept>,
    bytes: u64,
    /// Requests that wait to send to it, by their turns.
    pub(crate) senders: BTreeMap<u64, RequestId>,
}

impl Mailbox {
    pub(crate) fn new(spec: MailboxSpec) -> Self {
        Self { spec, ..Self::default() }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.spec.messages as usize || self.bytes >= self.spec.bytes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().map(|kept| &kept.message)
    }

    /// The oldest message, or the oldest from one process.
    pub(crate) fn oldest(&self, from: Option<Pid>) -> Option<&Message> {
        self.iter().find(|message| from.is_none_or(|from| from == message.from))
    }
}

/// Whether a message from `sender` can go in now: there is room, or its receiver waits for just that.
fn takes(process: &Process, sender: Pid) -> bool {
    let mailbox = &process.mailbox;
    let waits = |from: Option<Pid>| {
        process.awaiting.contains_key(&Awaited::Message { from }) && mailbox.oldest(from).is_none()
    };
    !mailbox.is_full() || waits(Some(sender)) || waits(None)
}

/// Why a send has to wait, if it has to: nobody overtakes those that wait already.
pub(crate) fn hindrance(state: &State, sender: Pid, action: &Action) -> Option<Refusal> {
    let process = state.process(receiver(action)?)?;
    let free = process.mailbox.senders.is_empty() && takes(process, sender);
    let message = || format!("the mailbox of `{}` is full, or others wait to send to it", process.name);
    (!free).then(|| refusal(Stage::Queue, "mailbox", message()))
}

/// The owner of the mailbox that a waiting send waits for, unless there is room and something else hinders it.
pub(crate) fn blocked(state: &State, waiting: &Waiting) -> Option<Pid> {
    let owner = receiver(&waiting.action).filter(|_| waiting.question.is_none())?;
    (!takes(state.process(owner)?, waiting.pid)).then_some(owner)
}

/// The message that a process has and waits for, with the wait that it ends: the oldest, for who asked for
/// its very sender.
fn arrived(process: &Process) -> Option<(&Message, Awaited)> {
    if process.awaiting.is_empty() {
        return None;
    }
    process.mailbox.iter().find_map(|message| {
        let waits = [Some(message.from), None].map(|from| Awaited::Message { from });
        let awaited = waits.into_iter().find(|awaited| process.awaiting.contains_key(awaited))?;
        Some((message, awaited))
    })
}

/// What follows: messages to who waits for them, then sends to where there is room.
pub(crate) fn next(state: &State, now_us: u64) -> Option<Fact> {
    let arrival = state.arrivals.iter().find_map(|owner| {
        let (message, awaited) = arrived(state.process(*owner).filter(|process| process.is_active())?)?;
        Some(Fact::Received { pid: *owner, message: message.id, awaited: Some(awaited) })
    });
    arrival.or_else(|| state.deliverable.iter().find_map(|owner| admission(state, now_us, *owner)))
}

fn admission(state: &State, now_us: u64, owner: Pid) -> Option<Fact> {
    let process = state.process(owner)?;
    process.mailbox.senders.values().find_map(|id| {
        let waiting = state.request(*id)?;
        state.process(waiting.pid).filter(|sender| sender.is_active() && takes(process, waiting.pid))?;
        match outlook(state, waiting) {
            Verdict::Fits => admit(state, now_us, *id),
            Verdict::Later { .. } => None,
            Verdict::Never { of, amount } => Some(denied(waiting, *id, over_budget(state, of, amount, true))),
        }
    })
}

/// Takes a waiting send to the mailbox that it is for.
pub(crate) fn join(state: &mut State, owner: Pid, id: RequestId) {
    let Some((turn, sender)) = state.request(id).map(|waiting| (waiting.turn, waiting.pid)) else { return };
    if let Some(process) = state.process_mut(owner) {
        process.mailbox.senders.insert(turn, id);
    }
    suspect(state, sender);
    note(state, owner);
}

/// Takes a request out of the mailbox where it waits, if it does.
pub(crate) fn leave(state: &mut State, id: RequestId) {
    let found = state.request(id).and_then(|waiting| Some((receiver(&waiting.action)?, waiting.turn)));
    let Some((owner, turn)) = found else { return };
    if let Some(process) = state.process_mut(owner) {
        process.mailbox.senders.remove(&turn);
    }
    note(state, owner);
}

/// Puts the message of a send that went into its mailbox.
pub(crate) fn deliver(state: &mut State, id: TicketId, from: Pid, action: &Action) {
    let Action::Send { to: Some(owner), content, reply_to, .. } = action else { return };
    let Some(sender) = state.process(from) else { return };
    let message = Message {
        id,
        from,
        sender: sender.name.clone(),
        content: content.clone(),
        reply_to: *reply_to,
        labels: sender.labels,
    };
    let kept = Kept { message, history: sender.history.clone() };
    let Some(process) = state.process_mut(*owner) else { return };
    process.mailbox.bytes = process.mailbox.bytes.saturating_add(content.size());
    process.mailbox.messages.push_back(kept);
    // Whoever could have sent, and did not for some other reason, may now wait for room: then the owner waits
    // for them, or nothing has changed.
    suspect(state, *owner);
    note(state, *owner);
}

/// Takes a message out for good; its receiver now knows what its sender knew.
pub(crate) fn take(state: &mut State, pid: Pid, id: TicketId, awaited: Option<Awaited>) {
    if let Some(process) = state.process_mut(pid)
        && let Some(at) = process.mailbox.messages.iter().position(|kept| kept.message.id == id)
        && let Some(kept) = process.mailbox.messages.remove(at)
    {
        process.mailbox.bytes = process.mailbox.bytes.saturating_sub(kept.message.content.size());
        process.learn(kept.message.labels, &kept.history);
    }
    match awaited {
        Some(awaited) => wait::end(state, pid, awaited),
        None => {
            suspect(state, pid);
            note(state, pid);
        }
    }
}

/// Notes whether a mailbox has something for who waits: its owner, or who sends to it.
pub(crate) fn note(state: &mut State, owner: Pid) {
    let found = state.process(owner);
    let arrival = found.is_some_and(|process| arrived(process).is_some());
    let room = found.is_some_and(|process| {
        let senders = process.mailbox.senders.values().filter_map(|id| state.request(*id));
        (!process.mailbox.is_full() || !process.awaiting.is_empty())
            && senders.into_iter().any(|waiting| takes(process, waiting.pid))
    });
    set(&mut state.arrivals, owner, arrival);
    set(&mut state.deliverable, owner, room);
}

fn set(members: &mut BTreeSet<Pid>, member: Pid, is: bool) {
    if is {
        members.insert(member);
    } else {
        members.remove(&member);
    }
}

/// Takes the mailbox of a process that has exited away, with what nobody reads any more.
pub(crate) fn close(state: &mut State, pid: Pid) {
    let Some(process) = state.process_mut(pid) else { return };
    process.mailbox = Mailbox::default();
    let name = process.name.clone();
    if let Some(bearers) = state.names.get_mut(&name) {
        bearers.remove(&pid);
        if bearers.is_empty() {
            state.names.remove(&name);
        }
    }
    note(state, pid);
}

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
