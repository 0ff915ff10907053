//! Measures scheduling decisions: a line `KIND N COUNT` on standard input is answered with
//! `NANOSECONDS P99` for one decision (both 0 decimals), of `COUNT` among `N` that could go.
//!
//! `heap` is the floor: a bare stride scheduler, pop, add, push. `lane` is the kernel's queue alone: whose
//! turn it is, places, rates and a budget checked, its group charged, the place given back. `kernel` is the whole of that through `Kernel::step`: one ticket completed, the next one
//! issued, and another request queued.
#![expect(clippy::print_stdout, reason = "it is a program, and its answers are its output")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::BufRead as _;
use std::time::Instant;

use agentos_abi::{
    Action, Call, ChildSpec, Cost, Decision, Event, Fact, Grant, GroupSpec, Labels, Limit, Outcome, PLACE,
    Pattern, Pid, Priority, Rates, Recovery, Reply, RequestId, Scope, TicketId,
};
use agentos_kernel::{Kernel, Lane};

fn weight(number: u64) -> u32 {
    (number % 8 + 1) as u32
}

/// One kind of scheduler.
trait Scheduler {
    fn decide(&mut self);

    /// Queues as much as was decided: that is the askers' part, and not measured.
    fn refill(&mut self) {}
}

struct Heap {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    strides: Vec<u64>,
}

impl Heap {
    fn new(count: u64) -> Self {
        let strides = (0..count).map(|number| PLACE / u64::from(weight(number))).collect();
        Self { heap: (0..count as u32).map(|number| Reverse((0, number))).collect(), strides }
    }
}

impl Scheduler for Heap {
    fn decide(&mut self) {
        if let Some(Reverse((pass, number))) = self.heap.pop()
            && let Some(stride) = self.strides.get(number as usize)
        {
            self.heap.push(Reverse((pass + stride, number)));
        }
    }
}

/// Requests are numbered by group and turn, so that the queue itself says what to do next.
struct Queue {
    lane: Lane,
    held: Vec<Cost>,
    limit: Limit,
    now_us: u64,
    served: Vec<(u64, u64)>,
}

const TURN: u32 = 40;
/// How many requests each has waiting: more than any is served between two refills.
const DEPTH: u64 = 4;

impl Queue {
    fn new(count: u64) -> Self {
        let root = Pid(count);
        let mut lane = Lane::default();
        let rates = Rates { tokens_per_minute: Some(u64::MAX >> 8), ..Rates::default() };
        lane.set(0, 16, &rates);
        lane.seat(root, 1, None, true);
        for number in 0..count {
            lane.seat(Pid(number), weight(number), Some(root), true);
            (0..DEPTH).for_each(|turn| lane.join(Pid(number), (0, turn), RequestId(number | turn << TURN)));
        }
        let limit = Limit { usd_micros: Some(1 << 60), tokens: Some(1 << 60), ..Limit::default() };
        Self { lane, held: vec![Cost::ZERO; count as usize], limit, now_us: 0, served: Vec::new() }
    }
}

impl Scheduler for Queue {
    fn decide(&mut self) {
        self.now_us += 1;
        let estimate = Cost { usd_micros: 9, tokens: 1_000, ..Cost::ZERO };
        let Some(request) = self.lane.first() else { return };
        let (number, turn) = (request.0 & ((1 << TURN) - 1), request.0 >> TURN);
        let ready = self.lane.ready_us(&estimate).is_some_and(|at| at <= self.now_us);
        let Some(held) = self.held.get_mut(number as usize) else { return };
        if !ready || self.limit.exceeded_by(*held, estimate).is_some() {
            return;
        }
        *held = held.plus(estimate);
        let charge = self.lane.charge(&estimate);
        self.lane.leave(Pid(number), (0, turn));
        self.lane.admit(self.now_us, Pid(number), charge, &estimate);
        self.lane.release(self.now_us, Pid(number), (charge, &estimate), (charge, &estimate));
        self.served.push((number, turn + DEPTH));
    }

    fn refill(&mut self) {
        for (number, turn) in self.served.drain(..) {
            self.lane.join(Pid(number), (0, turn), RequestId(number | turn << TURN));
        }
    }
}

struct Whole {
    kernel: Kernel,
    open: Option<(Pid, TicketId)>,
    keys: u64,
}

