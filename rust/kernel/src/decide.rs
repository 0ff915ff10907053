//! One call, decided on the state as it is: a reply and the facts that make it true. Changes nothing.

use agentos_abi::{
    Action, Born, Call, CapabilityId, Cost, Decision, Derivation, ExitStatus, Fact, Grant, Labels, Outcome,
    Pattern, Pid, Rates, Reply, RequestId, Rule, Scope, Signal, Stage, State as ProcessState, TicketId,
    call::{RECORD_BYTES, TIMER_BYTES},
};

use crate::budget::{Verdict, verdict};
use crate::capability::meet_grants;
use crate::gate;
use crate::need::Need;
use crate::process::legal;
use crate::queue;
use crate::request::{self, NAME_BYTES, Request, denied, holds, over_budget, refusal};
use crate::send;
use crate::settle::CLIENT_GRACE_US;
use crate::size;
use crate::state::{State, Ticket};
use crate::wait;

/// A reply and the facts behind it.
pub(crate) struct Decided {
    pub(crate) reply: Reply,
    pub(crate) facts: Vec<Fact>,
}

impl Decided {
    pub(crate) fn done(facts: Vec<Fact>) -> Self {
        Self { reply: Reply::Done, facts }
    }

    pub(crate) fn refused(stage: Stage, name: &str, message: String) -> Self {
        Self { reply: Reply::Refused { refusal: refusal(stage, name, message) }, facts: Vec::new() }
    }

    pub(crate) fn stale(what: &str) -> Self {
        Self::refused(Stage::Ticket, "stale", format!("there is no such {what}"))
    }
}

pub(crate) fn decide(state: &State, now_us: u64, call: &Call) -> Decided {
    let decided = sentence(state, now_us, call);
    match decided.facts.iter().find_map(size::too_long) {
        None => decided,
        Some(refusal) => Decided {
            reply: match decided.reply {
                Reply::Decided { .. } => Reply::Decided { decision: Decision::Deny { refusal } },
                _ => Reply::Refused { refusal },
            },
            facts: Vec::new(),
        },
    }
}

fn sentence(state: &State, now_us: u64, call: &Call) -> Decided {
    match call {
        Call::Epoch => epoch(state, now_us),
        Call::Request {
            pid,
            key,
            action,
            estimate,
            parent,
            lane,
            recovery,
            deadline_us,
            priority,
            client,
            digest,
            unattended,
        } => {
            let (decision, fact) = request::decide(
                state,
                now_us,
                &Request {
                    pid: *pid,
                    key,
                    action,
                    estimate: send::charged(action, *estimate),
                    parent: *parent,
                    lane: lane.as_deref(),
                    recovery: *recovery,
                    deadline_us: *deadline_us,
                    priority: *priority,
                    client: *client,
                    digest: digest.as_deref(),
                    unattended: *unattended,
                },
            );
            Decided { reply: Reply::Decided { decision }, facts: fact.into_iter().collect() }
        }
        Call::Pass { pid, action } => match request::pass(state, now_us, *pid, action) {
            Ok(fact) => Decided::done(vec![fact]),
            Err(refusal) => Decided { reply: Reply::Refused { refusal }, facts: Vec::new() },
        },
        Call::Withdraw { request } => match state.request(*request) {
            Some(_) => Decided::done(vec![Fact::Withdrawn { request: *request }]),
            None => Decided::done(Vec::new()),
        },
        Call::Answer { request, approve, standing } => answer(state, now_us, *request, *approve, *standing),
        Call::Rules { rules, digest } => replace_rules(state, rules, digest),
        Call::Progress { ticket, cost } => progress(state, *ticket, *cost),
        Call::Extend { ticket, estimate } => extend(state, *ticket, *estimate),
        Call::Cancel { ticket } => match state.ticket(*ticket) {
            Some(_) => Decided::done(cancellations(state, *ticket)),
            None => missing(state, *ticket),
        },
        Call::Complete { ticket, outcome, cost, labels } => {
            complete(state, *ticket, *outcome, *cost, *labels)
        }
        Call::Exit { pid, status } => close(state, *pid, *status),
        Call::Signal { by, pid, signal } => signalled(state, now_us, *by, *pid, *signal),
        Call::Derive { pid, capability, to, grant } => derive(state, *pid, *capability, *to, grant),
        Call::Revoke { pid, capability } => revoke(state, *pid, *capability),
        Call::Lane { lane, capacity, rates } => set_lane(state, lane, *capacity, *rates),
        Call::Pressure { lane, retry_after_us } => match state.lanes.get(lane) {
            Some(known) => {
                let (places, until_us) = known.pressed(now_us, *retry_after_us);
                Decided::done(vec![Fact::Pressure { lane: lane.clone(), places, until_us }])
            }
            None => Decided::stale(&format!("lane as `{lane}`: set its capacity first")),
        },
        Call::Put { kind, id, body } => put(kind, id, body),
        Call::Receive { pid, from, deadline_us } => wait::receive(state, now_us, *pid, *from, *deadline_us),
        Call::Wait { pid, child, deadline_us } => wait::exit(state, now_us, *pid, *child, *deadline_us),
        Call::Forgo { pid, awaited } => wait::forgo(state, *pid, *awaited),
        Call::Timer { id, due_us } => timer(state, id, *due_us),
        // What time brings about is settled after every call.
        Call::Tick => Decided::done(Vec::new()),
    }
}

