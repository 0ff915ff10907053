//! How labels flow, and the rule of two.
//!
//! INVARIANT: a process's labels are at least the join of all that it has read. Every effect that can bring
//! data in raises them when it is let go, not when it reports, so a performer that dies leaves no gap.

use agentos_abi::{Action, Integrity, Labels, Refusal, Scope, Secrecy, Stage};

use crate::request::refusal;

/// The least that a process has touched after `action`, whatever its performer reports.
pub(crate) fn floor(action: &Action) -> Labels {
    let untrusted = Labels { integrity: Integrity::Untrusted, ..Labels::BOTTOM };
    match action {
        // What answers at the other end may be anybody.
        Action::Connect { .. } => untrusted,
        Action::Exec { mandate, .. } if reaches_out(mandate) => untrusted,
        // The secret itself stays on the wire; what it opens comes back.
        Action::UseSecret { .. } => Labels { secrecy: Secrecy::Secret, ..Labels::BOTTOM },
        Action::Recall { .. } => Labels { secrecy: Secrecy::Private, ..Labels::BOTTOM },
        Action::Model { .. }
        | Action::Exec { .. }
        | Action::Read { .. }
        | Action::Write { .. }
        | Action::Send { .. }
        | Action::Spawn { .. }
        | Action::Remember { .. }
        | Action::Publish { .. }
        | Action::Call { .. }
        | Action::Endorse
        | Action::Declassify => Labels::BOTTOM,
    }
}

/// Whether an action can carry data to the outside. A read of the network counts: its address is a message.
pub(crate) fn outbound(action: &Action) -> bool {
    match action {
        Action::Connect { .. } | Action::Publish { .. } => true,
        Action::Exec { mandate, .. } => reaches_out(mandate),
        _ => false,
    }
}

fn reaches_out(mandate: &[Scope]) -> bool {
    mandate.iter().any(|scope| matches!(scope, Scope::Everything | Scope::Host { .. }))
}

/// Untrusted input, private data and a way out never meet in one process without a person ("Agents Rule of
/// Two", Meta 2025): why `action` is put to one, if it is.
pub(crate) fn rule_of_two(labels: Labels, action: &Action) -> Option<Refusal> {
    let met = labels.integrity == Integrity::Untrusted && labels.secrecy >= Secrecy::Private;
    (met && outbound(action)).then(|| {
        let held = if labels.secrecy == Secrecy::Secret { "secret" } else { "private" };
        let message = format!(
            "it has read untrusted data and {held} data, and this would let data out: a person decides"
        );
        refusal(Stage::Label, "rule_of_two", message)
    })
}

/// What an action takes away from the labels of its process, once it is let go.
pub(crate) fn after(labels: Labels, action: &Action) -> Labels {
    match action {
        Action::Endorse => Labels { integrity: Integrity::Trusted, ..labels },
        Action::Declassify => Labels { secrecy: Secrecy::Public, ..labels },
        other => labels.join(floor(other)),
    }
}
