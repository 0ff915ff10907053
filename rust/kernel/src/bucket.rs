//! A rate as a bucket in integers: it holds one minute's worth, and fills evenly.

use agentos_abi::PLACE;

/// Microseconds in a minute: credit is counted in units of a rate times this, so that every microsecond
/// brings a whole amount.
const MINUTE_US: u128 = 60_000_000;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    per_minute: u64,
    /// How far below full it was at `at_us`, in units × `MINUTE_US`. Work that cost more than it took can
    /// leave it more than empty.
    missing: u128,
    at_us: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_minute: u64) -> Self {
        Self { per_minute, missing: 0, at_us: 0 }
    }

    pub(crate) fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Another rate from now on; what was taken stays taken.
    pub(crate) fn set(&mut self, now_us: u64, per_minute: u64) {
        self.fill(now_us);
        self.per_minute = per_minute;
    }

    /// When it holds `amount` (UTC microseconds), if nobody takes from it before. INVARIANT: more than it
    /// ever holds counts as a full bucket, so that nothing waits for ever.
    pub(crate) fn ready_us(&self, amount: u64) -> u64 {
        if amount == 0 {
            return 0;
        }
        let rate = u128::from(self.per_minute.max(1));
        let short = (self.missing + self.bounded(amount)).saturating_sub(rate * MINUTE_US);
        if short == 0 {
            return 0;
        }
        let wait_us = u64::try_from(short.div_ceil(rate)).unwrap_or(u64::MAX);
        self.at_us.saturating_add(wait_us)
    }

    pub(crate) fn take(&mut self, now_us: u64, amount: u64) {
        self.fill(now_us);
        self.missing += self.bounded(amount);
    }

    /// Corrects a `taken` estimate to the `real` amount.
    pub(crate) fn settle(&mut self, now_us: u64, taken: u64, real: u64) {
        self.fill(now_us);
        self.missing = (self.missing + self.bounded(real)).saturating_sub(self.bounded(taken));
    }

    /// The share of the bucket that `amount` is, in the measure in which one of `places` costs `PLACE`.
    pub(crate) fn share(&self, amount: u64, places: u64) -> u64 {
        let rate = self.per_minute.max(1);
        let (amount, whole) = (amount.min(rate), PLACE.saturating_mul(places));
        match whole.checked_mul(amount) {
            Some(product) => product / rate,
            // Division of wide integers is slow; hardly anything needs it.
            None => {
                u64::try_from(u128::from(whole) * u128::from(amount) / u128::from(rate)).unwrap_or(u64::MAX)
            }
        }
    }

    fn bounded(&self, amount: u64) -> u128 {
        u128::from(amount.min(self.per_minute)) * MINUTE_US
    }

    fn fill(&mut self, now_us: u64) {
        let elapsed = u128::from(now_us.saturating_sub(self.at_us));
        self.missing = self.missing.saturating_sub(elapsed * u128::from(self.per_minute));
        self.at_us = self.at_us.max(now_us);
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
