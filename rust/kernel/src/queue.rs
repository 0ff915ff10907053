//! Where waiting requests stand, and which of them goes next.
//!
//! A request waits in its lane for its turn, or at the budget that is short for it, or, while its process is
//! suspended, in neither. INVARIANT: every change keeps `wakes` (when a lane can admit its next) and `due`
//! (budgets with room for the first that waits there) right, so what follows is read off the state, never
//! searched for, and the journal cut off at any entry goes on the same way.

use agentos_abi::{Cost, Pid, Refusal, RequestId, Stage};

use crate::budget::{self, Verdict, outlook};
use crate::place::{group_has_room, seat};
use crate::request::refusal;
use crate::state::State;

/// The lane of requests that wait for budget alone.
pub(crate) const UNLIMITED: &str = "";
/// How much later a request of one priority may come and still go before one of the priority below. It bounds
/// what urgency can do: nobody is overtaken by what comes more than three of these after it.
pub(crate) const AGE_STEP_US: u64 = 60_000_000;
/// How long a request waits that names no deadline: a week, longer than any batch takes for its turn.
pub(crate) const LONGEST_WAIT_US: u64 = 7 * 24 * 3_600_000_000;

/// Where a waiting request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Lane,
    /// At the budget of this process, first in first out.
    Parked(Pid),
    /// Its process is suspended.
    Aside,
}

/// What the queues say next.
pub(crate) enum Next {
    Admit(RequestId),
    /// Its budget is short for now.
    Park(RequestId, Pid),
    /// The budget that it waits for has room for it.
    Promise(RequestId, Pid),
    /// Its budget can no longer carry it, whatever is released.
    Refuse(RequestId, Pid, &'static str),
}

/// What follows: first for those who wait for budget, then for the lane that could admit longest.
pub(crate) fn next(state: &State, now_us: u64) -> Option<Next> {
    if let Some(of) = state.due.first() {
        let (_, id) = *state.process(*of)?.parked.first()?;
        return Some(match outlook(state, state.request(id)?) {
            Verdict::Fits => Next::Promise(id, *of),
            Verdict::Later { of, .. } => Next::Park(id, of),
            Verdict::Never { of, amount } => Next::Refuse(id, of, amount),
        });
    }
    let (_, lane) = state.wakes.first().filter(|(at, _)| *at <= now_us)?;
    let id = state.lanes.get(lane)?.first()?;
    Some(match outlook(state, state.request(id)?) {
        Verdict::Fits => Next::Admit(id),
        Verdict::Later { of, .. } => Next::Park(id, of),
        Verdict::Never { of, amount } => Next::Refuse(id, of, amount),
    })
}

/// Why something of `group` that costs this much cannot have a place in `lane` now, if it cannot.
pub(crate) fn hindrance(
    state: &State,
    now_us: u64,
    lane: Option<&str>,
    group: Pid,
    estimate: &Cost,
) -> Option<Refusal> {
    let name = lane.filter(|lane| *lane != UNLIMITED)?;
    if !group_has_room(state, group) {
        return Some(refusal(Stage::Queue, "concurrency", "its group runs as many as it may".to_owned()));
    }
    let lane = state.lanes.get(name)?;
    let why = |message: String| Some(refusal(Stage::Queue, name, message));
    let Some(ready_us) = lane.ready_us(estimate) else {
        return why(format!("all places of lane `{name}` are taken"));
    };
    if lane.closed_until_us() > now_us {
        let seconds = (lane.closed_until_us() - now_us).div_ceil(1_000_000);
        return why(format!("the provider of lane `{name}` asked to be left alone for {seconds} s more"));
    }
    if ready_us > now_us {
        return why(format!("lane `{name}` has given what it gives a minute"));
    }
    lane.first().is_some().then(|| refusal(Stage::Queue, name, format!("others are before it in `{name}`")))
}

/// What its group is charged for a request's admission.
pub(crate) fn charge(state: &State, lane: Option<&str>, cost: &Cost) -> u64 {
    lane.and_then(|lane| state.lanes.get(lane)).map_or(agentos_abi::PLACE, |lane| lane.charge(cost))
}

/// Takes a request into its lane's queue.
pub(crate) fn join(state: &mut State, id: RequestId) {
    let Some(waiting) = state.request_mut(id) else { return };
    waiting.stand = Stand::Lane;
    let (group, order, lane) = (waiting.group, waiting.order(), waiting.lane_name().to_owned());
    seat(state, &lane, group);
    if let Some(lane) = state.lanes.get_mut(&lane) {
        lane.join(group, order, id);
    }
    rouse(state, &lane);
}

/// Has a request wait for the budget of `of`, by its age.
pub(crate) fn park(state: &mut State, id: RequestId, of: Pid) {
    leave(state, id);
    let Some(waiting) = state.request_mut(id) else { return };
    waiting.stand = Stand::Parked(of);
    let turn = waiting.turn;
    if let Some(process) = state.process_mut(of) {
        process.parked.insert((turn, id));
    }
    budget::rouse(state, of);
}

/// Keeps what a request asks for at `of`, where it waited, until its turn in its lane.
pub(crate) fn promise(state: &mut State, id: RequestId, of: Pid) {
    leave(state, id);
    let Some(waiting) = state.request_mut(id) else { return };
    waiting.promised = Some(of);
    let estimate = waiting.estimate;
    if let Some(process) = state.process_mut(of) {
        process.promised = process.promised.plus(estimate);
    }
    budget::rouse(state, of);
    join(state, id);
}

/// Takes a request out of wherever it waits, with what it was promised.
pub(crate) fn leave(state: &mut State, id: RequestId) {
    let Some(waiting) = state.request_mut(id) else { return };
    let (stand, promised) = (waiting.stand, waiting.promised.take());
    waiting.stand = Stand::Aside;
    let (group, order, turn, estimate) = (waiting.group, waiting.order(), waiting.turn, waiting.estimate);
    let lane = waiting.lane_name().to_owned();
    match stand {
        Stand::Lane => {
            if let Some(lane) = state.lanes.get_mut(&lane) {
                lane.leave(group, order);
            }
            rouse(state, &lane);
        }
        Stand::Parked(of) => {
            if let Some(process) = state.process_mut(of) {
                process.parked.remove(&(turn, id));
            }
            budget::rouse(state, of);
        }
        Stand::Aside => {}
    }
    if let Some(of) = promised {
        if let Some(process) = state.process_mut(of) {
            process.promised = process.promised.minus(estimate);
        }
        budget::rouse(state, of);
    }
}

/// Notes when a lane can admit its next.
pub(crate) fn rouse(state: &mut State, name: &str) {
    let Some(lane) = state.lanes.get(name) else { return };
    let first = lane.first().and_then(|id| state.request(id));
    let wake_us = first.and_then(|waiting| lane.ready_us(&waiting.estimate));
    let before = lane.wake_us;
    if before == wake_us {
        return;
    }
    if let Some(lane) = state.lanes.get_mut(name) {
        lane.wake_us = wake_us;
    }
    if let Some(at) = before {
        state.wakes.remove(&(at, name.to_owned()));
    }
    if let Some(at) = wake_us {
        state.wakes.insert((at, name.to_owned()));
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
