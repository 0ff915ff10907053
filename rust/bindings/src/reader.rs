//! A home's state without its daemon: the journal replayed into a kernel that is never stepped.

use std::path::PathBuf;

use agentos_abi::Entry;
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