/// A new daemon: settles the tickets of the last one by their class, and gives clients time to return.
/// Spawn tickets stay: userland knows which processes go on.
fn epoch(state: &State, now_us: u64) -> Decided {
    let epoch = state.epoch.saturating_add(1);
    let mut facts = vec![Fact::Epoch { epoch, root: state.root.is_none().then(|| root(state)) }];
    facts.extend(state.requests.iter().map(|((index, generation), _)| Fact::Withdrawn {
        request: agentos_abi::RequestId::new(index, generation),
    }));
    facts.extend(wait::all_gone(state));
    for ((index, generation), ticket) in state.tickets.iter() {
        let id = TicketId::new(index, generation);
        match ticket.action {
            Action::Spawn { .. } => {}
            _ if ticket.client => {
                facts.push(Fact::Orphaned { ticket: id, until_us: now_us.saturating_add(CLIENT_GRACE_US) })
            }
            _ => facts.push(lost(state, id, ticket)),
        }
    }
    let reply = Reply::Epoch { epoch };
    Decided { reply, facts }
}

/// The end of an effect, with what it cost its group in its lane if that is not what was charged for it.
fn completed(
    state: &State,
    id: TicketId,
    ticket: &Ticket,
    outcome: Outcome,
    cost: Cost,
    labels: Labels,
) -> Fact {
    let charge = ticket.held.as_ref().and_then(|held| {
        Some(queue::charge(state, Some(&held.lane), &cost)).filter(|real| *real != held.charge)
    });
    Fact::Completed { ticket: id, outcome, cost, labels, charge }
}

/// The end of an effect of which nobody knows how it ended: charged money and tokens whole, time as reported.
pub(crate) fn lost(state: &State, id: TicketId, ticket: &Ticket) -> Fact {
    let cost = Cost { wall_us: ticket.progress.wall_us, ..ticket.reserved };
    completed(state, id, ticket, Outcome::Lost, cost, Labels::BOTTOM)
}

fn answer(state: &State, now_us: u64, id: RequestId, approve: bool, standing: bool) -> Decided {
    let asked = state.request(id).and_then(|waiting| Some((waiting, waiting.question.as_ref()?)));
    let Some((waiting, question)) = asked else { return Decided::stale("question") };
    if approve && let Some(gone) = send::unread(state, &waiting.action) {
        return Decided::done(vec![denied(waiting, id, gone)]);
    }
    if approve {
        let deadline_us = Some(now_us.saturating_add(queue::LONGEST_WAIT_US));
        let approved = Fact::Approved { request: id, standing, deadline_us };
        return Decided::done(vec![approved]);
    }
    let message = format!("a person said no: {}", question.message);
    let refusal = refusal(question.stage, &question.name, message);
    Decided::done(vec![denied(waiting, id, refusal)])
}

fn replace_rules(state: &State, rules: &[Rule], digest: &str) -> Decided {
    if let Some(refusal) = gate::mistake(rules) {
        return Decided { reply: Reply::Refused { refusal }, facts: Vec::new() };
    }
    if state.rules_digest == digest {
        return Decided::done(Vec::new());
    }
    let count = u32::try_from(rules.len()).unwrap_or(u32::MAX);
    let mut facts = vec![Fact::Rules { digest: digest.to_owned(), count }];
    facts.extend(rules.iter().map(|rule| {
        let bare = Rule { catches: Vec::new(), spares: Vec::new(), ..rule.clone() };
        Fact::Rule { rule: Box::new(bare) }
    }));
    Decided::done(facts)
}

