//! The live kernel: state machine and journal behind one lock, in the order that makes output commit hold.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use agentos_abi::{Action, Call, Entry, Fact, Pid, Reply};
use agentos_journal::{Journal, Options};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::Error;
use crate::reader::{explain, process_rows, questions, records, rules};
use crate::wake::Wake;

/// What changes together: the state, the number of its last entry, and what waits to be released.
struct Core {
    kernel: agentos_kernel::Kernel,
    appended: u64,
    /// The state has run ahead of a journal that refused its entries: nothing more is decided.
    broken: Option<agentos_journal::JournalError>,
    /// Events with the sequence number that must be durable before anybody sees them.
    outbox: VecDeque<(u64, Vec<u8>)>,
}

/// A kernel with its journal. INVARIANT: an event or reply leaves only when its entry and all earlier ones
/// are durable; events are held back here, replies by the caller (`appended` says what to wait for).
#[pyclass(frozen, module = "agentos._kernel")]
pub(crate) struct Kernel {
    core: Mutex<Core>,
    journal: Mutex<Option<Arc<Journal>>>,
    wake: Arc<Wake>,
}

impl Kernel {
    fn core(&self) -> Result<MutexGuard<'_, Core>, Error> {
        self.core.lock().map_err(|_| Error::Poisoned)
    }

    fn journal(&self) -> Result<Arc<Journal>, Error> {
        let open = self.journal.lock().map_err(|_| Error::Poisoned)?;
        open.clone().ok_or(Error::Journal(agentos_journal::JournalError::Closed))
    }

    /// Decides one call and queues its entries. The reply may be acted upon once they are durable; those of a
    /// pure effect may follow it.
    fn perform(&self, call: &Call, now_us: u64) -> Result<(Reply, Option<u64>), Error> {
        let journal = self.journal()?;
        if let Some(failure) = journal.failure() {
            return Err(failure.into());
        }
        let mut core = self.core()?;
        if let Some(failure) = &core.broken {
            return Err(failure.clone().into());
        }
        let step = core.kernel.step(now_us, call);
        let entries: Result<Vec<_>, _> = step.entries.iter().map(serde_json::to_vec).collect();
        let entries = entries.map_err(Error::Message)?;
        if !entries.is_empty() {
            let lazy = matches!(step.entries.as_slice(), [Entry { fact: Fact::Passed { .. }, .. }]);
            let appended = if lazy { journal.append_lazily(entries) } else { journal.append(entries) };
            match appended {
                Ok(last) => core.appended = last,
                Err(failure) => {
                    core.broken = Some(failure.clone());
                    return Err(failure.into());
                }
            }
        }
        let due = core.appended;
        for event in &step.events {
            core.outbox.push_back((due, serde_json::to_vec(event).map_err(Error::Message)?));
        }
        let deadline = core.kernel.state().next_deadline_us();
        let told = !core.outbox.is_empty();
        drop(core);
        if told && journal.durable() >= due {
            self.wake.signal();
        }
        Ok((step.reply, deadline))
    }

    fn open(path: Option<PathBuf>) -> Result<Self, Error> {
        let (journal, recovery) = Journal::open(path.as_deref(), Options::default())?;
        let mut kernel = agentos_kernel::Kernel::default();
        recovery.replay(|seq, bytes| {
            let entry: Entry = serde_json::from_slice(bytes).map_err(|error| Error::Entry(seq, error))?;
            kernel.recover(&entry);
            Ok::<(), Error>(())
        })?;
        let wake = Arc::new(Wake::new().map_err(Error::Io)?);
        let signalled = Arc::clone(&wake);
        journal.notify(Box::new(move || signalled.signal()));
        let core = Core { kernel, appended: recovery.last, broken: None, outbox: VecDeque::new() };
        Ok(Self { core: Mutex::new(core), journal: Mutex::new(Some(Arc::new(journal))), wake })
    }
}

fn system_now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[pymethods]
impl Kernel {
    #[new]
    #[pyo3(signature = (path=None))]
    fn new(py: Python<'_>, path: Option<PathBuf>) -> PyResult<Self> {
        Ok(py.detach(|| Self::open(path))?)
    }

