//! What an effect consumes, and ceilings on it.

use serde::{Deserialize, Serialize};

/// An amount of each thing a budget counts. All zero by default; zeros are not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cost {
    /// Money in micro-dollars (1 USD = 1,000,000).
    #[serde(skip_serializing_if = "is_zero")]
    pub usd_micros: u64,
    /// Model tokens, in and out.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Driven wall time in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub wall_us: u64,
    /// Turns of an agent loop.
    #[serde(skip_serializing_if = "is_zero")]
    pub turns: u64,
}

impl Cost {
    pub const ZERO: Self = Self { usd_micros: 0, tokens: 0, wall_us: 0, turns: 0 };

    /// Sum, capped at the largest integer: a cost that large refuses anyway.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            usd_micros: self.usd_micros.saturating_add(other.usd_micros),
            tokens: self.tokens.saturating_add(other.tokens),
            wall_us: self.wall_us.saturating_add(other.wall_us),
            turns: self.turns.saturating_add(other.turns),
        }
    }

    /// Difference, floored at zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            usd_micros: self.usd_micros.saturating_sub(other.usd_micros),
            tokens: self.tokens.saturating_sub(other.tokens),
            wall_us: self.wall_us.saturating_sub(other.wall_us),
            turns: self.turns.saturating_sub(other.turns),
        }
    }

    /// The larger of each amount.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            usd_micros: self.usd_micros.max(other.usd_micros),
            tokens: self.tokens.max(other.tokens),
            wall_us: self.wall_us.max(other.wall_us),
            turns: self.turns.max(other.turns),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

/// A ceiling; an absent amount is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
}

impl Limit {
    /// The name of the first amount that `estimate` asks for and this ceiling limits.
    #[must_use]
    pub fn limited(&self, estimate: Cost) -> Option<&'static str> {
        Self {
            usd_micros: self.usd_micros.map(|_| 0),
            tokens: self.tokens.map(|_| 0),
            wall_us: self.wall_us.map(|_| 0),
            turns: self.turns.map(|_| 0),
        }
        .exceeded_by(Cost::ZERO, estimate)
    }

    /// The name of the first amount that `estimate`, on top of `held`, would take beyond this ceiling.
    /// What the estimate does not ask for never refuses.
    #[must_use]
    pub fn exceeded_by(&self, held: Cost, estimate: Cost) -> Option<&'static str> {
        let over = |limit: Option<u64>, held: u64, more: u64| {
            // Where there is no ceiling, numbers have one: a sum that cannot be counted is never reserved.
            more > 0 && held.checked_add(more).is_none_or(|sum| limit.is_some_and(|limit| sum > limit))
        };
        if over(self.usd_micros, held.usd_micros, estimate.usd_micros) {
            Some("usd_micros")
        } else if over(self.tokens, held.tokens, estimate.tokens) {
            Some("tokens")
        } else if over(self.wall_us, held.wall_us, estimate.wall_us) {
            Some("wall_us")
        } else if over(self.turns, held.turns, estimate.turns) {
            Some("turns")
        } else {
            None
        }
    }
}
