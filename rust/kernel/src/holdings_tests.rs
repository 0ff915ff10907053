use std::collections::BTreeMap;

use agentos_abi::{Pattern, Rights, Scope};

use super::*;

/// Scopes that a process may hold, many of them near misses of one another.
fn universe() -> Vec<Scope> {
    let mut scopes = vec![Scope::Everything, Scope::Exec, Scope::Spawn, Scope::Endorse];
    for path in ["/", "/a", "/a/b", "/a/b/c", "/ab", "/b"] {
        for rights in [Rights::Read, Rights::Write, Rights::ReadWrite] {
            scopes.push(Scope::Path { path: path.to_owned(), rights });
        }
    }
    let names =
        ["x", "y", "xy", "", "*", "a name of more than eight bytes", "a name of more than eight byteS"];
    let patterns = names.map(|name| Pattern::Is(name.to_owned()));
    for name in patterns.into_iter().chain([Pattern::Any]) {
        scopes.push(Scope::Tool { tool: name.clone() });
        scopes.push(Scope::Secret { name: name.clone() });
        scopes.push(Scope::Memory { space: name.clone(), rights: Rights::Read });
        for port in [0, 80, 443] {
            scopes.push(Scope::Host { host: name.clone(), port });
        }
        for reference in ["refs", "refs/heads", "refs/heads/x", "refs/heads/xy"] {
            scopes.push(Scope::Publish { repository: name.clone(), reference: reference.to_owned() });
        }
    }
    scopes
}

struct Held {
    holdings: Holdings,
    scopes: BTreeMap<CapabilityId, Scope>,
}

impl Held {
    fn insert(&mut self, number: u64, scope: &Scope) {
        let id = CapabilityId(number);
        self.scopes.insert(id, scope.clone());
        let scopes = &self.scopes;
        self.holdings.insert(id, Need::of(scope), |id| scopes.get(&id).map(Need::of));
    }

    fn remove(&mut self, number: u64) {
        let id = CapabilityId(number);
        let scope = self.scopes.remove(&id).expect("it is held");
        self.holdings.remove(&[(id, Need::of(&scope))]);
    }

    fn covers(&self, wanted: &Scope) -> bool {
        let need = Need::of(wanted);
        let fits = |id| self.scopes.get(&id).is_some_and(|held| need.is_covered_by(&Need::of(held)));
        let found = self.holdings.find(&need, fits).is_some();
        let plainly = self.scopes.values().any(|held| need.is_covered_by(&Need::of(held)));
        assert_eq!(found, plainly, "{wanted:?}");
        found
    }
}

/// The index finds what looking at everything finds: with each scope alone among strangers, and for random
/// sets of them as they grow and shrink.
#[test]
fn the_index_finds_what_looking_at_all_finds() {
    let universe = universe();
    let strangers = (0..=FEW as u64).map(|number| Scope::Model { model: Pattern::Is(number.to_string()) });
    for scope in &universe {
        let mut held = Held { holdings: Holdings::default(), scopes: BTreeMap::new() };
        for (number, stranger) in strangers.clone().enumerate() {
            held.insert(number as u64, &stranger);
        }
        held.insert(1_000, scope);
        assert!(held.covers(scope), "{scope:?}");
        for wanted in &universe {
            held.covers(wanted);
        }
        held.remove(1_000);
        assert!(!held.covers(scope), "{scope:?} is held no more");
    }
    let mut seed = 1_u64;
    let mut held = Held { holdings: Holdings::default(), scopes: BTreeMap::new() };
    for number in 0..2_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = (seed >> 33) as usize;
        if held.scopes.len() > 40 || (pick.is_multiple_of(3) && !held.scopes.is_empty()) {
            let at = pick % held.scopes.len();
            let id = *held.scopes.keys().nth(at).expect("in bounds");
            held.remove(id.0);
        } else {
            // Everything would hide the others.
            held.insert(number, &universe[1 + pick % (universe.len() - 1)]);
        }
        held.covers(&universe[pick % universe.len()]);
        held.covers(&universe[(pick / 7) % universe.len()]);
    }
}
