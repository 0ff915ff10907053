//! The archive on disk: `archive.db` (SQLite with FTS5) and `files/`, by content.
//!
//! A record (a conversation, a project, the vendor's memories) has revisions, each the bytes of one element
//! as some export held it. Which import brought which revision is kept beside. Everything that people see of
//! a record follows from the set of its revisions, so importing again, in another order or in other pieces
//! ends in the same archive, and undoing an import leaves what the others brought.

pub(crate) mod files;
mod undo;
pub(crate) mod write;

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::error::{Error, Trouble};
use crate::id;

const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");

/// An open archive. One process imports at a time; any number search meanwhile.
pub struct Archive {
    pub(crate) db: Connection,
    pub(crate) folder: PathBuf,
}

impl Archive {
    /// Opens the archive in `folder`, creating both where they are missing (folders 0700, files 0600).
    ///
    /// # Errors
    /// The folder cannot be written, or a newer program wrote the archive.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join("archive.db");
        // Created by us first, because SQLite would create it readable for others.
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let db = Connection::open(&path)?;
        let archive = Self { db, folder: folder.to_owned() };
        archive.configure()?;
        archive.migrate()?;
        Ok(archive)
    }

    /// Opens the archive for reading; none if nothing was ever imported.
    ///
    /// # Errors
    /// It cannot be read, or a newer program wrote it.
    pub fn open_existing(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("archive.db");
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut archive = Self { db: Connection::open_with_flags(&path, flags)?, folder: folder.to_owned() };
        if let Err(error) = archive.version() {
            // On a read-only file system SQLite cannot make the files that it shares with writers. Without a
            // log beside the database there is no writer, and it is whole by itself.
            let log = fs::metadata(folder.join("archive.db-wal")).map_or(0, |log| log.len());
            archive.db = immutable(&path).filter(|_| log == 0).ok_or(error)?;
        }
        archive.db.busy_timeout(std::time::Duration::from_secs(10))?;
        archive.db.pragma_update(None, "query_only", true)?;
        Ok((archive.version()? > 0).then_some(archive))
    }

    fn configure(&self) -> Result<(), Error> {
        self.db.busy_timeout(std::time::Duration::from_secs(10))?;
        self.db.set_prepared_statement_cache_capacity(64);
        if self.version()? == 0 {
            // Fixed by the first table, and never set again: that would write. Undone imports give pages back.
            self.db.pragma_update(None, "page_size", 8192)?;
            self.db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            self.db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        }
        // After a power cut the last moments may be missing, never half there; importing again adds them.
        self.db.pragma_update(None, "synchronous", "NORMAL")?;
        self.db.pragma_update(None, "cache_size", -8_000)?;
        self.db.pragma_update(None, "wal_autocheckpoint", 2000)?;
        // What is removed is overwritten: an undone import leaves no words behind.
        self.db.pragma_update_and_check(None, "secure_delete", "FAST", |_| Ok(()))?;
        Ok(())
    }

    fn version(&self) -> Result<i64, Error> {
        let version: i64 =
            self.db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| {
                let trouble = Trouble::new(format!("the archive's database cannot be read: {error}"));
                Error::Store(trouble.at(self.folder.join("archive.db").display().to_string()))
            })?;
        if version > VERSION {
            let trouble = Trouble::new("the archive was written by a newer version of agentos");
            let trouble = trouble.at(self.folder.display().to_string());
            return Err(Error::Newer(trouble.hint("update agentos; the archive was left as it is")));
        }
        Ok(version)
    }

    fn migrate(&self) -> Result<(), Error> {
        if self.version()? == VERSION {
            return Ok(());
        }
        let mut random = [0_u8; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        // Another process may have been faster.
        if self.version()? < VERSION {
            self.db.execute_batch(SCHEMA)?;
            self.db.execute("INSERT INTO meta VALUES ('archive', ?1)", [random])?;
            self.db.pragma_update(None, "user_version", VERSION)?;
        }
        self.db.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Only one import or undo runs at a time; the lock goes with the process.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Busy(
                Trouble::new("another import into this archive is running")
                    .hint("wait for its end; `agentos memory imports` shows it"),
            )),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// A folder for nameless files, emptied of what a killed process left.
    pub(crate) fn temporary(&self) -> Result<PathBuf, Error> {
        let path = self.folder.join("tmp");
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(path)
    }

    pub(crate) fn new_import_name(&self) -> Result<String, Error> {
        let archive: Vec<u8> =
            self.db.query_row("SELECT value FROM meta WHERE key = 'archive'", [], |row| row.get(0))?;
        let last: Option<i64> = self
            .db
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'import'", [], |row| row.get(0))
            .optional()?;
        let number = last.unwrap_or(0) + 1;
        Ok(format!("i-{}", id::letters(&id::digest(&[&archive, &number.to_be_bytes()]), 8)))
    }
}

/// The database of an archive that cannot be written to; none if it can be, or cannot be opened.
fn immutable(path: &Path) -> Option<Connection> {
    let writable = OpenOptions::new().write(true).open(path);
    if !writable.is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem) {
        return None;
    }
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        uri.push_str(&format!("%{byte:02x}"));
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).ok()
}

/// The bytes of a revision.
pub(crate) fn raw(db: &Connection, revision: i64) -> Result<String, Error> {
    raw_part(db, revision, 0, usize::MAX)
}

/// Bytes `start..end` of a revision; only the chunks that hold them are unpacked.
pub(crate) fn raw_part(db: &Connection, revision: i64, start: usize, end: usize) -> Result<String, Error> {
    let first = start / write::CHUNK;
    let last = (end.saturating_sub(1) / write::CHUNK).min(write::CHUNKS - 1);
    let number = |chunk: usize| write::chunk_id(revision, chunk);
    let mut query = db.prepare_cached("SELECT data FROM chunk WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?;
    let mut rows = query.query([number(first), number(last)])?;
    let mut bytes = Vec::new();
    while let Some(row) = rows.next()? {
        let packed = row.get_ref(0)?.as_blob().map_err(|error| damaged(&error.to_string()))?;
        let chunk =
            lz4_flex::decompress_size_prepended(packed).map_err(|error| damaged(&error.to_string()))?;
        bytes.extend_from_slice(&chunk);
    }
    let from = start - first * write::CHUNK;
    let to = end.saturating_sub(first * write::CHUNK).min(bytes.len());
    let part = bytes.get(from..to).ok_or_else(|| damaged("a part is missing"))?;
    String::from_utf8(part.to_vec()).map_err(|_| damaged("a part is not text"))
}

fn damaged(what: &str) -> Error {
    Error::Store(
        Trouble::new(format!("the archive is damaged: {what}"))
            .hint("import the export again into a new home"),
    )
}
