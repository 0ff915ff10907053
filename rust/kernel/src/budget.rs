//! Ceilings reserved up the tree.
//!
//! INVARIANT: `spent + reserved ≤ limit` at every node, for every amount, as long as drivers keep to
//! their reservations; a child's ceiling lies within its parent's because each charge reserves at both.

use agentos_abi::{Cost, Pid};

use crate::state::State;

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

/// Checks `estimate` against `pid` and every ancestor; *never* outranks *later*.
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

/// Reserves `estimate` at `pid` and every ancestor.
pub(crate) fn reserve(state: &mut State, pid: Pid, estimate: Cost) {
    for node in state.lineage(pid) {
        if let Some(process) = state.process_mut(node) {
            process.reserved = process.reserved.plus(estimate);
        }
    }
}

/// Releases `reserved` and charges `cost` at `pid` and every ancestor.
pub(crate) fn charge(state: &mut State, pid: Pid, reserved: Cost, cost: Cost) {
    for node in state.lineage(pid) {
        if let Some(process) = state.process_mut(node) {
            process.reserved = process.reserved.minus(reserved);
            process.spent = process.spent.plus(cost);
        }
    }
}
