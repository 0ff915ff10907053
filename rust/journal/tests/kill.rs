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
    path::{Path, PathBuf},
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
    writeln!(std::io::stdout(), "opening").unwrap();
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

/// What a killed child acknowledged: the last entry, and each blob. It is killed `delay` after it has
/// acknowledged `calls` calls; with none, while it opens the journal.
fn run_and_kill(folder: &Path, calls: u64, delay: Duration) -> (u64, Vec<String>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The harness may have its say on the same line, before ours.
    assert!(lines.any(|line| line.ends_with("opening")));
    let mut said = lines.filter_map(|line| {
        let (last, digest) = line.strip_prefix("durable ")?.split_once(' ')?;
        Some((last.parse().ok()?, digest.to_owned()))
    });
    let mut acknowledged: Vec<(u64, String)> = said.by_ref().take(calls as usize).collect();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said between the last line read and its end counts as well.
    acknowledged.extend(said);
    let last = acknowledged.last().map_or(0, |(last, _)| *last);
    (last, acknowledged.into_iter().map(|(_, digest)| digest).collect())
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let folder = env::temp_dir().join(format!("journal-kill-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut acknowledged = 0;
    let mut grew = 0;
    for round in 0..ROUNDS {
        // From "hardly started" to "well under way", in an order without a pattern. The delays span a commit.
        let delay = Duration::from_micros(round * 7_919 % 60 * 40);
        let (last, blobs) = run_and_kill(&folder, round * 31 % 7 * 3, delay);
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
    assert!(grew > ROUNDS / 2, "only {grew} of {ROUNDS} children got to acknowledge anything");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_journal_killed_while_it_is_made_is_whole_or_not_there() {
    let folder = env::temp_dir().join(format!("journal-kill-new-{}", std::process::id()));
    let mut made = 0;
    for round in 0..40 {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (acknowledged, _) = run_and_kill(&folder, 0, Duration::from_micros(round * 100));
        let path = folder.join("kernel.db");
        made += u64::from(path.exists());
        let (journal, recovery) = Journal::open(Some(&path), Options::default()).unwrap();
        recovery.replay(|_, _| Ok::<(), JournalError>(())).unwrap();
        assert!(recovery.last >= acknowledged && recovery.last % 3 == 0, "round {round}");
        journal.append(call(recovery.last + 1)).unwrap();
        journal.close().unwrap();
        assert!(verify(&path).unwrap().ok, "round {round}");
    }
    eprintln!("{made} of 40 were there when their maker was killed");
    fs::remove_dir_all(&folder).unwrap();
}
