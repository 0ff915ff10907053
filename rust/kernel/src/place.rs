//! Who holds places: tickets in their lane, and for the group that they count for.

use agentos_abi::{Cost, Outcome, Pid};

use crate::lane::Lane;
use crate::queue::{UNLIMITED, rouse};
use crate::state::{Held, State};

/// Whether the group may hold one more queued ticket. Tickets of a group within it count for that one alone:
/// what a unit does need not wait for the place that the unit itself holds.
pub(crate) fn group_has_room(state: &State, group: Pid) -> bool {
    state.process(group).and_then(|process| process.group.as_ref()).is_none_or(|group| group.has_room())
}

/// Takes the place of a new ticket.
pub(crate) fn admit(state: &mut State, held: &Held) {
    seat(state, &held.lane, held.group);
    let now_us = state.now_us;
    if let Some(lane) = state.lanes.get_mut(&held.lane) {
        lane.admit(now_us, held.group, held.charge, &held.estimate);
    }
    count(state, held.group, |running| running.saturating_add(1));
    rouse(state, &held.lane);
}

/// Gives back the place of an ended ticket, and what its group was charged too much.
pub(crate) fn end(state: &mut State, held: &Held, outcome: Outcome, cost: &Cost, charge: Option<u64>) {
    let now_us = state.now_us;
    if let Some(lane) = state.lanes.get_mut(&held.lane) {
        let real = charge.unwrap_or(held.charge);
        lane.release(now_us, held.group, (held.charge, &held.estimate), (real, cost));
        if outcome == Outcome::Ok {
            lane.succeeded();
        }
    }
    count(state, held.group, |running| running.saturating_sub(1));
    rouse(state, &held.lane);
}

/// Changes how many tickets a group holds; all lanes learn when it becomes full or has room again.
fn count(state: &mut State, group: Pid, change: impl FnOnce(u32) -> u32) {
    let Some(head) = state.process_mut(group).and_then(|head| head.group.as_mut()) else { return };
    let before = head.has_room();
    head.running = change(head.running);
    let open = head.has_room();
    if before == open {
        return;
    }
    let knowing =
        |(name, lane): (&String, &Lane)| (name != UNLIMITED && lane.knows(group)).then(|| name.clone());
    let lanes: Vec<String> = state.lanes.iter().filter_map(knowing).collect();
    for name in lanes {
        if let Some(lane) = state.lanes.get_mut(&name) {
            lane.set_open(group, open);
        }
        rouse(state, &name);
    }
}

/// Makes sure that `group` and those above it have a place in `lane`.
pub(crate) fn seat(state: &mut State, lane: &str, group: Pid) {
    if state.lanes.get(lane).is_some_and(|lane| lane.knows(group)) {
        return;
    }
    let heads = state.lineage(group).into_iter().filter(|pid| *pid == group || state.heads_group(*pid));
    let mut above = None;
    let groups: Vec<(Pid, u32, bool)> = heads
        .map(|pid| {
            let weight = state.process(pid).and_then(|head| head.group.as_ref()).map_or(1, |g| g.spec.weight);
            // Without a lane, nothing counts as concurrent.
            (pid, weight, lane == UNLIMITED || group_has_room(state, pid))
        })
        .collect();
    let lane: &mut Lane = state.lanes.entry(lane.to_owned()).or_default();
    for (pid, weight, open) in groups.into_iter().rev() {
        lane.seat(pid, weight, above, open);
        above = Some(pid);
    }
}
