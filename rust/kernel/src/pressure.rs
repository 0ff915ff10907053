//! Back-pressure of a lane: additive increase, multiplicative decrease (Chiu, Jain 1989).
//!
//! A provider that answers 429 tells all who use its lane, not only the one that was answered: the lane is
//! closed until the time it asks for has passed, and opens with half its places. Every full round of
//! successes gives one place back.

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The places left; none: as many as the lane has.
    places: Option<u32>,
    successes: u32,
    closed_until_us: u64,
}

impl Window {
    /// How many of `capacity` places may be taken.
    pub(crate) fn places(&self, capacity: u32) -> u32 {
        self.places.map_or(capacity, |places| places.min(capacity))
    }

    /// UTC microseconds.
    pub(crate) fn closed_until_us(&self) -> u64 {
        self.closed_until_us
    }

    /// What pressure makes of it: places, and until when it is closed. INVARIANT: while it is closed it is
    /// not halved again: calls that were under way together are one sign of overload.
    pub(crate) fn pressed(&self, capacity: u32, now_us: u64, retry_after_us: u64) -> (u32, u64) {
        let places = self.places(capacity);
        let left = if now_us < self.closed_until_us { places } else { (places / 2).max(1) };
        (left, self.closed_until_us.max(now_us.saturating_add(retry_after_us)))
    }

    pub(crate) fn press(&mut self, places: u32, until_us: u64) {
        self.places = Some(places);
        self.successes = 0;
        self.closed_until_us = until_us;
    }

    pub(crate) fn succeeded(&mut self, capacity: u32) {
        let Some(places) = self.places else { return };
        self.successes = self.successes.saturating_add(1);
        if self.successes >= places {
            self.successes = 0;
            self.places = Some(places.saturating_add(1)).filter(|places| *places < capacity);
        }
    }
}

#[cfg(test)]
#[path = "pressure_tests.rs"]
mod tests;
