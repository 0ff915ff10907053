//! What is called durable was synced: the system calls of a writer, in their order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{env, fs, io::Write, path::PathBuf, process::Command};

use agentos_journal::{Journal, Options};

const FOLDER: &str = "JOURNAL_SYNC_TEST_FOLDER";
const APPENDS: usize = 25;

/// The child of the test below: says what is durable, and nothing else, on standard output.
#[test]
#[ignore = "started by the test that traces it"]
fn child_appends() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let options = Options { reserve: 0, ..Options::default() };
    let (journal, _) = Journal::open(Some(&folder.join("kernel.db")), options).unwrap();
    for _ in 0..APPENDS {
        let last = journal.append(vec![b"entry".to_vec()]).unwrap();
        journal.wait_durable(last).unwrap();
        std::io::stdout().write_all(format!("durable {last}\n").as_bytes()).unwrap();
    }
}

/// Whether this line of the trace is the end of a sync that worked. With several threads a call's end may
/// be on a line of its own.
fn is_sync(line: &str) -> bool {
    (line.contains("fdatasync(") || line.contains("fsync(") || line.contains("sync resumed>"))
        && line.trim_end().ends_with("= 0")
}

#[test]
fn every_acknowledgement_follows_a_sync_of_its_own() {
    let folder = env::temp_dir().join(format!("journal-sync-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let trace = folder.join("trace");
    let run = Command::new("strace")
        .args(["--follow-forks", "--trace=fsync,fdatasync,write,pwrite64", "--output"])
        .arg(&trace)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "child_appends", "--ignored", "--nocapture"])
        .env(FOLDER, &folder)
        .output();
    let refused = match &run {
        Ok(run) => String::from_utf8_lossy(&run.stderr).to_lowercase().contains("ptrace"),
        Err(_) => true,
    };
    if refused {
        fs::remove_dir_all(&folder).unwrap();
        assert!(env::var_os("CI").is_none(), "nothing can be traced here: {run:?}");
        eprintln!("skipped: needs strace, and leave to trace");
        return;
    }
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let (mut synced, mut acknowledged) = (false, 0);
    for line in fs::read_to_string(&trace).unwrap().lines() {
        if is_sync(line) {
            synced = true;
        } else if line.contains("pwrite64(") {
            // Something was written that no sync has covered yet.
            synced = false;
        } else if line.contains("\"durable ") {
            assert!(synced, "called durable before it was: {line}");
            acknowledged += 1;
        }
    }
    assert_eq!(acknowledged, APPENDS);
    fs::remove_dir_all(&folder).unwrap();
}
