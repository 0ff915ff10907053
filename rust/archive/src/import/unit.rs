//! The storing side of one import: its row, its transactions, what it brought, its report.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, params};

use super::{BATCH_BYTES, BATCH_SECONDS, Event, Job};
use crate::error::{Error, Trouble};
use crate::record::Kind;
use crate::report::Report;
use crate::store::write::{self, Counts, Incoming, Stored};

pub(super) struct Unit<'db> {
    db: &'db Connection,
    fingerprint: [u8; 32],
    inputs: Vec<String>,
    started: i64,
    name: String,
    /// The row of this import: there once it has something to hold.
    import: Option<i64>,
    /// Left over by a killed run of the same input.
    resumed: bool,
    transaction: bool,
    batch: usize,
    /// Seen already stored, before anything new: kept here so that an import without news writes nothing.
    pending: Vec<(i64, Arc<str>)>,
    pending_files: Vec<(String, [u8; 32], u64)>,
    seen: HashSet<i64>,
    counts: Counts,
    sources: Vec<String>,
    report: Report,
}

impl<'db> Unit<'db> {
    pub(super) fn new(
        db: &'db Connection,
        fingerprint: [u8; 32],
        name: String,
        inputs: Vec<String>,
        started: i64,
    ) -> Result<Self, Error> {
        let left: Option<(i64, String, i64)> = db
            .query_row(
                "SELECT id, name, started FROM import WHERE state = 'open' AND fingerprint = ?1",
                [fingerprint],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let resumed = left.is_some();
        let (import, name, started) = match left {
            Some((import, name, started)) => (Some(import), name, started),
            None => (None, name, started),
        };
        Ok(Self {
            db,
            fingerprint,
            inputs,
            started,
            name,
            import,
            resumed,
            transaction: false,
            batch: 0,
            pending: Vec::new(),
            pending_files: Vec::new(),
            seen: HashSet::new(),
            counts: Counts::default(),
            sources: Vec::new(),
            report: Report::default(),
        })
    }

    pub(super) fn under_way(&self) -> Option<(i64, String)> {
        self.import.map(|import| (import, self.name.clone()))
    }

    pub(super) fn take(&mut self, event: Event, job: &Job) -> Result<(), Error> {
        match event {
            Event::Failed(error) => return Err(error),
            Event::Dropped { reason, count, place, detail } => self.report.drop(reason, count, place, detail),
            Event::Noted { reason, count, place } => self.report.note(reason, count, place),
            Event::File { name, digest, size } => self.file(name, digest, size)?,
            Event::Known { revision, member } => self.known(revision, member)?,
            Event::Element { incoming, member } => self.element(&incoming, member)?,
        }
        job.counters.conversations.store(self.report.conversations.seen, Ordering::Relaxed);
        job.counters.messages.store(self.counts.new, Ordering::Relaxed);
        Ok(())
    }

    fn element(&mut self, incoming: &Incoming, member: Arc<str>) -> Result<(), Error> {
        let stored: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM revision WHERE digest = ?1")?
            .query_row([incoming.digest], |row| row.get(0))
            .optional()?;
        let known = match stored {
            Some(revision) => Some(revision),
            None => write::same_content(self.db, incoming)?,
        };
        if let Some(revision) = known {
            return self.known(revision, member);
        }
        self.begin()?;
        let (revision, stored) = write::add(self.db, incoming, self.started, &mut self.counts)?;
        self.batch += incoming.raw.len();
        self.bring(revision, &member)?;
        self.seen.insert(revision);
        let record = &incoming.record;
        self.source(incoming.provider, record.account.as_deref());
        match record.kind {
            Kind::Conversation => {
                self.report.conversations.seen += 1;
                self.report.branches += record.branches as u64;
                match stored {
                    Stored::New => self.report.conversations.new += 1,
                    Stored::Updated => self.report.conversations.updated += 1,
                }
            }
            Kind::Project => self.report.projects += 1,
            Kind::Memories | Kind::Account => {}
        }
        for time in [record.created, record.updated, record.newest()] {
            self.report.saw(time);
        }
        Ok(())
    }

    /// An element that the archive holds. If it was this import's own killed run that brought it, it counts
    /// as it did then.
    fn known(&mut self, revision: i64, member: Arc<str>) -> Result<(), Error> {
        if !self.seen.insert(revision) {
            return Ok(());
        }
        type Head = (String, String, Option<i64>, Option<i64>, Option<String>, u64, u64, u64);
        let (kind, provider, created, newest, account, messages, branches, revisions): Head = self
            .db
            .prepare_cached(
                "SELECT record.kind, provider, created, record.newest, account, revision.messages, branches,
                 (SELECT count(*) FROM revision other WHERE other.record = record.id AND other.id < revision.id)
                 FROM revision JOIN record ON record.id = revision.record WHERE revision.id = ?1")?
            .query_row([revision], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
            })?;
        let own = self.resumed && self.brought_before(revision)?;
        self.source(&provider, account.as_deref());
        if kind == Kind::Conversation.name() {
            let conversations = &mut self.report.conversations;
            conversations.seen += 1;
            match (own, revisions) {
                (false, _) => conversations.unchanged += 1,
                (true, 0) => conversations.new += 1,
                (true, _) => conversations.updated += 1,
            }
            self.report.branches += branches;
            self.counts.new += if own && revisions == 0 { messages } else { 0 };
        }
        self.report.saw(created);
        self.report.saw(newest);
        if self.import.is_some() {
            self.begin()?;
            self.bring(revision, &member)
        } else {
            self.pending.push((revision, member));
            Ok(())
        }
    }

    fn brought_before(&self, revision: i64) -> Result<bool, Error> {
        let mut query =
            self.db.prepare_cached("SELECT 1 FROM brought WHERE import = ?1 AND revision = ?2")?;
        Ok(query.exists(params![self.import, revision])?)
    }

    fn file(&mut self, name: String, digest: [u8; 32], size: u64) -> Result<(), Error> {
        self.report.files += 1;
        let stored = self.db.prepare_cached("SELECT 1 FROM carried WHERE digest = ?1")?.exists([digest])?;
        if stored && self.import.is_none() {
            self.pending_files.push((name, digest, size));
            return Ok(());
        }
        self.begin()?;
        self.carry(&name, &digest, size)
    }

    fn carry(&self, name: &str, digest: &[u8; 32], size: u64) -> Result<(), Error> {
        self.db.prepare_cached("INSERT OR IGNORE INTO carried VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            self.import,
            name,
            digest,
            size
        ])?;
        Ok(())
    }

