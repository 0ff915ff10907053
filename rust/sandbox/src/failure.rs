//! What a launcher reports: JSON lines on the socket it was started with.

use std::io;
use std::os::fd::BorrowedFd;

use serde::Serialize;

use crate::sys;

/// Whose failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The specification asks for something impossible.
    Input,
    /// The machine refused a mechanism that the level needs.
    Mechanism,
    /// The command exists and cannot be run.
    CannotRun,
    /// There is no such command.
    NotFound,
}

/// Why a command was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub kind: Kind,
    /// The mechanism or the path that failed.
    pub what: String,
    pub message: String,
    /// The error number of the system call, 0 if there was none.
    pub errno: i32,
}

impl Failure {
    /// A specification that cannot be followed.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, what: "specification".into(), message: message.into(), errno: 0 }
    }

    /// A path of the specification that cannot be used.
    pub(crate) fn path(path: &std::path::Path, doing: &str, error: &io::Error) -> Self {
        let what = path.display().to_string();
        let message = format!("{doing} {what}: {error}");
        Self { kind: Kind::Input, what, message, errno: error.raw_os_error().unwrap_or(0) }
    }

    /// What the launcher itself ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input | Kind::Mechanism => 125,
            Kind::CannotRun => 126,
            Kind::NotFound => 127,
        }
    }
}

/// Names the mechanism that an I/O error came from.
pub(crate) trait Mechanism<T> {
    fn mechanism(self, what: &str, doing: &str) -> Result<T, Failure>;
}

impl<T> Mechanism<T> for io::Result<T> {
    fn mechanism(self, what: &str, doing: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            kind: Kind::Mechanism,
            what: what.into(),
            message: format!("{doing}: {error}"),
            errno: error.raw_os_error().unwrap_or(0),
        })
    }
}

/// One line to the process that holds the other end of the socket. The first of the last three counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The command is about to start; `init` is its pid 1 as the host sees it (0: the level has none).
    Started {
        init: i32,
    },
    Exited {
        code: i32,
    },
    Signalled {
        signal: i32,
    },
    Failed(Failure),
}

impl Event {
    /// Sends it. Nobody listening is no error: then the lifeline is cut and the end is near anyway.
    pub(crate) fn send(&self, control: BorrowedFd<'_>) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let _ = sys::send(control, &line);
        }
    }
}