    /// One call (JSON of `agentos_abi::Call`): the reply, and when time next matters (UTC µs).
    #[pyo3(signature = (message, now_us=None))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        message: &[u8],
        now_us: Option<u64>,
    ) -> PyResult<(Bound<'py, PyBytes>, Option<u64>)> {
        let call: Call = serde_json::from_slice(message).map_err(Error::Message)?;
        let (reply, deadline) = self.perform(&call, now_us.unwrap_or_else(system_now_us))?;
        let reply = serde_json::to_vec(&reply).map_err(Error::Message)?;
        Ok((PyBytes::new(py, &reply), deadline))
    }

    /// A pure effect (`call`, `read` or `recall` of `name`): `None` where it passes, else the refusal as JSON.
    #[pyo3(name = "pass_")]
    #[pyo3(signature = (pid, kind, name, now_us=None))]
    fn pass<'py>(
        &self,
        py: Python<'py>,
        pid: u64,
        kind: &str,
        name: String,
        now_us: Option<u64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let action = match kind {
            "call" => Action::Call { tool: name },
            "read" => Action::Read { path: name },
            "recall" => Action::Recall { space: name },
            _ => return Err(Error::Kind(kind.to_owned()).into()),
        };
        let call = Call::Pass { pid: Pid(pid), action };
        let (reply, _) = self.perform(&call, now_us.unwrap_or_else(system_now_us))?;
        match reply {
            Reply::Refused { refusal } => {
                let refusal = serde_json::to_vec(&refusal).map_err(Error::Message)?;
                Ok(Some(PyBytes::new(py, &refusal)))
            }
            _ => Ok(None),
        }
    }

    /// Commits at once what could have waited.
    fn urge(&self) -> PyResult<()> {
        self.journal()?.urge();
        Ok(())
    }

    /// The sequence number that must be durable before anything decided so far may be acted upon.
    fn appended(&self) -> PyResult<u64> {
        Ok(self.core()?.appended)
    }

    /// What is durable, and the events (JSON) that this releases.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<(u64, Vec<Bound<'py, PyBytes>>)> {
        self.wake.clear();
        let journal = self.journal()?;
        if let Some(failure) = journal.failure() {
            return Err(Error::from(failure).into());
        }
        let durable = journal.durable();
        let mut core = self.core()?;
        let mut events = Vec::new();
        while core.outbox.front().is_some_and(|(due, _)| *due <= durable) {
            if let Some((_, event)) = core.outbox.pop_front() {
                events.push(PyBytes::new(py, &event));
            }
        }
        Ok((durable, events))
    }

    /// Readable when `drain` has something to say.
    fn fileno(&self) -> i32 {
        self.wake.fileno()
    }

    #[staticmethod]
    fn now_us() -> u64 {
        system_now_us()
    }

    fn root(&self) -> PyResult<Option<u64>> {
        Ok(self.core()?.kernel.state().root().map(|pid| pid.0))
    }

    fn processes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let rows = process_rows(self.core()?.kernel.state())?;
        Ok(PyBytes::new(py, &rows))
    }

    fn questions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &questions(self.core()?.kernel.state())?))
    }

    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &rules(self.core()?.kernel.state())?))
    }

    fn explain<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &explain(self.core()?.kernel.state(), message)?))
    }

    fn records(&self, kind: &str) -> PyResult<Vec<(String, String)>> {
        Ok(records(self.core()?.kernel.state(), kind))
    }

    fn record(&self, kind: &str, id: &str) -> PyResult<Option<String>> {
        Ok(self.core()?.kernel.state().records(kind).and_then(|records| records.get(id)).cloned())
    }

    fn put_blob(&self, py: Python<'_>, data: Vec<u8>) -> PyResult<String> {
        let journal = self.journal()?;
        Ok(py.detach(|| journal.put_blob(data)).map_err(Error::from)?)
    }

    fn append_stream(&self, py: Python<'_>, stream: &str, data: Vec<u8>) -> PyResult<()> {
        let journal = self.journal()?;
        Ok(py.detach(|| journal.append_stream(stream, data)).map_err(Error::from)?)
    }

    fn blob<'py>(&self, py: Python<'py>, digest: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let journal = self.journal()?;
        let found = py.detach(|| journal.blob(digest)).map_err(Error::from)?;
        Ok(found.map(|bytes| PyBytes::new(py, &bytes)))
    }

    fn stream<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        offset: u64,
        limit: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let journal = self.journal()?;
        let bytes = py.detach(|| journal.stream(name, offset, limit)).map_err(Error::from)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Whether so little disk is left that new work should wait.
    fn low_disk(&self) -> PyResult<bool> {
        Ok(self.journal()?.low_disk())
    }

    /// Whether so much waits for the disk that whoever has more should wait too.
    fn crowded(&self) -> PyResult<bool> {
        Ok(self.journal()?.is_crowded())
    }

    /// Commits what is queued and closes the journal. A second call does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let taken = self.journal.lock().map_err(|_| Error::Poisoned)?.take();
        py.detach(|| drop(taken));
        Ok(())
    }
}
