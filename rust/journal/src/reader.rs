//! Reading: short transactions on a connection of its own, so that nobody holds up the writer.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    chain::{Hash, Head},
    error::{Blame, JournalError},
    queue::lock,
    recovery, schema,
};

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StoredEntry {
    pub seq: u64,
    /// The format that `bytes` are in.
    pub version: u16,
    pub bytes: Vec<u8>,
    pub hash: Hash,
}

/// Reads a journal, beside its writer or without one. It takes no lock that outlives a call.
#[derive(Clone)]
pub struct Reader {
    connection: Arc<Mutex<Connection>>,
    blame: Blame,
}

impl Reader {
    /// Opens the journal at `path` for reading alone.
    ///
    /// # Errors
    /// `Missing`, `Corrupt`, `Newer`, `PathTooLong` or `Io`.
    pub fn open(path: &Path) -> Result<Reader, JournalError> {
        let reader = Reader::open_unchecked(path)?;
        schema::read_end(&lock(&reader.connection), &reader.blame)?;
        Ok(reader)
    }

    /// Opens a journal whose end may be damaged.
    pub(crate) fn open_unchecked(path: &Path) -> Result<Reader, JournalError> {
        let (path, blame) = schema::locate(path)?;
        let connection = schema::open_reader(&path, &blame)?;
        schema::recognise(&connection, &blame)?;
        Ok(Reader::new(Arc::new(Mutex::new(connection)), blame))
    }

    pub(crate) fn new(connection: Arc<Mutex<Connection>>, blame: Blame) -> Reader {
        Reader { connection, blame }
    }

    pub(crate) fn blame(&self) -> &Blame {
        &self.blame
    }

    /// The end of the chain: the last durable entry.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn head(&self) -> Result<Head, JournalError> {
        schema::read_head(&lock(&self.connection), &self.blame)
    }

    /// Up to `limit` durable entries after number `after`, in order.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn entries(&self, after: u64, limit: usize) -> Result<Vec<StoredEntry>, JournalError> {
        let mut page = Vec::new();
        self.fill(&mut page, after, limit)?;
        Ok(page)
    }

    /// Like `entries`, into a page whose entries are overwritten: who walks a long journal makes it once.
    pub(crate) fn fill(
        &self,
        page: &mut Vec<StoredEntry>,
        after: u64,
        limit: usize,
    ) -> Result<(), JournalError> {
        let connection = lock(&self.connection);
        let mut read = || -> rusqlite::Result<Result<(), i64>> {
            let mut statement = connection.prepare_cached(
                "SELECT seq, version, body, hash FROM entry WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let mut rows = statement.query([integer(after), integer(limit as u64)])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                if page.len() == count {
                    page.push(StoredEntry::default());
                }
                if let Some(entry) = page.get_mut(count)
                    && let Err(senseless) = parse_entry(row, entry)?
                {
                    return Ok(Err(senseless));
                }
                count += 1;
            }
            page.truncate(count);
            Ok(Ok(()))
        };
        let senseless = |seq: i64| self.blame.corrupt(u64::try_from(seq).ok(), "its row makes no sense");
        read().map_err(|error| self.blame.sql(&error))?.map_err(senseless)
    }

    /// The bytes of a blob; `None` when there is none of this name, or no longer.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not those the name was made from; `Io`.
    pub fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(digest) = Hash::from_hex(digest) else { return Ok(None) };
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT body FROM blob WHERE digest = ?1")?;
            statement.query_row([digest.as_bytes()], |row| row.get(0)).optional()
        };
        let found: Option<Vec<u8>> = read(&lock(&self.connection)).map_err(|error| self.blame.sql(&error))?;
        match found {
            Some(bytes) if Hash::of(&bytes) != digest => {
                Err(self.blame.corrupt(None, format!("blob {digest} was changed")))
            }
            found => Ok(found),
        }
    }

    /// Up to `limit` bytes of a stream from byte `offset` on; empty at its end, and for one that is not there.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn stream(&self, name: &str, offset: u64, limit: usize) -> Result<Vec<u8>, JournalError> {
        let read = |connection: &Connection| -> rusqlite::Result<Vec<u8>> {
            let mut statement = connection.prepare_cached(
                "WITH named(id) AS (SELECT id FROM stream WHERE name = ?1)
                 SELECT start, body FROM chunk WHERE stream = (SELECT id FROM named) AND start >=
                     (SELECT MAX(start) FROM chunk WHERE stream = (SELECT id FROM named) AND start <= ?2)
                 ORDER BY start",
            )?;
            let mut rows = statement.query(params![name, integer(offset)])?;
            let mut bytes = Vec::new();
            while let Some(row) = rows.next()?
                && bytes.len() < limit
            {
                let start = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(u64::MAX);
                let piece = row.get_ref(1)?.as_blob()?;
                let skip = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
                bytes.extend(piece.iter().skip(skip).take(limit - bytes.len()));
            }
            Ok(bytes)
        };
        read(&lock(&self.connection)).map_err(|error| self.blame.sql(&error))
    }

    /// How many bytes a stream has; 0 for one that is not there.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn stream_length(&self, name: &str) -> Result<u64, JournalError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT length FROM stream WHERE name = ?1")?;
            statement.query_row([name], |row| row.get::<_, i64>(0)).optional()
        };
        let length = read(&lock(&self.connection)).map_err(|error| self.blame.sql(&error))?;
        Ok(u64::try_from(length.unwrap_or(0)).unwrap_or(0))
    }

    /// Gives every entry to `apply`, in order, each after its place in the chain was checked.
    ///
    /// # Errors
    /// What `apply` returns; `Corrupt` at the first entry that does not hold; `Io`.
    pub fn replay<E: From<JournalError>>(
        &self,
        mut apply: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.replay_versions(|seq, _, bytes| apply(seq, bytes))
    }

    /// Like `replay`, with each entry's format between its number and its bytes.
    ///
    /// # Errors
    /// As for `replay`.
    pub fn replay_versions<E: From<JournalError>>(
        &self,
        apply: impl FnMut(u64, u16, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        recovery::replay(self, apply)
    }
}

/// Reads a row into `entry`; the number of a row that cannot be one is an error of its own.
fn parse_entry(row: &Row<'_>, entry: &mut StoredEntry) -> rusqlite::Result<Result<(), i64>> {
    let (number, version): (i64, i64) = (row.get(0)?, row.get(1)?);
    let hash = Hash::from_slice(row.get_ref(3)?.as_blob()?);
    let (Ok(seq), Ok(version), Some(hash)) = (u64::try_from(number), u16::try_from(version), hash) else {
        return Ok(Err(number));
    };
    (entry.seq, entry.version, entry.hash) = (seq, version, hash);
    entry.bytes.clear();
    entry.bytes.extend_from_slice(row.get_ref(2)?.as_blob()?);
    Ok(Ok(()))
}

/// Larger numbers than SQLite has lie behind everything.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
