//! The one extension module, `agentos._kernel`: thin and typed. Convert, call, convert back.

mod archive;
mod audit;
mod cron;
mod error;
mod kernel;
mod name;
mod reader;
mod wake;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _kernel {
    #[pymodule_export]
    use crate::archive::{Archive, ImportJob};
    #[pymodule_export]
    use crate::audit::{audit_entries, audit_stored, audit_tree, audit_verify, entry_hash, tree_root};
    #[pymodule_export]
    use crate::cron::next_instant;
    #[pymodule_export]
    use crate::kernel::Kernel;
    #[pymodule_export]
    use crate::name::{public_name, random_id};
    #[pymodule_export]
    use crate::reader::KernelReader;
}
