//! Recovery: walking the chain from its start, checking each link, in bounded memory.

use std::{
    sync::mpsc::{self, Receiver, Sender, SyncSender},
    thread,
};

use crate::{
    MAX_ENTRY,
    chain::{Hash, Head},
    error::JournalError,
    reader::{Reader, StoredEntry},
    verify::FirstBad,
};

/// How many entries are read at a time: at most four mebibytes.
const PAGE: usize = 1024;

/// What the journal held when it was opened.
pub struct Recovery {
    /// The last entry's number; 0 for a new journal.
    pub last: u64,
    /// The last entry's hash.
    pub head: Hash,
    pub(crate) reader: Reader,
}

impl Recovery {
    /// Gives every entry to `apply`, in order, each after its place in the chain was checked.
    ///
    /// Replay before the first append: until then nothing is written, so a journal that turns out to be
    /// damaged stays as it was found.
    ///
    /// # Errors
    /// What `apply` returns; `Corrupt` at the first entry that does not hold; `Io`.
    pub fn replay<E: From<JournalError>>(
        &self,
        apply: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.replay(apply)
    }

    /// Like `replay`, with each entry's format between its number and its bytes.
    ///
    /// # Errors
    /// As for `replay`.
    pub fn replay_versions<E: From<JournalError>>(
        &self,
        apply: impl FnMut(u64, u16, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader.replay_versions(apply)
    }
}

/// Why a walk along the chain ended early.
pub(crate) enum Stop<E> {
    Bad(FirstBad),
    Failed(JournalError),
    Visitor(E),
}

pub(crate) fn replay<E: From<JournalError>>(
    reader: &Reader,
    mut apply: impl FnMut(u64, u16, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    match walk(reader, |entry| apply(entry.seq, entry.version, &entry.bytes)) {
        Ok(_) => Ok(()),
        Err(Stop::Bad(bad)) => Err(reader.blame().corrupt(Some(bad.seq), bad.reason).into()),
        Err(Stop::Failed(error)) => Err(error.into()),
        Err(Stop::Visitor(error)) => Err(error),
    }
}

/// Visits every entry up to the head as it is now, each after its link was checked. Another thread reads
/// the next page meanwhile; each page is a short transaction of its own.
pub(crate) fn walk<E>(
    reader: &Reader,
    visit: impl FnMut(&StoredEntry) -> Result<(), E>,
) -> Result<Head, Stop<E>> {
    let head = reader.head().map_err(Stop::Failed)?;
    let end = thread::scope(|scope| {
        let (full, pages) = mpsc::sync_channel(1);
        let (used, free) = mpsc::channel();
        // One is read while the other is visited.
        let _ = used.send(Vec::new()).and_then(|()| used.send(Vec::new()));
        let last = head.seq;
        let reading = thread::Builder::new()
            .name("journal reader".to_owned())
            .spawn_scoped(scope, move || read_ahead(reader, last, &full, &free));
        reading.map_err(|error| Stop::Failed(reader.blame().io(error)))?;
        follow(&head, &pages, &used, visit)
    })?;
    if end.hash != head.hash {
        return bad(end.seq, "the anchored head names another hash");
    }
    beyond(reader, &head)
}

type Page = Vec<StoredEntry>;

/// Reads pages up to entry `last`, until there are no more or nobody wants them; an empty one where one is
/// missing.
fn read_ahead(
    reader: &Reader,
    last: u64,
    full: &SyncSender<Result<Page, JournalError>>,
    free: &Receiver<Page>,
) {
    let (mut after, mut size) = (0, PAGE);
    while after < last {
        let Ok(mut page) = free.recv() else { return };
        let limit = |size| usize::try_from(last - after).map_or(size, |left| left.min(size));
        let mut filled = reader.fill(&mut page, after, limit(size));
        if matches!(filled, Err(JournalError::Corrupt { .. })) && size > 1 {
            // The damage is somewhere in this page: go on one by one, to name the entry.
            size = 1;
            filled = reader.fill(&mut page, after, limit(size));
        }
        let read_to = page.last().map(|entry| entry.seq);
        let goes_on = filled.is_ok() && read_to.is_some();
        if full.send(filled.map(|()| page)).is_err() || !goes_on {
            return;
        }
        after = read_to.unwrap_or(last);
    }
}

/// Checks and visits what was read, in order, and gives each page back.
fn follow<E>(
    head: &Head,
    pages: &Receiver<Result<Page, JournalError>>,
    used: &Sender<Page>,
    mut visit: impl FnMut(&StoredEntry) -> Result<(), E>,
) -> Result<Head, Stop<E>> {
    let mut end = Head::default();
    for page in pages {
        let page = page.map_err(|error| damaged_after(end.seq, error))?;
        if page.is_empty() {
            return Err(missing(end.seq + 1, head.seq, true));
        }
        for entry in &page {
            end = check(&end, head, entry)?;
            visit(entry).map_err(Stop::Visitor)?;
        }
        let _ = used.send(page);
    }
    Ok(end)
}

/// Checks that `entry` is the next one after `end`.
fn check<E>(end: &Head, head: &Head, entry: &StoredEntry) -> Result<Head, Stop<E>> {
    let seq = end.seq + 1;
    if entry.seq != seq {
        // Beyond the head there may be anything: what counts is what lacks before it.
        return Err(missing(seq, (entry.seq - 1).min(head.seq), false));
    }
    if entry.bytes.len() > MAX_ENTRY {
        return bad(seq, "it is longer than an entry can be");
    }
    let hash = end.hash.next(seq, entry.version, &entry.bytes);
    if hash != entry.hash {
        return bad(
            seq,
            "its bytes are not those that were written here: it, or the one before, was changed or moved",
        );
    }
    Ok(Head { seq, hash })
}

/// Nothing may lie beyond the head that was anchored, unless the head has moved on since.
fn beyond<E>(reader: &Reader, head: &Head) -> Result<Head, Stop<E>> {
    let more = reader.entries(head.seq, 1).map_err(|error| damaged_after(head.seq, error))?;
    match more.first() {
        Some(entry) if reader.head().map_err(Stop::Failed)?.seq <= head.seq => {
            bad(entry.seq, "it lies beyond the anchored head")
        }
        _ => Ok(*head),
    }
}

fn bad<T, E>(seq: u64, reason: &str) -> Result<T, Stop<E>> {
    Err(Stop::Bad(FirstBad { seq, reason: reason.to_owned() }))
}

fn missing<E>(first: u64, last: u64, end: bool) -> Stop<E> {
    let what = if first == last {
        "it is missing".to_owned()
    } else {
        format!("entries {first} to {last} are missing")
    };
    let reason = if end { format!("{what}: the end was cut off") } else { what };
    Stop::Bad(FirstBad { seq: first, reason })
}

/// Damage to the file itself is located by the last entry that could be read before it.
fn damaged_after<E>(seq: u64, error: JournalError) -> Stop<E> {
    match error {
        JournalError::Corrupt { seq: None, reason, .. } => {
            Stop::Bad(FirstBad { seq: seq + 1, reason: format!("the file is damaged here: {reason}") })
        }
        JournalError::Corrupt { seq: Some(seq), reason, .. } => Stop::Bad(FirstBad { seq, reason }),
        error => Stop::Failed(error),
    }
}
