//! The journal is the state: cut off at any entry and taken up again it goes on as it did, and what an earlier
//! version wrote is read as it was meant.
//!
//! `rust/kernel/journals/1.jsonl` has every kind of fact; `1.state` is the state it leads to, as `export_tests`
//! writes it. Whoever adds a kind of fact writes both anew: `make journal`. Entries of a released version are not
//! written anew but kept beside the new ones.

use std::collections::BTreeSet;
use std::path::PathBuf;

use agentos_abi::{Call, Entry};

use crate::Kernel;
use crate::driven::*;
use crate::export_tests::export;
use crate::tests::{check, stir};

/// A long walk through everything that a kernel does.
fn walk(seed: u64, calls: u64) -> Driven {
    let mut dice = Dice(seed);
    let (mut os, _) = Driven::new();
    for _ in 0..calls {
        stir(&mut os, &mut dice);
    }
    os
}

fn recovered(journal: &[Entry]) -> Kernel {
    let mut kernel = Kernel::default();
    journal.iter().for_each(|entry| kernel.recover(entry));
    kernel
}

/// Cut off at any entry, what follows of itself follows, and the rest of the journal leads to the same end.
#[test]
fn it_goes_on_from_every_entry_as_it_did() {
    for seed in 0..4 {
        let os = walk(seed, 350);
        let end = export(os.kernel.state());
        let mut kernel = Kernel::default();
        for (at, entry) in os.journal.iter().enumerate() {
            kernel.recover(entry);
            let (before, after) = os.journal.split_at(at + 1);
            let mut cut = recovered(before);
            assert_eq!(cut, kernel, "seed {seed}, entry {at}");
            if at % 5 == 0 {
                after.iter().for_each(|entry| cut.recover(entry));
                assert_eq!(cut, os.kernel, "seed {seed}, entry {at}");
                assert_eq!(export(cut.state()), end, "seed {seed}, entry {at}");
            }
        }
    }
}

/// A new daemon takes over after any entry: everything still holds, whatever is called then, and the journal of
/// both together is the state.
#[test]
fn a_daemon_may_end_after_every_entry() {
    for seed in 0..3 {
        let os = walk(seed, 250);
        for at in 0..os.journal.len() {
            let now_us = os.journal[at].at_us;
            let journal = os.journal[..=at].to_vec();
            let (kernel, keys) = (recovered(&journal), 1_000_000);
            let mut next = Driven { kernel, journal, now_us, keys, ..Driven::default() };
            let mut dice = Dice(seed * 100_000 + at as u64);
            next.call(Call::Epoch);
            check(&next);
            for _ in 0..6 {
                stir(&mut next, &mut dice);
                check(&next);
            }
            assert_eq!(next.recovered(), next.kernel, "seed {seed}, entry {at}");
        }
    }
}

fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("journals").join(name)
}

fn kind(entry: &Entry) -> String {
    let value = serde_json::to_value(entry).expect("entries are JSON");
    value["type"].as_str().expect("a tag").to_owned()
}

/// The tags of all facts, as the type itself names them.
fn kinds() -> BTreeSet<String> {
    let refused =
        serde_json::from_str::<Entry>(r#"{"at_us":0,"type":"no such fact"}"#).expect_err("no such fact");
    let named = refused.to_string();
    let (_, named) = named.split_once("expected one of ").expect("it says which there are");
    named.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn a_kept_journal_leads_where_it_led() {
    if std::env::var_os("AGENTOS_KEEP_JOURNAL").is_some() {
        keep();
    }
    let text = std::fs::read_to_string(kept("1.jsonl")).expect("a kept journal");
    let journal: Vec<Entry> =
        text.lines().map(|line| serde_json::from_str(line).expect("an entry of version 1")).collect();
    let there: BTreeSet<String> = journal.iter().map(kind).collect();
    let missing: Vec<_> = kinds().difference(&there).cloned().collect();
    assert!(
        missing.is_empty(),
        "no entry of the kinds {missing:?}: `make journal`, and see what has changed"
    );
    let state = std::fs::read_to_string(kept("1.state")).expect("a kept state");
    assert_eq!(export(recovered(&journal).state()), state);
}

/// The first walk that has every kind of fact.
fn keep() {
    let every = |os: &Driven| kinds().is_subset(&os.journal.iter().map(kind).collect());
    let os = (0..400)
        .map(|seed| walk(seed, 300 + seed * 5))
        .find(every)
        .expect("`stir` brings about every kind of fact");
    let lines = os.journal.iter().map(|entry| serde_json::to_string(entry).expect("entries are JSON") + "\n");
    std::fs::create_dir_all(kept("")).expect("a folder");
    std::fs::write(kept("1.jsonl"), lines.collect::<String>()).expect("written");
    std::fs::write(kept("1.state"), export(os.kernel.state())).expect("written");
}
