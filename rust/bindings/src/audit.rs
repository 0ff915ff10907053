//! Reading and checking the journal, with or without a daemon.

use std::path::PathBuf;

use agentos_journal::{Reader, verify};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::{Value, json};

use crate::error::Error;

/// Up to `limit` entries after `after`, each as JSON with its `seq` and `hash`.
#[pyfunction]
pub(crate) fn audit_entries<'py>(
    py: Python<'py>,
    path: PathBuf,
    after: u64,
    limit: usize,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let entries = py.detach(|| Reader::open(&path)?.entries(after, limit)).map_err(Error::from)?;
    let shown = entries.into_iter().map(|entry| {
        let body: Value =
            serde_json::from_slice(&entry.bytes).map_err(|error| Error::Entry(entry.seq, error))?;
        let line = json!({"seq": entry.seq, "hash": entry.hash.to_string(), "entry": body});
        Ok(PyBytes::new(py, &serde_json::to_vec(&line).map_err(Error::Message)?))
    });
    shown.collect()
}

/// The verdict on the whole chain, as the JSON of the contract.
#[pyfunction]
pub(crate) fn audit_verify<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyBytes>> {
    let report = py.detach(|| verify(&path)).map_err(Error::from)?;
    let first_bad = report.first_bad.map(|bad| json!({"seq": bad.seq, "reason": bad.reason}));
    let verdict = json!({
        "ok": report.ok,
        "entries": report.entries,
        "head": report.head.to_string(),
        "first_bad": first_bad,
    });
    Ok(PyBytes::new(py, &serde_json::to_vec(&verdict).map_err(Error::Message)?))
}