impl Whole {
    fn new(count: u64) -> Self {
        let mut whole = Self { kernel: Kernel::default(), open: None, keys: 0 };
        whole.step(&Call::Epoch);
        whole.step(&Call::Lane { lane: "l".to_owned(), capacity: 1, rates: Rates::default() });
        let root = whole.kernel.state().root().unwrap_or(Pid(0));
        let grants = vec![Grant::from(Scope::Tool { tool: Pattern::Any })];
        let tool = Action::Call { tool: "t".to_owned() };
        whole.request(root, tool.clone(), Some("l"));
        for number in 0..count {
            let group = Some(GroupSpec { weight: weight(number), concurrency: 0 });
            let budget = Limit { usd_micros: Some(1 << 60), ..Limit::default() };
            let name = "a".to_owned();
            let child = ChildSpec { name, grants: grants.clone(), budget, group, ..ChildSpec::default() };
            if let Some(pid) = whole.request(root, Action::Spawn { child: Box::new(child) }, None) {
                for _ in 0..2 {
                    whole.request(pid, tool.clone(), Some("l"));
                }
            }
        }
        whole
    }

    fn step(&mut self, call: &Call) -> Reply {
        self.keys += 1;
        let step = self.kernel.step(self.keys, call);
        for event in &step.events {
            if let Event::Decided { pid, decision: Decision::Go { ticket, .. }, .. } = event {
                self.open = Some((*pid, *ticket));
            }
        }
        for entry in &step.entries {
            if let Fact::Go { request: None, lane: Some(_), pid, ticket, .. } = &entry.fact {
                self.open = Some((*pid, *ticket));
            }
        }
        step.reply
    }

    fn request(&mut self, pid: Pid, action: Action, lane: Option<&str>) -> Option<Pid> {
        let reply = self.step(&Call::Request {
            pid,
            key: self.keys.to_string(),
            action,
            estimate: Cost { usd_micros: 9, ..Cost::ZERO },
            parent: None,
            lane: lane.map(str::to_owned),
            recovery: Recovery::Repeatable,
            deadline_us: None,
            priority: Priority::Normal,
            client: false,
            digest: None,
            unattended: false,
        });
        match reply {
            Reply::Decided { decision: Decision::Go { child, .. } } => child,
            _ => None,
        }
    }
}

impl Scheduler for Whole {
    fn decide(&mut self) {
        let Some((pid, ticket)) = self.open.take() else { return };
        let cost = Cost { usd_micros: 1, ..Cost::ZERO };
        self.step(&Call::Complete { ticket, outcome: Outcome::Ok, cost, labels: Labels::BOTTOM });
        self.request(pid, Action::Call { tool: "t".to_owned() }, Some("l"));
    }
}

/// Nanoseconds a decision, and the 99th percentile of one in sixteen measured alone.
fn measure(scheduler: &mut dyn Scheduler, size: u64, count: u64) -> (u128, u128) {
    let (mut total, mut left, mut alone) = (0, count, Vec::new());
    while left > 0 {
        let round = left.min(size);
        let began = Instant::now();
        (0..round).for_each(|_| scheduler.decide());
        total += began.elapsed().as_nanos();
        scheduler.refill();
        for _ in 0..(round / 16).max(1) {
            let began = Instant::now();
            scheduler.decide();
            alone.push(began.elapsed().as_nanos());
        }
        scheduler.refill();
        left -= round;
    }
    alone.sort_unstable();
    (total / u128::from(count.max(1)), alone.get(alone.len() * 99 / 100).copied().unwrap_or(0))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut built: Vec<(String, Box<dyn Scheduler>)> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, size, count] = words[..] else { return Err("wanted: KIND N COUNT".into()) };
        let (name, size, count) = (format!("{kind} {size}"), size.parse()?, count.parse()?);
        if !built.iter().any(|(known, _)| *known == name) {
            // One size at a time: a million of one kind are enough for a small machine.
            built.retain(|(known, _)| known.ends_with(&format!(" {size}")));
            let scheduler: Box<dyn Scheduler> = match kind {
                "heap" => Box::new(Heap::new(size)),
                "lane" => Box::new(Queue::new(size)),
                "kernel" => Box::new(Whole::new(size)),
                other => return Err(format!("no such kind: {other}").into()),
            };
            built.push((name.clone(), scheduler));
        }
        if let Some((_, scheduler)) = built.iter_mut().find(|(known, _)| *known == name) {
            let (mean, p99) = measure(scheduler.as_mut(), size, count);
            println!("{mean} {p99}");
        }
    }
    Ok(())
}
