//! The decision pipeline: process → capability → label → rule → budget → queue. The strictest answer decides
//! (`Deny < Ask < Wait < Go`), and says which capability, label, rule, budget or lane it was.

use agentos_abi::{
    Action, CapabilityId, ChildSpec, Cost, Decision, Effect, Fact, Grant, Pid, Priority, Recovery, Refusal,
    RequestId, Scope, Stage, TicketId,
};

use crate::budget::{Verdict, outlook, verdict};
use crate::gate;
use crate::inherit::born;
use crate::label;
use crate::mailbox;
use crate::need::Need;
use crate::process::Answer;
use crate::queue::{self, AGE_STEP_US, LONGEST_WAIT_US, Stand, UNLIMITED};
use crate::send;
use crate::size::{shown, too_long};
use crate::state::{State, Waiting};
use crate::view::describe_amount;
use crate::wait::MESSAGE_US;

/// Longest key and name, so that an entry stays under 4 KiB.
pub(crate) const NAME_BYTES: usize = 128;
/// Most bytes of scopes in one action, likewise.
const SCOPE_BYTES: usize = 1_600;

/// How long a question waits for a person; then it is answered with no.
const ANSWER_US: u64 = 24 * 3600 * 1_000_000;

/// A request as it arrived.
pub(crate) struct Request<'a> {
    pub(crate) pid: Pid,
    pub(crate) key: &'a str,
    pub(crate) action: &'a Action,
    pub(crate) estimate: Cost,
    pub(crate) parent: Option<TicketId>,
    pub(crate) lane: Option<&'a str>,
    pub(crate) recovery: Recovery,
    pub(crate) deadline_us: Option<u64>,
    pub(crate) priority: Priority,
    pub(crate) client: bool,
    pub(crate) digest: Option<&'a str>,
    pub(crate) unattended: bool,
}

/// Decides `request` on `state`: the decision, and the fact that makes it true (none for a repeat).
pub(crate) fn decide(state: &State, now_us: u64, request: &Request<'_>) -> (Decision, Option<Fact>) {
    let Some(process) = state.process(request.pid) else {
        let refusal = refusal(Stage::Process, "unknown", "no such process".to_owned());
        return (Decision::Deny { refusal }, None);
    };
    if let Some(answer) = process.answers.get(request.key) {
        return (repeat(state, now_us, answer), None);
    }
    let by = match admission(state, now_us, request) {
        Ok(by) => by,
        Err(refusal) => return deny(request, refusal),
    };
    let action = match send::addressed(state, request.pid, request.action) {
        Ok(action) => action,
        Err(refusal) => return deny(request, refusal),
    };
    let mut waiting = Waiting {
        pid: request.pid,
        key: request.key.to_owned(),
        action,
        estimate: request.estimate,
        parent: request.parent,
        lane: request.lane.map(str::to_owned),
        recovery: request.recovery,
        deadline_us: request.deadline_us,
        client: request.client,
        digest: request.digest.map(str::to_owned),
        unattended: request.unattended,
        question: None,
        approved: None,
        priority: request.priority,
        group: state.group_of(request.pid),
        turn: state.turn,
        order_us: order_us(now_us, request.priority),
        stand: Stand::Aside,
        promised: None,
    };
    match gated(state, &waiting) {
        Gated::Denied(refusal) => deny(request, refusal),
        Gated::Asks(question) => {
            waiting.deadline_us = Some(asking_until(now_us, waiting.deadline_us));
            waiting.question = Some(question.clone());
            queue(state, now_us, waiting, question)
        }
        Gated::Free => match hindrance(state, now_us, &waiting) {
            None => go(state, now_us, &waiting, None, by),
            Some(refusal) => {
                let patience = send::receiver(&waiting.action).map(|_| now_us.saturating_add(MESSAGE_US));
                waiting.deadline_us = waiting.deadline_us.or(patience);
                queue(state, now_us, waiting, refusal)
            }
        },
    }
}

