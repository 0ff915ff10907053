use super::*;

/// A small universe in which every pair and triple can be tried.
fn universe() -> Vec<Scope> {
    let mut scopes = vec![Scope::Everything, Scope::Exec, Scope::Spawn, Scope::Endorse, Scope::Declassify];
    for rights in [Rights::Read, Rights::Write, Rights::ReadWrite] {
        for path in ["/", "/a", "/a/b", "/ab"] {
            scopes.push(Scope::Path { path: path.to_owned(), rights });
        }
        for space in [Pattern::Any, Pattern::Is("notes".to_owned())] {
            scopes.push(Scope::Memory { space, rights });
        }
    }
    for pattern in [Pattern::Any, Pattern::Is("x".to_owned()), Pattern::Is("y".to_owned())] {
        scopes.push(Scope::Model { model: pattern.clone() });
        scopes.push(Scope::Tool { tool: pattern.clone() });
        scopes.push(Scope::Secret { name: pattern.clone() });
        scopes.push(Scope::Mailbox { name: pattern.clone() });
        scopes.push(Scope::Process { name: pattern.clone() });
        for port in [0, 443] {
            scopes.push(Scope::Host { host: pattern.clone(), port });
        }
        for reference in ["refs/heads", "refs/heads/agentos"] {
            scopes.push(Scope::Publish { repository: pattern.clone(), reference: reference.to_owned() });
        }
    }
    scopes
}

#[test]
fn meet_is_idempotent_and_commutative() {
    for a in universe() {
        assert_eq!(meet(&a, &a), Some(a.clone()));
        for b in universe() {
            assert_eq!(meet(&a, &b), meet(&b, &a), "{a:?} {b:?}");
        }
    }
}

#[test]
fn what_is_covered_is_what_the_meet_leaves_whole() {
    for held in universe() {
        for wanted in universe() {
            let by_meet = meet(&held, &wanted).as_ref() == Some(&wanted);
            assert_eq!(covers(&held, &wanted), by_meet, "{held:?} {wanted:?}");
        }
    }
}

#[test]
fn meet_is_associative() {
    for a in universe() {
        for b in universe() {
            for c in universe() {
                let left = meet(&a, &b).and_then(|ab| meet(&ab, &c));
                let right = meet(&b, &c).and_then(|bc| meet(&a, &bc));
                assert_eq!(left, right, "{a:?} {b:?} {c:?}");
            }
        }
    }
}

#[test]
fn nothing_is_amplified_by_a_meet() {
    for a in universe() {
        for b in universe() {
            let Some(both) = meet(&a, &b) else { continue };
            for x in universe() {
                if covers(&both, &x) {
                    assert!(covers(&a, &x) && covers(&b, &x), "{a:?} {b:?} {x:?}");
                }
            }
        }
    }
}

#[test]
fn a_sibling_whose_name_starts_the_same_is_not_below() {
    let held = Scope::Path { path: "/a".to_owned(), rights: Rights::ReadWrite };
    assert!(covers(&held, &Scope::Path { path: "/a/b".to_owned(), rights: Rights::Read }));
    assert!(!covers(&held, &Scope::Path { path: "/ab".to_owned(), rights: Rights::Read }));
}

#[test]
fn paths_that_could_mean_another_place_are_malformed() {
    for path in ["", "a", "/a/../b", "/a/./b", "/a//b", "/a/", "/a\0b", "/.."] {
        let scope = Scope::Path { path: path.to_owned(), rights: Rights::Read };
        assert!(Need::of(&scope).malformed().is_some(), "{path:?}");
    }
    for path in ["/", "/a", "/a/..b", "/a b/\u{e9}"] {
        let scope = Scope::Path { path: path.to_owned(), rights: Rights::Read };
        assert_eq!(Need::of(&scope).malformed(), None, "{path:?}");
    }
}
