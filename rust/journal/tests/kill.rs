//! A writer killed at any moment: what it acknowledged is there, nothing is half there, the chain holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use agentos_journal::{Journal, JournalError, Options, verify};

const FOLDER: &str = "JOURNAL_KILL_TEST_FOLDER";
const ROUNDS: u64 = 60;

/// Entries come in calls of three; each names its number, so that a call cut in two shows.
fn call(first: u64) -> Vec<Vec<u8>> {
    (first..first + 3).map(|seq| format!("entry {seq}").into_bytes()).collect()
}

/// The child of the test below: appends for ever, saying what is durable.
#[test]
#[ignore = "started by the test that kills it"]
fn child_appends_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let options = Options { reserve: 1 << 16, ..Options::default() };
    let (journal, recovery) = Journal::open(Some(&folder.join("kernel.db")), options).unwrap();
    let mut next = recovery.last + 1;
    let mut out = std::io::stdout();
    loop {
        let digest = journal.put_blob(format!("blob {next}").into_bytes()).unwrap();
        journal.append_stream("out", format!("line {next}\n").into_bytes()).unwrap();
        let last = journal.append(call(next)).unwrap();
        journal.wait_durable(last).unwrap();
        if writeln!(out, "durable {last} {digest}").is_err() {
            return;
        }
        next = last + 1;
    }
}

/// What a killed child acknowledged: the last entry, and each blob.
fn run_and_kill(folder: &PathBuf, patience: Duration) -> (u64, Vec<String>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The reader ends with the pipe: after the kill nothing that was said is missed.
    let reader = std::thread::spawn(move || {
        let mut said = (0, Vec::new());
        for line in lines.map_while(Result::ok) {
            if let Some((last, digest)) = line.strip_prefix("durable ").and_then(|rest| rest.split_once(' '))
            {
                said = (last.parse().unwrap(), [said.1, vec![digest.to_owned()]].concat());
            }
        }
        said
    });
    std::thread::sleep(patience);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let folder = env::temp_dir().join(format!("journal-kill-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut acknowledged = 0;
    let mut grew = 0;
    for round in 0..ROUNDS {
        // From "hardly started" to "well under way", in an order without a pattern.
        let patience = Duration::from_micros(500 + round * 7_919 % 60 * 700);
        let (last, blobs) = run_and_kill(&folder, patience);
        grew += u64::from(last > acknowledged);
        acknowledged = acknowledged.max(last);
        if !folder.join("kernel.db").exists() {
            assert_eq!(acknowledged, 0, "round {round}");
            continue;
        }
        let options = Options { reserve: 0, ..Options::default() };
        let (journal, recovery) = Journal::open(Some(&folder.join("kernel.db")), options).unwrap();
        let mut seen = 0;
        recovery
            .replay(|seq, bytes| {
                assert_eq!(bytes, format!("entry {seq}").into_bytes());
                seen = seq;
                Ok::<(), JournalError>(())
            })
            .unwrap();
        assert!(seen >= acknowledged, "round {round}: {acknowledged} was acknowledged, {seen} is there");
        assert_eq!(seen % 3, 0, "round {round}: a call is there whole or not at all");
        for digest in blobs {
            assert!(journal.blob(&digest).unwrap().is_some(), "round {round}: a blob of durable entries");
        }
        journal.close().unwrap();
        assert!(verify(&folder.join("kernel.db")).unwrap().ok, "round {round}");
    }
    assert!(grew > ROUNDS / 3, "only {grew} of {ROUNDS} children got to acknowledge anything");
    fs::remove_dir_all(&folder).unwrap();
}
