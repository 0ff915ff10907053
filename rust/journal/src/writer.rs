//! The writer thread: one transaction for everything that is queued, then one sync, then the news.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    chain::Head,
    error::{Blame, JournalError, is_out_of_space},
    queue::{Batch, Next, Shared, Work, lock},
    reserve::Reserve,
    schema,
};

/// The longest piece of a stream in one row.
const CHUNK: usize = 1 << 16;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Arc<Mutex<Connection>>,
    pub(crate) head: Head,
    /// The format that entries are in.
    pub(crate) version: u16,
    pub(crate) blame: Blame,
    /// Where it lies, with what is reserved there; `None` in memory.
    pub(crate) place: Option<(PathBuf, Reserve)>,
}

/// If the thread ends in any way but by itself, nobody is to wait for it for ever.
struct Watch(Arc<Shared>, Blame);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.fail(self.1.io("the writer thread died"));
    }
}

impl Writer {
    /// Commits batches until the journal is closed or a commit fails.
    pub(crate) fn run(mut self) {
        let _watch = Watch(Arc::clone(&self.shared), self.blame.clone());
        let mut begun = false;
        loop {
            let batch = match self.shared.next() {
                Next::Batch(batch) => batch,
                Next::Recheck => {
                    self.recheck();
                    continue;
                }
                Next::Closed => break self.end(begun),
            };
            let written =
                if begun { Ok(()) } else { self.begin() }.and_then(|()| self.commit_or_release(&batch));
            match written {
                Ok(head) => {
                    begun = true;
                    self.head = head;
                    self.shared.committed(&batch);
                }
                Err(failure) => break self.shared.fail(failure),
            }
        }
    }

    /// Leaves one whole file behind, rather than a database and a log.
    fn end(&self, begun: bool) {
        if begun && self.place.is_some() {
            // What the log holds is durable there as well.
            let _ = schema::empty_log(&lock(&self.connection));
        }
        self.shared.fail(JournalError::Closed);
    }

    /// Before the first commit, and not before: a journal that is found damaged is left as it is.
    fn begin(&self) -> Result<(), JournalError> {
        let Some((path, reserve)) = &self.place else { return Ok(()) };
        if reserve.fill().is_err() {
            self.shared.set_low_disk(true);
        }
        schema::begin_writing(&lock(&self.connection), path, &self.blame)
    }

    /// On a full disk, gives the reserve back and tries once more.
    fn commit_or_release(&self, batch: &Batch) -> Result<Head, JournalError> {
        let committed = match (self.commit(batch), &self.place) {
            (Err(error), Some((_, reserve))) if is_out_of_space(&error) => {
                self.shared.set_low_disk(true);
                if reserve.release() { self.commit(batch) } else { Err(error) }
            }
            (committed, _) => committed,
        };
        committed.map_err(|error| self.blame.sql(&error))
    }

    fn recheck(&self) {
        if let Some((_, reserve)) = &self.place
            && reserve.fill().is_ok()
        {
            self.shared.set_low_disk(false);
            self.shared.tell();
        }
    }

    fn commit(&self, batch: &Batch) -> rusqlite::Result<Head> {
        let mut connection = lock(&self.connection);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let head = self.write(&transaction, batch)?;
        transaction.commit()?;
        if batch.work.iter().any(|work| matches!(work, Work::DeleteBlob(_) | Work::DeleteStream(_))) {
            // What was deleted is still in the log file.
            let _ = schema::empty_log(&connection);
        }
        Ok(head)
    }

    fn write(&self, transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<Head> {
        let mut head = self.head;
        // Looked up once: for a large batch, finding it again costs as much as hashing the entry.
        let mut insert = transaction
            .prepare_cached("INSERT INTO entry (seq, version, body, hash) VALUES (?1, ?2, ?3, ?4)")?;
        for work in &batch.work {
            match work {
                Work::Entry(bytes) => {
                    let seq = head.seq.saturating_add(1);
                    head = Head { seq, hash: head.hash.next(seq, self.version, bytes) };
                    insert.execute(params![integer(seq)?, self.version, bytes, head.hash.as_bytes()])?;
                }
                Work::Blob(digest, bytes) => {
                    transaction
                        .prepare_cached("INSERT OR IGNORE INTO blob (digest, body) VALUES (?1, ?2)")?
                        .execute(params![digest.as_bytes(), bytes])?;
                }
                Work::DeleteBlob(digest) => {
                    transaction
                        .prepare_cached("DELETE FROM blob WHERE digest = ?1")?
                        .execute(params![digest.as_bytes()])?;
                }
                Work::DeleteStream(name) => delete_stream(transaction, name)?,
            }
        }
        for (name, bytes) in &batch.streams {
            extend_stream(transaction, name, bytes)?;
        }
        if head != self.head {
            transaction
                .prepare_cached("UPDATE head SET seq = ?1, hash = ?2 WHERE one = 1")?
                .execute(params![integer(head.seq)?, head.hash.as_bytes()])?;
        }
        Ok(head)
    }
}

fn delete_stream(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let of_stream = "DELETE FROM chunk WHERE stream = (SELECT id FROM stream WHERE name = ?1)";
    transaction.prepare_cached(of_stream)?.execute([name])?;
    transaction.prepare_cached("DELETE FROM stream WHERE name = ?1")?.execute([name])?;
    Ok(())
}

fn extend_stream(transaction: &Transaction<'_>, name: &str, bytes: &[u8]) -> rusqlite::Result<()> {
    let known = transaction
        .prepare_cached("SELECT id, length FROM stream WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let (id, mut length) = match known {
        Some(known) => known,
        None => {
            transaction
                .prepare_cached("INSERT INTO stream (name, length) VALUES (?1, 0)")?
                .execute([name])?;
            (transaction.last_insert_rowid(), 0)
        }
    };
    for piece in bytes.chunks(CHUNK) {
        transaction
            .prepare_cached("INSERT INTO chunk (stream, start, body) VALUES (?1, ?2, ?3)")?
            .execute(params![id, length, piece])?;
        length = length.saturating_add(integer(piece.len() as u64)?);
    }
    transaction.prepare_cached("UPDATE stream SET length = ?2 WHERE id = ?1")?.execute([id, length])?;
    Ok(())
}

/// SQLite's integers end at 2^63; the entry that reaches it will never be written.
fn integer(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
