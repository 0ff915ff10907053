//! Supervisors: which fallen children are started again, when, and when their supervisor gives up.
//!
//! INVARIANT: a restart gives nothing back. The new process has what its predecessor had left: uses of its
//! capabilities, its budget less what was spent, its labels and its history. A child that was signalled to
//! end stays ended; only one that ended by itself, or with its siblings, is started again.

use agentos_abi::{Born, ChildSpec, ExitStatus, Fact, Grant, Pid, Restart, State as ProcessState, Strategy};

use crate::inherit::handed_on;
use crate::process::{Process, Supervisor};
use crate::size::too_long;
use crate::state::State;

/// Most children that are started again together.
const MOST_MEMBERS: usize = 150;

/// The next step of any supervisor, if there is one.
pub(crate) fn next(state: &State, now_us: u64) -> Option<Fact> {
    state
        .fallen
        .iter()
        .find_map(|pid| fallen(state, now_us, *pid))
        .or_else(|| state.restarts.iter().find_map(|(at_us, pid)| carry_on(state, now_us, *at_us, *pid)))
}

/// Whether a child with this end is one that its supervisor has to decide about.
pub(crate) fn is_supervised(state: &State, process: &Process) -> bool {
    let parent = process.parent.and_then(|parent| state.process(parent));
    process.again.is_some() && parent.is_some_and(|parent| parent.supervises.is_some())
}

fn fallen(state: &State, now_us: u64, pid: Pid) -> Option<Fact> {
    let process = state.process(pid)?;
    let parent = process.parent?;
    let keeper = state.process(parent)?;
    let supervisor = keeper.supervises.as_ref()?;
    if keeper.is_ending() || !comes_back(process) || process.spawn_ticket.is_none() {
        return Some(Fact::GivenUp { pid });
    }
    if !keeper.is_active() {
        // Suspended: it decides once it goes on.
        return None;
    }
    let since_us = now_us.saturating_sub(supervisor.spec.within_us);
    let recent = supervisor.log.iter().filter(|at| **at >= since_us).count();
    if recent >= supervisor.spec.restarts as usize {
        return Some(Fact::Closing { pid: parent, status: ExitStatus::Failed });
    }
    let due_us = now_us.saturating_add(pause_us(supervisor, recent));
    Some(Fact::Restarting { supervisor: parent, members: members(state, keeper, supervisor, pid), due_us })
}

fn comes_back(process: &Process) -> bool {
    let restart = process.again.as_ref().map(|spec| spec.restart).unwrap_or_default();
    match process.closing {
        Some(ExitStatus::Failed | ExitStatus::Lost) => restart != Restart::Never,
        Some(ExitStatus::Done) => restart == Restart::Always,
        Some(ExitStatus::Cancelled | ExitStatus::Killed) | None => false,
    }
}

/// Doubled for each restart in the window.
fn pause_us(supervisor: &Supervisor, recent: usize) -> u64 {
    let doubled = supervisor.spec.pause_us.saturating_mul(1_u64 << recent.min(32));
    doubled.min(supervisor.spec.longest_us.max(supervisor.spec.pause_us))
}

/// Those that are started again together with `pid`, in the order in which they were started.
fn members(state: &State, keeper: &Process, supervisor: &Supervisor, pid: Pid) -> Vec<Pid> {
    let rank = state.process(pid).map_or(0, |process| process.rank);
    let taken = |child: &Pid| supervisor.pending.iter().any(|pending| pending.members.contains(child));
    let goes_along = |child: &Pid, other: &Process| match supervisor.spec.strategy {
        Strategy::OneForOne => *child == pid,
        Strategy::OneForAll => true,
        Strategy::RestForOne => other.rank >= rank,
    };
    let mut found: Vec<(u64, Pid)> = keeper
        .children
        .iter()
        .filter_map(|child| Some((child, state.process(*child)?)))
        .filter(|(child, other)| other.again.is_some() && other.spawn_ticket.is_some() && !taken(child))
        .filter(|(child, other)| goes_along(child, other))
        .map(|(child, other)| (other.rank, *child))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, child)| child).collect()
}

/// One step of a pending restart: a member that still lives is ended; when all have ended and the pause is
/// over, the first is started again.
fn carry_on(state: &State, now_us: u64, at_us: u64, keeper: Pid) -> Option<Fact> {
    let process = state.process(keeper)?;
    let pending = process.supervises.as_ref()?.pending.iter().find(|pending| pending.at_us == at_us)?;
    let exited = |pid: &Pid| {
        state.process(*pid).is_none_or(|member| matches!(member.state, ProcessState::Exited { .. }))
    };
    if process.is_ending() {
        return pending.members.iter().find(|pid| exited(pid)).map(|pid| Fact::GivenUp { pid: *pid });
    }
    match pending.members.iter().find(|pid| !exited(pid)) {
        Some(pid) => {
            let open = state.process(*pid)?.state != ProcessState::Closing;
            open.then_some(Fact::Closing { pid: *pid, status: ExitStatus::Killed })
        }
        None if at_us <= now_us && process.is_active() => {
            let pid = *pending.members.first()?;
            let fact = Fact::Restarted { pid, born: reborn(state, now_us, keeper, pid)? };
            // What was handed to it since may be more than one entry holds.
            Some(if too_long(&fact).is_some() { Fact::GivenUp { pid } } else { fact })
        }
        None => None,
    }
}

/// What a fallen child is started again with: of what it had left, what its parent still holds.
fn reborn(state: &State, now_us: u64, parent: Pid, pid: Pid) -> Option<Born> {
    let spec: &ChildSpec = state.process(pid)?.again.as_ref()?;
    let held = |grant: &&Grant| handed_on(state, now_us, parent, std::slice::from_ref(grant), &[]).is_ok();
    let left: Vec<Grant> = spec.grants.iter().filter(held).cloned().collect();
    let capabilities = handed_on(state, now_us, parent, &left, &[]).ok()?;
    let (index, generation) = state.processes.upcoming(0);
    Some(Born { pid: Pid::new(index, generation), capabilities })
}

/// Whether `keeper` can supervise no further child like `spec`: those that are started again together stand in
/// one entry.
pub(crate) fn is_full(state: &State, keeper: Pid, spec: &ChildSpec) -> bool {
    let Some(process) = state.process(keeper) else { return false };
    let together = |keeper: &Supervisor| keeper.spec.strategy != Strategy::OneForOne;
    if spec.restart.is_never()
        || process.children.len() < MOST_MEMBERS
        || !process.supervises.as_deref().is_some_and(together)
    {
        return false;
    }
    let kept = |pid: &&Pid| {
        state.process(**pid).is_some_and(|child| child.spawn_ticket.is_some() && child.again.is_some())
    };
    process.children.iter().filter(kept).count() >= MOST_MEMBERS
}

#[cfg(test)]
#[path = "supervise_tests.rs"]
mod tests;
