//! The scheduler against the naive one: both must decide the same, in the same order, and hold the same
//! amounts, after each of many random calls.
//!
//! `AGENTOS_RANDOM_CALLS` says how many (default 12,000).

use std::collections::BTreeMap;

use agentos_abi::*;

use crate::Kernel;
use crate::driven::*;
use crate::naive_tests::{LANES, Model, NONE, Process, Said, Stand, Ticket};
use crate::queue::LONGEST_WAIT_US;

const CALLS_A_WORLD: u64 = 400;

/// Both schedulers, and a third kernel that only recovers.
struct Pair {
    os: Driven,
    model: Model,
    shadow: Kernel,
    seen: (usize, usize),
    name: String,
}

impl Pair {
    fn new(dice: &mut Dice, name: String) -> Self {
        let (mut os, root) = Driven::new();
        let mut model = Model::default();
        let root_group = Some(GroupSpec { weight: 1, concurrency: 0 });
        let mut born = vec![(root, None, root_group, Limit::default())];
        for _ in 0..9 {
            let parent = dice.roll(born.len() as u64) as usize;
            let group = (dice.roll(3) > 0)
                .then(|| GroupSpec { weight: 1 + dice.roll(8) as u32, concurrency: dice.roll(4) as u32 });
            let mut limit = Limit::default();
            if dice.roll(2) == 0 {
                limit.usd_micros = Some(50 + dice.roll(400));
            }
            if dice.roll(3) == 0 {
                limit.tokens = Some(500 + dice.roll(2_000));
            }
            let pid = os.spawn(born[parent].0, vec![any_tool(), Scope::Spawn], limit, group.clone());
            born.push((pid, Some(parent), group, limit));
        }
        for (pid, parent, group, limit) in born {
            let (spent, reserved) = (Cost::ZERO, Cost::ZERO);
            model.processes.push(Process { pid, parent, group, limit, spent, reserved, suspended: false });
        }
        let seen = (0, os.events.len());
        let mut pair = Self { os, model, shadow: Kernel::default(), seen, name };
        pair.model.lanes[NONE].capacity = u32::MAX;
        (0..NONE).for_each(|lane| pair.set_lane(dice, lane));
        pair
    }

    fn call(&mut self, call: Call) -> Reply {
        let reply = self.os.call(call);
        self.model.now_us = self.os.now_us;
        reply
    }

    fn set_lane(&mut self, dice: &mut Dice, at: usize) {
        let capacity = dice.roll(5) as u32;
        let mut rate = |most: u64| (dice.roll(3) == 0).then(|| 1 + dice.roll(most));
        let rates = Rates {
            requests_per_minute: rate(40),
            tokens_per_minute: rate(2_000),
            usd_micros_per_minute: rate(500),
        };
        self.call(Call::Lane { lane: LANES[at].to_owned(), capacity, rates });
        let now_us = self.model.now_us;
        let lane = &mut self.model.lanes[at];
        lane.capacity = capacity;
        let given = [rates.requests_per_minute, rates.tokens_per_minute, rates.usd_micros_per_minute];
        for (resource, rate) in given.into_iter().enumerate() {
            match (lane.rates[resource], rate) {
                (Some(_), Some(_)) => lane.fill(resource, now_us),
                _ => (lane.missing[resource], lane.filled_us[resource]) = (0, 0),
            }
            lane.rates[resource] = rate;
        }
        self.model.settle();
    }

    fn ask(&mut self, dice: &mut Dice) {
        let process = dice.roll(self.model.processes.len() as u64) as usize;
        let lane = (dice.roll(6) > 0).then(|| dice.roll(3) as usize);
        let usd_micros = if dice.roll(3) == 0 { 0 } else { dice.roll(60) };
        let tokens = if dice.roll(3) == 0 { 0 } else { dice.roll(400) };
        let estimate = Cost { usd_micros, tokens, ..Cost::ZERO };
        let all = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        let priority = all[dice.roll(4) as usize];
        let reply = self.call(Call::Request {
            pid: self.model.processes[process].pid,
            key: format!("k{}", self.os.journal.len()),
            action: tool(),
            estimate,
            parent: None,
            lane: lane.map(|lane| LANES[lane].to_owned()),
            recovery: Recovery::Repeatable,
            deadline_us: None,
            priority,
            client: false,
            digest: None,
            unattended: false,
        });
        let wanted = self.model.ask(process, lane, estimate, priority);
        match (reply, wanted) {
            (Reply::Decided { decision: Decision::Go { ticket, .. } }, Some(true)) => {
                self.model.tickets.last_mut().unwrap().id = ticket;
            }
            (Reply::Decided { decision: Decision::Wait { request, .. } }, None) => {
                self.model.requests.last_mut().unwrap().id = request;
            }
            (Reply::Decided { decision: Decision::Deny { .. } }, Some(false)) => {}
            (reply, wanted) => panic!("{}: {reply:?}, not {wanted:?}", self.name),
        }
        self.model.settle();
    }

