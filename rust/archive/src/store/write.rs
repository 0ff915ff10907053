//! Puts revisions in, and makes what people see of a record follow from them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::raw;
use crate::error::{Error, Trouble};
use crate::formats;
use crate::id;
use crate::record::{Kind, Message, Record};
use crate::statements;

/// Bytes of an element in one chunk.
pub(crate) const CHUNK: usize = 512 * 1024;
pub(crate) const CHUNKS: usize = 1 << 20;

pub(crate) const ACTIVE: i64 = 1;
pub(crate) const HIDDEN: i64 = 2;
/// Not in the newest revision: the provider no longer exports it.
pub(crate) const ABSENT: i64 = 4;
/// Not in the search index.
pub(crate) const SILENT: i64 = 8;

/// An element on its way into the archive.
pub(crate) struct Incoming {
    pub(crate) format: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) record: Record,
    pub(crate) raw: String,
    pub(crate) digest: [u8; 32],
    /// Compressed chunks, where the parsing thread already made them.
    pub(crate) chunks: Vec<Vec<u8>>,
}

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    New,
    Updated,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) new: u64,
    pub(crate) updated: u64,
    pub(crate) facts: u64,
    pub(crate) quarantined: u64,
}

#[expect(clippy::cast_possible_wrap, reason = "a chunk's number is below 2^20")]
pub(crate) fn chunk_id(revision: i64, chunk: usize) -> i64 {
    revision << 20 | chunk as i64
}

/// Cuts and compresses an element.
pub(crate) fn pack(raw: &str) -> Vec<Vec<u8>> {
    raw.as_bytes().chunks(CHUNK).map(lz4_flex::compress_prepend_size).collect()
}

