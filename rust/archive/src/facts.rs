//! Facts: what the statements of all exports come to.
//!
//! Nothing here is stored. A statement that stands in the newest list of its scope is active; one that only
//! older lists have was superseded when the next list came. So facts do not depend on the order of imports.

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::error::Error;
use crate::id;
use crate::record::Trust;
use crate::time::{self, Micros};

/// Sources named for one fact; the first and the latest ones.
const SOURCES: usize = 5;

/// A fact as the contract shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
    /// `active`, `superseded` or `quarantined`.
    pub status: &'static str,
    pub trust: &'static str,
    pub sensitivity: &'static str,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    pub provider: String,
    pub scope: String,
    pub tag: Option<String>,
    pub first_seen: Option<String>,
    pub last_seen: Option<String>,
    pub sightings: u64,
    pub provenance: Vec<Source>,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    pub file: Option<String>,
    pub conversation: String,
    pub message: String,
    /// Characters of the message's text.
    pub span: (usize, usize),
    pub time: Option<String>,
}

/// All facts, or the one with this statement number; oldest first.
pub(crate) fn facts(db: &Connection, only: Option<i64>) -> Result<Vec<Fact>, Error> {
    let mut query = db.prepare_cached(
        "SELECT statement.id, statement.key, provider, scope, kind, trust, text, tag, planted, secret,
                min(coalesce(sighting.time, revision.seen)), max(coalesce(sighting.time, revision.seen)),
                min(coalesce(since, sighting.time)), count(*),
                (SELECT max(snapshot.time) FROM snapshot
                 WHERE snapshot.provider = statement.provider AND snapshot.scope = statement.scope)
         FROM statement JOIN sighting ON sighting.statement = statement.id
         JOIN revision ON revision.id = sighting.revision
         WHERE ?1 IS NULL OR statement.id = ?1 GROUP BY statement.id ORDER BY 11, statement.key",
    )?;
    let mut rows = query.query(params![only])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let statement: i64 = row.get(0)?;
        let key: Vec<u8> = row.get(1)?;
        let (provider, scope): (String, String) = (row.get(2)?, row.get(3)?);
        let (kind, trust): (String, i64) = (row.get(4)?, row.get(5)?);
        let (planted, secret): (bool, bool) = (row.get(8)?, row.get(9)?);
        let (first, last): (Micros, Micros) = (row.get(10)?, row.get(11)?);
        let newest: Option<Micros> = row.get(14)?;
        let superseded = newest.is_some_and(|newest| last < newest);
        let ended = if superseded { next_snapshot(db, &provider, &scope, last)? } else { None };
        let status = match (planted, superseded) {
            (true, _) => "quarantined",
            (false, true) => "superseded",
            (false, false) => "active",
        };
        let sensitivity = match (secret, kind.as_str()) {
            (true, _) => "secret",
            (false, "identity" | "relationship") => "personal",
            (false, _) => "normal",
        };
        facts.push(Fact {
            id: id::fact_name(&key),
            kind,
            text: row.get(6)?,
            status,
            trust: Trust::name(trust),
            sensitivity,
            valid_from: row.get::<_, Option<Micros>>(12)?.map(time::iso),
            valid_to: ended.map(time::iso),
            provider,
            scope,
            tag: row.get(7)?,
            first_seen: Some(time::iso(first)),
            last_seen: Some(time::iso(last)),
            sightings: row.get(13)?,
            provenance: sources(db, statement)?,
        });
    }
    Ok(facts)
}

fn next_snapshot(
    db: &Connection,
    provider: &str,
    scope: &str,
    after: Micros,
) -> Result<Option<Micros>, Error> {
    Ok(db
        .prepare_cached("SELECT min(time) FROM snapshot WHERE provider = ?1 AND scope = ?2 AND time > ?3")?
        .query_row(params![provider, scope, after], |row| row.get(0))?)
}

fn sources(db: &Connection, statement: i64) -> Result<Vec<Source>, Error> {
    let mut query = db.prepare_cached(
        "SELECT record.key, message, sighting.time, start, \"end\", sighting.revision
         FROM sighting JOIN revision ON revision.id = sighting.revision JOIN record ON record.id = revision.record
         WHERE statement = ?1 GROUP BY record.key, message ORDER BY sighting.time, record.key, message LIMIT ?2")?;
    let mut rows = query.query(params![statement, SOURCES])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        found.push(Source {
            file: file(db, row.get(5)?)?,
            conversation: id::record_name(&key),
            message: id::message_name(&key, row.get(1)?),
            span: (row.get(3)?, row.get(4)?),
            time: row.get::<_, Option<Micros>>(2)?.map(time::iso),
        });
    }
    Ok(found)
}

/// The file of an export that a revision came in, of the first import that brought it.
pub(crate) fn file(db: &Connection, revision: i64) -> Result<Option<String>, Error> {
    let mut query =
        db.prepare_cached("SELECT file FROM brought WHERE revision = ?1 ORDER BY import LIMIT 1")?;
    let mut rows = query.query([revision])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}