fn root(state: &State) -> Born {
    let (index, generation) = state.processes.upcoming(0);
    let pid = Pid::new(index, generation);
    let (index, generation) = state.capabilities.upcoming(0);
    let grant = Grant::from(Scope::Everything);
    let capability = CapabilityId::new(index, generation);
    Born { pid, capabilities: vec![Derivation { capability, from: None, grant }] }
}

/// The answer for a ticket that is not open: a completed one was answered, an unknown one is an error.
fn missing(state: &State, ticket: TicketId) -> Decided {
    if state.tickets.is_spent((ticket.index(), ticket.generation())) {
        Decided::done(Vec::new())
    } else {
        Decided::stale("ticket")
    }
}

fn progress(state: &State, id: TicketId, cost: Cost) -> Decided {
    let Some(ticket) = state.ticket(id) else { return missing(state, id) };
    if cost.max(ticket.reserved) != ticket.reserved {
        let message = "more was used than is reserved: extend the reservation first".to_owned();
        return Decided::refused(Stage::Budget, "reservation", message);
    }
    Decided::done(vec![Fact::Progress { ticket: id, cost: cost.max(ticket.progress) }])
}

fn extend(state: &State, id: TicketId, estimate: Cost) -> Decided {
    let Some(ticket) = state.ticket(id) else { return missing(state, id) };
    if ticket.cancelling {
        return Decided::refused(Stage::Ticket, "cancelled", "its ticket is being cancelled".to_owned());
    }
    match verdict(state, ticket.pid, estimate) {
        Verdict::Fits => Decided::done(vec![Fact::Extended { ticket: id, estimate }]),
        // A stream cannot wait for others: short now is short.
        Verdict::Later { of, amount } | Verdict::Never { of, amount } => Decided {
            reply: Reply::Refused { refusal: over_budget(state, of, amount, true) },
            facts: Vec::new(),
        },
    }
}

fn complete(state: &State, id: TicketId, outcome: Outcome, cost: Cost, labels: Labels) -> Decided {
    match state.ticket(id) {
        None => missing(state, id),
        Some(ticket) if ticket.child.is_some() => {
            let message = "a spawn is completed by the exit of its process".to_owned();
            Decided::refused(Stage::Ticket, "spawn", message)
        }
        Some(ticket) => Decided::done(vec![completed(state, id, ticket, outcome, cost, labels)]),
    }
}

/// `Cancelling` for a ticket and for those opened on its behalf.
pub(crate) fn cancellations(state: &State, id: TicketId) -> Vec<Fact> {
    let mut family = vec![id];
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        let children = state.tickets.iter().filter(|(_, ticket)| ticket.parent == Some(parent));
        for ((index, generation), _) in children {
            // Whoever asks names the parent, at worst one that comes later: there may be rings.
            let child = TicketId::new(index, generation);
            if !family.contains(&child) {
                family.push(child);
            }
        }
        at += 1;
    }
    let open =
        |id: &TicketId| state.ticket(*id).is_some_and(|ticket| !ticket.cancelling && ticket.child.is_none());
    family.into_iter().filter(open).map(|ticket| Fact::Cancelling { ticket }).collect()
}

fn close(state: &State, pid: Pid, status: ExitStatus) -> Decided {
    let Some(process) = state.process(pid) else { return Decided::stale("process") };
    match process.state {
        ProcessState::Exited { .. } | ProcessState::Closing => Decided::done(Vec::new()),
        _ => Decided::done(vec![Fact::Closing { pid, status }]),
    }
}

fn signalled(state: &State, now_us: u64, by: Pid, pid: Pid, signal: Signal) -> Decided {
    let Some(process) = state.process(pid) else { return Decided::stale("process") };
    let named = Scope::Process { name: Pattern::Is(process.name.clone()) };
    if by == pid || !(state.lineage(pid).contains(&by) || holds(state, now_us, by, &named)) {
        let message = "a process is signalled by its ancestors, or with a capability for its name".to_owned();
        return Decided::refused(Stage::Process, "ancestor", message);
    }
    let target = match signal {
        Signal::Cancel => return close(state, pid, ExitStatus::Cancelled),
        Signal::Kill => return close(state, pid, ExitStatus::Killed),
        Signal::Suspend => ProcessState::Suspended,
        Signal::Resume => process.activity(),
    };
    let resumes_nothing = signal == Signal::Resume && process.state != ProcessState::Suspended;
    if resumes_nothing || !legal(process.state, target) {
        let message = format!("`{}` is {}; it cannot {}", process.name, word(process.state), verb(signal));
        return Decided::refused(Stage::Process, "transition", message);
    }
    Decided::done(vec![Fact::Signalled { pid, signal }])
}

