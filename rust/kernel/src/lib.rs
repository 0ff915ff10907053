//! The kernel: a pure, deterministic state machine.
//!
//! `Kernel::step` is the only way in: [`decide`](decide::decide) looks at the state and answers with a
//! reply and decided facts, [`apply`](apply::apply) turns each fact into state, and
//! [`settle`](settle::next) adds what follows of itself (a freed lane admits the next request, a closing
//! process without tickets exits) until nothing follows. Recovery calls `apply` alone: facts hold
//! results, so the same journal gives the same state whatever the rules say by then.
//!
//! INVARIANT: no I/O, clock, randomness, threads or floats; `now` and every other outside fact arrive as
//! arguments. Whatever is iterated is ordered.

mod apply;
mod bucket;
mod budget;
mod capability;
mod decide;
mod explain;
mod fair;
mod gate;
mod heap;
mod holdings;
mod inherit;
mod label;
mod lane;
mod life;
mod mailbox;
mod need;
mod place;
mod pressure;
mod process;
mod queue;
mod request;
mod send;
mod settle;
mod size;
mod state;
mod supervise;
mod table;
mod timer;
mod view;
mod wait;
mod wait_for;

use agentos_abi::{Call, Entry, Event, Fact, Reply};

pub use capability::{covers, meet};
pub use lane::Lane;
pub use state::State;

/// What one call brought about.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub reply: Reply,
    /// Decided facts, in order; whoever acts on the reply first waits until they are durable.
    pub entries: Vec<Entry>,
    /// What concerns others; released with the entries.
    pub events: Vec<Event>,
}

/// The kernel's state and its one door.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    state: State,
}

impl Kernel {
    /// Decides `call` at `now_us` (UTC microseconds; clamped so that time never runs backwards) and
    /// applies what was decided.
    pub fn step(&mut self, now_us: u64, call: &Call) -> Step {
        let at_us = now_us.max(self.state.now_us);
        let mut step = Step { reply: Reply::Done, entries: Vec::new(), events: Vec::new() };
        let decided = decide::decide(&self.state, at_us, call);
        step.reply = decided.reply;
        for fact in decided.facts {
            self.commit(at_us, fact, &mut step);
        }
        while let Some(fact) = settle::next(&self.state, at_us) {
            self.commit(at_us, fact, &mut step);
        }
        step
    }

    /// Applies one entry of the journal.
    pub fn recover(&mut self, entry: &Entry) {
        apply::apply(&mut self.state, entry);
    }

    /// Read access, for views.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    fn commit(&mut self, at_us: u64, fact: Fact, step: &mut Step) {
        let entry = Entry { at_us, fact };
        step.events.extend(settle::event(&self.state, &entry.fact));
        step.events.extend(settle::born(&entry.fact));
        apply::apply(&mut self.state, &entry);
        step.entries.push(entry);
    }
}

#[cfg(test)]
#[path = "driven_tests.rs"]
mod driven;

#[cfg(test)]
#[path = "mailbox_reference_tests.rs"]
mod mailbox_reference_tests;

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "naive_tests.rs"]
mod naive_tests;

#[cfg(test)]
#[path = "reference_tests.rs"]
mod reference_tests;

#[cfg(test)]
#[path = "naive_capability_tests.rs"]
mod naive_capability_tests;

#[cfg(test)]
#[path = "capability_reference_tests.rs"]
mod capability_reference_tests;

#[cfg(test)]
#[path = "nonsense_tests.rs"]
mod nonsense_tests;

#[cfg(test)]
#[path = "fuzz_tests.rs"]
mod fuzz_tests;

#[cfg(test)]
#[path = "naive_budget_tests.rs"]
mod naive_budget_tests;

#[cfg(test)]
#[path = "budget_reference_tests.rs"]
mod budget_reference_tests;

#[cfg(test)]
#[path = "export_tests.rs"]
mod export_tests;

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod recovery_tests;

#[cfg(test)]
#[path = "worlds_tests.rs"]
mod worlds_tests;

#[cfg(test)]
#[path = "nonsense_fact_tests.rs"]
mod nonsense_fact_tests;

#[cfg(test)]
#[path = "handed_on_tests.rs"]
mod handed_on_tests;