/// The ticket for a request that has waited, if its capabilities still carry it.
pub(crate) fn admit(state: &State, now_us: u64, id: RequestId) -> Option<Fact> {
    let waiting = state.request(id)?;
    let by = match carried(state, now_us, waiting.pid, &waiting.action) {
        Ok(by) => by,
        Err(refusal) => return Some(denied(waiting, id, refusal)),
    };
    // Labels and rules may have changed while it waited.
    match gated(state, waiting) {
        Gated::Denied(refusal) => Some(denied(waiting, id, refusal)),
        Gated::Asks(question) => {
            Some(Fact::Asked { request: id, question, deadline_us: asking_until(now_us, None) })
        }
        Gated::Free => match go(state, now_us, waiting, Some(id), by) {
            (_, Some(fact)) => Some(match too_long(&fact) {
                Some(refusal) => denied(waiting, id, refusal),
                None => fact,
            }),
            (Decision::Deny { refusal }, None) => Some(denied(waiting, id, refusal)),
            (_, None) => None,
        },
    }
}

/// The fact that a pure effect passes. A denial of one leaves no entry: nothing was asked for that could be
/// asked for again under the same key.
pub(crate) fn pass(state: &State, now_us: u64, pid: Pid, action: &Action) -> Result<Fact, Refusal> {
    let Some(process) = state.process(pid) else {
        return Err(refusal(Stage::Process, "unknown", "no such process".to_owned()));
    };
    if !process.is_active() {
        let message = format!("`{}` is held or ending: it performs nothing now", process.name);
        return Err(refusal(Stage::Process, "inactive", message));
    }
    if !matches!(action, Action::Call { .. } | Action::Read { .. } | Action::Recall { .. }) {
        let message = "only calls of tools, reads and recalls can be pure".to_owned();
        return Err(refusal(Stage::Ticket, "pure", message));
    }
    fits_an_entry(action, &[])?;
    let by = carried(state, now_us, pid, action)?;
    if let Some(actor) = gate::actor(state, pid) {
        let asked = label::rule_of_two(actor.labels, action);
        if let Some(refusal) = gate::verdict(&state.rules, &actor, action).map(|(_, why)| why).or(asked) {
            return Err(refusal);
        }
        let moves = gate::moves(&state.rules, &actor, action);
        return Ok(Fact::Passed { pid, action: action.clone(), by, moves });
    }
    Ok(Fact::Passed { pid, action: action.clone(), by, moves: Vec::new() })
}

/// What labels and rules say to a request.
enum Gated {
    Free,
    Asks(Refusal),
    Denied(Refusal),
}

fn gated(state: &State, waiting: &Waiting) -> Gated {
    let Some(actor) = gate::actor(state, waiting.pid) else { return Gated::Free };
    let action = &waiting.action;
    let question = match gate::verdict(&state.rules, &actor, action) {
        Some((Effect::Deny, refusal)) => return Gated::Denied(refusal),
        Some((Effect::Ask, refusal)) => Some(refusal),
        None => None,
    };
    let asks = [label::rule_of_two(actor.labels, action), question];
    let Some(open) = asks.into_iter().flatten().find(|asked| !is_answered(state, waiting, asked)) else {
        return Gated::Free;
    };
    if waiting.unattended {
        let message = format!("{}; there is nobody to be asked", open.message);
        return Gated::Denied(refusal(open.stage, &open.name, message));
    }
    Gated::Asks(open)
}

/// Whether a person said yes to this question: for this request, or for good.
fn is_answered(state: &State, waiting: &Waiting, question: &Refusal) -> bool {
    let same = |(name, action, digest): &(String, Action, Option<String>)| {
        *name == question.name && *action == waiting.action && *digest == waiting.digest
    };
    waiting.approved.as_ref() == Some(&question.name)
        || state.process(waiting.pid).is_some_and(|process| process.standing.iter().any(same))
}

