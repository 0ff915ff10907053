//! Reading the archive: lists, single records by name, numbers, and the whole for an export.

use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, Trouble};
use crate::facts::{self, Fact};
use crate::id;
use crate::record::{Role, Trust};
use crate::search::piece;
use crate::statements;
use crate::store::write::{ABSENT, ACTIVE, HIDDEN};
use crate::store::{self, Archive};
use crate::time::{self, Micros};

/// An import as `memory imports` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ImportRow {
    pub import: String,
    /// `done`, or `interrupted`: run the same import again to finish it.
    pub state: &'static str,
    pub source: Option<String>,
    pub account: Option<String>,
    pub inputs: Vec<String>,
    pub started: String,
    pub conversations: u64,
    pub summary: Value,
}

/// A record without its messages.
#[derive(Clone, Debug, Serialize)]
pub struct RecordRow {
    pub id: String,
    pub kind: String,
    pub provider: String,
    pub native: String,
    pub title: Option<String>,
    pub account: Option<String>,
    pub created: Option<String>,
    pub updated: Option<String>,
    pub branches: u64,
}

impl Archive {
    /// # Errors
    /// The database fails.
    pub fn facts(&self) -> Result<Vec<Fact>, Error> {
        facts::facts(&self.db, None)
    }

    /// # Errors
    /// The database fails.
    pub fn imports(&self) -> Result<Vec<ImportRow>, Error> {
        let mut query = self.db.prepare(
            "SELECT name, state, source, account, inputs, started, summary,
                    (SELECT count(DISTINCT record.id) FROM brought JOIN revision ON revision.id = brought.revision
                     JOIN record ON record.id = revision.record
                     WHERE brought.import = import.id AND record.kind = 'conversation')
             FROM import ORDER BY id")?;
        let rows = query.query_map([], |row| {
            let (state, inputs): (String, String) = (row.get(1)?, row.get(4)?);
            let summary: Option<String> = row.get(6)?;
            Ok(ImportRow {
                import: row.get(0)?,
                state: if state == "done" { "done" } else { "interrupted" },
                source: row.get(2)?,
                account: row.get(3)?,
                inputs: serde_json::from_str(&inputs).unwrap_or_default(),
                started: time::iso(row.get(5)?),
                conversations: row.get(7)?,
                summary: summary.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Numbers of the whole archive.
    ///
    /// # Errors
    /// The database fails.
    pub fn stats(&self) -> Result<Value, Error> {
        let mut providers = serde_json::Map::new();
        let mut query = self.db.prepare(
            "SELECT provider, count(*), sum(branches), min(coalesce(created, newest)), max(coalesce(newest, updated, created)),
                    sum((SELECT count(*) FROM message WHERE message.record = record.id AND part = 0))
             FROM record WHERE kind = 'conversation' GROUP BY provider ORDER BY provider")?;
        let mut rows = query.query([])?;
        let (mut conversations, mut messages, mut branches) = (0, 0, 0);
        while let Some(row) = rows.next()? {
            let (name, count, forks): (String, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (first, last): (Option<Micros>, Option<Micros>) = (row.get(3)?, row.get(4)?);
            let words: u64 = row.get(5)?;
            conversations += count;
            branches += forks;
            messages += words;
            let numbers = json!({"conversations": count, "messages": words, "branches": forks, "first": first.map(time::iso), "last": last.map(time::iso)});
            providers.insert(name, numbers);
        }
        let mut states = serde_json::Map::new();
        for fact in self.facts()? {
            let count = states.get(fact.status).and_then(Value::as_u64).unwrap_or(0);
            states.insert(fact.status.to_owned(), (count + 1).into());
        }
        let one = |sql: &str| self.db.query_row(sql, [], |row| row.get::<_, u64>(0));
        Ok(json!({
            "conversations": conversations, "messages": messages, "branches": branches, "providers": providers,
            "facts": states,
            "projects": one("SELECT count(*) FROM record WHERE kind = 'project'")?,
            "files": one("SELECT count(DISTINCT digest) FROM carried")?,
            "imports": one("SELECT count(*) FROM import")?,
            "bytes": one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?,
            "encrypted": false,
        }))
    }

    /// Conversations and other records, by time and name.
    ///
    /// # Errors
    /// The database fails.
    pub fn records(&self) -> Result<Vec<RecordRow>, Error> {
        let mut query = self.db.prepare(
            "SELECT key, kind, provider, native, title, account, created, updated, branches FROM record ORDER BY created, key")?;
        let rows = query.query_map([], record_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The very bytes of a record's newest revision.
    ///
    /// # Errors
    /// There is no such record, or the database fails.
    pub fn raw(&self, name: &str) -> Result<String, Error> {
        match self.find(name)?.as_slice() {
            [Found::Record(record)] => {
                let revision =
                    self.db
                        .query_row("SELECT revision FROM record WHERE id = ?1", [record], |row| row.get(0))?;
                store::raw(&self.db, revision)
            }
            _ => Err(missing(name)),
        }
    }

    /// A fact, conversation or message by its id or a unique prefix of it.
    ///
    /// # Errors
    /// Nothing fits, or several things do.
    pub fn show(&self, name: &str) -> Result<Value, Error> {
        match self.find(name)?.as_slice() {
            [] => Err(missing(name)),
            [Found::Fact(fact)] => {
                let fact = facts::facts(&self.db, Some(*fact))?.into_iter().next();
                serde_json::to_value(fact).map_err(|error| Error::input(error.to_string()))
            }
            [Found::Record(record)] => conversation(&self.db, *record),
            [Found::Message { record, key }] => message(&self.db, *record, *key),
            _ => Err(Error::Input(
                Trouble::new(format!("`{name}` fits several things")).hint("give more of the id"),
            )),
        }
    }

    fn find(&self, prefix: &str) -> Result<Vec<Found>, Error> {
        let Some((kind, letters)) = prefix.split_once('-').filter(|(_, letters)| !letters.is_empty()) else {
            return Ok(Vec::new());
        };
        match kind {
            "f" => {
                let fits = |key: &[u8]| id::fact_name(key).starts_with(prefix);
                Ok(self.keys("SELECT id, key FROM statement", &fits)?.into_iter().map(Found::Fact).collect())
            }
            "c" => {
                let fits = |key: &[u8]| id::record_name(key).starts_with(prefix);
                Ok(self.keys("SELECT id, key FROM record", &fits)?.into_iter().map(Found::Record).collect())
            }
            "m" => {
                let head: String = letters.chars().take(id::RECORD_LETTERS).collect();
                let fits = |key: &[u8]| id::letters(key, id::RECORD_LETTERS).starts_with(&head);
                let mut found = Vec::new();
                for record in self.keys("SELECT id, key FROM record", &fits)? {
                    let owner: Vec<u8> =
                        self.db
                            .query_row("SELECT key FROM record WHERE id = ?1", [record], |row| row.get(0))?;
                    let mut query =
                        self.db.prepare_cached("SELECT DISTINCT key FROM message WHERE record = ?1")?;
                    for key in query.query_map([record], |row| row.get(0))? {
                        let key = key?;
                        if id::message_name(&owner, key).starts_with(prefix) {
                            found.push(Found::Message { record, key });
                        }
                    }
                }
                Ok(found)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn keys(&self, sql: &str, fits: &dyn Fn(&[u8]) -> bool) -> Result<Vec<i64>, Error> {
        let mut query = self.db.prepare_cached(sql)?;
        let mut rows = query.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key: Vec<u8> = row.get(1)?;
            if fits(&key) {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }
}

enum Found {
    Fact(i64),
    Record(i64),
    Message { record: i64, key: i64 },
}

fn missing(name: &str) -> Error {
    Error::Input(Trouble::new(format!("nothing in the archive has the id `{name}`")).hint(
        "ids start with f- (fact), c- (conversation) or m- (message); `agentos memory search` prints them",
    ))
}

fn record_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordRow> {
    let key: Vec<u8> = row.get(0)?;
    Ok(RecordRow {
        id: id::record_name(&key),
        kind: row.get(1)?,
        provider: row.get(2)?,
        native: row.get(3)?,
        title: row.get(4)?,
        account: row.get(5)?,
        created: row.get::<_, Option<Micros>>(6)?.map(time::iso),
        updated: row.get::<_, Option<Micros>>(7)?.map(time::iso),
        branches: row.get(8)?,
    })
}

fn conversation(db: &Connection, record: i64) -> Result<Value, Error> {
    let sql = "SELECT key, kind, provider, native, title, account, created, updated, branches FROM record WHERE id = ?1";
    let head = db.query_row(sql, [record], record_row)?;
    let mut value = serde_json::to_value(&head).map_err(|error| Error::input(error.to_string()))?;
    let mut query =
        db.prepare_cached("SELECT key FROM message WHERE record = ?1 GROUP BY key ORDER BY min(time), key")?;
    let keys = query.query_map([record], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let messages = keys.into_iter().map(|key| message(db, record, key)).collect::<Result<Vec<_>, _>>()?;
    let revision = db.query_row("SELECT revision FROM record WHERE id = ?1", [record], |row| row.get(0))?;
    // The keys of every shown record, whatever it is.
    let common = json!({
        "type": head.kind, "text": head.title, "status": "active", "trust": null, "sensitivity": "normal",
        "valid_from": head.created, "valid_to": null, "messages": messages,
        "provenance": [{"file": facts::file(db, revision)?, "conversation": head.id, "message": null, "span": null}],
    });
    if let (Some(object), Value::Object(common)) = (value.as_object_mut(), common) {
        object.extend(common);
    }
    Ok(value)
}

fn message(db: &Connection, record: i64, key: i64) -> Result<Value, Error> {
    let mut query = db.prepare_cached(
        "SELECT part, message.revision, role, trust, time, start, \"end\", flags, parent, format, record.key, provider, title
         FROM message JOIN record ON record.id = message.record JOIN revision ON revision.id = message.revision
         WHERE message.record = ?1 AND message.key = ?2 ORDER BY part")?;
    let mut rows = query.query(params![record, key])?;
    let mut value = Value::Null;
    while let Some(row) = rows.next()? {
        let (part, revision): (usize, i64) = (row.get(0)?, row.get(1)?);
        let (trust, format): (i64, String) = (row.get(3)?, row.get(9)?);
        let text = piece(db, revision, (row.get(5)?, row.get(6)?), &format, part)?;
        if part > 0 {
            let aside = json!({"text": text, "trust": Trust::name(trust)});
            if let Some(list) = value.get_mut("attached").and_then(Value::as_array_mut) {
                list.push(aside);
            }
            continue;
        }
        let owner: Vec<u8> = row.get(10)?;
        let (role, flags): (i64, i64) = (row.get(2)?, row.get(7)?);
        let name = id::message_name(&owner, key);
        let conversation = id::record_name(&owner);
        let length = text.chars().count();
        value = json!({
            "id": name, "kind": "message", "type": "message", "text": text, "role": Role::name(role), "trust": Trust::name(trust),
            "time": row.get::<_, Option<Micros>>(4)?.map(time::iso),
            "provider": row.get::<_, String>(11)?, "conversation": conversation, "title": row.get::<_, Option<String>>(12)?,
            "parent": row.get::<_, Option<i64>>(8)?.map(|parent| id::message_name(&owner, parent)),
            "status": if flags & ABSENT == 0 { "active" } else { "absent" },
            "sensitivity": if statements::is_secret(&text) { "secret" } else { "normal" },
            "valid_from": row.get::<_, Option<Micros>>(4)?.map(time::iso), "valid_to": null,
            "active": flags & ACTIVE != 0, "hidden": flags & HIDDEN != 0, "absent": flags & ABSENT != 0,
            "attached": [],
            "provenance": [{"file": facts::file(db, revision)?, "conversation": conversation, "message": name, "span": [0, length]}],
        });
    }
    Ok(value)
}
