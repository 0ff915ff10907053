//! The one extension module, `agentos._kernel`: thin and typed.
use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _kernel {}