fn asking_until(now_us: u64, wanted_us: Option<u64>) -> u64 {
    let latest = now_us.saturating_add(ANSWER_US);
    wanted_us.map_or(latest, |wanted| wanted.min(latest))
}

/// The fact that a waiting request was refused.
pub(crate) fn denied(waiting: &Waiting, id: RequestId, refusal: Refusal) -> Fact {
    Fact::Denied {
        pid: waiting.pid,
        key: waiting.key.clone(),
        request: Some(id),
        action: waiting.action.clone(),
        stage: refusal.stage,
        name: refusal.name,
        message: refusal.message,
    }
}

pub(crate) fn refusal(stage: Stage, name: &str, message: String) -> Refusal {
    Refusal { stage, name: name.to_owned(), message }
}

/// A refusal by the budget of `of`.
pub(crate) fn over_budget(state: &State, of: Pid, amount: &str, final_: bool) -> Refusal {
    let owner = state.process(of).map_or("", |process| process.name.as_str());
    let limit = state.process(of).map(|process| describe_amount(&process.budget, amount)).unwrap_or_default();
    let why = if final_ { "is used up" } else { "is reserved by others for now" };
    refusal(Stage::Budget, amount, format!("the budget of `{owner}` ({limit}) {why}"))
}

fn repeat(state: &State, now_us: u64, answer: &Answer) -> Decision {
    match answer {
        Answer::Waiting(request) => {
            let asked = state.request(*request).and_then(|waiting| waiting.question.clone());
            if let Some(refusal) = asked {
                return Decision::Ask { request: *request, refusal };
            }
            let why = state.request(*request).and_then(|waiting| hindrance(state, now_us, waiting));
            let refusal =
                why.unwrap_or_else(|| refusal(Stage::Queue, "turn", "it is about to go".to_owned()));
            Decision::Wait { request: *request, refusal }
        }
        Answer::Went(ticket, child) => Decision::Go { ticket: *ticket, child: *child },
        Answer::Denied(refusal) => Decision::Deny { refusal: refusal.clone() },
    }
}

/// Everything that can deny for good; otherwise the capabilities that carry the request.
fn admission(state: &State, now_us: u64, request: &Request<'_>) -> Result<Vec<CapabilityId>, Refusal> {
    let Some(process) = state.process(request.pid) else {
        return Err(refusal(Stage::Process, "unknown", "no such process".to_owned()));
    };
    if !process.is_active() && process.state != agentos_abi::State::Suspended {
        let message = format!("`{}` is ending and starts nothing new", process.name);
        return Err(refusal(Stage::Process, "closing", message));
    }
    well_formed(request)?;
    let by = carried(state, now_us, request.pid, request.action)?;
    if let Verdict::Never { of, amount } = verdict(state, request.pid, request.estimate) {
        return Err(over_budget(state, of, amount, true));
    }
    Ok(by)
}

fn well_formed(request: &Request<'_>) -> Result<(), Refusal> {
    let name = match request.action {
        Action::Spawn { child } => child.name.as_str(),
        Action::Exec { command, .. } => command.as_str(),
        Action::Model { host, .. } => host.as_str(),
        Action::Send { mailbox, .. } => mailbox.as_str(),
        Action::Read { .. }
        | Action::Write { .. }
        | Action::Connect { .. }
        | Action::UseSecret { .. }
        | Action::Remember { .. }
        | Action::Recall { .. }
        | Action::Publish { .. }
        | Action::Call { .. }
        | Action::Endorse
        | Action::Declassify => "",
    };
    let lane = request.lane.unwrap_or_default();
    if request.key.is_empty() || [request.key, name, lane].iter().any(|name| name.len() > NAME_BYTES) {
        let message = format!("keys and names are 1 to {NAME_BYTES} bytes long");
        return Err(refusal(Stage::Process, "name", message));
    }
    if let Some(message) = send::oversized(request.action) {
        return Err(refusal(Stage::Process, "size", message));
    }
    if matches!(request.action, Action::Send { .. }) && request.lane.is_some() {
        let message = "a send waits at its receiver, not in a lane".to_owned();
        return Err(refusal(Stage::Queue, "lane", message));
    }
    let asked: &[Grant] = match request.action {
        Action::Spawn { child } => &child.grants,
        _ => &[],
    };
    fits_an_entry(request.action, asked)
}

