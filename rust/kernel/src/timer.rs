//! Durable timers: a name and when it goes off. What is due then is userland's to know.

use std::collections::{BTreeMap, BTreeSet};

/// Every timer that is set, by name and by time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    by_name: BTreeMap<String, u64>,
    by_time: BTreeSet<(u64, String)>,
}

impl Timers {
    pub(crate) fn due_us(&self, id: &str) -> Option<u64> {
        self.by_name.get(id).copied()
    }

    pub(crate) fn next_us(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The first timer that goes off by `now_us`.
    pub(crate) fn due(&self, now_us: u64) -> Option<&str> {
        self.by_time.first().filter(|(at, _)| *at <= now_us).map(|(_, id)| id.as_str())
    }

    pub(crate) fn set(&mut self, id: &str, due_us: Option<u64>) {
        if let Some(before) = self.by_name.remove(id) {
            self.by_time.remove(&(before, id.to_owned()));
        }
        if let Some(at) = due_us {
            self.by_name.insert(id.to_owned(), at);
            self.by_time.insert((at, id.to_owned()));
        }
    }
}

#[cfg(test)]
#[path = "timer_tests.rs"]
mod tests;
