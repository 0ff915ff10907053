//! What the person gave us (files, folders, zips inside zips, standard input) as one list of members.
//!
//! Nothing is ever unpacked under a name from an archive. Members are read through windows of the file that
//! holds them; what cannot be read in place (a compressed zip inside a zip, standard input) goes to a
//! nameless temporary file within the limits of [`Budget`].

mod input;
mod zip;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::input::{check_total, gather};
use crate::error::{Error, Trouble};

/// What to import.
#[derive(Clone, Debug)]
pub enum Input {
    Path(PathBuf),
    Stdin,
}

/// One file of an export, wherever it lies.
pub(crate) struct Member {
    /// As shown to people: `export.zip:conversations.json`.
    pub(crate) name: String,
    /// Bytes after decompression, as declared.
    pub(crate) size: u64,
    pub(crate) place: Place,
}

pub(crate) enum Place {
    File(Window),
    Zipped { window: Window, entry: zip::Entry, budget: Arc<Budget> },
}

impl Member {
    /// The last part of its path.
    pub(crate) fn base(&self) -> &str {
        self.name.rsplit(['/', ':']).next().unwrap_or(&self.name)
    }

    pub(crate) fn is_json(&self) -> bool {
        let base = self.base().to_lowercase();
        base.ends_with(".json") || base.ends_with(".jsonl") || base == "-"
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, Error> {
        match &self.place {
            Place::File(window) => Ok(Box::new(window.clone())),
            Place::Zipped { window, entry, budget } => zip::open(window, entry, budget, &self.name),
        }
    }

    /// What tells it from another file without reading it whole.
    pub(crate) fn fingerprint(&self) -> String {
        match &self.place {
            Place::File(window) => format!("{} {}", self.base(), window.length),
            Place::Zipped { entry, .. } => format!("{} {} {:08x}", self.base(), self.size, entry.crc),
        }
    }
}

/// A part of an open file; a reader with its own position.
#[derive(Clone)]
pub(crate) struct Window {
    file: Arc<File>,
    start: u64,
    length: u64,
    at: u64,
}

impl Window {
    pub(crate) fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), start: 0, length, at: 0 })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// A window within this one; none if it would reach beyond it.
    pub(crate) fn part(&self, start: u64, length: u64) -> Option<Self> {
        let end = start.checked_add(length)?;
        let part = Self { file: Arc::clone(&self.file), start: self.start + start, length, at: 0 };
        (end <= self.length).then_some(part)
    }

    /// Up to `count` bytes at `start`, fewer at the end.
    pub(crate) fn bytes(&self, start: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut from = Self { at: start.min(self.length), ..self.clone() };
        let mut bytes = Vec::new();
        from.by_ref().take(count as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
        let count = out.len().min(left);
        let into = out.get_mut(..count).unwrap_or_default();
        let read = self.file.read_at(into, self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// How much an input may grow when it is decompressed, counted over all its archives and the archives inside
/// them. Deflate reaches 1,032 to 1; exports reach 5 to 20.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: u64,
}

/// Growth beyond this is not an export.
pub(crate) const RATIO: u64 = 500;
/// Small members may be repetitive.
pub(crate) const FREE: u64 = 4 << 20;
/// Zips inside the zip that the person gave.
const NESTING: u32 = 2;

impl Budget {
    fn new(bytes_given: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: bytes_given.saturating_mul(RATIO).max(FREE) }
    }

    fn spend(&self, bytes: u64) -> bool {
        self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit
    }
}

pub(crate) fn bomb(name: &str) -> Error {
    Error::Input(
        Trouble::new("the zip unpacks to far more than any export does: refused as a zip bomb")
            .at(name)
            .hint("download the export again from the provider; do not open this file"),
    )
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
