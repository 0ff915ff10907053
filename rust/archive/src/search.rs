//! Full-text search over messages and facts: BM25, best first, with the words around the hit.

use rusqlite::{Connection, params_from_iter, types::Value};
use serde::Serialize;

use crate::error::{Error, Trouble};
use crate::facts::{self, Source};
use crate::formats;
use crate::id;
use crate::query::Query;
use crate::record::{Role, Trust};
use crate::store::{self, Archive};
use crate::time::{self, Micros};

/// Characters shown of a long message.
const SHOWN: usize = 480;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub text: String,
    pub limit: usize,
    pub provider: Option<String>,
    /// Only what is as new as this date or time.
    pub since: Option<String>,
}

/// One result, as the contract shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    pub id: String,
    pub kind: &'static str,
    pub score: f64,
    pub text: String,
    pub provider: String,
    pub conversation: String,
    pub title: Option<String>,
    pub time: Option<String>,
    pub role: &'static str,
    pub trust: &'static str,
    pub provenance: Vec<Source>,
}

impl Archive {
    /// # Errors
    /// `since` is no date, or the database fails.
    pub fn search(&self, question: &Question) -> Result<Vec<Hit>, Error> {
        let query = Query::parse(&question.text);
        let since = question.since.as_deref().map(since).transpose()?;
        let mut scored = Vec::new();
        for expression in [query.all(), query.any()].into_iter().flatten() {
            if scored.len() >= question.limit {
                break;
            }
            for table in [Table::Message, Table::Statement] {
                for (rowid, score) in matches(&self.db, table, &expression, question, since)? {
                    if !scored.iter().any(|(known, row, _)| (*known, *row) == (table, rowid)) {
                        scored.push((table, rowid, score));
                    }
                }
            }
        }
        scored.sort_by(|(a_table, a_row, a), (b_table, b_row, b)| {
            b.total_cmp(a).then((a_table, a_row).cmp(&(b_table, b_row)))
        });
        scored.truncate(question.limit);
        let stems = query.stems();
        scored
            .into_iter()
            .map(|(table, row, score)| match table {
                Table::Message => message_hit(&self.db, row, score, &stems),
                Table::Statement => fact_hit(&self.db, row, score),
            })
            .filter_map(Result::transpose)
            .collect()
    }
}

