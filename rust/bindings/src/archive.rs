//! The archive for Python: JSON bytes out, long calls without the interpreter lock.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use agentos_archive::{Archive as Inner, Error, Input, Job, Question, Trouble};
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyBytes};
use pyo3::{PyErr, Python, import_exception};
use serde::Serialize;

mod python {
    use super::import_exception;
    import_exception!(agentos.errors, Failed);
    import_exception!(agentos.errors, Interrupted);
    import_exception!(agentos.errors, MissingMechanism);
    import_exception!(agentos.errors, UsageError);
}

/// An open archive. Its calls exclude one another; each import runs in a thread of its own.
#[pyclass(frozen)]
pub(crate) struct Archive(Mutex<Inner>);

/// What an import is given, and how it is watched and stopped from another thread.
#[pyclass(frozen)]
pub(crate) struct ImportJob(Job);

#[pymethods]
impl ImportJob {
    /// `inputs`: paths; none of them means standard input at that place.
    #[new]
    fn new(inputs: Vec<Option<PathBuf>>) -> Self {
        let inputs = inputs.into_iter().map(|path| path.map_or(Input::Stdin, Input::Path)).collect();
        Self(Job { inputs, ..Job::default() })
    }

    /// Bytes to read, bytes read, conversations seen, messages stored.
    fn progress(&self) -> (u64, u64, u64, u64) {
        let counters = &self.0.counters;
        let [total, read, conversations, messages] =
            [&counters.total, &counters.read, &counters.conversations, &counters.messages]
                .map(|counter| counter.load(Ordering::Relaxed));
        (total, read, conversations, messages)
    }

    fn cancel(&self) {
        self.0.cancel.store(true, Ordering::Relaxed);
    }
}

#[pymethods]
impl Archive {
    #[new]
    fn new(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let archive = py.detach(|| Inner::open(&folder)).map_err(raise)?;
        Ok(Self(Mutex::new(archive)))
    }

    /// For reading; none if nothing was ever imported.
    #[staticmethod]
    fn existing(py: Python<'_>, folder: PathBuf) -> PyResult<Option<Self>> {
        let archive = py.detach(|| Inner::open_existing(&folder)).map_err(raise)?;
        Ok(archive.map(|archive| Self(Mutex::new(archive))))
    }

    fn run_import<'py>(&self, py: Python<'py>, job: &ImportJob) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.import(&job.0))
    }

    fn undo<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.undo(name))
    }

    #[pyo3(signature = (text, limit, provider=None, since=None))]
    fn search<'py>(
        &self,
        py: Python<'py>,
        text: String,
        limit: usize,
        provider: Option<String>,
        since: Option<String>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let question = Question { text, limit, provider, since };
        self.call(py, |archive| archive.search(&question))
    }

    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.facts())
    }

    fn records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.records())
    }

    fn imports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.imports())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.stats())
    }

    fn show<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        self.call(py, |archive| archive.show(name))
    }

    /// The JSON of a record as its export held it.
    fn raw<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        let raw = py.detach(|| self.locked().raw(name)).map_err(raise)?;
        Ok(PyBytes::new(py, raw.as_bytes()))
    }
}

impl Archive {
    fn call<'py, T: Serialize + Send>(
        &self,
        py: Python<'py>,
        work: impl FnOnce(&mut Inner) -> Result<T, Error> + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let result = py.detach(|| {
            let value = work(&mut self.locked())?;
            serde_json::to_vec(&value).map_err(|error| Error::Store(Trouble::new(error.to_string())))
        });
        result.map(|bytes| PyBytes::new(py, &bytes)).map_err(raise)
    }

    /// A panic in an earlier call leaves SQLite's own state sound, so the archive may be used on.
    fn locked(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn raise(error: Error) -> PyErr {
    let message = error.to_string();
    let (raised, trouble) = match error {
        Error::Input(trouble) => (python::UsageError::new_err(trouble.message.clone()), trouble),
        Error::Busy(trouble) | Error::Store(trouble) => {
            (python::Failed::new_err(trouble.message.clone()), trouble)
        }
        Error::Newer(trouble) => (python::MissingMechanism::new_err(trouble.message.clone()), trouble),
        Error::Interrupted { import } => {
            let trouble = Trouble { place: import, ..Trouble::new(message.clone()) };
            (python::Interrupted::new_err(message), trouble)
        }
    };
    Python::attach(|py| {
        let value = raised.value(py);
        // Attributes of our own exception: setting them does not fail.
        let _ = value.setattr("where", trouble.place);
        let _ = value.setattr("hint", trouble.hint);
    });
    raised
}
