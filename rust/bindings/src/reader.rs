//! A home's state without its daemon: the journal replayed into a kernel that is never stepped.

use std::path::PathBuf;

use agentos_abi::{Action, Cost, Entry, Pid};
use agentos_journal::Reader;
use agentos_kernel::State;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::Error;

/// State and journal of a home, for reading alone. Takes no lock.
#[pyclass(frozen, module = "agentos._kernel")]
pub(crate) struct KernelReader {
    kernel: agentos_kernel::Kernel,
    journal: Reader,
}

/// The process table as JSON.
pub(crate) fn process_rows(state: &State) -> Result<Vec<u8>, Error> {
    let rows: Vec<_> = state.processes().collect();
    serde_json::to_vec(&rows).map_err(Error::Message)
}

/// All records of a kind: id and body.
pub(crate) fn records(state: &State, kind: &str) -> Vec<(String, String)> {
    let records = state.records(kind).into_iter().flatten();
    records.map(|(id, body)| (id.clone(), body.clone())).collect()
}

/// The requests that wait for a person, as JSON.
pub(crate) fn questions(state: &State) -> Result<Vec<u8>, Error> {
    let rows: Vec<_> = state.questions().collect();
    serde_json::to_vec(&rows).map_err(Error::Message)
}

/// The rules in force, as JSON.
pub(crate) fn rules(state: &State) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(state.rules()).map_err(Error::Message)
}

/// What is explained: a request that nobody makes.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Supposed {
    pid: Pid,
    action: Action,
    #[serde(default)]
    estimate: Cost,
    #[serde(default)]
    lane: Option<String>,
}

/// What each stage says to a supposed request, as JSON.
pub(crate) fn explain(state: &State, message: &[u8]) -> Result<Vec<u8>, Error> {
    let supposed: Supposed = serde_json::from_slice(message).map_err(Error::Message)?;
    let found = state.explain(supposed.pid, &supposed.action, supposed.estimate, supposed.lane.as_deref());
    serde_json::to_vec(&found).map_err(Error::Message)
}

#[pymethods]
impl KernelReader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let loaded = py.detach(|| {
            let journal = Reader::open(&path)?;
            let mut kernel = agentos_kernel::Kernel::default();
            journal.replay(|seq, bytes| {
                let entry: Entry = serde_json::from_slice(bytes).map_err(|error| Error::Entry(seq, error))?;
                kernel.recover(&entry);
                Ok::<(), Error>(())
            })?;
            Ok::<Self, Error>(Self { kernel, journal })
        });
        Ok(loaded?)
    }

    fn root(&self) -> Option<u64> {
        self.kernel.state().root().map(|pid| pid.0)
    }

    fn processes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &process_rows(self.kernel.state())?))
    }

    fn questions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &questions(self.kernel.state())?))
    }

    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &rules(self.kernel.state())?))
    }

    fn explain<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &explain(self.kernel.state(), message)?))
    }

    fn records(&self, kind: &str) -> Vec<(String, String)> {
        records(self.kernel.state(), kind)
    }

    fn record(&self, kind: &str, id: &str) -> Option<String> {
        self.kernel.state().records(kind).and_then(|records| records.get(id)).cloned()
    }

    fn blob<'py>(&self, py: Python<'py>, digest: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = py.detach(|| self.journal.blob(digest)).map_err(Error::from)?;
        Ok(found.map(|bytes| PyBytes::new(py, &bytes)))
    }

    fn stream<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        offset: u64,
        limit: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.journal.stream(name, offset, limit)).map_err(Error::from)?;
        Ok(PyBytes::new(py, &bytes))
    }
}