    fn bring(&self, revision: i64, member: &str) -> Result<(), Error> {
        self.db.prepare_cached("INSERT OR IGNORE INTO brought VALUES (?1, ?2, ?3)")?.execute(params![
            self.import,
            revision,
            member
        ])?;
        Ok(())
    }

    /// Opens a transaction, and with the first one the import's row.
    fn begin(&mut self) -> Result<(), Error> {
        if !self.transaction {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            self.transaction = true;
        }
        if self.import.is_none() {
            let inputs = serde_json::to_string(&self.inputs).unwrap_or_default();
            self.db.execute(
                "INSERT INTO import(name, fingerprint, state, inputs, started) VALUES (?1, ?2, 'open', ?3, ?4)",
                params![self.name, self.fingerprint, inputs, self.started],
            )?;
            self.import = Some(self.db.last_insert_rowid());
        }
        for (revision, member) in std::mem::take(&mut self.pending) {
            self.bring(revision, &member)?;
        }
        for (name, digest, size) in std::mem::take(&mut self.pending_files) {
            self.carry(&name, &digest, size)?;
        }
        Ok(())
    }

    fn source(&mut self, provider: &str, account: Option<&str>) {
        if provider != "account" && !self.sources.iter().any(|known| known == provider) {
            self.sources.push(provider.to_owned());
        }
        if self.report.account.is_none() || provider == "account" {
            self.report.account = account.map(str::to_owned).or(self.report.account.take());
        }
    }

