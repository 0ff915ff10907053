//! What is queued for the writer, and what everybody knows of its progress.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{MAX_ENTRY, chain::Hash, error::JournalError};

/// How long stream output and lone blobs may wait for a commit that entries cause.
const LAZY: Duration = Duration::from_secs(1);
/// So much stream output does not wait.
const LAZY_BYTES: usize = 1 << 20;
/// What may wait for the disk, in bytes, before callers wait for it too.
pub(crate) const ROOM: usize = 64 << 20;
/// How often a full disk is looked at again.
const RECHECK: Duration = Duration::from_secs(1);

/// One thing to do, in order.
pub(crate) enum Work {
    Entry(Vec<u8>),
    Blob(Hash, Vec<u8>),
    DeleteBlob(Hash),
    DeleteStream(String),
}

/// Everything that was queued when the writer came: one transaction.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) work: Vec<Work>,
    /// Output of streams, done after `work`: a deletion in it came first.
    pub(crate) streams: BTreeMap<String, Vec<u8>>,
    /// The last entry of the batch, or of an earlier one when it has none.
    pub(crate) last: u64,
    flush: u64,
    bytes: usize,
}

pub(crate) enum Next {
    Batch(Batch),
    /// Nothing to do but to look whether there is disk space again.
    Recheck,
    Closed,
}

type Notify = Box<dyn Fn() + Send + Sync>;

/// Shared by callers and the writer thread.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// The writer waits here for work.
    work: Condvar,
    /// Callers who flush wait here.
    done: Condvar,
    durable: AtomicU64,
    low_disk: AtomicBool,
    notify: Mutex<Vec<Notify>>,
}

struct Queue {
    batch: Batch,
    /// Bytes that are not on disk yet: of `batch`, and of what the writer has taken.
    backlog: usize,
    lazy_bytes: usize,
    /// When the oldest thing that can wait was queued.
    lazy_since: Option<Instant>,
    urgent: bool,
    flushed: u64,
    /// When the disk was last looked at.
    checked: Instant,
    closing: bool,
    failure: Option<JournalError>,
    sleep: Sleep,
    /// Threads that wait for an entry, with its number. Each is woken by itself: were they to wait on a
    /// condition variable, all of them would fight for the queue after each commit.
    waiters: Vec<(u64, Thread)>,
}

/// Whether the writer must be woken to see new work.
enum Sleep {
    Awake,
    /// It comes by itself in time for what can wait.
    Timed,
    Deep,
}

impl Queue {
    fn admit(&self) -> Result<(), JournalError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.closing => Err(JournalError::Closed),
            None => Ok(()),
        }
    }

    /// How long the writer may sleep; `None` for until it is woken.
    fn patience(&self, low_disk: bool) -> Option<Duration> {
        let lazy = self.lazy_since.map(|since| LAZY.saturating_sub(since.elapsed()));
        let recheck = low_disk.then(|| RECHECK.saturating_sub(self.checked.elapsed()));
        lazy.into_iter().chain(recheck).min()
    }

    fn is_due(&self) -> bool {
        let overdue = self.lazy_since.is_some_and(|since| since.elapsed() >= LAZY);
        self.urgent || overdue || self.lazy_bytes >= LAZY_BYTES || (self.closing && self.lazy_since.is_some())
    }

    fn take(&mut self) -> Batch {
        self.lazy_bytes = 0;
        self.lazy_since = None;
        self.urgent = false;
        let next = Batch { last: self.batch.last, flush: self.batch.flush, ..Batch::default() };
        mem::replace(&mut self.batch, next)
    }

    fn put_off(&mut self, bytes: usize) {
        self.lazy_bytes = self.lazy_bytes.saturating_add(bytes);
        self.lazy_since.get_or_insert_with(Instant::now);
    }
}

