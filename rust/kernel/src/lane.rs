//! A lane: something scarce that requests queue for. It has places (streams of a provider, slots to run
//! programs in) and rates, and admits in fair order while it has both.
//!
//! Dominant resources (Ghodsi et al. 2012): an admission is charged its largest share of what the lane has,
//! in the measure in which one place costs `PLACE`. INVARIANT: the lane alone decides the order; when the
//! next in order has to wait for a rate, so do all behind it, or large requests would starve.

use agentos_abi::{Cost, PLACE, Pid, Rates, RequestId};

use crate::bucket::Bucket;
use crate::fair::{Order, Tree};
use crate::pressure::Window;

/// Beyond this many places one of them is no share to speak of.
const MOST_PLACES: u32 = 1 << 16;

#[derive(Debug, PartialEq, Eq)]
pub struct Lane {
    capacity: u32,
    used: u32,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    usd_micros: Option<Bucket>,
    window: Window,
    tree: Tree,
    /// When it can admit its next (UTC microseconds), as `State::wakes` has it.
    pub(crate) wake_us: Option<u64>,
}

impl Default for Lane {
    /// No limits: all that waits in it waits for budget.
    fn default() -> Self {
        Self {
            capacity: u32::MAX,
            used: 0,
            requests: None,
            tokens: None,
            usd_micros: None,
            window: Window::default(),
            tree: Tree::default(),
            wake_us: None,
        }
    }
}

impl Lane {
    /// Sets its places and rates; what was taken stays taken.
    pub fn set(&mut self, now_us: u64, capacity: u32, rates: &Rates) {
        self.capacity = capacity;
        refit(&mut self.requests, now_us, rates.requests_per_minute);
        refit(&mut self.tokens, now_us, rates.tokens_per_minute);
        refit(&mut self.usd_micros, now_us, rates.usd_micros_per_minute);
    }

    pub(crate) fn is(&self, capacity: u32, rates: &Rates) -> bool {
        let rate = |bucket: &Option<Bucket>| bucket.as_ref().map(Bucket::per_minute);
        self.capacity == capacity
            && rate(&self.requests) == rates.requests_per_minute
            && rate(&self.tokens) == rates.tokens_per_minute
            && rate(&self.usd_micros) == rates.usd_micros_per_minute
    }

    /// Whether a group has a place in it.
    #[must_use]
    pub fn knows(&self, group: Pid) -> bool {
        self.tree.knows(group)
    }

    /// Makes a place for a group: its weight, the group above it, which is known already, and whether it may
    /// hold one more ticket.
    pub fn seat(&mut self, group: Pid, weight: u32, above: Option<Pid>, open: bool) {
        self.tree.seat(group, weight, above, open);
    }

    pub fn join(&mut self, group: Pid, order: Order, request: RequestId) {
        self.tree.join(group, order, request);
    }

    pub fn leave(&mut self, group: Pid, order: Order) {
        self.tree.leave(group, order);
    }

    pub(crate) fn set_open(&mut self, group: Pid, open: bool) {
        self.tree.set_open(group, open);
    }

    pub(crate) fn forget(&mut self, group: Pid) {
        self.tree.forget(group);
    }

    /// The request whose turn it is.
    #[must_use]
    pub fn first(&self) -> Option<RequestId> {
        self.tree.first()
    }

    #[must_use]
    pub fn has_room(&self) -> bool {
        self.used < self.window.places(self.capacity)
    }

    /// When it can admit something with this estimate (UTC microseconds), as far as places and rates go;
    /// none while no place is free.
    #[must_use]
    pub fn ready_us(&self, estimate: &Cost) -> Option<u64> {
        let at =
            |bucket: &Option<Bucket>, amount| bucket.as_ref().map_or(0, |bucket| bucket.ready_us(amount));
        self.has_room().then(|| {
            self.window
                .closed_until_us()
                .max(at(&self.requests, 1))
                .max(at(&self.tokens, estimate.tokens))
                .max(at(&self.usd_micros, estimate.usd_micros))
        })
    }

    /// What is charged for something that costs this much: the largest share of what the lane has.
    #[must_use]
    pub fn charge(&self, cost: &Cost) -> u64 {
        let places = u64::from(self.capacity.clamp(1, MOST_PLACES));
        let share = |bucket: &Option<Bucket>, amount| {
            bucket.as_ref().map_or(0, |bucket| bucket.share(amount, places))
        };
        PLACE
            .max(share(&self.requests, 1))
            .max(share(&self.tokens, cost.tokens))
            .max(share(&self.usd_micros, cost.usd_micros))
    }

    /// Takes a place for `group`.
    pub fn admit(&mut self, now_us: u64, group: Pid, charge: u64, estimate: &Cost) {
        self.used = self.used.saturating_add(1);
        take(&mut self.requests, now_us, 1);
        take(&mut self.tokens, now_us, estimate.tokens);
        take(&mut self.usd_micros, now_us, estimate.usd_micros);
        self.tree.serve(group, charge);
    }

    /// Gives the place back, and what was estimated too high.
    pub fn release(&mut self, now_us: u64, group: Pid, charged: (u64, &Cost), real: (u64, &Cost)) {
        self.used = self.used.saturating_sub(1);
        settle(&mut self.tokens, now_us, charged.1.tokens, real.1.tokens);
        settle(&mut self.usd_micros, now_us, charged.1.usd_micros, real.1.usd_micros);
        self.tree.settle(group, charged.0, real.0);
    }

    /// A sign that it could carry more.
    pub(crate) fn succeeded(&mut self) {
        self.window.succeeded(self.capacity);
    }

    /// What pressure makes of it: places, and until when it is closed.
    pub(crate) fn pressed(&self, now_us: u64, retry_after_us: u64) -> (u32, u64) {
        self.window.pressed(self.capacity, now_us, retry_after_us)
    }

    pub(crate) fn press(&mut self, places: u32, until_us: u64) {
        self.window.press(places, until_us);
    }

    /// Until when its provider wants to be left alone (UTC microseconds).
    pub(crate) fn closed_until_us(&self) -> u64 {
        self.window.closed_until_us()
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> u32 {
        self.used
    }
}

fn refit(bucket: &mut Option<Bucket>, now_us: u64, per_minute: Option<u64>) {
    match (bucket.as_mut(), per_minute) {
        (Some(bucket), Some(per_minute)) => bucket.set(now_us, per_minute),
        (_, per_minute) => *bucket = per_minute.map(Bucket::new),
    }
}

fn take(bucket: &mut Option<Bucket>, now_us: u64, amount: u64) {
    if let Some(bucket) = bucket {
        bucket.take(now_us, amount);
    }
}

fn settle(bucket: &mut Option<Bucket>, now_us: u64, taken: u64, real: u64) {
    if let Some(bucket) = bucket {
        bucket.settle(now_us, taken, real);
    }
}
