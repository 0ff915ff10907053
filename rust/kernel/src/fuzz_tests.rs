//! No call, no fact and no bytes make the kernel panic, loop or write an entry that the journal refuses.
//!
//! `AGENTOS_FUZZ_INPUTS` says how many inputs each test takes (default 40,000); `make fuzz` takes more.

use agentos_abi::entry::ENTRY_BYTES;
use agentos_abi::length::json_bytes;
use agentos_abi::{Call, Entry};

use crate::driven::Dice;
use crate::nonsense_tests::Nonsense;
use crate::state::State;
use crate::{Kernel, apply, decide, settle};

const A_WORLD: u64 = 200;
/// More steps of itself than any state has left to do.
const ENDLESS: usize = 20_000;

fn inputs() -> u64 {
    std::env::var("AGENTOS_FUZZ_INPUTS").map_or(40_000, |count| count.parse().expect("a number"))
}

fn text(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("entries are JSON")
}

/// Time passes, at times by a little, at times to the end of the clock.
fn later(make: &mut Nonsense, now_us: u64) -> u64 {
    match make.dice.roll(60) {
        0 => make.number(),
        1..=9 => now_us.saturating_add(make.dice.roll(40_000_000)),
        _ => now_us.saturating_add(1),
    }
}

#[test]
fn whatever_is_called_is_decided_and_can_be_recovered() {
    for seed in 0..inputs().div_ceil(A_WORLD) {
        let mut make = Nonsense::new(seed);
        let (mut kernel, mut shadow) = (Kernel::default(), Kernel::default());
        let mut now_us = 0;
        let mut call = Call::Epoch;
        for number in 0..A_WORLD {
            let step = kernel.step(now_us, &call);
            for entry in &step.entries {
                make.note(&entry.fact);
                shadow.recover(entry);
                let text = text(entry);
                assert!(
                    text.len() <= ENTRY_BYTES,
                    "seed {seed}, call {number}: {} bytes, {text}",
                    text.len()
                );
                let again: Entry = serde_json::from_str(&text).expect("what is written can be read");
                assert_eq!(again, *entry, "seed {seed}, call {number}");
            }
            now_us = later(&mut make, now_us);
            call = make.call();
        }
        assert_eq!(shadow, kernel, "seed {seed}");
    }
}

/// What follows of itself from a state, until nothing does.
fn settled(state: &mut State, seed: u64) {
    for _ in 0..ENDLESS {
        let now_us = state.now_us;
        let Some(fact) = settle::next(state, now_us) else { return };
        let entry = Entry { at_us: now_us, fact };
        let _ = settle::event(state, &entry.fact);
        apply::apply(state, &entry);
    }
    panic!("seed {seed}: there is no end to what follows: {:?}", settle::next(state, state.now_us));
}

#[test]
fn whatever_a_journal_says_is_applied() {
    for seed in 0..inputs().div_ceil(A_WORLD) {
        let mut make = Nonsense::new(seed);
        let mut kernel = Kernel::default();
        kernel.step(0, &Call::Epoch);
        let mut state = kernel.state;
        for _ in 0..A_WORLD {
            let at_us = later(&mut make, state.now_us);
            // Now and then what is right as far as names go, so that there is something to contradict.
            let call = make.call();
            let mut facts = decide::decide(&state, at_us, &call).facts;
            if make.dice.roll(2) == 0 {
                facts.push(make.fact());
            }
            for fact in facts {
                make.note(&fact);
                let entry = Entry { at_us, fact };
                let _ = settle::event(&state, &entry.fact);
                apply::apply(&mut state, &entry);
            }
        }
        let _ = (state.processes().count(), state.questions().count(), state.next_deadline_us());
        settled(&mut state, seed);
    }
}

/// One change of a byte, a cut, or a piece said twice.
fn spoilt(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let at = dice.roll(bytes.len() as u64) as usize;
    match dice.roll(4) {
        0 => bytes[at] = dice.roll(256) as u8,
        1 => bytes.truncate(at),
        2 => bytes[at] = b"0123456789{}[],:\"-e."[dice.roll(20) as usize],
        _ => {
            let piece = bytes[at..].to_vec();
            bytes.extend(piece);
        }
    }
    if bytes.is_empty() {
        bytes.push(b'{');
    }
}

#[test]
fn whatever_bytes_are_read_are_refused_or_applied() {
    let mut read = 0;
    for seed in 0..inputs().div_ceil(4) {
        let mut make = Nonsense::new(seed);
        let entry = Entry { at_us: make.number(), fact: make.fact() };
        let call = make.call();
        let (long, wide) = (json_bytes(&entry), json_bytes(&call));
        let mut entry = serde_json::to_vec(&entry).expect("entries are JSON");
        let mut call = serde_json::to_vec(&call).expect("calls are JSON");
        assert_eq!((long, wide), (entry.len(), call.len()), "seed {seed}");
        for _ in 0..2 {
            spoilt(&mut make.dice, &mut entry);
            spoilt(&mut make.dice, &mut call);
            let mut kernel = Kernel::default();
            kernel.step(0, &Call::Epoch);
            if let Ok(entry) = serde_json::from_slice::<Entry>(&entry) {
                kernel.recover(&entry);
                read += 1;
            }
            if let Ok(call) = serde_json::from_slice::<Call>(&call) {
                kernel.step(1, &call);
                read += 1;
            }
        }
        let noise: Vec<u8> = (0..make.dice.roll(64)).map(|_| make.dice.roll(256) as u8).collect();
        let _ = (serde_json::from_slice::<Entry>(&noise), serde_json::from_slice::<Call>(&noise));
    }
    assert!(read > 100, "some of it was still readable: {read}");
}