/// The revision of this record with the same content, though maybe other bytes (key order, spacing).
pub(crate) fn same_content(db: &Connection, incoming: &Incoming) -> Result<Option<i64>, Error> {
    let key = incoming.record.key(incoming.provider);
    let mut query = db.prepare_cached(
        "SELECT revision.id FROM record JOIN revision ON revision.record = record.id WHERE record.key = ?1",
    )?;
    let known = query.query_map([key], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    if known.is_empty() {
        return Ok(None);
    }
    let content = canonical(&incoming.raw);
    for revision in known {
        if content.is_some() && canonical(&raw(db, revision)?) == content {
            return Ok(Some(revision));
        }
    }
    Ok(None)
}

/// The value with sorted keys (`serde_json`'s map is ordered); none if it is nested too deeply to compare.
fn canonical(json: &str) -> Option<serde_json::Value> {
    let (json, _) = crate::json::mend_surrogates(json);
    serde_json::from_str(&json).ok()
}

/// Stores a revision that is not there yet. `seen`: when this export was imported.
pub(crate) fn add(
    db: &Connection,
    incoming: &Incoming,
    seen: i64,
    counts: &mut Counts,
) -> Result<(i64, Stored), Error> {
    let record = &incoming.record;
    let key = record.key(incoming.provider);
    let known: Option<i64> = db
        .prepare_cached("SELECT id FROM record WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let record_id = match known {
        Some(id) => id,
        None => db.prepare_cached(
            "INSERT INTO record(key, provider, kind, native, revision, branches) VALUES (?1, ?2, ?3, ?4, 0, 0)")?
            .insert(params![key, incoming.provider, record.kind.name(), record.native])?,
    };
    let revision = db.prepare_cached(
        "INSERT INTO revision(record, digest, format, updated, newest, messages, size, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .insert(params![record_id, incoming.digest, incoming.format, record.updated, record.newest(), record.messages.len(), incoming.raw.len(), seen])?;
    put_chunks(db, revision, incoming)?;
    put_statements(db, incoming, revision, seen, counts)?;
    if known.is_some() {
        let rows = derive(db, record_id)?;
        reconcile(db, record_id, rows, counts)?;
        return Ok((revision, Stored::Updated));
    }
    show(db, record_id, revision, record)?;
    let mut insert = Insert::new(db, record_id)?;
    let titled = titled(record);
    let mut rows = Vec::new();
    for message in &record.messages {
        // One message at a time: its words are copied, and a conversation may be large.
        piece_rows(
            message,
            revision,
            0,
            titled.filter(|key| *key == message.key).and(record.title.as_deref()),
            &mut rows,
        );
        for row in rows.drain(..) {
            insert.row(&row)?;
        }
    }
    if record.kind == Kind::Conversation {
        counts.new += record.messages.len() as u64;
    }
    Ok((revision, Stored::New))
}

fn put_chunks(db: &Connection, revision: i64, incoming: &Incoming) -> Result<(), Error> {
    if incoming.raw.len() / CHUNK >= CHUNKS {
        return Err(Error::Store(Trouble::new("a conversation is too large for the archive")));
    }
    let mut insert = db.prepare_cached("INSERT INTO chunk(id, data) VALUES (?1, ?2)")?;
    for (number, part) in incoming.raw.as_bytes().chunks(CHUNK).enumerate() {
        match incoming.chunks.get(number) {
            Some(packed) => insert.execute(params![chunk_id(revision, number), packed])?,
            None => {
                insert.execute(params![chunk_id(revision, number), lz4_flex::compress_prepend_size(part)])?
            }
        };
    }
    Ok(())
}

fn put_statements(
    db: &Connection,
    incoming: &Incoming,
    revision: i64,
    seen: i64,
    counts: &mut Counts,
) -> Result<(), Error> {
    for found in &incoming.record.statements {
        let provider = incoming.provider;
        let key = id::digest(&[
            provider.as_bytes(),
            found.scope.as_bytes(),
            statements::normal(&found.text).as_bytes(),
        ]);
        let known: Option<i64> = db
            .prepare_cached("SELECT id FROM statement WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        let statement = match known {
            Some(id) => id,
            None => {
                let planted = found.trust > crate::record::Trust::User && statements::is_planted(&found.text);
                let secret = statements::is_secret(&found.text);
                counts.facts += 1;
                counts.quarantined += u64::from(planted);
                let id = db.prepare_cached(
                    "INSERT INTO statement(key, provider, scope, kind, trust, text, tag, planted, secret) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
                    .insert(params![key, provider, found.scope, found.kind, found.trust as i64, found.text, found.tag, planted, secret])?;
                db.prepare_cached("INSERT INTO statement_search(rowid, text) VALUES (?1, ?2)")?
                    .execute(params![id, found.text])?;
                id
            }
        };
        let (start, end) = found.span;
        db.prepare_cached("INSERT OR IGNORE INTO sighting VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![revision, statement, found.message, found.time, found.since, start, end])?;
        if found.listed {
            db.prepare_cached("INSERT OR IGNORE INTO snapshot VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                revision,
                provider,
                found.scope,
                found.time.unwrap_or(seen)
            ])?;
        }
    }
    Ok(())
}

/// A row of `message` with the words to index.
pub(crate) struct Row {
    key: i64,
    part: i64,
    revision: i64,
    parent: Option<i64>,
    role: i64,
    trust: i64,
    time: Option<i64>,
    start: usize,
    end: usize,
    flags: i64,
    digest: i64,
    text: Option<String>,
}

/// The message with which the title is indexed: the first one of the active branch.
fn titled(record: &Record) -> Option<i64> {
    record
        .messages
        .iter()
        .filter(|message| message.active && message.pieces.iter().any(|piece| !piece.silent))
        .min_by_key(|message| (message.time.unwrap_or(i64::MAX), message.key))
        .map(|message| message.key)
}

/// The rows of one revision.
fn rows(record: &Record, revision: i64, extra_flags: i64) -> Vec<Row> {
    let first = titled(record);
    let mut rows = Vec::with_capacity(record.messages.len());
    for message in &record.messages {
        let title = record.title.as_deref().filter(|_| first == Some(message.key));
        piece_rows(message, revision, extra_flags, title, &mut rows);
    }
    rows
}

#[expect(clippy::cast_possible_wrap, reason = "pieces of one message are counted, not measured")]
fn piece_rows(message: &Message, revision: i64, extra_flags: i64, title: Option<&str>, rows: &mut Vec<Row>) {
    for (part, piece) in message.pieces.iter().enumerate() {
        let flag = |set: bool, flag: i64| if set { flag } else { 0 };
        let silent = piece.silent || message.hidden && piece.trust != crate::record::Trust::User;
        let flags =
            extra_flags | flag(message.active, ACTIVE) | flag(message.hidden, HIDDEN) | flag(silent, SILENT);
        let title = title.filter(|_| part == 0).unwrap_or_default();
        let digest = id::short(&id::digest(&[title.as_bytes(), piece.text.as_bytes()]));
        let text = match (silent, title.is_empty()) {
            (true, _) => None,
            (false, true) => Some(piece.text.clone()),
            (false, false) => Some(format!("{title}\n{}", piece.text)),
        };
        rows.push(Row {
            key: message.key,
            part: part as i64,
            revision,
            parent: message.parent,
            role: message.role as i64,
            trust: piece.trust as i64,
            time: message.time,
            start: message.start,
            end: message.end,
            flags,
            digest,
            text,
        });
    }
}

struct Insert<'db> {
    message: rusqlite::CachedStatement<'db>,
    search: rusqlite::CachedStatement<'db>,
    record: i64,
}

impl<'db> Insert<'db> {
    fn new(db: &'db Connection, record: i64) -> Result<Self, Error> {
        let message = db.prepare_cached(
            "INSERT INTO message(record, key, part, revision, parent, role, trust, time, start, \"end\", flags, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
        let search = db.prepare_cached("INSERT INTO search(rowid, text) VALUES (?1, ?2)")?;
        Ok(Self { message, search, record })
    }

    fn row(&mut self, row: &Row) -> Result<(), Error> {
        let id = self.message.insert(params![
            self.record,
            row.key,
            row.part,
            row.revision,
            row.parent,
            row.role,
            row.trust,
            row.time,
            row.start,
            row.end,
            row.flags,
            row.digest
        ])?;
        if let Some(text) = &row.text {
            self.search.execute(params![id, text])?;
        }
        Ok(())
    }
}

/// What people see of a record's head: from its newest revision.
fn show(db: &Connection, record: i64, revision: i64, head: &Record) -> Result<(), Error> {
    db.prepare_cached(
        "UPDATE record SET title = ?2, account = ?3, created = ?4, updated = ?5, newest = ?6, revision = ?7, branches = ?8 WHERE id = ?1")?
        .execute(params![record, head.title, head.account, head.created, head.updated, head.newest(), revision, head.branches])?;
    Ok(())
}

/// The rows that follow from all revisions of a record: each message as the newest revision that has it says.
/// Newest is by the provider's own times, then by length, then by import: not by the order of files.
pub(crate) fn derive(db: &Connection, record: i64) -> Result<Vec<Row>, Error> {
    let mut query = db.prepare_cached(
        "SELECT id, format FROM revision WHERE record = ?1
         ORDER BY updated IS NULL, updated DESC, newest IS NULL, newest DESC, messages DESC, id DESC",
    )?;
    let revisions: Vec<(i64, String)> =
        query.query_map([record], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut found: HashMap<(i64, i64), Row> = HashMap::new();
    for (place, (revision, format)) in revisions.iter().enumerate() {
        let json = raw(db, *revision)?;
        let (json, _) = crate::json::mend_surrogates(&json);
        let parsed = formats::named(format)
            .ok_or_else(|| {
                Error::Store(Trouble::new(format!("the format `{format}` is not known any more")))
            })?
            .record(&json)
            .map_err(|reason| {
                Error::Store(Trouble::new(format!("a stored conversation cannot be read: {reason}")))
            })?;
        if place == 0 {
            show(db, record, *revision, &parsed)?;
        }
        let known: std::collections::HashSet<i64> = found.keys().map(|(message, _)| *message).collect();
        for mut row in rows(&parsed, *revision, if place == 0 { 0 } else { ABSENT }) {
            if !known.contains(&row.key) {
                if place > 0 {
                    row.flags &= !ACTIVE;
                }
                found.insert((row.key, row.part), row);
            }
        }
    }
    let mut rows: Vec<Row> = found.into_values().collect();
    rows.sort_by_key(|row| (row.time, row.key, row.part));
    Ok(rows)
}

/// Makes the stored rows of a record the given ones; what is the same is not touched.
pub(crate) fn reconcile(
    db: &Connection,
    record: i64,
    rows: Vec<Row>,
    counts: &mut Counts,
) -> Result<(), Error> {
    let mut query =
        db.prepare_cached("SELECT key, part, id, digest, flags FROM message WHERE record = ?1")?;
    let mut stored: HashMap<(i64, i64), (i64, i64, i64)> = query
        .query_map([record], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?))))?
        .collect::<Result<_, _>>()?;
    let mut insert = Insert::new(db, record)?;
    for row in rows {
        match stored.remove(&(row.key, row.part)) {
            None => {
                insert.row(&row)?;
                counts.new += u64::from(row.part == 0);
            }
            Some((id, digest, flags)) => {
                if digest != row.digest {
                    counts.updated += u64::from(row.part == 0);
                }
                if digest != row.digest || (flags ^ row.flags) & SILENT != 0 {
                    if flags & SILENT == 0 {
                        unindex(db, id)?;
                    }
                    if let Some(text) = &row.text {
                        insert.search.execute(params![id, text])?;
                    }
                }
                update(db, id, &row)?;
            }
        }
    }
    for (id, _, flags) in stored.into_values() {
        if flags & SILENT == 0 {
            unindex(db, id)?;
        }
        db.prepare_cached("DELETE FROM message WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn update(db: &Connection, id: i64, row: &Row) -> Result<(), Error> {
    db.prepare_cached(
        "UPDATE message SET revision = ?2, parent = ?3, role = ?4, trust = ?5, time = ?6, start = ?7, \"end\" = ?8,
         flags = ?9, digest = ?10 WHERE id = ?1")?
        .execute(params![id, row.revision, row.parent, row.role, row.trust, row.time, row.start, row.end, row.flags, row.digest])?;
    Ok(())
}

fn unindex(db: &Connection, id: i64) -> Result<(), Error> {
    db.prepare_cached("DELETE FROM search WHERE rowid = ?1")?.execute([id])?;
    Ok(())
}
