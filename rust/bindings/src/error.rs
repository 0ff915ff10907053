//! The one mapping from Rust errors to the exception tree of `agentos.errors`.

use agentos_cron::CronError;
use agentos_journal::JournalError;
use pyo3::{PyErr, Python, import_exception, types::PyAnyMethods};

mod python {
    use super::import_exception;
    import_exception!(agentos.errors, InternalError);
    import_exception!(agentos.errors, JournalError);
    import_exception!(agentos.errors, MissingMechanism);
    import_exception!(agentos.errors, UsageError);
}

/// What can go wrong below the bindings.
pub(crate) enum Error {
    Journal(JournalError),
    /// A message that is not one of `agentos_abi`'s.
    Message(serde_json::Error),
    /// A kind of action that cannot be pure.
    Kind(String),
    /// An entry that this version cannot read back: a bug, or a journal of another version.
    Entry(u64, serde_json::Error),
    /// A lock was poisoned by a panic.
    Poisoned,
    Io(std::io::Error),
    /// An expression, zone or time that somebody wrote wrong.
    Cron(CronError),
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Journal(error) => journal(&error),
            Error::Message(error) => {
                python::InternalError::new_err(format!("malformed kernel message: {error}"))
            }
            Error::Kind(kind) => {
                python::InternalError::new_err(format!("`{kind}` is no kind of pure action"))
            }
            Error::Entry(seq, error) => {
                python::JournalError::new_err(format!("entry {seq} of the journal cannot be read: {error}"))
            }
            Error::Poisoned => {
                python::InternalError::new_err("the kernel failed earlier; restart the daemon")
            }
            Error::Cron(error) => cron(&error),
            Error::Io(error) => python::InternalError::new_err(format!("the kernel cannot start: {error}")),
        }
    }
}

fn cron(error: &CronError) -> PyErr {
    let raised = python::UsageError::new_err(error.to_string());
    let hint = match error {
        CronError::Fields { .. } => "such as `0 9 * * mon-fri`: at nine, Monday to Friday",
        CronError::Zone { .. } => "name it as the IANA does, such as `Europe/Berlin` or `UTC`",
        CronError::Part { .. } | CronError::Never | CronError::Range => return raised,
    };
    hinted(raised, hint)
}

fn hinted(raised: PyErr, hint: &str) -> PyErr {
    Python::attach(|py| {
        let _ = raised.value(py).setattr("hint", hint);
    });
    raised
}

fn journal(error: &JournalError) -> PyErr {
    let message = error.to_string();
    let raised = match error {
        JournalError::Missing { .. } => python::UsageError::new_err(message),
        JournalError::Newer { .. } | JournalError::Locked { .. } | JournalError::PathTooLong { .. } => {
            python::MissingMechanism::new_err(message)
        }
        _ => python::JournalError::new_err(message),
    };
    match error.hint() {
        Some(hint) => hinted(raised, hint),
        None => raised,
    }
}
