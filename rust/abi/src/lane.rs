//! What a lane has to give, and how urgent a request is among those of its group.

use serde::{Deserialize, Serialize};

/// The charge for holding one place of a lane; other shares are counted in the same measure.
pub const PLACE: u64 = 1 << 20;

/// What a lane gives a minute, besides its places; an absent rate is not limited. Each is a bucket that
/// holds one minute's worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Model tokens, in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Micro-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_micros_per_minute: Option<u64>,
}

impl Rates {
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// How soon a request goes among those of its own group: groups share by weight, whatever they call
/// urgent. Waiting raises it: a request waits for at most a bounded time's worth of more urgent ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Critical,
}

impl Priority {
    #[must_use]
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

pub(crate) fn place() -> u64 {
    PLACE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) fn is_place(charge: &u64) -> bool {
    *charge == PLACE
}
