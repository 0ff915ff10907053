//! What a reader sees of the kernel's tables.

use serde::{Deserialize, Serialize};

use crate::{Cost, Limit, Pid, State};

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
}