    /// Ends the transaction when it has grown or lasted enough.
    pub(super) fn pace(&mut self, since: &mut Instant) -> Result<(), Error> {
        if self.batch >= BATCH_BYTES || since.elapsed().as_secs() >= BATCH_SECONDS {
            self.commit()?;
            *since = Instant::now();
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.transaction) {
            self.db.execute_batch("COMMIT")?;
        }
        self.batch = 0;
        Ok(())
    }

    /// Drops the open transaction, and with it maybe the import's row.
    pub(super) fn roll_back(&mut self) {
        if std::mem::take(&mut self.transaction) {
            // It fails only where SQLite has rolled back by itself.
            let _done = self.db.execute_batch("ROLLBACK");
        }
        if let Some(import) = self.import {
            let there = self.db.query_row("SELECT 1 FROM import WHERE id = ?1", [import], |_| Ok(())).is_ok();
            self.import = there.then_some(import);
        }
    }

    pub(super) fn finish(&mut self, job: &Job) -> Result<Report, Error> {
        if self.seen.is_empty()
            && let Some(dropped) = self.report.dropped.first()
        {
            let detail = dropped.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            let trouble = Trouble::new(format!("nothing in the export can be read{detail}"));
            let place = dropped.places.first().cloned().unwrap_or_default();
            return Err(Error::Input(
                trouble.at(place).hint("download the export again and import the new file"),
            ));
        }
        self.sources.sort();
        self.report.source = if self.sources.is_empty() { "account".into() } else { self.sources.join("+") };
        self.report.messages.new = self.counts.new;
        self.report.messages.updated = self.counts.updated;
        self.report.bytes = job.counters.read.load(Ordering::Relaxed);
        self.report.written = self.import.is_some();
        match self.import {
            Some(import) => {
                // The end is durable when it is told: the last commit syncs itself and all before it.
                self.commit()?;
                self.db.pragma_update(None, "synchronous", "FULL")?;
                self.begin()?;
                self.count_facts(import)?;
                self.report.import = Some(self.name.clone());
                let summary = serde_json::to_string(&self.report).unwrap_or_default();
                self.db.execute(
                    "UPDATE import SET state = 'done', finished = ?2, source = ?3, account = ?4, summary = ?5 WHERE id = ?1",
                    params![import, self.started, self.report.source, self.report.account, summary],
                )?;
                self.commit()?;
                self.db.pragma_update(None, "synchronous", "NORMAL")?;
                // The import stands in the log. Where the database cannot take it now, the next writer moves it.
                let _moved = self.db.pragma_update_and_check(None, "wal_checkpoint", "PASSIVE", |_| Ok(()));
            }
            None => self.report.import = self.holder()?,
        }
        Ok(self.report.clone())
    }

    /// Facts that no other import brought.
    fn count_facts(&mut self, import: i64) -> Result<(), Error> {
        let (new, quarantined) = self.db.query_row(
            "SELECT count(*), coalesce(sum(planted), 0) FROM statement WHERE NOT EXISTS (
                 SELECT 1 FROM sighting JOIN brought ON brought.revision = sighting.revision
                 WHERE sighting.statement = statement.id AND brought.import != ?1)",
            [import],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        self.report.facts.new = new;
        self.report.facts.quarantined = quarantined;
        Ok(())
    }

    /// The latest import that holds something of what was seen.
    fn holder(&self) -> Result<Option<String>, Error> {
        let Some((revision, _)) = self.pending.first() else { return Ok(None) };
        Ok(self
            .db
            .query_row(
                "SELECT name FROM brought JOIN import ON import.id = brought.import WHERE revision = ?1 ORDER BY import.id DESC LIMIT 1",
                [revision],
                |row| row.get(0),
            )
            .optional()?)
    }
}
