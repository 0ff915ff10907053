#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{env, fs};

use super::*;
use crate::{Journal, Options};

fn entries(count: u64) -> Vec<Hash> {
    (1..=count).map(|seq| Hash::of(&seq.to_be_bytes())).collect()
}

/// The root as RFC 6962, 2.1 defines it, word for word.
fn defined(entries: &[Hash]) -> Hash {
    match entries {
        [] => Hash::GENESIS,
        [one] => leaf(one),
        many => {
            let mut split = 1;
            while split * 2 < many.len() {
                split *= 2;
            }
            node(&defined(&many[..split]), &defined(&many[split..]))
        }
    }
}

#[test]
fn the_root_is_the_defined_one_and_every_path_leads_to_it() {
    for size in 0..=70 {
        let entries = entries(size);
        let seqs: Vec<u64> = (1..=size).collect();
        let mut tree = Tree::new(&seqs);
        entries.iter().for_each(|entry| tree.push(entry));
        let proof = tree.finish();
        assert_eq!(proof.root, defined(&entries), "{size}");
        for (seq, path) in seqs.iter().zip(&proof.paths) {
            let entry = &entries[*seq as usize - 1];
            assert_eq!(root_of(entry, *seq, size, path), Some(proof.root), "{seq} of {size}");
        }
    }
}

#[test]
fn a_path_proves_nothing_else() {
    let all = entries(21);
    let mut tree = Tree::new(&[6]);
    all.iter().for_each(|entry| tree.push(entry));
    let Proof { root, paths } = tree.finish();
    let path = &paths[0];
    assert_eq!(root_of(&all[5], 6, 21, path), Some(root));
    for (seq, entry) in (1..).zip(&all) {
        assert_eq!(root_of(entry, seq, 21, path) == Some(root), seq == 6);
        assert_eq!(root_of(entry, 6, 21, path) == Some(root), seq == 6);
        assert_eq!(root_of(&all[5], seq, 21, path) == Some(root), seq == 6);
    }
    for at in 0..path.len() {
        let mut changed = path.clone();
        changed[at] = Hash::of(b"forged");
        assert_ne!(root_of(&all[5], 6, 21, &changed), Some(root));
        changed.remove(at);
        assert_ne!(root_of(&all[5], 6, 21, &changed), Some(root));
    }
    let longer = [path.as_slice(), &[Hash::GENESIS]].concat();
    assert_eq!(root_of(&all[5], 6, 21, &longer), None);
    assert_eq!(root_of(&all[5], 0, 21, path), None);
    assert_eq!(root_of(&all[5], 22, 21, path), None);
}

#[test]
fn entries_of_a_journal_are_proved_under_any_earlier_head() {
    let folder = env::temp_dir().join(format!("journal-tree-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("kernel.db");
    let (journal, _) = Journal::open(Some(&path), Options { reserve: 0, ..Options::default() }).unwrap();
    journal.append((0..9_u8).map(|n| vec![n]).collect()).unwrap();
    journal.close().unwrap();
    let reader = Reader::open(&path).unwrap();
    let stored = reader.entries(0, 100).unwrap();
    for size in 1..=9 {
        let proof = prove(&reader, size, &[1, size]).unwrap();
        for (seq, path) in [1, size].into_iter().zip(&proof.paths) {
            assert_eq!(root_of(&stored[seq as usize - 1].hash, seq, size, path), Some(proof.root));
        }
    }
    assert!(matches!(prove(&reader, 10, &[]), Err(JournalError::Corrupt { seq: Some(10), .. })));
    assert!(matches!(prove(&reader, 9, &[10]), Err(JournalError::Corrupt { seq: Some(10), .. })));
    fs::remove_dir_all(&folder).unwrap();
}
