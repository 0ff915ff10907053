//! A hash tree over the chain, so that one entry can be shown to lie under a head without the others.
//!
//! The chain alone proves an entry only together with every later one, contents included. The tree has RFC
//! 6962's shape and prefixes (a leaf is never taken for a node); its leaves are the entries' hashes. It is
//! not stored: it follows from the chain, and is made anew where a head is signed or an entry is proved.

use sha2::{Digest, Sha256};

use crate::{
    chain::Hash,
    error::JournalError,
    reader::Reader,
    recovery::{self, Stop},
};

/// The tree over the first `size` entries, and the ways up to its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub root: Hash,
    /// For each entry that was asked about, the hashes beside its way to the root, from the leaf up.
    pub paths: Vec<Vec<Hash>>,
}

/// A complete subtree: `size` leaves, a power of two, from leaf `start` on.
struct Peak {
    hash: Hash,
    start: u64,
    size: u64,
}

/// Grows by one leaf at a time in O(log n) memory, keeping the ways of the leaves that are asked about.
struct Tree {
    peaks: Vec<Peak>,
    size: u64,
    /// Leaf by leaf, counted from 0, with its way so far.
    asked: Vec<(u64, Vec<Hash>)>,
}

impl Tree {
    fn new(seqs: &[u64]) -> Tree {
        let asked = seqs.iter().map(|seq| (seq.saturating_sub(1), Vec::new())).collect();
        Tree { peaks: Vec::new(), size: 0, asked }
    }

    fn push(&mut self, entry: &Hash) {
        let mut last = Peak { hash: leaf(entry), start: self.size, size: 1 };
        self.size += 1;
        while let Some(left) = self.peaks.pop_if(|peak| peak.size == last.size) {
            last = self.join(&left, &last);
        }
        self.peaks.push(last);
    }

    fn join(&mut self, left: &Peak, right: &Peak) -> Peak {
        for (at, path) in &mut self.asked {
            if (left.start..right.start).contains(at) {
                path.push(right.hash);
            } else if (right.start..right.start + right.size).contains(at) {
                path.push(left.hash);
            }
        }
        Peak { hash: node(&left.hash, &right.hash), start: left.start, size: left.size + right.size }
    }

    fn finish(mut self) -> Proof {
        let mut root = self.peaks.pop();
        while let (Some(left), Some(right)) = (self.peaks.pop(), &root) {
            root = Some(self.join(&left, right));
        }
        let root = root.map_or(Hash::GENESIS, |peak| peak.hash);
        Proof { root, paths: self.asked.into_iter().map(|(_, path)| path).collect() }
    }
}

/// Walks the first `size` entries, each checked, and proves that those numbered `seqs` are among them.
///
/// # Errors
/// `Corrupt` where the chain does not hold, has fewer entries than `size`, or a number of `seqs` is not
/// from 1 to `size`; `Io`.
pub fn prove(reader: &Reader, size: u64, seqs: &[u64]) -> Result<Proof, JournalError> {
    let outside = |seq: u64| reader.blame().corrupt(Some(seq), "it is not there");
    if let Some(seq) = seqs.iter().find(|seq| !(1..=size).contains(seq)) {
        return Err(outside(*seq));
    }
    let mut tree = Tree::new(seqs);
    let walked = recovery::walk(reader, |entry| {
        if entry.seq > size {
            return Err(());
        }
        tree.push(&entry.hash);
        Ok(())
    });
    match walked {
        Ok(_) | Err(Stop::Visitor(())) if tree.size == size => Ok(tree.finish()),
        Ok(_) | Err(Stop::Visitor(())) => Err(outside(tree.size + 1)),
        Err(Stop::Bad(bad)) => Err(reader.blame().corrupt(Some(bad.seq), bad.reason)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// The root that entry `seq` with hash `entry` has in a tree of `size` entries, by the hashes beside its
/// way up; `None` when they are too many or too few.
#[must_use]
pub fn root_of(entry: &Hash, seq: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if !(1..=size).contains(&seq) {
        return None;
    }
    // As in RFC 9162, 2.1.3.2: `at` is our place in the current row, `last` that of the row's end.
    let (mut at, mut last) = (seq - 1, size - 1);
    let mut hash = leaf(entry);
    for beside in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(beside, &hash);
            // A row's end without a partner went up as it was.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

fn leaf(entry: &Hash) -> Hash {
    let mut hasher = Sha256::new_with_prefix([0]);
    hasher.update(entry.as_bytes());
    Hash::from(hasher)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new_with_prefix([1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    Hash::from(hasher)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
