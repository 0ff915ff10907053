//! The file: how it is made, opened and recognised.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    chain::{Hash, Head},
    error::{Blame, JournalError},
};

/// Marks the file as ours ("AgOS").
const APPLICATION_ID: i32 = 0x4167_4f53;
/// The format of the file. A higher number is refused, untouched.
const FORMAT: u32 = 1;
/// What SQLite's unix layer can open, less the suffixes it adds.
const LONGEST_PATH: usize = 500;
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE entry (seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE blob (digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL) STRICT;
CREATE TABLE stream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, length INTEGER NOT NULL) STRICT;
CREATE TABLE chunk (stream INTEGER NOT NULL, start INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (stream, start)) STRICT;
";

/// The absolute path of the database as text for messages, and the blame for errors there.
pub(crate) fn locate(path: &Path) -> Result<(PathBuf, Blame), JournalError> {
    let shown = path.display().to_string();
    let blame = Blame::new(&shown);
    let path = std::path::absolute(path).map_err(|error| blame.io(error))?;
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(JournalError::PathTooLong { path: shown, length });
    }
    Ok((path, blame))
}

/// A path beside the database: `kernel.db` and `-wal` make `kernel.db-wal`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes sure that there is at most one writer. The lock ends with the returned file.
///
/// The lock lies on a file of its own: opening and closing the database itself outside SQLite would drop
/// the locks that SQLite holds on it in this process.
pub(crate) fn lock(path: &Path, blame: &Blame) -> Result<File, JournalError> {
    let file = private().truncate(false).open(beside(path, ".lock")).map_err(|error| blame.io(error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(JournalError::Locked { path: blame.path() }),
        Err(fs::TryLockError::Error(error)) => Err(blame.io(error)),
    }
}

/// Opens for writing; makes the journal when there is none. An existing one is not written to.
pub(crate) fn open_writer(path: &Path, blame: &Blame) -> Result<(Connection, Head), JournalError> {
    if !path.try_exists().map_err(|error| blame.io(error))? {
        create(path, blame)?;
    }
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, blame)?;
    recognise(&connection, blame)?;
    let head = read_end(&connection, blame)?;
    settle(&connection).map_err(|error| blame.sql(&error))?;
    Ok((connection, head))
}

/// What the first commit of a writer turns on, and no sooner: until then a damaged journal stays as it is.
pub(crate) fn begin_writing(connection: &Connection, path: &Path, blame: &Blame) -> Result<(), JournalError> {
    let build = || {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        // A restored back-up may have lost this.
        connection.pragma_update(None, "journal_mode", "WAL")
    };
    build().map_err(|error| blame.sql(&error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|error| blame.io(error))
}

/// Moves what is in the log file into the database and empties the log. Waits for no reader: while one is
/// in the way the log stays, and a later checkpoint does it.
pub(crate) fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY)?;
    done
}

/// Opens for reading alone: takes no lock that outlives a query.
pub(crate) fn open_reader(path: &Path, blame: &Blame) -> Result<Connection, JournalError> {
    if !path.try_exists().map_err(|error| blame.io(error))? {
        return Err(JournalError::Missing { path: blame.path() });
    }
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, blame)
}

/// A journal in memory, for a kernel that wants no state.
pub(crate) fn open_memory(blame: &Blame) -> Result<Connection, JournalError> {
    let build = || {
        let connection = Connection::open_in_memory()?;
        define(&connection)?;
        Ok(connection)
    };
    build().map_err(|error| blame.sql(&error))
}

/// Turns on what only a connection that writes needs.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is to be gone, not merely unlinked.
    connection.pragma_update(None, "secure_delete", true)?;
    // After a peak the log file gives its space back.
    connection.pragma_update(None, "journal_size_limit", 16 << 20)
}

fn open(path: &Path, mode: OpenFlags, blame: &Blame) -> Result<Connection, JournalError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let build = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(32);
        // A journal that turns out to be damaged is left as it is: closing must not write either. The
        // writer lifts this with its first commit.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(connection)
    };
    build().map_err(|error| blame.sql(&error))
}

/// Makes the file under another name and moves it into place whole: a `kernel.db` that is there is
/// complete, so an empty or half one is damage and never mistaken for a new home.
fn create(path: &Path, blame: &Blame) -> Result<(), JournalError> {
    if fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(blame.corrupt(None, "the file is missing, but its log (-wal) is there"));
    }
    let fresh = beside(path, ".new");
    let file = |error: io::Error| blame.io(error);
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(&fresh, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(error)),
            _ => {}
        }
    }
    drop(private().create_new(true).open(&fresh).map_err(file)?);
    let connection = open(&fresh, OpenFlags::SQLITE_OPEN_READ_WRITE, blame)?;
    let build = || {
        define(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")
    };
    build().map_err(|error| blame.sql(&error))?;
    connection.close().map_err(|(_, error)| blame.sql(&error))?;
    File::open(&fresh).and_then(|made| made.sync_all()).map_err(file)?;
    fs::rename(&fresh, path).map_err(file)?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(file)?;
    }
    Ok(())
}

fn define(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {TABLES}
         INSERT INTO head (one, seq, hash) VALUES (1, 0, zeroblob(32));
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}

/// Checks that this is a journal, of a format we know.
pub(crate) fn recognise(connection: &Connection, blame: &Blame) -> Result<(), JournalError> {
    let number = |name: &str| -> Result<i64, JournalError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| blame.sql(&error))
    };
    if number("application_id")? != i64::from(APPLICATION_ID) {
        return Err(blame.corrupt(None, "it is not a journal of AgentOS"));
    }
    match u32::try_from(number("user_version")?) {
        Ok(FORMAT) => Ok(()),
        Ok(found) if found > FORMAT => {
            Err(JournalError::Newer { path: blame.path(), found, supported: FORMAT })
        }
        _ => Err(blame.corrupt(None, "its format number is not one that was ever used")),
    }
}

/// The anchored head.
pub(crate) fn read_head(connection: &Connection, blame: &Blame) -> Result<Head, JournalError> {
    let read = || {
        let mut statement = connection.prepare_cached("SELECT seq, hash FROM head WHERE one = 1")?;
        statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
    };
    let (seq, hash) = read().map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => blame.corrupt(None, "its anchored head is missing"),
        error => blame.sql(&error),
    })?;
    match (u64::try_from(seq), Hash::from_slice(&hash)) {
        (Ok(seq), Some(hash)) => Ok(Head { seq, hash }),
        _ => Err(blame.corrupt(None, "its anchored head makes no sense")),
    }
}

/// The anchored head, checked against the last entry: a cut-off end is found without reading it all.
pub(crate) fn read_end(connection: &Connection, blame: &Blame) -> Result<Head, JournalError> {
    let head = read_head(connection, blame)?;
    let anchored = "SELECT (SELECT COUNT(*) FROM entry JOIN head USING (seq) WHERE entry.hash = head.hash),
                           (SELECT COALESCE(MAX(entry.seq), 0) = head.seq FROM entry), head.seq FROM head";
    let (same, last, seq): (i64, bool, i64) = connection
        .query_row(anchored, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(|error| blame.sql(&error))?;
    if last && same == i64::from(seq > 0) {
        return Ok(head);
    }
    Err(blame.corrupt(None, format!("its end is not entry {seq}, to which it is anchored")))
}

/// How files beside the database are opened: readable by their owner alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}
