//! What can go wrong, with its place and what to do next. The bindings map each variant to one exception.

use std::fmt;

/// A failure of the archive. Messages are whole sentences without a full stop, for people.
#[derive(Debug)]
pub enum Error {
    /// The input cannot be used; nothing of it was kept.
    Input(Trouble),
    /// The person stopped it; running the same import again finishes it.
    Interrupted { import: Option<String> },
    /// Another process is importing into this archive.
    Busy(Trouble),
    /// The archive was written by a newer version of the program.
    Newer(Trouble),
    /// The archive itself or the disk under it failed.
    Store(Trouble),
}

/// What happened, where, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    pub message: String,
    pub place: Option<String>,
    pub hint: Option<String>,
}

impl Trouble {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, hint: None }
    }

    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        match &self.place {
            Some(place) => write!(out, " ({place})"),
            None => Ok(()),
        }
    }
}

impl Error {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(Trouble::new(message))
    }

    /// The same failure with a place, where it has none yet.
    #[must_use]
    pub(crate) fn at(self, place: &str) -> Self {
        let placed = |mut trouble: Trouble| {
            trouble.place.get_or_insert_with(|| place.to_owned());
            trouble
        };
        match self {
            Self::Input(trouble) => Self::Input(placed(trouble)),
            Self::Busy(trouble) => Self::Busy(placed(trouble)),
            Self::Newer(trouble) => Self::Newer(placed(trouble)),
            Self::Store(trouble) => Self::Store(placed(trouble)),
            Self::Interrupted { import } => Self::Interrupted { import },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(trouble) | Self::Busy(trouble) | Self::Newer(trouble) | Self::Store(trouble) => {
                trouble.fmt(out)
            }
            Self::Interrupted { .. } => out.write_str("the import was stopped before its end"),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let full = matches!(
            &error,
            rusqlite::Error::SqliteFailure(code, _) if code.code == rusqlite::ErrorCode::DiskFull
        );
        let hint = if full {
            "free some space and run the same command again"
        } else {
            "run it again; if it stays, back the archive folder up and report it"
        };
        Self::Store(Trouble::new(format!("the archive's database failed: {error}")).hint(hint))
    }
}

/// Readers put a failure of ours inside the I/O error when they know better what is wrong: that one counts.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        error
            .downcast::<Self>()
            .unwrap_or_else(|error| Self::Store(Trouble::new(format!("reading or writing failed: {error}"))))
    }
}
