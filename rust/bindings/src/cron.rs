//! When a cron expression next holds.

use pyo3::prelude::*;

use crate::error::Error;

/// The first instant after `after_us` (UTC µs) at which `expression` holds in `zone`.
#[pyfunction]
pub(crate) fn next_instant(expression: &str, zone: &str, after_us: u64) -> PyResult<u64> {
    Ok(agentos_cron::next_instant(expression, zone, after_us).map_err(Error::Cron)?)
}
