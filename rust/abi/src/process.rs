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

/// When a supervisor starts a child again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    #[default]
    Never,
    /// After it failed or was lost.
    OnFailure,
    /// Whenever it ends by itself.
    Always,
}

impl Restart {
    #[must_use]
    pub fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// Which children are started again when one falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    OneForOne,
    OneForAll,
    /// The one that fell and those that were started after it.
    RestForOne,
}

/// How a process keeps its children, after Erlang/OTP's supervisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    pub strategy: Strategy,
    /// More restarts than this `within_us` microseconds, and the supervisor fails itself.
    pub restarts: u32,
    pub within_us: u64,
    /// The pause before a restart; it doubles with each one within the window, up to `longest_us`.
    #[serde(default)]
    pub pause_us: u64,
    #[serde(default)]
    pub longest_us: u64,
}
