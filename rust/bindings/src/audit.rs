//! Reading, checking and proving the journal, with or without a daemon.

use std::path::PathBuf;

use agentos_abi::{Entry, Fact};
use agentos_journal::{Hash, Reader, StoredEntry, prove, root_of, verify_each};
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

/// An entry as it is stored: number, version, hash (hex), bytes.
type Stored<'py> = (u64, u16, String, Bound<'py, PyBytes>);

/// Up to `limit` entries after `after`, as they are stored.
#[pyfunction]
pub(crate) fn audit_stored<'py>(
    py: Python<'py>,
    path: PathBuf,
    after: u64,
    limit: usize,
) -> PyResult<Vec<Stored<'py>>> {
    let entries = py.detach(|| Reader::open(&path)?.entries(after, limit)).map_err(Error::from)?;
    let stored = entries
        .into_iter()
        .map(|entry| (entry.seq, entry.version, entry.hash.to_string(), PyBytes::new(py, &entry.bytes)));
    Ok(stored.collect())
}

/// The verdict on the whole chain, as the JSON of the contract; and in `records`, those of the given
/// `kinds` that the entries which hold have written, in order.
#[pyfunction]
pub(crate) fn audit_verify<'py>(
    py: Python<'py>,
    path: PathBuf,
    kinds: Vec<String>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut records = Vec::new();
    let report = py
        .detach(|| verify_each(&path, |entry| records.extend(record(entry, &kinds))))
        .map_err(Error::from)?;
    let first_bad = report.first_bad.map(|bad| json!({"seq": bad.seq, "reason": bad.reason}));
    let verdict = json!({
        "ok": report.ok,
        "entries": report.entries,
        "head": report.head.to_string(),
        "first_bad": first_bad,
        "records": records,
    });
    Ok(PyBytes::new(py, &serde_json::to_vec(&verdict).map_err(Error::Message)?))
}

/// The record that an entry writes, where it is of one of the kinds.
fn record(entry: &StoredEntry, kinds: &[String]) -> Option<Value> {
    // What an entry is stands at its start; most are no records, and need not be read for that.
    let start = entry.bytes.get(..64).unwrap_or(&entry.bytes);
    if !start.windows(5).any(|word| word == b"\"put\"") {
        return None;
    }
    match serde_json::from_slice::<Entry>(&entry.bytes).ok()?.fact {
        Fact::Put { kind, id, body } if kinds.contains(&kind) => {
            Some(json!({"seq": entry.seq, "kind": kind, "id": id, "body": body}))
        }
        _ => None,
    }
}

/// The hash tree over the first `size` entries: its `root`, and the `paths` of entries `seqs` to it.
#[pyfunction]
pub(crate) fn audit_tree<'py>(
    py: Python<'py>,
    path: PathBuf,
    size: u64,
    seqs: Vec<u64>,
) -> PyResult<Bound<'py, PyBytes>> {
    let proof = py.detach(|| prove(&Reader::open(&path)?, size, &seqs)).map_err(Error::from)?;
    let hexadecimal = |path: &Vec<Hash>| path.iter().map(Hash::to_string).collect::<Vec<_>>();
    let paths: Vec<_> = proof.paths.iter().map(hexadecimal).collect();
    let tree = json!({"root": proof.root.to_string(), "paths": paths});
    Ok(PyBytes::new(py, &serde_json::to_vec(&tree).map_err(Error::Message)?))
}

/// The hash of entry `seq` after one with hash `previous`; None where that is no hash.
#[pyfunction]
pub(crate) fn entry_hash(previous: &str, seq: u64, version: u16, body: &[u8]) -> Option<String> {
    Some(Hash::from_hex(previous)?.next(seq, version, body).to_string())
}

/// The root to which `path` leads from entry `seq` with hash `hash` in a tree over `size` entries; None
/// where it does not lead anywhere.
#[pyfunction]
pub(crate) fn tree_root(hash: &str, seq: u64, size: u64, path: Vec<String>) -> Option<String> {
    let path: Option<Vec<Hash>> = path.iter().map(|beside| Hash::from_hex(beside)).collect();
    Some(root_of(&Hash::from_hex(hash)?, seq, size, &path?)?.to_string())
}
