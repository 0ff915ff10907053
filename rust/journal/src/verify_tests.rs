//! Every way to tamper with a chain is found, and the first entry that does not hold is the one named.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::*;
use crate::{Journal, Options, Reader};

/// A journal of ten entries, closed, in a folder that is gone when the test ends.
struct Written(PathBuf);

impl Written {
    fn new(name: &str) -> Written {
        let folder = std::env::temp_dir().join(format!("verify-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let written = Written(folder);
        let options = Options { reserve: 0, ..Options::default() };
        let (journal, _) = Journal::open(Some(&written.path()), options).unwrap();
        let entries = (1..=10_u8).map(|n| format!("entry number {n}").into_bytes()).collect();
        journal.append(entries).unwrap();
        journal.close().unwrap();
        written
    }

    fn path(&self) -> PathBuf {
        self.0.join("kernel.db")
    }

    fn tamper(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    /// Asserts that nothing before `seq` is called bad, and that opening and replaying refuse as well.
    fn assert_bad(&self, seq: u64, reason: &str) {
        let report = verify(&self.path()).unwrap();
        let bad = report.first_bad.expect("the damage is found");
        assert!(!report.ok);
        assert_eq!(bad.seq, seq, "{}", bad.reason);
        assert!(bad.reason.contains(reason), "{}", bad.reason);
        assert_eq!(report.entries, (seq - 1).min(10));
        let before = contents(&self.0);
        let refused = Journal::open(Some(&self.path()), Options::default())
            .and_then(|(_journal, recovery)| recovery.replay(|_, _| Ok::<(), JournalError>(())));
        assert!(matches!(refused, Err(JournalError::Corrupt { .. })), "{refused:?}");
        assert_eq!(contents(&self.0), before, "nothing is written to a damaged journal");
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The database and its log. (The shared memory file beside them is no data; nor is the lock.)
fn contents(folder: &Path) -> Vec<Vec<u8>> {
    ["kernel.db", "kernel.db-wal"]
        .iter()
        .map(|name| fs::read(folder.join(name)).unwrap_or_default())
        .collect()
}

#[test]
fn an_untouched_journal_holds() {
    let written = Written::new("untouched");
    let report = verify(&written.path()).unwrap();
    let head = Reader::open(&written.path()).unwrap().head().unwrap();
    assert_eq!(report, Report { ok: true, entries: 10, head: head.hash, first_bad: None });
}

#[test]
fn an_edit_is_found() {
    let written = Written::new("edit");
    written.tamper("UPDATE entry SET body = CAST('entry number 9' AS BLOB) WHERE seq = 4");
    written.assert_bad(4, "was changed or moved");
}

#[test]
fn an_edit_with_a_hash_of_its_own_is_found_at_the_next_entry() {
    let written = Written::new("rehashed");
    let before = Reader::open(&written.path()).unwrap().entries(2, 1).unwrap().remove(0);
    let hash = before.hash.next(4, 1, b"forged");
    written
        .tamper(&format!("UPDATE entry SET body = CAST('forged' AS BLOB), hash = x'{hash}' WHERE seq = 4"));
    written.assert_bad(5, "the one before");
}

#[test]
fn a_changed_format_is_found() {
    let written = Written::new("format");
    written.tamper("UPDATE entry SET version = 2 WHERE seq = 7");
    written.assert_bad(7, "was changed or moved");
}

#[test]
fn swapped_entries_are_found() {
    let written = Written::new("swapped");
    written.tamper(
        "UPDATE entry SET seq = 100 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 6;
         UPDATE entry SET seq = 6 WHERE seq = 100;",
    );
    written.assert_bad(3, "was changed or moved");
}

#[test]
fn a_deleted_entry_is_found() {
    let written = Written::new("deleted");
    written.tamper("DELETE FROM entry WHERE seq IN (5, 6)");
    written.assert_bad(5, "entries 5 to 6 are missing");
}

#[test]
fn a_gap_closed_by_renumbering_is_found() {
    let written = Written::new("renumbered");
    written.tamper("DELETE FROM entry WHERE seq = 5; UPDATE entry SET seq = seq - 1 WHERE seq > 5;");
    written.assert_bad(5, "was changed or moved");
}

#[test]
fn a_cut_off_end_is_found() {
    let written = Written::new("cut");
    written.tamper("DELETE FROM entry WHERE seq > 8");
    written.assert_bad(9, "entries 9 to 10 are missing: the end was cut off");
}

#[test]
fn a_cut_off_end_with_a_moved_anchor_is_found() {
    let written = Written::new("anchor");
    written.tamper("DELETE FROM entry WHERE seq > 8; UPDATE head SET seq = 8");
    let report = verify(&written.path()).unwrap();
    assert_eq!(report.first_bad.unwrap().seq, 8);
}

#[test]
fn an_emptied_journal_is_found() {
    let written = Written::new("emptied");
    written.tamper("DELETE FROM entry");
    written.assert_bad(1, "the end was cut off");
}

#[test]
fn an_entry_beyond_the_anchor_is_found() {
    let written = Written::new("beyond");
    let last = Reader::open(&written.path()).unwrap().head().unwrap();
    let hash = last.hash.next(11, 1, b"forged");
    written.tamper(&format!(
        "INSERT INTO entry (seq, version, body, hash) VALUES (11, 1, CAST('forged' AS BLOB), x'{hash}')"
    ));
    written.assert_bad(11, "beyond the anchored head");
}

#[test]
fn a_missing_anchor_is_damage_with_a_name() {
    let written = Written::new("anchorless");
    written.tamper("DELETE FROM head");
    let refused = verify(&written.path()).unwrap_err();
    assert!(refused.to_string().contains("anchored head is missing"), "{refused}");
}

#[test]
fn deleting_blobs_and_streams_breaks_nothing() {
    let written = Written::new("beside");
    let (journal, _) = Journal::open(Some(&written.path()), Options::default()).unwrap();
    journal.put_blob(b"prompt".to_vec()).unwrap();
    journal.append_stream("out", b"text".to_vec()).unwrap();
    journal.close().unwrap();
    written.tamper("DELETE FROM blob; DELETE FROM chunk; DELETE FROM stream;");
    assert!(verify(&written.path()).unwrap().ok);
}

#[test]
fn a_changed_blob_is_refused_when_it_is_read() {
    let written = Written::new("blob");
    let (journal, _) = Journal::open(Some(&written.path()), Options::default()).unwrap();
    let digest = journal.put_blob(b"prompt".to_vec()).unwrap();
    journal.close().unwrap();
    written.tamper("UPDATE blob SET body = CAST('prompt!' AS BLOB)");
    let refused = Reader::open(&written.path()).unwrap().blob(&digest);
    assert!(matches!(refused, Err(JournalError::Corrupt { .. })));
}

#[test]
fn damage_to_the_bytes_of_the_file_is_found_wherever_it_is() {
    let written = Written::new("bytes");
    let whole = fs::read(written.path()).unwrap();
    let damaged = written.0.join("damaged.db");
    let mut found = 0;
    for position in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0xff;
        fs::write(&damaged, &bytes).unwrap();
        let verdict = verify(&damaged);
        let entries = Reader::open(&damaged).and_then(|reader| reader.entries(0, 100));
        let same = entries.is_ok_and(|entries| {
            entries.len() == 10
                && entries
                    .iter()
                    .zip(1..)
                    .all(|(entry, n)| entry.bytes == format!("entry number {n}").into_bytes())
        });
        match verdict {
            Ok(report) if report.ok => assert!(same, "byte {position}: called whole, but is not"),
            _ => found += 1,
        }
        let _ = fs::remove_file(crate::schema::beside(&damaged, "-wal"));
        let _ = fs::remove_file(crate::schema::beside(&damaged, "-shm"));
    }
    assert!(found > 10);
}

#[test]
fn what_is_no_journal_is_refused_untouched() {
    let folder = Written::new("garbage");
    let path = folder.0.join("other.db");
    let foreign = {
        let made = folder.0.join("foreign.db");
        Connection::open(&made).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        fs::read(made).unwrap()
    };
    let cut = fs::read(folder.path()).unwrap()[..5000].to_vec();
    for bytes in [Vec::new(), b"not a database, but some text".repeat(99), vec![0; 8192], foreign, cut] {
        fs::write(&path, &bytes).unwrap();
        for refused in [
            Journal::open(Some(&path), Options::default()).map(|_| ()),
            Reader::open(&path).map(|_| ()),
            verify(&path).map(|_| ()),
        ] {
            assert!(
                matches!(refused, Err(JournalError::Corrupt { .. })),
                "{} bytes: {refused:?}",
                bytes.len()
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was written");
    }
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let written = Written::new("newer");
    written.tamper("PRAGMA user_version = 2");
    let before = contents(&written.0);
    for refused in [
        Journal::open(Some(&written.path()), Options::default()).map(|_| ()),
        verify(&written.path()).map(|_| ()),
    ] {
        assert!(matches!(refused, Err(JournalError::Newer { found: 2, supported: 1, .. })), "{refused:?}");
    }
    assert_eq!(contents(&written.0), before);
}

#[test]
fn a_journal_that_is_not_there_is_missing_not_made() {
    let written = Written::new("missing");
    let path = written.0.join("none.db");
    assert!(matches!(verify(&path), Err(JournalError::Missing { .. })));
    assert!(matches!(Reader::open(&path), Err(JournalError::Missing { .. })));
    assert!(!path.exists());
}

#[test]
fn a_log_without_its_database_is_damage_not_a_new_home() {
    let written = Written::new("log");
    let (journal, _) = Journal::open(Some(&written.path()), Options::default()).unwrap();
    let last = journal.append(vec![b"in the log".to_vec()]).unwrap();
    journal.wait_durable(last).unwrap();
    let alone = written.0.join("alone.db");
    fs::copy(written.0.join("kernel.db-wal"), crate::schema::beside(&alone, "-wal")).unwrap();
    let refused = Journal::open(Some(&alone), Options::default());
    assert!(matches!(refused, Err(JournalError::Corrupt { .. })));
    assert!(!alone.exists());
}

#[test]
fn verification_works_beside_the_writer() {
    let written = Written::new("beside-writer");
    let (journal, _) = Journal::open(Some(&written.path()), Options::default()).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..200_u32 {
                let last = journal.append(vec![n.to_be_bytes().to_vec(); 7]).unwrap();
                journal.wait_durable(last).unwrap();
            }
        });
        while !writer.is_finished() {
            let report = verify(&written.path()).unwrap();
            assert!(report.ok, "{report:?}");
        }
    });
    assert_eq!(verify(&written.path()).unwrap().entries, 10 + 1_400);
}
