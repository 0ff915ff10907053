//! Verification: is the journal what was written, and if not, from where on?

use std::{convert::Infallible, path::Path};

use crate::{
    chain::Hash,
    error::JournalError,
    reader::{Reader, StoredEntry},
    recovery::{Stop, walk},
};

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub ok: bool,
    /// How many entries hold, from the first on.
    pub entries: u64,
    /// The hash of the last entry that holds.
    pub head: Hash,
    pub first_bad: Option<FirstBad>,
}

/// The first entry that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstBad {
    pub seq: u64,
    pub reason: String,
}

/// Checks every entry of the journal at `path` and its end, beside its writer or without one.
///
/// # Errors
/// When there is nothing to check: `Missing`, `Newer`, `Corrupt` (not a journal, or its very frame is
/// damaged), `PathTooLong` or `Io`. A chain that does not hold is a report.
pub fn verify(path: &Path) -> Result<Report, JournalError> {
    verify_each(path, |_| {})
}

/// Like `verify`, and shows `visit` each entry that holds, in order.
///
/// # Errors
/// As for `verify`.
pub fn verify_each(path: &Path, mut visit: impl FnMut(&StoredEntry)) -> Result<Report, JournalError> {
    let reader = Reader::open_unchecked(path)?;
    let (mut entries, mut head) = (0, Hash::GENESIS);
    let walked = walk(&reader, |entry| {
        (entries, head) = (entry.seq, entry.hash);
        visit(entry);
        Ok::<(), Infallible>(())
    });
    match walked {
        Ok(_) => Ok(Report { ok: true, entries, head, first_bad: None }),
        Err(Stop::Bad(bad)) => Ok(Report { ok: false, entries, head, first_bad: Some(bad) }),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Visitor(never)) => match never {},
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
