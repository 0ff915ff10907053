//! A naive scheduler, written from the rules and not from the code: it keeps lists and looks through all of
//! them for every decision. `reference_tests` compares it with the kernel.

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::*;

use crate::queue::{AGE_STEP_US, LONGEST_WAIT_US};

pub(crate) const MINUTE_US: u128 = 60_000_000;
/// The last is where requests without a lane wait, for budget alone: it has no limits and charges nothing.
pub(crate) const LANES: [&str; 4] = ["exec", "model:a", "model:b", ""];
pub(crate) const NONE: usize = 3;

pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: Option<usize>,
    pub(crate) group: Option<GroupSpec>,
    pub(crate) limit: Limit,
    pub(crate) spent: Cost,
    pub(crate) reserved: Cost,
    pub(crate) suspended: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Stand {
    Lane,
    Budget(usize),
    Out,
}

pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) process: usize,
    pub(crate) lane: usize,
    pub(crate) estimate: Cost,
    pub(crate) order_us: u64,
    pub(crate) turn: u64,
    pub(crate) deadline_us: u64,
    pub(crate) stand: Stand,
    pub(crate) promised: Option<usize>,
}

pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) process: usize,
    pub(crate) lane: Option<usize>,
    pub(crate) estimate: Cost,
    pub(crate) charge: u64,
}

/// A level's child: its own requests, or a group.
pub(crate) type Child = Option<usize>;

#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) capacity: u32,
    pub(crate) rates: [Option<u64>; 3],
    pub(crate) missing: [u128; 3],
    pub(crate) filled_us: [u64; 3],
    pub(crate) used: u32,
    pub(crate) places: Option<u32>,
    pub(crate) successes: u32,
    pub(crate) closed_until_us: u64,
    pub(crate) virtual_times: BTreeMap<usize, u64>,
    pub(crate) tags: BTreeMap<(usize, Child), u64>,
    pub(crate) ready: BTreeSet<(usize, Child)>,
    /// In the order in which the lane came to know them, which decides between equal tags.
    pub(crate) known: Vec<usize>,
}

#[derive(Debug, PartialEq, Clone)]
pub(crate) enum Said {
    Go(RequestId),
    Denied(RequestId),
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) now_us: u64,
    pub(crate) turn: u64,
    pub(crate) processes: Vec<Process>,
    pub(crate) requests: Vec<Request>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) lanes: [Lane; 4],
    pub(crate) said: Vec<Said>,
}

pub(crate) fn amounts(cost: &Cost) -> [u64; 3] {
    [1, cost.tokens, cost.usd_micros]
}

impl Lane {
    pub(crate) fn open_places(&self) -> u32 {
        self.places.map_or(self.capacity, |places| places.min(self.capacity))
    }

    pub(crate) fn fill(&mut self, resource: usize, now_us: u64) {
        let rate = u128::from(self.rates[resource].unwrap_or(0));
        let passed = u128::from(now_us - self.filled_us[resource]);
        self.missing[resource] = self.missing[resource].saturating_sub(passed * rate);
        self.filled_us[resource] = now_us;
    }

    /// When places and rates let `estimate` in.
    pub(crate) fn opens_us(&self, estimate: &Cost) -> Option<u64> {
        if self.used >= self.open_places() {
            return None;
        }
        let mut at_us = self.closed_until_us;
        for (resource, amount) in amounts(estimate).into_iter().enumerate() {
            let Some(rate) = self.rates[resource].filter(|_| amount > 0) else { continue };
            let wanted = u128::from(amount.min(rate)) * MINUTE_US;
            let full = u128::from(rate) * MINUTE_US;
            let lacks = (self.missing[resource] + wanted).saturating_sub(full);
            if lacks > 0 {
                let mut wait = lacks / u128::from(rate);
                while wait * u128::from(rate) < lacks {
                    wait += 1;
                }
                at_us = at_us.max(self.filled_us[resource] + wait as u64);
            }
        }
        Some(at_us)
    }

    pub(crate) fn charge(&self, cost: &Cost) -> u64 {
        let places = u128::from(self.capacity.clamp(1, 1 << 16));
        let mut largest = u128::from(PLACE);
        for (resource, amount) in amounts(cost).into_iter().enumerate() {
            if let Some(rate) = self.rates[resource] {
                let amount = u128::from(amount.min(rate));
                largest = largest.max(u128::from(PLACE) * places * amount / u128::from(rate));
            }
        }
        largest as u64
    }
}