fn word(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Created => "created",
        ProcessState::Ready => "ready",
        ProcessState::Running => "running",
        ProcessState::Waiting => "waiting",
        ProcessState::Suspended => "suspended",
        ProcessState::Closing => "closing",
        ProcessState::Exited { .. } => "exited",
    }
}

fn verb(signal: Signal) -> &'static str {
    match signal {
        Signal::Suspend => "be suspended",
        Signal::Resume => "be resumed",
        Signal::Cancel => "be cancelled",
        Signal::Kill => "be killed",
    }
}

fn derive(state: &State, pid: Pid, from: CapabilityId, to: Pid, grant: &Grant) -> Decided {
    let Some(source) = state.capability(from).filter(|capability| capability.owner == pid) else {
        return Decided::stale("capability");
    };
    if !state.process(to).is_some_and(|process| process.is_active()) {
        return Decided::stale("process");
    }
    if let Some(message) = Need::of(&grant.scope).malformed() {
        return Decided::refused(Stage::Capability, "malformed", message);
    }
    match meet_grants(&source.grant, grant) {
        Some(grant) => {
            let (index, generation) = state.capabilities.upcoming(0);
            let capability = CapabilityId::new(index, generation);
            let facts = vec![Fact::Derived { capability, from, to, grant }];
            Decided { reply: Reply::Capability { capability }, facts }
        }
        None => {
            Decided::refused(Stage::Capability, "meet", "the two grants have nothing in common".to_owned())
        }
    }
}

fn revoke(state: &State, pid: Pid, capability: CapabilityId) -> Decided {
    let Some(row) = state.capability(capability) else { return Decided::stale("capability") };
    let sources = std::iter::successors(row.from, |id| state.capability(*id)?.from);
    let mut givers = sources.filter_map(|id| state.capability(id)).map(|source| source.owner);
    if !(state.lineage(row.owner).contains(&pid) || givers.any(|giver| giver == pid)) {
        let message =
            "a capability is revoked by its holder, the holder's ancestors or who handed it on".to_owned();
        return Decided::refused(Stage::Capability, "owner", message);
    }
    let mut facts = vec![Fact::Revoked { capability }];
    let subtree = state.derivations(capability);
    let tickets = subtree.iter().filter_map(|id| state.capability(*id)).flat_map(|row| row.tickets.iter());
    for ticket in tickets {
        for fact in cancellations(state, *ticket) {
            if !facts.contains(&fact) {
                facts.push(fact);
            }
        }
    }
    Decided::done(facts)
}

fn set_lane(state: &State, lane: &str, capacity: u32, rates: Rates) -> Decided {
    let given = [rates.requests_per_minute, rates.tokens_per_minute, rates.usd_micros_per_minute];
    if given.contains(&Some(0)) {
        let message = format!(
            "a rate of lane `{lane}` is 0: leave it out for no limit, or close the lane with capacity 0"
        );
        return Decided::refused(Stage::Queue, lane, message);
    }
    if lane.is_empty() || lane.len() > NAME_BYTES {
        let message = format!("the name of a lane is 1 to {NAME_BYTES} bytes long");
        return Decided::refused(Stage::Queue, "name", message);
    }
    let same = state.lanes.get(lane).is_some_and(|known| known.is(capacity, &rates));
    let fact = Fact::Lane { lane: lane.to_owned(), capacity, rates };
    Decided::done(if same { Vec::new() } else { vec![fact] })
}

fn put(kind: &str, id: &str, body: &str) -> Decided {
    let bytes = kind.len() + id.len() + body.len();
    if bytes > RECORD_BYTES {
        let message = format!("record `{kind}/{id}` has {bytes} bytes; at most {RECORD_BYTES} fit an entry");
        return Decided::refused(Stage::Process, "record", message);
    }
    let fact = Fact::Put { kind: kind.to_owned(), id: id.to_owned(), body: body.to_owned() };
    Decided::done(vec![fact])
}

fn timer(state: &State, id: &str, due_us: Option<u64>) -> Decided {
    if id.len() > TIMER_BYTES {
        let message = format!("a timer's name has {} bytes; at most {TIMER_BYTES} fit an entry", id.len());
        return Decided::refused(Stage::Process, "timer", message);
    }
    let same = state.timers.due_us(id) == due_us;
    let fact = Fact::Timer { id: id.to_owned(), due_us };
    Decided::done(if same { Vec::new() } else { vec![fact] })
}
