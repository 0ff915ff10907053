//! What can go wrong with a journal, in words for a person.

use std::fmt;

/// Why the journal refused. Cheap to clone: a failed writer hands the same error to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no journal at this path.
    Missing { path: String },
    /// The file is not a journal of ours, or it is damaged; `seq` is the first entry that does not hold.
    Corrupt { path: String, seq: Option<u64>, reason: String },
    /// A later version of this program wrote the file; it was left untouched.
    Newer { path: String, found: u32, supported: u32 },
    /// Another writer has this journal open.
    Locked { path: String },
    /// SQLite opens no file whose path is longer than 500 bytes.
    PathTooLong { path: String, length: usize },
    /// An entry longer than `MAX_ENTRY`; nothing of its call was queued.
    EntryTooLong { length: usize, limit: usize },
    /// No such entry was ever queued, so it cannot become durable.
    NeverQueued { seq: u64, last: u64 },
    /// The disk is full and the reserve is used up.
    DiskFull { path: String },
    /// Reading or writing failed.
    Io { path: String, message: String },
    /// The journal was closed.
    Closed,
}

impl JournalError {
    /// What a person can do about it; `None` when there is nothing but to look at the message.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Corrupt { .. } => Some(
                "nothing was written; `agentos audit verify` names the first bad entry; restore kernel.db, \
                 with its -wal file if it has one, from a back-up",
            ),
            Self::Newer { .. } => Some("use the newer AgentOS with this home, or another AGENTOS_HOME"),
            Self::Locked { .. } => Some("one kernel at a time may write a home"),
            Self::PathTooLong { .. } => Some("choose a shorter AGENTOS_HOME"),
            Self::DiskFull { .. } => {
                Some("free some disk space and start again; what was acknowledged is kept")
            }
            _ => None,
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "there is no journal at {path}"),
            Self::Corrupt { path, seq: None, reason } => write!(f, "the journal {path} is damaged: {reason}"),
            Self::Corrupt { path, seq: Some(seq), reason } => {
                write!(f, "the journal {path} is damaged at entry {seq}: {reason}")
            }
            Self::Newer { path, found, supported } => write!(
                f,
                "the journal {path} has format {found}, and this version knows formats up to {supported}"
            ),
            Self::Locked { path } => write!(f, "another process or kernel is writing the journal {path}"),
            Self::PathTooLong { path, length } => {
                write!(f, "the path of the journal has {length} bytes, and at most 500 are possible: {path}")
            }
            Self::EntryTooLong { length, limit } => {
                write!(f, "a journal entry of {length} bytes is longer than {limit}")
            }
            Self::NeverQueued { seq, last } => {
                write!(f, "entry {seq} was never queued; the last one is {last}")
            }
            Self::DiskFull { path } => write!(f, "the disk is full: the journal {path} cannot grow"),
            Self::Io { path, message } => {
                write!(f, "the journal {path} cannot be read or written: {message}")
            }
            Self::Closed => write!(f, "the journal is closed"),
        }
    }
}

impl std::error::Error for JournalError {}

/// Turns SQLite's and the system's errors into ours, with the path they concern.
#[derive(Clone, Debug)]
pub(crate) struct Blame {
    path: String,
}

impl Blame {
    pub(crate) fn new(path: &str) -> Blame {
        Blame { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    pub(crate) fn corrupt(&self, seq: Option<u64>, reason: impl Into<String>) -> JournalError {
        JournalError::Corrupt { path: self.path(), seq, reason: reason.into() }
    }

    pub(crate) fn io(&self, message: impl fmt::Display) -> JournalError {
        JournalError::Io { path: self.path(), message: message.to_string() }
    }

    pub(crate) fn sql(&self, error: &rusqlite::Error) -> JournalError {
        use rusqlite::{Error, ErrorCode};
        match error {
            Error::SqliteFailure(code, text) => {
                let message = text.clone().unwrap_or_else(|| code.to_string());
                match code.code {
                    ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => self.corrupt(None, message),
                    ErrorCode::DiskFull => JournalError::DiskFull { path: self.path() },
                    // A table or column that ought to be there is not.
                    ErrorCode::Unknown => self.corrupt(None, message),
                    _ => self.io(message),
                }
            }
            // Stored values that are not what our schema holds.
            Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::QueryReturnedNoRows
            | Error::SqlInputError { .. } => self.corrupt(None, error.to_string()),
            _ => self.io(error),
        }
    }
}

/// Whether a failed commit may succeed once the reserve is released. The transaction was rolled back
/// before any sync was asked for, so trying again is safe; after a failed sync it never is.
pub(crate) fn is_out_of_space(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    match error {
        rusqlite::Error::SqliteFailure(code, _) => {
            code.code == rusqlite::ErrorCode::DiskFull
                || code.extended_code == ffi::SQLITE_IOERR_WRITE
                || code.extended_code == ffi::SQLITE_IOERR_SHMSIZE
        }
        _ => false,
    }
}