fn since(text: &str) -> Result<Micros, Error> {
    time::parse(text).ok_or_else(|| {
        Error::Input(
            Trouble::new(format!("`{text}` is no date"))
                .hint("write it as 2024-05-01 or 2024-05-01T10:00:00Z"),
        )
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Statement,
    Message,
}

fn matches(
    db: &Connection,
    table: Table,
    expression: &str,
    question: &Question,
    since: Option<Micros>,
) -> Result<Vec<(i64, f64)>, Error> {
    let filtered = question.provider.is_some() || since.is_some();
    let sql = match (table, filtered) {
        (Table::Message, false) => {
            "SELECT rowid, -rank FROM search WHERE search MATCH ?1 AND ?3 IS NULL AND ?4 IS NULL ORDER BY rank LIMIT ?2"
        }
        (Table::Message, true) => {
            "SELECT search.rowid, -rank FROM search JOIN message ON message.id = search.rowid
             JOIN record ON record.id = message.record
             WHERE search MATCH ?1 AND (?3 IS NULL OR record.provider = ?3)
             AND (?4 IS NULL OR coalesce(message.time, record.updated, record.created) >= ?4) ORDER BY rank LIMIT ?2"
        }
        (Table::Statement, _) => {
            "SELECT statement.id, -rank FROM statement_search JOIN statement ON statement.id = statement_search.rowid
             WHERE statement_search MATCH ?1 AND (?3 IS NULL OR provider = ?3)
             AND (?4 IS NULL OR (SELECT max(coalesce(sighting.time, seen)) FROM sighting
                  JOIN revision ON revision.id = sighting.revision WHERE statement = statement.id) >= ?4)
             ORDER BY rank LIMIT ?2"
        }
    };
    let values = [
        Value::Text(expression.to_owned()),
        Value::Integer(i64::try_from(question.limit).unwrap_or(i64::MAX)),
        question.provider.clone().map_or(Value::Null, Value::Text),
        since.map_or(Value::Null, Value::Integer),
    ];
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn message_hit(db: &Connection, row: i64, score: f64, stems: &[String]) -> Result<Option<Hit>, Error> {
    let mut query = db.prepare_cached(
        "SELECT message.key, part, message.revision, role, trust, coalesce(time, record.updated, record.created), start, \"end\",
                record.key, provider, title, format
         FROM message JOIN record ON record.id = message.record JOIN revision ON revision.id = message.revision
         WHERE message.id = ?1")?;
    let mut rows = query.query([row])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (message, part, revision): (i64, usize, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (role, trust): (i64, i64) = (row.get(3)?, row.get(4)?);
    let time = row.get::<_, Option<Micros>>(5)?.map(time::iso);
    let record: Vec<u8> = row.get(8)?;
    let format: String = row.get(11)?;
    let whole = piece(db, revision, (row.get(6)?, row.get(7)?), &format, part)?;
    let (text, span) = window(&whole, stems);
    let conversation = id::record_name(&record);
    let name = id::message_name(&record, message);
    let source = Source {
        file: facts::file(db, revision)?,
        conversation: conversation.clone(),
        message: name.clone(),
        span,
        time: time.clone(),
    };
    Ok(Some(Hit {
        id: name,
        kind: "message",
        score,
        text,
        provider: row.get(9)?,
        conversation,
        title: row.get(10)?,
        time,
        role: Role::name(role),
        trust: Trust::name(trust),
        provenance: vec![source],
    }))
}

fn fact_hit(db: &Connection, statement: i64, score: f64) -> Result<Option<Hit>, Error> {
    let Some(fact) = facts::facts(db, Some(statement))?.into_iter().next() else { return Ok(None) };
    let conversation = fact.provenance.first().map(|source| source.conversation.clone()).unwrap_or_default();
    Ok(Some(Hit {
        id: fact.id,
        kind: "fact",
        score,
        text: fact.text,
        provider: fact.provider,
        conversation,
        title: fact.tag,
        time: fact.valid_from.or(fact.last_seen),
        role: "user",
        trust: fact.trust,
        provenance: fact.provenance,
    }))
}

/// The words of one piece of a message, read again from the bytes of its export.
pub(crate) fn piece(
    db: &Connection,
    revision: i64,
    (start, end): (usize, usize),
    format: &str,
    part: usize,
) -> Result<String, Error> {
    let raw = store::raw_part(db, revision, start, end)?;
    let (json, _) = crate::json::mend_surrogates(&raw);
    let pieces = formats::named(format).map(|format| format.pieces(&json)).unwrap_or_default();
    Ok(pieces.into_iter().nth(part).map(|piece| piece.text).unwrap_or_default())
}

/// The part of a text around most of the words looked for, and which characters it is.
fn window(text: &str, stems: &[String]) -> (String, (usize, usize)) {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= SHOWN {
        return (text.to_owned(), (0, letters.len()));
    }
    let hits = places(&letters, stems);
    // The window that starts shortly before a hit and holds the most different words.
    let best = hits.iter().max_by_key(|(start, _)| {
        let mut inside: Vec<usize> = hits
            .iter()
            .filter(|(at, _)| at >= start && *at < start + SHOWN * 3 / 4)
            .map(|(_, stem)| *stem)
            .collect();
        inside.sort_unstable();
        inside.dedup();
        (inside.len(), std::cmp::Reverse(*start))
    });
    let hit = best.map_or(0, |(start, _)| *start);
    let mut start = hit.saturating_sub(SHOWN / 6);
    while start > 0
        && start + 40 > hit.saturating_sub(SHOWN / 6)
        && letters.get(start - 1).is_some_and(|c| !c.is_whitespace())
    {
        start -= 1;
    }
    let mut end = (start + SHOWN).min(letters.len());
    while end > start + SHOWN / 2
        && end < letters.len()
        && letters.get(end).is_some_and(|c| !c.is_whitespace())
    {
        end -= 1;
    }
    (letters.get(start..end).unwrap_or_default().iter().collect(), (start, end))
}

/// Where words start that begin like one of the stems; the first few hundred are enough to choose from.
fn places(letters: &[char], stems: &[String]) -> Vec<(usize, usize)> {
    let stems: Vec<Vec<char>> = stems.iter().map(|stem| stem.chars().collect()).collect();
    let mut found = Vec::new();
    let mut inside = false;
    for (at, letter) in letters.iter().enumerate() {
        let starts = letter.is_alphanumeric() && !inside;
        inside = letter.is_alphanumeric();
        if !starts {
            continue;
        }
        let rest = letters.get(at..).unwrap_or_default();
        let begins = |stem: &Vec<char>| {
            stem.len() <= rest.len()
                && stem.iter().zip(rest).all(|(want, have)| have.to_lowercase().eq(want.to_lowercase()))
        };
        if let Some(stem) = stems.iter().position(begins) {
            found.push((at, stem));
            if found.len() >= 300 {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
