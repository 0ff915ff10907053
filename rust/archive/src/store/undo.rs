//! Takes an import back: exactly what it alone brought.

use rusqlite::{Connection, OptionalExtension, params};

use super::write::{self, Counts};
use super::{Archive, files};
use crate::error::{Error, Trouble};

/// What an undo removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Undone {
    pub import: String,
    pub conversations: u64,
    pub messages: u64,
    pub facts: u64,
}

impl Archive {
    /// Removes what the import named `name` (or a unique prefix of it) alone brought, in one transaction.
    /// Conversations that other imports brought too stay as those imports had them.
    ///
    /// # Errors
    /// There is no such import, the prefix fits several, or the database fails.
    pub fn undo(&mut self, name: &str) -> Result<Undone, Error> {
        let _lock = self.lock()?;
        let (import, name) = self.import_named(name)?;
        self.take_back(import, &name)
    }

    fn import_named(&self, prefix: &str) -> Result<(i64, String), Error> {
        let mut query =
            self.db.prepare("SELECT id, name FROM import WHERE substr(name, 1, length(?1)) = ?1 LIMIT 2")?;
        let found = query
            .query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let hint = "`agentos memory imports` lists them";
        match <[(i64, String); 1]>::try_from(found) {
            Ok([found]) => Ok(found),
            Err(found) if found.is_empty() => {
                Err(Error::Input(Trouble::new(format!("there is no import `{prefix}`")).hint(hint)))
            }
            Err(_) => Err(Error::Input(Trouble::new(format!("`{prefix}` fits several imports")).hint(hint))),
        }
    }

    /// The caller holds the lock.
    pub(crate) fn take_back(&mut self, import: i64, name: &str) -> Result<Undone, Error> {
        let transaction = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let before = totals(&transaction)?;
        take_back_rows(&transaction, import)?;
        let after = totals(&transaction)?;
        transaction.commit()?;
        files::sweep(&self.db, &self.folder)?;
        // The pages go back to the file system; how many it was does not matter.
        self.db.prepare("PRAGMA incremental_vacuum")?.query_map([], |_| Ok(()))?.for_each(drop);
        self.db.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))?;
        let left = |at: usize| before.get(at).unwrap_or(&0).saturating_sub(*after.get(at).unwrap_or(&0));
        Ok(Undone { import: name.to_owned(), conversations: left(0), messages: left(1), facts: left(2) })
    }
}

fn totals(db: &Connection) -> Result<[u64; 3], Error> {
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0));
    Ok([
        count("SELECT count(*) FROM record WHERE kind = 'conversation'")?,
        count(
            "SELECT count(*) FROM message JOIN record ON record.id = message.record WHERE part = 0 AND kind = 'conversation'",
        )?,
        count("SELECT count(*) FROM statement")?,
    ])
}

fn take_back_rows(db: &Connection, import: i64) -> Result<(), Error> {
    let mut query = db.prepare(
        "SELECT revision FROM brought WHERE import = ?1
         AND NOT EXISTS (SELECT 1 FROM brought other WHERE other.revision = brought.revision AND other.import != ?1)")?;
    let lone = query.query_map([import], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    db.execute("DELETE FROM brought WHERE import = ?1", [import])?;
    db.execute("DELETE FROM carried WHERE import = ?1", [import])?;
    db.execute("DELETE FROM import WHERE id = ?1", [import])?;
    let mut touched = Vec::new();
    for revision in lone {
        touched.push(remove_revision(db, revision)?);
    }
    touched.sort_unstable();
    touched.dedup();
    for record in touched {
        let left: Option<i64> = db
            .query_row("SELECT id FROM revision WHERE record = ?1 LIMIT 1", [record], |row| row.get(0))
            .optional()?;
        if left.is_some() {
            let rows = write::derive(db, record)?;
            write::reconcile(db, record, rows, &mut Counts::default())?;
        } else {
            remove_record(db, record)?;
        }
    }
    remove_unseen_statements(db)?;
    remove_words(db)
}

/// A row taken out of an index leaves its words there until its part is merged with others: done at once.
fn remove_words(db: &Connection) -> Result<(), Error> {
    for (index, rows) in [("search", "message"), ("statement_search", "statement")] {
        let left = db.prepare(&format!("SELECT 1 FROM {rows}"))?.exists([])?;
        let command = if left { "optimize" } else { "delete-all" };
        db.execute(&format!("INSERT INTO {index}({index}) VALUES (?1)"), [command])?;
    }
    Ok(())
}

/// Returns the record it belonged to.
fn remove_revision(db: &Connection, revision: i64) -> Result<i64, Error> {
    let record = db
        .prepare_cached("SELECT record FROM revision WHERE id = ?1")?
        .query_row([revision], |row| row.get(0))?;
    for sql in [
        "DELETE FROM revision WHERE id = ?1",
        "DELETE FROM sighting WHERE revision = ?1",
        "DELETE FROM snapshot WHERE revision = ?1",
    ] {
        db.prepare_cached(sql)?.execute([revision])?;
    }
    db.prepare_cached("DELETE FROM chunk WHERE id BETWEEN ?1 AND ?2")?
        .execute(params![write::chunk_id(revision, 0), write::chunk_id(revision, write::CHUNKS - 1)])?;
    Ok(record)
}

fn remove_record(db: &Connection, record: i64) -> Result<(), Error> {
    db.prepare_cached(
        "DELETE FROM search WHERE rowid IN (SELECT id FROM message WHERE record = ?1 AND flags & ?2 = 0)",
    )?
    .execute(params![record, write::SILENT])?;
    db.prepare_cached("DELETE FROM message WHERE record = ?1")?.execute([record])?;
    db.prepare_cached("DELETE FROM record WHERE id = ?1")?.execute([record])?;
    Ok(())
}

fn remove_unseen_statements(db: &Connection) -> Result<(), Error> {
    let unseen =
        "SELECT id FROM statement WHERE NOT EXISTS (SELECT 1 FROM sighting WHERE statement = statement.id)";
    db.execute(&format!("DELETE FROM statement_search WHERE rowid IN ({unseen})"), [])?;
    db.execute(&format!("DELETE FROM statement WHERE id IN ({unseen})"), [])?;
    Ok(())
}
