//! The capabilities that one process holds, and how the one that covers a need is found without looking at all.
//!
//! A need is covered by a capability of the same name or of any name, at the same place of the tree or above
//! it, or by one for everything. So few keys have to be looked up whatever is held: twice the depth of the
//! tree, and one. What is found under a key is then compared in full, so that a hash that two scopes share
//! costs time and decides nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use agentos_abi::CapabilityId;

use crate::need::{Kind, Need};

/// Up to so many are simply looked at one after the other.
const FEW: usize = 8;

type Index = HashMap<u64, Bucket, BuildHasherDefault<AsItIs>>;

/// What is found under one key: nearly always one handle, which then costs no allocation of its own.
#[derive(Debug, PartialEq, Eq)]
enum Bucket {
    One(CapabilityId),
    Many(Vec<CapabilityId>),
}

impl Bucket {
    fn ids(&self) -> &[CapabilityId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

/// Handles in ascending order; by key too once they are many.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    ids: Vec<CapabilityId>,
    index: Option<Box<Index>>,
}

impl Holdings {
    pub(crate) fn ids(&self) -> &[CapabilityId] {
        &self.ids
    }

    /// Adds `id`, which gives `given`; `all` tells what each of those held so far gives.
    pub(crate) fn insert<'a>(
        &mut self,
        id: CapabilityId,
        given: Need<'_>,
        all: impl Fn(CapabilityId) -> Option<Need<'a>>,
    ) {
        if let Err(at) = self.ids.binary_search(&id) {
            self.ids.insert(at, id);
        }
        if let Some(index) = &mut self.index {
            enter(index, id, given);
        } else if self.ids.len() > FEW {
            let mut index = Index::default();
            for id in &self.ids {
                if let Some(given) = all(*id) {
                    enter(&mut index, *id, given);
                }
            }
            self.index = Some(Box::new(index));
        }
    }

    /// Takes out `gone`, each with what it gave; in ascending order.
    pub(crate) fn remove(&mut self, gone: &[(CapabilityId, Need<'_>)]) {
        if let [(id, _)] = gone {
            if let Ok(at) = self.ids.binary_search(id) {
                self.ids.remove(at);
            }
        } else {
            self.ids.retain(|id| gone.binary_search_by_key(id, |(gone, _)| *gone).is_err());
        }
        let Some(index) = &mut self.index else { return };
        for (id, given) in gone {
            let key = key(given.kind, given.name, given.tree);
            let left = match index.get_mut(&key) {
                Some(Bucket::Many(ids)) => {
                    ids.retain(|other| other != id);
                    !ids.is_empty()
                }
                Some(Bucket::One(only)) => only != id,
                None => true,
            };
            if !left {
                index.remove(&key);
            }
        }
    }

    /// The first handle that `fits`, of those that may cover `need`.
    pub(crate) fn find(&self, need: &Need<'_>, fits: impl Fn(CapabilityId) -> bool) -> Option<CapabilityId> {
        let Some(index) = &self.index else { return self.ids.iter().copied().find(|id| fits(*id)) };
        let under = |key: u64| index.get(&key)?.ids().iter().copied().find(|id| fits(*id));
        let names = [need.name, None];
        let names = names.get(usize::from(need.name.is_none())..).unwrap_or_default();
        names
            .iter()
            .find_map(|name| above(need.tree).find_map(|tree| under(key(need.kind, *name, tree))))
            .or_else(|| under(key(Kind::Everything, None, "")))
    }
}

fn enter(index: &mut Index, id: CapabilityId, given: Need<'_>) {
    match index.entry(key(given.kind, given.name, given.tree)) {
        Entry::Vacant(free) => {
            free.insert(Bucket::One(id));
        }
        Entry::Occupied(mut taken) => match taken.get_mut() {
            Bucket::Many(ids) => ids.push(id),
            Bucket::One(first) => {
                let ids = vec![*first, id];
                taken.insert(Bucket::Many(ids));
            }
        },
    }
}

/// A position in a tree and all above it, the nearest first.
fn above(tree: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(tree), |place| match place.rsplit_once('/') {
        Some(("", _)) if place.len() > 1 => Some("/"),
        Some(("", _)) | None => None,
        Some((parent, _)) => Some(parent),
    })
}

fn key(kind: Kind, name: Option<&str>, tree: &str) -> u64 {
    let mut mixed = 1 + kind as u64;
    mixed = mix(mixed, name.map_or(0, |name| 1 + name.len() as u64));
    mixed = mix_bytes(mixed, name.unwrap_or_default().as_bytes());
    mixed = mix_bytes(mixed, tree.as_bytes());
    mixed ^ (mixed >> 32)
}

fn mix_bytes(state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mixed = words.iter().fold(state, |state, word| mix(state, u64::from_le_bytes(*word)));
    if rest.is_empty() {
        return mixed;
    }
    mix(mixed, rest.iter().fold(0, |tail, byte| (tail << 8) | u64::from(*byte)))
}

/// One step of rustc's Fx hash: fast, fixed, and good enough where equality is checked afterwards.
const fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0, u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
#[path = "holdings_tests.rs"]
mod tests;