impl Model {
    pub(crate) fn lineage(&self, process: usize) -> Vec<usize> {
        let mut lineage = vec![process];
        while let Some(parent) = self.processes[*lineage.last().unwrap()].parent {
            lineage.push(parent);
        }
        lineage
    }

    pub(crate) fn groups(&self, process: usize) -> Vec<usize> {
        self.lineage(process).into_iter().filter(|at| self.processes[*at].group.is_some()).collect()
    }

    pub(crate) fn has_room(&self, group: usize) -> bool {
        let most = self.processes[group].group.as_ref().unwrap().concurrency;
        let running = self.tickets.iter().filter(|ticket| ticket.lane.is_some());
        let running = running.filter(|ticket| self.groups(ticket.process)[0] == group).count();
        most == 0 || running < most as usize
    }

    /// Requests of `group` itself that may go in `lane`, first one first.
    pub(crate) fn own(&self, lane: usize, group: usize) -> Option<usize> {
        let here = |request: &Request| {
            request.lane == lane && request.stand == Stand::Lane && self.groups(request.process)[0] == group
        };
        let all = (0..self.requests.len()).filter(|at| here(&self.requests[*at]));
        all.min_by_key(|at| (self.requests[*at].order_us, self.requests[*at].turn))
            .filter(|_| lane == NONE || self.has_room(group))
    }

    pub(crate) fn ready(&self, lane: usize, group: usize) -> BTreeSet<Child> {
        let mut ready = BTreeSet::new();
        if self.own(lane, group).is_some() {
            ready.insert(None);
        }
        for below in 0..self.processes.len() {
            let groups = self.groups(below);
            if groups[0] == below && groups.get(1) == Some(&group) && !self.ready(lane, below).is_empty() {
                ready.insert(Some(below));
            }
        }
        ready
    }

    /// Who has become ready enters at the virtual time of its level.
    pub(crate) fn enter(&mut self) {
        for lane in 0..LANES.len() {
            let mut ready = BTreeSet::new();
            for group in 0..self.processes.len() {
                if self.processes[group].group.is_some() {
                    ready.extend(self.ready(lane, group).into_iter().map(|child| (group, child)));
                }
            }
            let lane = &mut self.lanes[lane];
            for (group, child) in ready.difference(&lane.ready) {
                let now = *lane.virtual_times.entry(*group).or_default();
                let tag = lane.tags.entry((*group, *child)).or_default();
                *tag = now.max(*tag);
            }
            lane.ready = ready;
        }
    }

    pub(crate) fn know(&mut self, lane: usize, process: usize) {
        let mut groups = self.groups(process);
        groups.reverse();
        for (at, group) in groups.iter().enumerate() {
            let lane = &mut self.lanes[lane];
            if !lane.known.contains(group) {
                lane.known.push(*group);
                if at > 0 {
                    let now = lane.virtual_times.get(&groups[at - 1]).copied().unwrap_or(0);
                    lane.tags.insert((groups[at - 1], Some(*group)), now);
                }
            }
        }
    }

    pub(crate) fn first(&self, lane: usize) -> Option<usize> {
        let mut group = 0;
        loop {
            let rank = |child: &Child| {
                let tag = self.lanes[lane].tags.get(&(group, *child)).copied().unwrap_or(0);
                let known = child.and_then(|child| self.lanes[lane].known.iter().position(|at| *at == child));
                (tag, known.map_or(0, |at| at + 1))
            };
            match self.ready(lane, group).into_iter().min_by_key(rank)? {
                None => return self.own(lane, group),
                Some(below) => group = below,
            }
        }
    }

    /// Moves the tags of a process's groups in a lane: `change(tag, virtual time, weight)`.
    pub(crate) fn move_tags(
        &mut self,
        lane: usize,
        process: usize,
        change: impl Fn(u64, u64, u64) -> u64,
        serve: bool,
    ) {
        let groups = self.groups(process);
        let mut levels = vec![(groups[0], None, 1)];
        for pair in groups.windows(2) {
            let weight = self.processes[pair[0]].group.as_ref().unwrap().weight;
            levels.push((pair[1], Some(pair[0]), u64::from(weight)));
        }
        let lane = &mut self.lanes[lane];
        for (level, child, weight) in levels {
            let now = *lane.virtual_times.entry(level).or_default();
            let tag = lane.tags.entry((level, child)).or_default();
            let start = (*tag).max(now);
            if serve {
                lane.virtual_times.insert(level, start);
            }
            *tag = change(start, now, weight);
        }
    }

