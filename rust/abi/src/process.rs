//! States, signals and exit statuses of kernel processes.

use serde::{Deserialize, Serialize};

/// Where a process stands. Transitions are validated by the kernel; an illegal one is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Created,
    Ready,
    Running,
    Waiting,
    Suspended,
    /// Its work is being cut; `exited` follows its last ticket.
    Closing,
    Exited {
        status: ExitStatus,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    Done,
    Failed,
    Cancelled,
    Killed,
    /// Cut off by the end of its daemon.
    Lost,
}

/// What one process may do to another it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    Suspend,
    Resume,
    Cancel,
    Kill,
}
