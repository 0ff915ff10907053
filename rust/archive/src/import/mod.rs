//! An import: one thread reads, splits, parses and compresses; the calling thread stores and indexes.
//!
//! It is one unit made of many transactions. A killed import stays as `interrupted`: what it stored is
//! whole, and the same command goes on where it was, because what is there is recognised by content. Input
//! that turns out to be bad takes the unit back, so nothing of it stays.

mod read;
mod unit;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use self::unit::Unit;
use crate::error::{Error, Trouble};
use crate::id;
use crate::report::Report;
use crate::source::{self, Input, Member};
use crate::store::Archive;
use crate::store::write::Incoming;

/// A larger element is left out and reported.
const LARGEST: usize = 1 << 30;
/// Bytes of elements between the two threads; one larger element may pass alone.
const IN_FLIGHT: usize = 4 << 20;
/// A transaction holds this much, or lasts this long.
const BATCH_BYTES: usize = 48 << 20;
const BATCH_SECONDS: u64 = 5;

/// Numbers of a running import, for whoever watches it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes to read, after decompression, as declared.
    pub total: AtomicU64,
    pub read: AtomicU64,
    pub conversations: AtomicU64,
    pub messages: AtomicU64,
}

/// What to import, with the hooks to watch and stop it.
#[derive(Clone, Debug, Default)]
pub struct Job {
    pub inputs: Vec<Input>,
    pub counters: Arc<Counters>,
    /// Set it to stop: what is stored stays, and the same import goes on later.
    pub cancel: Arc<AtomicBool>,
}

/// From the reading thread to the storing one.
enum Event {
    Element {
        incoming: Box<Incoming>,
        member: Arc<str>,
    },
    /// An element whose very bytes are in the archive.
    Known {
        revision: i64,
        member: Arc<str>,
    },
    File {
        name: String,
        digest: [u8; 32],
        size: u64,
    },
    Dropped {
        reason: &'static str,
        count: u64,
        place: String,
        detail: Option<String>,
    },
    Noted {
        reason: &'static str,
        count: u64,
        place: String,
    },
    Failed(Error),
}

/// Keeps the reading thread from running ahead by more than [`IN_FLIGHT`].
#[derive(Default)]
struct Gate {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Gate {
    fn enter(&self, bytes: usize) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |used: &mut usize| *used > 0 && *used + bytes > IN_FLIGHT;
        let mut used = self.freed.wait_while(used, full).unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
    }

    /// Waits until nothing is under way.
    fn drain(&self) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.freed.wait_while(used, |used| *used > 0).unwrap_or_else(PoisonError::into_inner));
    }

    fn leave(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(bytes);
        self.freed.notify_all();
    }
}

impl Archive {
    /// Imports an export; blocks until its end.
    ///
    /// # Errors
    /// [`Error::Input`] when the input cannot be used (nothing of it stays), [`Error::Interrupted`] when
    /// `job.cancel` was set, [`Error::Busy`] while another import runs.
    pub fn import(&mut self, job: &Job) -> Result<Report, Error> {
        let _lock = self.lock()?;
        let temporary = self.temporary()?;
        let members = source::gather(&job.inputs, &temporary)?;
        source::check_total(&members)?;
        job.counters.total.store(read::expected(&members), Ordering::Relaxed);
        let mut fingerprints: Vec<String> = members.iter().map(Member::fingerprint).collect();
        fingerprints.sort_unstable();
        let fingerprint = id::digest(&[fingerprints.join("\n").as_bytes()]);
        let outcome = self.run(job, &members, fingerprint);
        drop(members);
        std::fs::remove_dir_all(&temporary)?;
        match outcome {
            Err((Error::Input(trouble), Some((import, name)))) => {
                self.take_back(import, &name)?;
                Err(Error::Input(trouble))
            }
            Err((error, None)) => {
                crate::store::files::sweep(&self.db, &self.folder)?;
                Err(error)
            }
            Err((error, Some(_))) => Err(error),
            Ok(report) => Ok(report),
        }
    }

    /// The two threads. On failure also says which import is under way, if one is.
    fn run(
        &mut self,
        job: &Job,
        members: &[Member],
        fingerprint: [u8; 32],
    ) -> Result<Report, (Error, Option<(i64, String)>)> {
        let inputs = job.inputs.iter().map(|input| match input {
            Input::Path(path) => path.display().to_string(),
            Input::Stdin => "-".into(),
        });
        let folder = self.folder.clone();
        let name = self.new_import_name().map_err(|error| (error, None))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let mut unit =
            Unit::new(&self.db, fingerprint, name, inputs.collect(), now).map_err(|error| (error, None))?;
        let gate = Gate::default();
        let (send, receive) = sync_channel(256);
        let ended = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let send = send;
                read::members(members, &folder, job, &gate, &send);
            });
            let mut outcome = Ok(());
            let mut since = Instant::now();
            for event in receive {
                let size = size_of(&event);
                if outcome.is_ok() {
                    outcome = unit.take(event, job).and_then(|()| unit.pace(&mut since));
                    if outcome.is_err() {
                        job.cancel.store(true, Ordering::Relaxed);
                    }
                }
                gate.leave(size);
            }
            let panicked = reader.join().is_err();
            if panicked && outcome.is_ok() {
                outcome = Err(Error::Store(Trouble::new("the reading thread failed: please report this")));
            }
            outcome
        });
        let stopped = job.cancel.load(Ordering::Relaxed);
        match ended {
            Ok(()) if stopped => {
                unit.commit().map_err(|error| (error, unit.under_way()))?;
                let import = unit.under_way().map(|(_, name)| name);
                Err((Error::Interrupted { import }, unit.under_way()))
            }
            Ok(()) => unit.finish(job).map_err(|error| (error, unit.under_way())),
            Err(error) => {
                unit.roll_back();
                Err((error, unit.under_way()))
            }
        }
    }
}

fn size_of(event: &Event) -> usize {
    match event {
        Event::Element { incoming, .. } => incoming.raw.len(),
        _ => 0,
    }
}

/// A connection of the reading thread, to recognise what is there by its bytes.
fn reader(folder: &std::path::Path) -> Option<Connection> {
    Archive::open_existing(folder).ok().flatten().map(|archive| archive.db)
}