/// Whether all that `action` and `asked` name is well formed, and short enough for one entry.
fn fits_an_entry(action: &Action, asked: &[Grant]) -> Result<(), Refusal> {
    let needs = || Need::all(action).chain(asked.iter().map(|grant| Need::of(&grant.scope)));
    let bytes: usize = needs().map(|need| need.bytes()).sum();
    if bytes > SCOPE_BYTES {
        let message = format!("it names {bytes} bytes of objects; one request carries at most {SCOPE_BYTES}");
        return Err(refusal(Stage::Capability, "size", message));
    }
    needs()
        .find_map(|need| need.malformed())
        .map_or(Ok(()), |message| Err(refusal(Stage::Capability, "malformed", message)))
}

/// One live capability for each thing that `action` needs.
pub(crate) fn carried(
    state: &State,
    now_us: u64,
    pid: Pid,
    action: &Action,
) -> Result<Vec<CapabilityId>, Refusal> {
    let mut by = Vec::new();
    for need in Need::all(action) {
        match covering(state, now_us, pid, &need) {
            Some(id) if by.contains(&id) => {}
            Some(id) => by.push(id),
            None => return Err(not_held(state, pid, &need)),
        }
    }
    if let Action::Spawn { child } = action {
        born(state, now_us, pid, child, &by)?;
    }
    Ok(by)
}

pub(crate) fn not_held(state: &State, pid: Pid, need: &Need<'_>) -> Refusal {
    let name = state.process(pid).map_or("", |process| process.name.as_str());
    let wanted = shown(&need.describe());
    refusal(Stage::Capability, &wanted, format!("`{name}` holds no capability for `{wanted}`"))
}

/// The capability by which `pid` has what is needed now, if it has one.
pub(crate) fn covering(state: &State, now_us: u64, pid: Pid, need: &Need<'_>) -> Option<CapabilityId> {
    let fits = |id: CapabilityId| {
        state
            .capability(id)
            .is_some_and(|row| is_live(&row.grant, now_us) && need.is_covered_by(&Need::of(&row.grant.scope)))
    };
    state.process(pid)?.capabilities.find(need, fits)
}

/// Whether `pid` holds a live capability for all of `scope`.
pub(crate) fn holds(state: &State, now_us: u64, pid: Pid, scope: &Scope) -> bool {
    covering(state, now_us, pid, &Need::of(scope)).is_some()
}

pub(crate) fn is_live(grant: &Grant, now_us: u64) -> bool {
    grant.expires_us.is_none_or(|at| at > now_us) && grant.uses != Some(0)
}

/// Why a request that is otherwise admitted has to wait, if it has to.
fn hindrance(state: &State, now_us: u64, waiting: &Waiting) -> Option<Refusal> {
    if state.process(waiting.pid).is_some_and(|process| !process.is_active()) {
        return Some(refusal(Stage::Process, "suspended", "its process is suspended".to_owned()));
    }
    if let Some(refusal) = mailbox::hindrance(state, waiting.pid, &waiting.action) {
        return Some(refusal);
    }
    let place = queue::hindrance(state, now_us, waiting.lane.as_deref(), waiting.group, &waiting.estimate);
    if place.is_some() {
        return place;
    }
    match outlook(state, waiting) {
        Verdict::Fits => None,
        Verdict::Later { of, amount } => Some(over_budget(state, of, amount, false)),
        Verdict::Never { of, amount } => Some(over_budget(state, of, amount, true)),
    }
}

