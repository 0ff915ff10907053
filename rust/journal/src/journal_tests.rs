use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, mpsc},
};

use super::*;
use crate::{MAX_ENTRY, verify};

/// A folder that is gone when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("kernel.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn small() -> Options {
    Options { reserve: 1 << 16, ..Options::default() }
}

fn open(folder: &Folder) -> (Journal, Vec<(u64, Vec<u8>)>) {
    let (journal, recovery) = Journal::open(Some(&folder.database()), small()).unwrap();
    let mut entries = Vec::new();
    recovery
        .replay(|seq, bytes| {
            entries.push((seq, bytes.to_vec()));
            Ok::<(), JournalError>(())
        })
        .unwrap();
    assert_eq!(recovery.last, entries.len() as u64);
    (journal, entries)
}

#[test]
fn entries_come_back_in_order_and_verified() {
    let folder = Folder::new("order");
    let (journal, entries) = open(&folder);
    assert!(entries.is_empty());
    assert_eq!(journal.append(vec![b"one".to_vec(), b"two".to_vec()]).unwrap(), 2);
    assert_eq!(journal.append(vec![b"three".to_vec()]).unwrap(), 3);
    journal.wait_durable(3).unwrap();
    assert_eq!(journal.durable(), 3);
    journal.close().unwrap();

    let (journal, entries) = open(&folder);
    assert_eq!(entries, [(1, b"one".to_vec()), (2, b"two".to_vec()), (3, b"three".to_vec())]);
    assert_eq!(journal.append(vec![b"four".to_vec()]).unwrap(), 4);
    journal.wait_durable(4).unwrap();
    let stored = journal.entries(3, 10).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].seq, stored[0].version, stored[0].bytes.as_slice()), (4, 1, b"four".as_slice()));
    let report = verify(&folder.database()).unwrap();
    assert_eq!((report.ok, report.entries, report.head), (true, 4, stored[0].hash));
}

#[test]
fn more_entries_than_a_page_replay_whole() {
    let folder = Folder::new("pages");
    let (journal, _) = open(&folder);
    let all: Vec<Vec<u8>> = (0..2_000_u32).map(|n| n.to_le_bytes().to_vec()).collect();
    let last = journal.append(all.clone()).unwrap();
    journal.wait_durable(last).unwrap();
    drop(journal);
    let (_journal, entries) = open(&folder);
    assert_eq!(entries.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), all);
}

#[test]
fn a_clean_end_leaves_an_empty_log() {
    let folder = Folder::new("clean");
    let (journal, _) = open(&folder);
    journal.append(vec![b"x".to_vec()]).unwrap();
    journal.close().unwrap();
    let log = std::fs::metadata(folder.database().with_file_name("kernel.db-wal"));
    assert!(log.map_or(0, |log| log.len()) == 0);
}

#[test]
fn files_are_their_owners_alone() {
    let folder = Folder::new("modes");
    let (journal, _) = open(&folder);
    let last = journal.append(vec![b"x".to_vec()]).unwrap();
    journal.wait_durable(last).unwrap();
    let mut seen = 0;
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        seen += 1;
    }
    assert!(seen >= 4, "database, log, lock and reserve");
}

#[test]
fn a_long_entry_is_refused_with_its_whole_call() {
    let (journal, _) = Journal::open(None, small()).unwrap();
    let refused = journal.append(vec![b"short".to_vec(), vec![0; MAX_ENTRY + 1]]);
    assert_eq!(refused, Err(JournalError::EntryTooLong { length: MAX_ENTRY + 1, limit: MAX_ENTRY }));
    assert_eq!(journal.append(vec![vec![0; MAX_ENTRY]]), Ok(1));
}

#[test]
fn an_entry_that_was_never_queued_cannot_be_waited_for() {
    let (journal, _) = Journal::open(None, small()).unwrap();
    assert_eq!(journal.wait_durable(1), Err(JournalError::NeverQueued { seq: 1, last: 0 }));
}

#[test]
fn there_is_one_writer_at_a_time() {
    let folder = Folder::new("one");
    let (journal, _) = open(&folder);
    let second = Journal::open(Some(&folder.database()), small());
    assert!(matches!(second, Err(JournalError::Locked { .. })));
    journal.close().unwrap();
    open(&folder);
}