    pub(crate) fn promised(&self, process: usize) -> Cost {
        let kept = self.requests.iter().filter(|request| request.promised == Some(process));
        kept.fold(Cost::ZERO, |sum, request| sum.plus(request.estimate))
    }

    pub(crate) fn first_parked(&self, process: usize) -> Option<usize> {
        let parked = |at: &usize| self.requests[*at].stand == Stand::Budget(process);
        (0..self.requests.len()).filter(parked).min_by_key(|at| self.requests[*at].turn)
    }

    /// Ok(None): fits. Ok(Some(process)): later, at its budget. Err: never.
    pub(crate) fn budget(
        &self,
        process: usize,
        estimate: Cost,
        turn: u64,
        promised: Option<usize>,
    ) -> Result<Option<usize>, ()> {
        let mut later = None;
        for node in self.lineage(process) {
            let row = &self.processes[node];
            if row.limit.exceeded_by(row.spent, estimate).is_some() {
                return Err(());
            }
            let mut held = row.spent.plus(row.reserved);
            let mut behind = false;
            if promised != Some(node) {
                held = held.plus(self.promised(node));
                behind = self.first_parked(node).is_some_and(|at| self.requests[at].turn < turn);
            }
            let asks = [
                (row.limit.usd_micros, estimate.usd_micros),
                (row.limit.tokens, estimate.tokens),
                (row.limit.turns, estimate.turns),
            ];
            behind &= asks.iter().any(|(limit, asked)| limit.is_some() && *asked > 0);
            if later.is_none() && (behind || row.limit.exceeded_by(held, estimate).is_some()) {
                later = Some(node);
            }
        }
        Ok(later)
    }

    pub(crate) fn outlook(&self, at: usize) -> Result<Option<usize>, ()> {
        let request = &self.requests[at];
        self.budget(request.process, request.estimate, request.turn, request.promised)
    }

    pub(crate) fn move_to(&mut self, at: usize, stand: Stand) {
        self.requests[at].stand = stand;
        self.requests[at].promised = None;
        if stand == Stand::Lane {
            self.know(self.requests[at].lane, self.requests[at].process);
        }
        self.enter();
    }

    pub(crate) fn begin(&mut self, process: usize, lane: Option<usize>, estimate: Cost) {
        let charge = lane.map_or(PLACE, |lane| self.lanes[lane].charge(&estimate));
        if let Some(lane) = lane {
            self.know(lane, process);
            self.move_tags(lane, process, |start, _, weight| start + (charge / weight).max(1), true);
            let now_us = self.now_us;
            let lane = &mut self.lanes[lane];
            lane.used += 1;
            for (resource, amount) in amounts(&estimate).into_iter().enumerate() {
                if let Some(rate) = lane.rates[resource] {
                    lane.fill(resource, now_us);
                    lane.missing[resource] += u128::from(amount.min(rate)) * MINUTE_US;
                }
            }
        }
        // The kernel's name for it comes with the answer.
        self.tickets.push(Ticket { id: TicketId(0), process, lane, estimate, charge });
        for node in self.lineage(process) {
            self.processes[node].reserved = self.processes[node].reserved.plus(estimate);
        }
        self.enter();
    }

    pub(crate) fn end(&mut self, at: usize, cost: Cost, outcome: Outcome) {
        let ticket = self.tickets.remove(at);
        if let Some(lane) = ticket.lane {
            let now_us = self.now_us;
            let real = self.lanes[lane].charge(&cost);
            let row = &mut self.lanes[lane];
            row.used -= 1;
            for resource in [1, 2] {
                if let Some(rate) = row.rates[resource] {
                    row.fill(resource, now_us);
                    let taken = u128::from(amounts(&ticket.estimate)[resource].min(rate)) * MINUTE_US;
                    let used = u128::from(amounts(&cost)[resource].min(rate)) * MINUTE_US;
                    row.missing[resource] = (row.missing[resource] + used).saturating_sub(taken);
                }
            }
            if let Some(places) = row.places.filter(|_| outcome == Outcome::Ok) {
                row.successes += 1;
                if row.successes >= places {
                    row.successes = 0;
                    row.places = Some(places + 1).filter(|places| *places < row.capacity);
                }
            }
            if real != ticket.charge {
                let corrected = |tag: u64, now: u64, weight: u64| {
                    let moved = tag + (real / weight).max(1);
                    moved.saturating_sub((ticket.charge / weight).max(1)).max(now)
                };
                self.move_tags(lane, ticket.process, corrected, false);
            }
        }
        for node in self.lineage(ticket.process) {
            let row = &mut self.processes[node];
            row.reserved = row.reserved.minus(ticket.estimate);
            row.spent = row.spent.plus(cost);
        }
        self.enter();
    }