    fn end(&mut self, dice: &mut Dice) {
        if self.model.tickets.is_empty() {
            return;
        }
        let at = dice.roll(self.model.tickets.len() as u64) as usize;
        let Ticket { id, estimate, .. } = self.model.tickets[at];
        // A little is spent, mostly: budgets last a while.
        let usd_micros = dice.roll(estimate.usd_micros / 4 + 1);
        let cost = Cost { usd_micros, tokens: dice.roll(estimate.tokens / 4 + 1), ..Cost::ZERO };
        let outcome = if dice.roll(5) == 0 { Outcome::Error } else { Outcome::Ok };
        self.call(Call::Complete { ticket: id, outcome, cost, labels: Labels::BOTTOM });
        self.model.end(at, cost, outcome);
        self.model.settle();
    }

    fn signal(&mut self, dice: &mut Dice) {
        let at = 1 + dice.roll(self.model.processes.len() as u64 - 1) as usize;
        let row = &mut self.model.processes[at];
        row.suspended = !row.suspended;
        let (pid, suspended) = (row.pid, row.suspended);
        let signal = if suspended { Signal::Suspend } else { Signal::Resume };
        let by = self.model.processes[0].pid;
        assert_eq!(self.call(Call::Signal { by, pid, signal }), Reply::Done);
        let mut moved: Vec<usize> = (0..self.model.requests.len())
            .filter(|request| self.model.requests[*request].process == at)
            .collect();
        moved.sort_by_key(|request| self.model.requests[*request].id);
        for request in moved {
            self.model.move_to(request, if suspended { Stand::Out } else { Stand::Lane });
        }
        self.model.settle();
    }

    fn press(&mut self, dice: &mut Dice) {
        let at = dice.roll(3) as usize;
        let retry_after_us = dice.roll(3_000_000);
        self.call(Call::Pressure { lane: LANES[at].to_owned(), retry_after_us });
        let now_us = self.model.now_us;
        let lane = &mut self.model.lanes[at];
        let places = lane.open_places();
        lane.places = Some(if now_us < lane.closed_until_us { places } else { (places / 2).max(1) });
        lane.successes = 0;
        lane.closed_until_us = lane.closed_until_us.max(now_us + retry_after_us);
        self.model.settle();
    }

    fn stir(&mut self, dice: &mut Dice) {
        match dice.roll(40) {
            0..=17 if self.model.requests.len() < 30 => self.ask(dice),
            0..=31 => self.end(dice),
            32 | 33 => self.signal(dice),
            34 => self.press(dice),
            35 => {
                let at = dice.roll(3) as usize;
                self.set_lane(dice, at);
            }
            36 if !self.model.requests.is_empty() => {
                let at = dice.roll(self.model.requests.len() as u64) as usize;
                let request = self.model.requests[at].id;
                self.call(Call::Withdraw { request });
                self.model.deny(at);
                self.model.settle();
            }
            _ => {
                let most = if dice.roll(50) == 0 { 2 * LONGEST_WAIT_US } else { 8_000_000 };
                self.os.now_us += dice.roll(most);
                self.call(Call::Tick);
                self.model.settle();
            }
        }
    }

    /// Both said the same, hold the same, and recovery gives the same state, from wherever it is cut off.
    fn check(&mut self) {
        let (entries, events) = self.seen;
        let mut said = Vec::new();
        for event in &self.os.events[events..] {
            if let Event::Decided { request, decision, .. } = event {
                match decision {
                    Decision::Go { ticket, .. } => {
                        said.push(Said::Go(*request));
                        let mut new = self.model.tickets.iter_mut().filter(|row| row.id == TicketId(0));
                        new.next().expect("the model has as many").id = *ticket;
                    }
                    _ => said.push(Said::Denied(*request)),
                }
            }
        }
        assert_eq!(said, self.model.said, "{}", self.name);
        self.model.said.clear();
        for (row, wanted) in self.os.kernel.state().processes().zip(&self.model.processes) {
            assert_eq!((row.spent, row.reserved), (wanted.spent, wanted.reserved), "{}: {row:?}", self.name);
        }
        for (name, lane) in LANES[..NONE].iter().zip(&self.model.lanes) {
            assert_eq!(self.os.kernel.state().lanes[*name].used(), lane.used, "{}: {name}", self.name);
        }
        self.os.journal[entries..].iter().for_each(|entry| self.shadow.recover(entry));
        assert_eq!(self.shadow, self.os.kernel, "{}: recovered", self.name);
        self.seen = (self.os.journal.len(), self.os.events.len());
    }
}

#[test]
fn it_decides_as_a_naive_scheduler_does() {
    let calls = random_calls(12_000);
    let mut seed = 0;
    let mut decided = BTreeMap::new();
    while seed * CALLS_A_WORLD < calls {
        let mut dice = Dice(seed);
        let mut pair = Pair::new(&mut dice, format!("seed {seed}"));
        pair.check();
        for call in 0..CALLS_A_WORLD {
            pair.name = format!("seed {seed}, call {call}");
            pair.stir(&mut dice);
            pair.check();
        }
        if seed % 50 == 0 {
            pair.os.check_prefixes(&pair.name);
        }
        for entry in &pair.os.journal {
            let text = format!("{:?}", entry.fact);
            let word = text.split(' ').next().unwrap().to_owned();
            *decided.entry(word).or_insert(0) += 1;
        }
        seed += 1;
    }
    // The walk went everywhere.
    for fact in ["Queued", "Parked", "Promised", "Go", "Denied", "Withdrawn", "Completed", "Pressure"] {
        assert!(decided.get(fact).is_some_and(|count| *count > calls / 1_000), "{fact}: {decided:?}");
    }
}
