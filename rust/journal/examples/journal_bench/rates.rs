//! Contenders: what makes entries durable, and how many in a slice of time.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use agentos_journal::{Journal, Options};

use crate::{Failure, log::Log};

const ENTRY: usize = 256;

/// How entries come: from so many producers, each of which waits for its own, or from one caller that brings
/// so many at a time.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    Producers(usize),
    Batches(usize),
}

/// What was made durable, and in how many seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Slice {
    pub(crate) entries: u64,
    pub(crate) seconds: f64,
    pub(crate) commits: u64,
}

/// Runs under `load` for about `time`, until the last entry that was begun is durable.
pub(crate) trait Contender {
    fn slice(&mut self, load: Load, time: Duration) -> Result<Slice, Failure>;
}

/// The journal itself.
pub(crate) struct Ours {
    journal: Arc<Journal>,
    commits: Arc<AtomicU64>,
}

impl Ours {
    pub(crate) fn open(folder: &Path) -> Result<Ours, Failure> {
        let (journal, _) = Journal::open(Some(&folder.join("kernel.db")), Options::default())?;
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        journal.notify(Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        Ok(Ours { journal: Arc::new(journal), commits })
    }
}

fn append(journal: &Journal, entries: usize) -> Result<(), Failure> {
    let seq = journal.append(vec![vec![0x5a; ENTRY]; entries])?;
    Ok(journal.wait_durable(seq)?)
}

impl Contender for Ours {
    fn slice(&mut self, load: Load, time: Duration) -> Result<Slice, Failure> {
        let before = self.commits.load(Ordering::Relaxed);
        let mut slice = match load {
            Load::Batches(entries) => repeat(entries, time, || append(&self.journal, entries))?,
            Load::Producers(producers) => {
                let start = Instant::now();
                let threads: Vec<_> = (0..producers)
                    .map(|_| {
                        let journal = Arc::clone(&self.journal);
                        thread::spawn(move || repeat(1, time, || append(&journal, 1)))
                    })
                    .collect();
                let mut entries = 0;
                for thread in threads {
                    entries += thread.join().map_err(|_| "a producer panicked")??.entries;
                }
                Slice { entries, seconds: start.elapsed().as_secs_f64(), commits: 0 }
            }
        };
        slice.commits = self.commits.load(Ordering::Relaxed) - before;
        Ok(slice)
    }
}

/// Bare SQLite: WAL, synchronous=FULL, nothing but inserts.
pub(crate) struct Bare(rusqlite::Connection);

impl Bare {
    pub(crate) fn open(folder: &Path) -> Result<Bare, Failure> {
        let connection = rusqlite::Connection::open(folder.join("bare.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
        Ok(Bare(connection))
    }

    fn commit<'a>(&self, rows: impl Iterator<Item = &'a Vec<u8>>) -> Result<(), Failure> {
        self.0.execute_batch("BEGIN IMMEDIATE")?;
        let mut insert = self.0.prepare_cached("INSERT INTO entry (body) VALUES (?1)")?;
        for row in rows {
            insert.execute([row])?;
        }
        Ok(self.0.execute_batch("COMMIT")?)
    }
}

impl Contender for Bare {
    fn slice(&mut self, load: Load, time: Duration) -> Result<Slice, Failure> {
        by_one_thread(load, time, |rows| self.commit(rows.iter().copied()))
    }
}

impl Contender for Log {
    fn slice(&mut self, load: Load, time: Duration) -> Result<Slice, Failure> {
        by_one_thread(load, time, |rows| self.commit(rows.iter().copied()))
    }
}

fn repeat(
    entries: usize,
    time: Duration,
    mut commit: impl FnMut() -> Result<(), Failure>,
) -> Result<Slice, Failure> {
    let (start, mut commits) = (Instant::now(), 0);
    while start.elapsed() < time {
        commit()?;
        commits += 1;
    }
    Ok(Slice { entries: commits * entries as u64, seconds: start.elapsed().as_secs_f64(), commits })
}

/// A load on something that one thread has: batches as they are made, producers by the plainest group commit
/// there is: `commit` gets whatever is queued, and they are woken after.
fn by_one_thread(
    load: Load,
    time: Duration,
    mut commit: impl FnMut(&[&Vec<u8>]) -> Result<(), Failure>,
) -> Result<Slice, Failure> {
    let producers = match load {
        Load::Producers(producers) => producers,
        Load::Batches(entries) => {
            return repeat(entries, time, || {
                let rows = vec![vec![0x5a; ENTRY]; entries];
                commit(&rows.iter().collect::<Vec<_>>())
            });
        }
    };
    let (sender, receiver) = mpsc::channel::<(Vec<u8>, Arc<AtomicBool>, thread::Thread)>();
    let start = Instant::now();
    for _ in 0..producers {
        let sender = sender.clone();
        thread::spawn(move || {
            while start.elapsed() < time {
                let durable = Arc::new(AtomicBool::new(false));
                if sender.send((vec![0x5a; ENTRY], Arc::clone(&durable), thread::current())).is_err() {
                    return;
                }
                while !durable.load(Ordering::Acquire) {
                    thread::park();
                }
            }
        });
    }
    drop(sender);
    let mut slice = Slice::default();
    // Ends when every producer has had its answer and gone.
    while let Ok(first) = receiver.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
        commit(&batch.iter().map(|(row, ..)| row).collect::<Vec<_>>())?;
        slice.entries += batch.len() as u64;
        slice.commits += 1;
        for (_, durable, producer) in batch {
            durable.store(true, Ordering::Release);
            producer.unpark();
        }
    }
    slice.seconds = start.elapsed().as_secs_f64();
    Ok(slice)
}