impl Shared {
    /// `last` is the last entry that is durable already.
    pub(crate) fn new(last: u64, low_disk: bool) -> Shared {
        let batch = Batch { last, ..Batch::default() };
        Shared {
            queue: Mutex::new(Queue {
                batch,
                backlog: 0,
                lazy_bytes: 0,
                lazy_since: None,
                urgent: false,
                flushed: 0,
                checked: Instant::now(),
                closing: false,
                failure: None,
                sleep: Sleep::Awake,
                waiters: Vec::new(),
            }),
            work: Condvar::new(),
            done: Condvar::new(),
            durable: AtomicU64::new(last),
            low_disk: AtomicBool::new(low_disk),
            notify: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn low_disk(&self) -> bool {
        self.low_disk.load(Ordering::Acquire)
    }

    pub(crate) fn set_low_disk(&self, low: bool) {
        self.low_disk.store(low, Ordering::Release);
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.queue().backlog > ROOM / 2
    }

    pub(crate) fn failure(&self) -> Option<JournalError> {
        self.queue().failure.clone()
    }

    pub(crate) fn on_commit(&self, notify: Notify) {
        lock(&self.notify).push(notify);
    }

    /// The queue, once it has room for `bytes` more; what is larger than all the room goes in alone. A caller
    /// that is faster than the disk waits here, rather than filling the memory.
    fn enter(&self, bytes: usize) -> Result<MutexGuard<'_, Queue>, JournalError> {
        let mut queue = self.queue();
        loop {
            queue.admit()?;
            let backlog = queue.backlog.saturating_add(bytes);
            if queue.backlog == 0 || backlog <= ROOM {
                queue.backlog = backlog;
                queue.batch.bytes = queue.batch.bytes.saturating_add(bytes);
                return Ok(queue);
            }
            queue.urgent = true;
            self.work.notify_one();
            queue = wait(&self.done, queue);
        }
    }

    /// Queues entries; all or none. Returns the number of the last one. What is not `urgent` is durable with
    /// the next commit, and within a second.
    pub(crate) fn append(&self, entries: Vec<Vec<u8>>, urgent: bool) -> Result<u64, JournalError> {
        if let Some(long) = entries.iter().find(|entry| entry.len() > MAX_ENTRY) {
            return Err(JournalError::EntryTooLong { length: long.len(), limit: MAX_ENTRY });
        }
        let mut queue = self.enter(entries.iter().map(Vec::len).sum())?;
        if entries.is_empty() {
            return Ok(queue.batch.last);
        }
        queue.batch.last = queue.batch.last.saturating_add(entries.len() as u64);
        let last = queue.batch.last;
        if urgent {
            queue.urgent = true;
        } else {
            queue.put_off(entries.iter().map(Vec::len).sum());
        }
        queue.batch.work.extend(entries.into_iter().map(Work::Entry));
        self.wake(queue);
        Ok(last)
    }

    /// Lets nothing that is queued wait any longer.
    pub(crate) fn urge(&self) {
        let mut queue = self.queue();
        if self.durable() < queue.batch.last {
            queue.urgent = true;
            self.wake(queue);
        }
    }

    /// Queues a blob: durable no later than entries that are queued after it, and within a second.
    pub(crate) fn put_blob(&self, digest: Hash, bytes: Vec<u8>) -> Result<(), JournalError> {
        let mut queue = self.enter(bytes.len())?;
        queue.put_off(bytes.len());
        queue.batch.work.push(Work::Blob(digest, bytes));
        self.wake(queue);
        Ok(())
    }

    /// Queues output of a stream: durable with the next commit, and within a second.
    pub(crate) fn append_stream(&self, stream: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let mut queue = self.enter(bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        queue.put_off(bytes.len());
        match queue.batch.streams.get_mut(stream) {
            Some(buffer) => buffer.extend_from_slice(bytes),
            None => {
                queue.batch.streams.insert(stream.to_owned(), bytes.to_vec());
            }
        }
        self.wake(queue);
        Ok(())
    }

    pub(crate) fn delete_blob(&self, digest: Hash) -> Result<(), JournalError> {
        let mut queue = self.queue();
        queue.admit()?;
        queue.batch.work.push(Work::DeleteBlob(digest));
        queue.urgent = true;
        self.wake(queue);
        Ok(())
    }

    pub(crate) fn delete_stream(&self, stream: &str) -> Result<(), JournalError> {
        let mut queue = self.queue();
        queue.admit()?;
        queue.batch.streams.remove(stream);
        queue.batch.work.push(Work::DeleteStream(stream.to_owned()));
        queue.urgent = true;
        self.wake(queue);
        Ok(())
    }

    /// Waits until entry `seq` is durable.
    pub(crate) fn wait_durable(&self, seq: u64) -> Result<(), JournalError> {
        let mut queue = self.queue();
        if seq > queue.batch.last {
            return Err(JournalError::NeverQueued { seq, last: queue.batch.last });
        }
        if self.durable() >= seq {
            return Ok(());
        }
        queue.waiters.push((seq, thread::current()));
        loop {
            if let Some(failure) = &queue.failure {
                return Err(failure.clone());
            }
            drop(queue);
            thread::park();
            if self.durable() >= seq {
                return Ok(());
            }
            queue = self.queue();
        }
    }

    /// Commits everything that is queued now, and waits for it.
    pub(crate) fn flush(&self) -> Result<(), JournalError> {
        let mut queue = self.queue();
        queue.admit()?;
        let batch = &queue.batch;
        if batch.work.is_empty()
            && batch.streams.is_empty()
            && batch.flush == queue.flushed
            && self.durable() == batch.last
        {
            return Ok(());
        }
        queue.batch.flush = queue.batch.flush.saturating_add(1);
        let mine = queue.batch.flush;
        queue.urgent = true;
        self.wake(queue);
        queue = self.queue();
        while queue.flushed < mine {
            if let Some(failure) = &queue.failure {
                return Err(failure.clone());
            }
            queue = wait(&self.done, queue);
        }
        Ok(())
    }

    /// Refuses new work; the writer ends once it has done the rest.
    pub(crate) fn close(&self) {
        self.queue().closing = true;
        self.work.notify_one();
    }

    /// For the writer: sleeps until there is something to do.
    pub(crate) fn next(&self) -> Next {
        let mut queue = self.queue();
        loop {
            if self.low_disk() && !queue.closing && queue.checked.elapsed() >= RECHECK {
                queue.checked = Instant::now();
                return Next::Recheck;
            }
            if queue.is_due() {
                return Next::Batch(queue.take());
            }
            if queue.closing {
                return Next::Closed;
            }
            queue = match queue.patience(self.low_disk()) {
                None => {
                    queue.sleep = Sleep::Deep;
                    wait(&self.work, queue)
                }
                Some(patience) => {
                    queue.sleep = Sleep::Timed;
                    self.work.wait_timeout(queue, patience).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            queue.sleep = Sleep::Awake;
        }
    }

    /// For the writer: what it took is durable.
    pub(crate) fn committed(&self, batch: &Batch) {
        let mut queue = self.queue();
        self.durable.store(batch.last, Ordering::Release);
        queue.flushed = batch.flush;
        queue.backlog = queue.backlog.saturating_sub(batch.bytes);
        let waiters: Vec<_> = queue.waiters.extract_if(.., |(seq, _)| *seq <= batch.last).collect();
        drop(queue);
        waiters.into_iter().for_each(|(_, thread)| thread.unpark());
        self.done.notify_all();
        self.tell();
    }

    /// For the writer: it cannot go on. The first failure stays.
    pub(crate) fn fail(&self, failure: JournalError) {
        let mut queue = self.queue();
        queue.failure.get_or_insert(failure);
        let waiters = mem::take(&mut queue.waiters);
        drop(queue);
        waiters.into_iter().for_each(|(_, thread)| thread.unpark());
        self.done.notify_all();
        self.tell();
    }

    /// Calls everybody who wants to hear of progress.
    pub(crate) fn tell(&self) {
        lock(&self.notify).iter().for_each(|notify| notify());
    }

    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        let asleep = match queue.sleep {
            Sleep::Awake => false,
            Sleep::Timed => queue.is_due(),
            Sleep::Deep => true,
        };
        drop(queue);
        if asleep {
            self.work.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// A lock whose holder panicked guards data that is whole still: each change of it is one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a>(condition: &Condvar, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
    condition.wait(queue).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
