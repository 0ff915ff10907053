//! A disk that is really full: a small file system in a namespace of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::Duration,
};

use agentos_journal::{Journal, JournalError, Options, Reader, verify};

const FOLDER: &str = "JOURNAL_DISK_TEST_FOLDER";
const MEBIBYTE: usize = 1 << 20;

/// Runs the ignored test `name` with a file system of 24 MiB at `FOLDER`. Where the machine gives no
/// namespaces the test is skipped, which is a failure where `CI` says that everything must run.
fn on_a_small_disk(name: &str) {
    let folder = env::temp_dir().join(format!("journal-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let script = r#"mount -t tmpfs -o size=24m none "$0" 2>/dev/null || exit 77; exec "$@""#;
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(&folder)
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, &folder)
        .output();
    fs::remove_dir_all(&folder).unwrap();
    let refused = match &run {
        Ok(run) => run.status.code() == Some(77) || String::from_utf8_lossy(&run.stderr).contains("unshare"),
        Err(_) => true,
    };
    if refused {
        assert!(env::var_os("CI").is_none(), "no small disk can be mounted here: {run:?}");
        eprintln!("skipped {name}: no user and mount namespaces here");
        return;
    }
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("1 passed"), "the inner test ran: {said}");
}

fn folder() -> PathBuf {
    PathBuf::from(env::var_os(FOLDER).expect("started by the test that mounts the disk"))
}

fn options() -> Options {
    Options { reserve: 8 << 20, ..Options::default() }
}

/// Fills the disk to the last byte.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
    path
}

fn commit(journal: &Journal, bytes: usize) -> Result<u64, JournalError> {
    journal.append_stream("out", vec![7; bytes])?;
    let last = journal.append(vec![b"entry".to_vec()])?;
    journal.wait_durable(last)?;
    Ok(last)
}

#[test]
fn the_reserve_lets_settlement_finish() {
    on_a_small_disk("inner_reserve");
}

#[test]
#[ignore = "needs a small disk of its own"]
fn inner_reserve() {
    let folder = folder();
    let path = folder.join("kernel.db");
    let (journal, _) = Journal::open(Some(&path), options()).unwrap();
    commit(&journal, MEBIBYTE).unwrap();
    assert!(!journal.low_disk());
    assert!(folder.join("reserve").exists());

    let ballast = fill(&folder);
    let mut last = 0;
    while !journal.low_disk() {
        last = commit(&journal, 100_000).unwrap();
    }
    assert!(!folder.join("reserve").exists(), "the reserve was given back");
    for _ in 0..20 {
        last = commit(&journal, 50_000).unwrap();
    }
    assert!(journal.low_disk(), "new work is to wait");

    // Space again: the reserve comes back by itself, and the caller is told.
    let (sender, told) = mpsc::channel();
    journal.notify(Box::new(move || {
        let _ = sender.send(());
    }));
    fs::remove_file(ballast).unwrap();
    while journal.low_disk() {
        told.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    assert_eq!(fs::metadata(folder.join("reserve")).unwrap().len(), 8 << 20);
    assert_eq!(commit(&journal, 1).unwrap(), last + 1);
    journal.close().unwrap();
    assert_eq!(verify(&path).unwrap().entries, last + 1);
}

#[test]
fn a_disk_full_to_the_end_is_an_error_that_loses_nothing() {
    on_a_small_disk("inner_full");
}

#[test]
#[ignore = "needs a small disk of its own"]
fn inner_full() {
    let folder = folder();
    let path = folder.join("kernel.db");
    let (journal, _) = Journal::open(Some(&path), options()).unwrap();
    let ballast = fill(&folder);
    let mut acknowledged = 0;
    let failure = loop {
        match commit(&journal, 500_000) {
            Ok(last) => acknowledged = last,
            Err(error) => break error,
        }
    };
    assert!(matches!(failure, JournalError::DiskFull { .. }), "{failure}");
    assert!(journal.low_disk());
    assert_eq!(journal.failure(), Some(failure.clone()));
    assert_eq!(journal.append(vec![b"more".to_vec()]), Err(failure.clone()), "it does not come back to life");
    assert_eq!(journal.close(), Err(failure));

    assert_eq!(Reader::open(&path).unwrap().head().unwrap().seq, acknowledged, "readable on a full disk");
    fs::remove_file(ballast).unwrap();
    let (journal, recovery) = Journal::open(Some(&path), options()).unwrap();
    recovery.replay(|_, _| Ok::<(), JournalError>(())).unwrap();
    assert_eq!(recovery.last, acknowledged);
    assert_eq!(commit(&journal, 1).unwrap(), acknowledged + 1);
    assert!(!journal.low_disk());
    journal.close().unwrap();
    assert!(verify(&path).unwrap().ok);
}

#[test]
fn a_journal_cannot_be_made_on_a_full_disk_and_nothing_half_stays() {
    on_a_small_disk("inner_make");
}

#[test]
#[ignore = "needs a small disk of its own"]
fn inner_make() {
    let folder = folder();
    let path = folder.join("kernel.db");
    let ballast = fill(&folder);
    let refused = Journal::open(Some(&path), options()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, JournalError::DiskFull { .. } | JournalError::Io { .. }), "{refused}");
    assert!(!path.exists());
    fs::remove_file(ballast).unwrap();
    let (journal, _) = Journal::open(Some(&path), options()).unwrap();
    assert_eq!(commit(&journal, 1).unwrap(), 1);
}
