//! The meet of scopes.
//!
//! INVARIANT: `covers(meet(a, b), x)` implies `covers(a, x)` and `covers(b, x)`. A child gets
//! `parent ⊓ request` and nothing else, so amplification is not expressible.

use agentos_abi::{Grant, Pattern, Rights, Scope};

use crate::need::Need;

/// Both at once: what `left` and `right` each allow. `None` if that is nothing.
#[must_use]
pub fn meet(left: &Scope, right: &Scope) -> Option<Scope> {
    match (left, right) {
        (Scope::Everything, other) | (other, Scope::Everything) => Some(other.clone()),
        (Scope::Path { path: a, rights: x }, Scope::Path { path: b, rights: y }) => {
            Some(Scope::Path { path: deeper(a, b)?, rights: common(*x, *y)? })
        }
        (Scope::Host { host: a, port: x }, Scope::Host { host: b, port: y }) => {
            let port = match (*x, *y) {
                (0, port) | (port, 0) => port,
                (x, y) => (x == y).then_some(x)?,
            };
            Some(Scope::Host { host: narrower(a, b)?, port })
        }
        (Scope::Model { model: a }, Scope::Model { model: b }) => {
            Some(Scope::Model { model: narrower(a, b)? })
        }
        (Scope::Tool { tool: a }, Scope::Tool { tool: b }) => Some(Scope::Tool { tool: narrower(a, b)? }),
        (Scope::Secret { name: a }, Scope::Secret { name: b }) => {
            Some(Scope::Secret { name: narrower(a, b)? })
        }
        (Scope::Mailbox { name: a }, Scope::Mailbox { name: b }) => {
            Some(Scope::Mailbox { name: narrower(a, b)? })
        }
        (Scope::Memory { space: a, rights: x }, Scope::Memory { space: b, rights: y }) => {
            Some(Scope::Memory { space: narrower(a, b)?, rights: common(*x, *y)? })
        }
        (Scope::Publish { repository: a, reference: x }, Scope::Publish { repository: b, reference: y }) => {
            Some(Scope::Publish { repository: narrower(a, b)?, reference: deeper(x, y)? })
        }
        (Scope::Process { name: a }, Scope::Process { name: b }) => {
            Some(Scope::Process { name: narrower(a, b)? })
        }
        (Scope::Exec, Scope::Exec) => Some(Scope::Exec),
        (Scope::Spawn, Scope::Spawn) => Some(Scope::Spawn),
        (Scope::Endorse, Scope::Endorse) => Some(Scope::Endorse),
        (Scope::Declassify, Scope::Declassify) => Some(Scope::Declassify),
        (
            Scope::Path { .. }
            | Scope::Host { .. }
            | Scope::Model { .. }
            | Scope::Tool { .. }
            | Scope::Exec
            | Scope::Spawn
            | Scope::Secret { .. }
            | Scope::Mailbox { .. }
            | Scope::Memory { .. }
            | Scope::Publish { .. }
            | Scope::Process { .. }
            | Scope::Endorse
            | Scope::Declassify,
            _,
        ) => None,
    }
}

/// Whether everything that `wanted` means is also meant by `held`: whether their meet is `wanted`.
#[must_use]
pub fn covers(held: &Scope, wanted: &Scope) -> bool {
    Need::of(wanted).is_covered_by(&Need::of(held))
}

/// The meet of two grants: the scopes' meet with the earlier expiry and the fewer uses.
pub(crate) fn meet_grants(held: &Grant, wanted: &Grant) -> Option<Grant> {
    Some(Grant {
        scope: meet(&held.scope, &wanted.scope)?,
        expires_us: least(held.expires_us, wanted.expires_us),
        uses: least(held.uses, wanted.uses),
    })
}

/// Whether `inner` gives nothing that `outer` does not.
pub(crate) fn is_within(inner: &Grant, outer: &Grant) -> bool {
    meet_grants(outer, inner).as_ref() == Some(inner)
}

pub(crate) fn normal(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| {
            !rest.contains('\0') && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
        })
}

pub(crate) fn is_reference(reference: &str) -> bool {
    !reference.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// Whether the tree position `inner` lies at or below `outer`.
pub(crate) fn within(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || outer.ends_with('/'))
}

/// The deeper of two tree positions, if one lies at or below the other.
fn deeper(a: &str, b: &str) -> Option<String> {
    if within(a, b) {
        Some(b.to_owned())
    } else if within(b, a) {
        Some(a.to_owned())
    } else {
        None
    }
}

fn narrower(a: &Pattern, b: &Pattern) -> Option<Pattern> {
    match (a, b) {
        (Pattern::Any, other) | (other, Pattern::Any) => Some(other.clone()),
        (Pattern::Is(x), Pattern::Is(y)) => (x == y).then(|| a.clone()),
    }
}

fn common(a: Rights, b: Rights) -> Option<Rights> {
    match (a, b) {
        (Rights::ReadWrite, other) | (other, Rights::ReadWrite) => Some(other),
        (a, b) => (a == b).then_some(a),
    }
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
#[path = "capability_tests.rs"]
mod tests;
