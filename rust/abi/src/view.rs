//! What a reader sees of the kernel's tables.

use serde::{Deserialize, Serialize};

use crate::{Action, Cost, Labels, Limit, Pid, Refusal, RequestId, State};

/// One process, as `ps` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessView {
    pub pid: Pid,
    pub parent: Option<Pid>,
    pub name: String,
    #[serde(flatten)]
    pub state: State,
    /// The lane or budget it waits for, if it waits.
    pub waiting_on: Option<String>,
    /// UTC microseconds of its last change of state.
    pub since_us: u64,
    pub spent: Cost,
    pub reserved: Cost,
    pub budget: Limit,
    /// The process that heads its scheduling group.
    pub group: Option<Pid>,
    pub tickets: u32,
    pub labels: Labels,
    /// How often it was started again.
    pub restarts: u32,
}

/// A request that a person must decide, as `inbox` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub request: RequestId,
    pub pid: Pid,
    /// The name of the process that asks.
    pub process: String,
    pub action: Action,
    pub digest: Option<String>,
    pub why: Refusal,
    /// UTC microseconds after which it is denied.
    pub deadline_us: Option<u64>,
}