    pub(crate) fn go(&mut self, at: usize) {
        let request = self.requests.remove(at);
        self.said.push(Said::Go(request.id));
        self.enter();
        self.begin(request.process, Some(request.lane).filter(|lane| *lane != NONE), request.estimate);
    }

    pub(crate) fn deny(&mut self, at: usize) {
        let request = self.requests.remove(at);
        self.said.push(Said::Denied(request.id));
        self.enter();
    }

    /// All that follows by itself.
    pub(crate) fn settle(&mut self) {
        while let Some(at) = (0..self.requests.len())
            .filter(|at| self.requests[*at].deadline_us <= self.now_us)
            .min_by_key(|at| (self.requests[*at].deadline_us, self.requests[*at].id))
        {
            self.deny(at);
        }
        while self.settle_one() {}
    }

    pub(crate) fn settle_one(&mut self) -> bool {
        for node in 0..self.processes.len() {
            let Some(at) = self.first_parked(node) else { continue };
            let row = &self.processes[node];
            let estimate = self.requests[at].estimate;
            let held = row.spent.plus(row.reserved).plus(self.promised(node));
            let never = row.limit.exceeded_by(row.spent, estimate).is_some();
            if never || row.limit.exceeded_by(held, estimate).is_none() {
                match self.outlook(at) {
                    Err(()) => self.deny(at),
                    Ok(Some(of)) => self.move_to(at, Stand::Budget(of)),
                    Ok(None) => {
                        self.move_to(at, Stand::Lane);
                        self.requests[at].promised = Some(node);
                    }
                }
                return true;
            }
        }
        let mut open: Vec<(u64, &str, usize)> = Vec::new();
        for (lane, name) in LANES.into_iter().enumerate() {
            let Some(at) = self.first(lane) else { continue };
            if let Some(at_us) = self.lanes[lane].opens_us(&self.requests[at].estimate)
                && at_us <= self.now_us
            {
                open.push((at_us, name, at));
            }
        }
        let Some((_, _, at)) = open.into_iter().min() else { return false };
        match self.outlook(at) {
            Ok(None) => self.go(at),
            Ok(Some(of)) => self.move_to(at, Stand::Budget(of)),
            Err(()) => self.deny(at),
        }
        true
    }

    /// The decision on a new request: `Some(true)` goes, `Some(false)` is denied, `None` waits.
    pub(crate) fn ask(
        &mut self,
        process: usize,
        lane: Option<usize>,
        estimate: Cost,
        priority: Priority,
    ) -> Option<bool> {
        if self.budget(process, estimate, self.turn, None).is_err() {
            return Some(false);
        }
        let mut stand = Stand::Lane;
        let mut waits = false;
        if self.processes[process].suspended {
            (stand, waits) = (Stand::Out, true);
        } else if let Some(lane) = lane {
            let opens = self.lanes[lane].opens_us(&estimate).is_some_and(|at_us| at_us <= self.now_us);
            waits = !opens || self.first(lane).is_some() || !self.has_room(self.groups(process)[0]);
        }
        if !waits && let Ok(Some(of)) = self.budget(process, estimate, self.turn, None) {
            (stand, waits) = (Stand::Budget(of), true);
        }
        if !waits {
            self.begin(process, lane, estimate);
            return Some(true);
        }
        let steps = [3, 2, 1, 0][priority as usize];
        self.requests.push(Request {
            id: RequestId(0),
            process,
            lane: lane.unwrap_or(NONE),
            estimate,
            order_us: self.now_us + steps * AGE_STEP_US,
            turn: self.turn,
            deadline_us: self.now_us + LONGEST_WAIT_US,
            stand: Stand::Out,
            promised: None,
        });
        self.turn += 1;
        self.move_to(self.requests.len() - 1, stand);
        None
    }
}