fn go(
    state: &State,
    now_us: u64,
    waiting: &Waiting,
    request: Option<RequestId>,
    by: Vec<CapabilityId>,
) -> (Decision, Option<Fact>) {
    let (index, generation) = state.tickets.upcoming(0);
    let ticket = TicketId::new(index, generation);
    let (action, child) = match &waiting.action {
        Action::Spawn { child: spec } => match born(state, now_us, waiting.pid, spec, &by) {
            // What was asked for is in the queue's entry or gone; what was given is in `child`.
            Ok(born) => {
                let child = ChildSpec { grants: Vec::new(), ..(**spec).clone() };
                (Action::Spawn { child: Box::new(child) }, Some(born))
            }
            Err(refusal) => return (Decision::Deny { refusal }, None),
        },
        other => (other.clone(), None),
    };
    let decision = Decision::Go { ticket, child: child.as_ref().map(|born| born.pid) };
    let fact = Fact::Go {
        ticket,
        request,
        pid: waiting.pid,
        key: waiting.key.clone(),
        action,
        estimate: waiting.estimate,
        parent: waiting.parent,
        lane: waiting.lane.clone(),
        recovery: waiting.recovery,
        client: waiting.client,
        charge: queue::charge(state, waiting.lane.as_deref(), &waiting.estimate),
        by,
        child,
        moves: gate::actor(state, waiting.pid)
            .map(|actor| gate::moves(&state.rules, &actor, &waiting.action))
            .unwrap_or_default(),
    };
    (decision, Some(fact))
}

/// Among those of its group, an earlier arrival or a higher priority goes first.
fn order_us(now_us: u64, priority: Priority) -> u64 {
    let steps = match priority {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    };
    now_us.saturating_add(steps * AGE_STEP_US)
}

fn queue(state: &State, now_us: u64, waiting: Waiting, refusal: Refusal) -> (Decision, Option<Fact>) {
    let (index, generation) = state.requests.upcoming(0);
    let request = RequestId::new(index, generation);
    let parked = match outlook(state, &waiting) {
        // A send waits at its receiver, whatever it waits for.
        _ if send::receiver(&waiting.action).is_some() => None,
        Verdict::Later { of, .. } if waiting.question.is_none() && refusal.stage == Stage::Budget => Some(of),
        Verdict::Later { .. } | Verdict::Never { .. } | Verdict::Fits => None,
    };
    let decision = match &waiting.question {
        Some(_) => Decision::Ask { request, refusal },
        None => Decision::Wait { request, refusal },
    };
    let fact = Fact::Queued {
        request,
        pid: waiting.pid,
        key: waiting.key,
        action: waiting.action,
        estimate: waiting.estimate,
        parent: waiting.parent,
        lane: Some(waiting.lane.unwrap_or_else(|| UNLIMITED.to_owned())),
        recovery: waiting.recovery,
        deadline_us: waiting.deadline_us.or(Some(now_us.saturating_add(LONGEST_WAIT_US))),
        client: waiting.client,
        priority: waiting.priority,
        order_us: waiting.order_us,
        parked,
        digest: waiting.digest,
        question: waiting.question,
        unattended: waiting.unattended,
    };
    (decision, Some(fact))
}

fn deny(request: &Request<'_>, refusal: Refusal) -> (Decision, Option<Fact>) {
    // What is too large for an entry is refused without one: there is nothing to remember it by.
    if matches!(refusal.name.as_str(), "size" | "name") {
        return (Decision::Deny { refusal }, None);
    }
    let fact = Fact::Denied {
        pid: request.pid,
        key: request.key.to_owned(),
        request: None,
        action: request.action.clone(),
        stage: refusal.stage,
        name: refusal.name.clone(),
        message: refusal.message.clone(),
    };
    (Decision::Deny { refusal }, Some(fact))
}