#[test]
fn blobs_are_named_by_their_bytes_and_can_be_deleted() {
    let folder = Folder::new("blobs");
    let (journal, _) = open(&folder);
    let digest = journal.put_blob(b"prompt".to_vec()).unwrap();
    assert_eq!(digest.len(), 64);
    assert_eq!(journal.put_blob(b"prompt".to_vec()).unwrap(), digest);
    assert_eq!(journal.blob(&digest).unwrap(), Some(b"prompt".to_vec()));
    assert_eq!(journal.blob("no such name").unwrap(), None);
    journal.append(vec![digest.clone().into_bytes()]).unwrap();
    journal.delete_blob(&digest).unwrap();
    assert_eq!(journal.blob(&digest).unwrap(), None);
    assert!(verify(&folder.database()).unwrap().ok);
}

#[test]
fn what_is_deleted_is_not_in_the_files_any_more() {
    let folder = Folder::new("deleted");
    let (journal, _) = open(&folder);
    let secret = b"a sentence nobody else would write 7f3a".to_vec();
    let holds = |suffix: &str| {
        let bytes = std::fs::read(crate::schema::beside(&folder.database(), suffix)).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret)
    };
    let digest = journal.put_blob(secret.clone()).unwrap();
    journal.append_stream("out", secret.clone()).unwrap();
    journal.flush().unwrap();
    assert!(holds("") || holds("-wal"));
    journal.delete_blob(&digest).unwrap();
    journal.delete_stream("out").unwrap();
    journal.flush().unwrap();
    assert!(!holds("") && !holds("-wal"));
}

#[test]
fn a_stream_reads_as_one_piece_from_anywhere() {
    let (journal, _) = Journal::open(None, small()).unwrap();
    let whole: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    for piece in whole.chunks(7_001) {
        journal.append_stream("out", piece.to_vec()).unwrap();
        if piece[0] % 3 == 0 {
            journal.flush().unwrap();
        }
    }
    journal.append_stream("other", b"elsewhere".to_vec()).unwrap();
    assert_eq!(journal.stream_length("out").unwrap(), whole.len() as u64);
    for (offset, limit) in
        [(0, 10), (6_999, 5), (65_530, 70_000), (199_990, 100), (200_000, 1), (9_999_999, 1)]
    {
        let expected: Vec<u8> = whole.iter().skip(offset).take(limit).copied().collect();
        assert_eq!(journal.stream("out", offset as u64, limit).unwrap(), expected, "{offset} {limit}");
    }
    assert_eq!(journal.stream("none", 0, 10).unwrap(), b"");
}

#[test]
fn output_after_a_deletion_starts_the_stream_anew() {
    let (journal, _) = Journal::open(None, small()).unwrap();
    journal.append_stream("out", b"old".to_vec()).unwrap();
    journal.flush().unwrap();
    journal.append_stream("out", b"older".to_vec()).unwrap();
    journal.delete_stream("out").unwrap();
    journal.append_stream("out", b"new".to_vec()).unwrap();
    assert_eq!(journal.stream("out", 0, 100).unwrap(), b"new");
    assert_eq!(journal.stream_length("out").unwrap(), 3);
}

#[test]
fn output_is_durable_within_a_second_without_a_commit_of_others() {
    let folder = Folder::new("lazy");
    let (journal, _) = open(&folder);
    let (sender, receiver) = mpsc::channel();
    journal.notify(Box::new(move || {
        let _ = sender.send(());
    }));
    journal.append_stream("out", b"line\n".to_vec()).unwrap();
    receiver.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
    assert_eq!(Reader::open(&folder.database()).unwrap().stream("out", 0, 10).unwrap(), b"line\n");
}

#[test]
fn a_blob_is_there_when_a_later_entry_is() {
    let folder = Folder::new("blob-order");
    let (journal, _) = open(&folder);
    let digest = journal.put_blob(vec![7; 100_000]).unwrap();
    let last = journal.append(vec![b"names the blob".to_vec()]).unwrap();
    journal.wait_durable(last).unwrap();
    let reader = Reader::open(&folder.database()).unwrap();
    assert_eq!(reader.blob(&digest).unwrap(), Some(vec![7; 100_000]));
}

