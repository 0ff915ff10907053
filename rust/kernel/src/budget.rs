//! Ceilings reserved up the tree.
//!
//! INVARIANT: `spent + reserved ≤ limit` at every node, for every amount, as long as drivers keep to
//! their reservations; a child's ceiling lies within its parent's because each charge reserves at both.

use agentos_abi::{Cost, Pid};

use crate::state::{State, Waiting};

/// What the budgets of a process and its ancestors say to one more reservation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fits,
    /// Short only because of what others have reserved.
    Later {
        of: Pid,
        amount: &'static str,
    },
    /// Short even if everything reserved were released.
    Never {
        of: Pid,
        amount: &'static str,
    },
}

/// Checks `estimate` against `pid` and every ancestor; *never* outranks *later*. What is promised to those who
/// wait does not count: an effect under way that needs more goes before them.
pub(crate) fn verdict(state: &State, pid: Pid, estimate: Cost) -> Verdict {
    let mut later = None;
    for node in state.lineage(pid) {
        let Some(process) = state.process(node) else { continue };
        if let Some(amount) = process.budget.exceeded_by(process.spent, estimate) {
            return Verdict::Never { of: node, amount };
        }
        let held = process.spent.plus(process.reserved);
        if let (None, Some(amount)) = (&later, process.budget.exceeded_by(held, estimate)) {
            later = Some(Verdict::Later { of: node, amount });
        }
    }
    later.unwrap_or(Verdict::Fits)
}

/// Checks a waiting request likewise, in the order of those who wait: what is promised to others is not for
/// it, and where an older one waits it waits behind it.
pub(crate) fn outlook(state: &State, waiting: &Waiting) -> Verdict {
    let estimate = waiting.estimate;
    let mut later = None;
    for node in state.lineage(waiting.pid) {
        let Some(process) = state.process(node) else { continue };
        if let Some(amount) = process.budget.exceeded_by(process.spent, estimate) {
            return Verdict::Never { of: node, amount };
        }
        if later.is_some() {
            continue;
        }
        let mut held = process.spent.plus(process.reserved);
        let mut behind = false;
        if waiting.promised != Some(node) {
            held = held.plus(process.promised);
            behind = process.parked.first().is_some_and(|(turn, _)| *turn < waiting.turn);
        }
        let short = process.budget.exceeded_by(held, estimate);
        let short = short.or_else(|| process.budget.limited(estimate).filter(|_| behind));
        later = short.map(|amount| Verdict::Later { of: node, amount });
    }
    later.unwrap_or(Verdict::Fits)
}

/// Notes whether the budget of `of` decides on the first request that waits for it: it has room for it, or
/// never will.
pub(crate) fn rouse(state: &mut State, of: Pid) {
    let decides = |process: &crate::process::Process| {
        let (_, id) = process.parked.first()?;
        let estimate = state.request(*id)?.estimate;
        let held = process.spent.plus(process.reserved).plus(process.promised);
        let fits = process.budget.exceeded_by(held, estimate).is_none();
        Some(fits || process.budget.exceeded_by(process.spent, estimate).is_some())
    };
    if state.process(of).and_then(decides).unwrap_or(false) {
        state.due.insert(of);
    } else {
        state.due.remove(&of);
    }
}

/// Reserves `estimate` at `pid` and every ancestor.
pub(crate) fn reserve(state: &mut State, pid: Pid, estimate: Cost) {
    for node in state.lineage(pid) {
        if let Some(process) = state.process_mut(node) {
            process.reserved = process.reserved.plus(estimate);
            if !process.parked.is_empty() {
                rouse(state, node);
            }
        }
    }
}

/// Releases `reserved` and charges `cost` at `pid` and every ancestor.
pub(crate) fn charge(state: &mut State, pid: Pid, reserved: Cost, cost: Cost) {
    for node in state.lineage(pid) {
        if let Some(process) = state.process_mut(node) {
            process.reserved = process.reserved.minus(reserved);
            process.spent = process.spent.plus(cost);
            if !process.parked.is_empty() {
                rouse(state, node);
            }
        }
    }
}