#[test]
fn producers_in_parallel_lose_nothing() {
    let folder = Folder::new("parallel");
    let (journal, _) = open(&folder);
    let journal = Arc::new(journal);
    let producers: Vec<_> = (0..8_u8)
        .map(|producer| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                for n in 0..100_u8 {
                    let seq = journal.append(vec![vec![producer, n]]).unwrap();
                    journal.wait_durable(seq).unwrap();
                    assert!(journal.durable() >= seq);
                }
            })
        })
        .collect();
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    drop(journal);
    let (_journal, entries) = open(&folder);
    for producer in 0..8_u8 {
        let mine: Vec<u8> =
            entries.iter().filter(|(_, bytes)| bytes[0] == producer).map(|(_, bytes)| bytes[1]).collect();
        assert_eq!(mine, (0..100).collect::<Vec<u8>>(), "each producer's entries keep their order");
    }
}

#[test]
fn closing_commits_what_is_queued_and_then_refuses() {
    let folder = Folder::new("closing");
    let (journal, _) = open(&folder);
    journal.append_stream("out", b"last words".to_vec()).unwrap();
    journal.append(vec![b"last entry".to_vec()]).unwrap();
    journal.close().unwrap();
    let reader = Reader::open(&folder.database()).unwrap();
    assert_eq!(reader.stream("out", 0, 100).unwrap(), b"last words");
    assert_eq!(reader.head().unwrap().seq, 1);
}

#[test]
fn a_reader_sees_commits_as_they_come() {
    let folder = Folder::new("reader");
    let (journal, _) = open(&folder);
    let reader = Reader::open(&folder.database()).unwrap();
    for n in 1..=20 {
        let last = journal.append(vec![vec![n]]).unwrap();
        journal.wait_durable(last).unwrap();
        assert_eq!(reader.head().unwrap().seq, u64::from(n));
        assert_eq!(reader.entries(u64::from(n) - 1, 5).unwrap()[0].bytes, [n]);
    }
}

#[test]
fn an_entry_keeps_the_format_it_was_written_in() {
    let folder = Folder::new("formats");
    for version in [1, 2] {
        let options = Options { entry_version: version, ..small() };
        let (journal, _) = Journal::open(Some(&folder.database()), options).unwrap();
        journal.append(vec![version.to_be_bytes().to_vec()]).unwrap();
        journal.close().unwrap();
    }
    let mut seen = Vec::new();
    let reader = Reader::open(&folder.database()).unwrap();
    reader
        .replay_versions(|_, version, bytes| {
            seen.push((version, bytes.to_vec()));
            Ok::<(), JournalError>(())
        })
        .unwrap();
    assert_eq!(seen, [(1, vec![0, 1]), (2, vec![0, 2])]);
}

#[test]
fn what_apply_refuses_ends_the_replay_with_its_own_error() {
    let (journal, recovery) = Journal::open(None, small()).unwrap();
    let last = journal.append(vec![vec![1], vec![2], vec![3]]).unwrap();
    journal.wait_durable(last).unwrap();
    let mut applied = 0;
    let refused = recovery.replay(|seq, _| {
        applied += 1;
        if seq == 2 { Err(JournalError::Closed) } else { Ok(()) }
    });
    assert_eq!((refused, applied), (Err(JournalError::Closed), 2));
}

#[test]
fn a_path_that_sqlite_cannot_open_is_named() {
    let folder = Folder::new("long");
    let long = folder.0.join("a".repeat(200)).join("b".repeat(200)).join("c".repeat(200));
    std::fs::create_dir_all(&long).unwrap();
    let refused = Journal::open(Some(&long.join("kernel.db")), small());
    assert!(matches!(refused, Err(JournalError::PathTooLong { .. })));
    assert_eq!(std::fs::read_dir(&long).unwrap().count(), 0);
}

#[test]
fn lazy_entries_wait_for_a_commit_or_for_somebody_who_urges() {
    let (journal, _) = Journal::open(None, Options::default()).unwrap();
    let lazy = journal.append_lazily(vec![b"lazy".to_vec()]).unwrap();
    let urgent = journal.append(vec![b"urgent".to_vec()]).unwrap();
    assert_eq!((lazy, urgent), (1, 2));
    journal.wait_durable(lazy).unwrap();
    assert_eq!(journal.durable(), urgent, "one commit took both");
    let lazy = journal.append_lazily(vec![b"lazy".to_vec()]).unwrap();
    journal.urge();
    journal.wait_durable(lazy).unwrap();
    // Left alone, it is on disk within a second or so.
    let lazy = journal.append_lazily(vec![b"lazy".to_vec()]).unwrap();
    journal.wait_durable(lazy).unwrap();
}
