//! Budgets against a ledger: after each of many random calls every process has spent and reserved what the
//! ledger says, nobody is beyond a ceiling, and what waits could not go.
//!
//! `AGENTOS_RANDOM_CALLS` says how many (default 40,000).

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::*;

use crate::driven::*;
use crate::naive_budget_tests::{Amounts, Ledger, Process, Verdict, Waiting, amounts, plus};

const CALLS_A_WORLD: u64 = 200;

struct Pair {
    os: Driven,
    ledger: Ledger,
    name: String,
    events: usize,
    turn: u64,
    seen: BTreeMap<&'static str, u64>,
}

/// Small amounts mostly, so that sums matter; now and then ones at the end of the numbers.
fn cost(dice: &mut Dice, most: u64) -> Cost {
    let mut amount = |most: u64| match dice.roll(40) {
        0 => u64::MAX - dice.roll(3),
        1..=15 => 0,
        _ => dice.roll(most + 1),
    };
    Cost { usd_micros: amount(most), tokens: amount(most * 4), wall_us: amount(most * 9), turns: amount(2) }
}

fn limit(dice: &mut Dice) -> Limit {
    let mut amount = |most: u64| (dice.roll(3) == 0).then(|| dice.roll(most));
    Limit { usd_micros: amount(600), tokens: amount(2_000), wall_us: amount(5_000), turns: amount(40) }
}

impl Pair {
    fn new(dice: &mut Dice, name: String) -> Self {
        let (os, root) = Driven::new();
        let mut pair =
            Self { os, ledger: Ledger::default(), name, events: 0, turn: 0, seen: BTreeMap::new() };
        pair.enter(root, None, Limit::default(), false);
        pair.events = pair.os.events.len();
        for _ in 0..3 {
            pair.bear(dice);
        }
        pair
    }

    fn enter(&mut self, pid: Pid, parent: Option<Pid>, limit: Limit, again: bool) {
        let row = Process { parent, limit, again, suspended: false, closing: None };
        assert!(self.ledger.processes.insert(pid, row).is_none(), "{}: {pid:?} twice", self.name);
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn pid(&self, dice: &mut Dice) -> Pid {
        let all: Vec<Pid> = self.ledger.processes.keys().copied().collect();
        dice.pick(&all).expect("the root lives")
    }

    fn ticket(&self, dice: &mut Dice) -> Option<TicketId> {
        dice.pick(&self.ledger.tickets.keys().copied().collect::<Vec<_>>())
    }

    /// The call itself has been booked: what follows of it, in both.
    fn follow(&mut self) {
        self.ledger.close();
        let news = self.os.events.split_off(self.events);
        for event in news {
            match event {
                Event::Decided { request, decision, .. } => self.decided(request, &decision),
                Event::State { pid, state: State::Exited { status } } => {
                    self.ledger.close();
                    let row = &self.ledger.processes[&pid];
                    assert_eq!(row.closing, Some(status), "{}: {pid:?}", self.name);
                    assert_eq!(self.ledger.reserved(pid), [0; 4], "{}: {pid:?} exits", self.name);
                    let comes_back = row.again && matches!(status, ExitStatus::Failed | ExitStatus::Lost);
                    if !comes_back {
                        self.ledger.processes.remove(&pid);
                    }
                }
                Event::State { pid, state: State::Closing } => {
                    let row = self.ledger.processes.get_mut(&pid).expect("it lives");
                    // A supervisor that gives up does so of itself.
                    if row.closing.is_none() {
                        row.closing = Some(ExitStatus::Failed);
                        self.saw("gave up");
                        self.ledger.close();
                    }
                }
                Event::Restarted { old, pid, .. } => {
                    self.ledger.rename(old, pid);
                    self.saw("restarted");
                }
                _ => {}
            }
        }
        self.ledger.close();
        // Those whose supervisor ended before they came back, and theirs.
        loop {
            let all: BTreeSet<Pid> = self.ledger.processes.keys().copied().collect();
            self.ledger.processes.retain(|_, row| row.parent.is_none_or(|parent| all.contains(&parent)));
            if self.ledger.processes.len() == all.len() {
                return;
            }
        }
    }

    fn decided(&mut self, request: RequestId, decision: &Decision) {
        let at = self.ledger.waiting.keys().find(|(_, id)| *id == request).copied();
        match (decision, at.and_then(|at| self.ledger.waiting.remove(&at))) {
            (Decision::Go { ticket, .. }, Some(row)) => {
                let verdict = self.ledger.verdict(row.pid, row.estimate);
                assert_eq!(verdict, Verdict::Fits, "{}: {request:?} goes", self.name);
                self.ledger.begin(*ticket, row.pid, row.estimate, false);
                self.saw("went later");
            }
            (Decision::Deny { refusal }, Some(row)) if refusal.stage == Stage::Budget => {
                let verdict = self.ledger.verdict(row.pid, row.estimate);
                assert_eq!(verdict, Verdict::Never, "{}: {request:?} is denied", self.name);
                self.saw("denied later");
            }
            // Withdrawn with its process or its daemon.
            (Decision::Deny { refusal }, row) => assert!(refusal.name == "withdrawn" || row.is_none()),
            (other, _) => panic!("{}: {other:?}", self.name),
        }
    }

    fn call(&mut self, call: Call) -> Reply {
        self.events = self.os.events.len();
        let reply = self.os.call(call);
        self.ledger.now_us = self.os.now_us;
        reply
    }

    fn bear(&mut self, dice: &mut Dice) {
        let parent = self.pid(dice);
        let row = &self.ledger.processes[&parent];
        if row.closing.is_some() || row.suspended || self.ledger.processes.len() > 8 {
            return;
        }
        let (budget, again) = (limit(dice), dice.roll(4) > 0);
        let supervises = (dice.roll(4) > 0).then_some(Supervision {
            strategy: Strategy::OneForOne,
            restarts: 2,
            within_us: 20_000_000,
            pause_us: dice.roll(2) * 1_000_000,
            longest_us: 4_000_000,
        });
        let keeps = self.os.kernel.state().process(parent).is_some_and(|row| row.supervises.is_some());
        let child = ChildSpec {
            name: "c".to_owned(),
            grants: [any_tool(), Scope::Spawn].map(Grant::from).to_vec(),
            budget,
            supervises,
            restart: if again { Restart::OnFailure } else { Restart::Never },
            ..ChildSpec::default()
        };
        self.os.keys += 1;
        self.events = self.os.events.len();
        let pid = self.os.bear(parent, child);
        self.ledger.now_us = self.os.now_us;
        self.enter(pid, Some(parent), budget, again && keeps);
        self.ledger.expire();
        self.follow();
    }

    fn ask(&mut self, dice: &mut Dice) {
        let (pid, estimate, client) = (self.pid(dice), cost(dice, 60), dice.roll(2) == 0);
        let row = &self.ledger.processes[&pid];
        let (closing, suspended) = (row.closing.is_some(), row.suspended);
        self.os.keys += 1;
        let reply = self.call(Call::Request {
            pid,
            key: format!("k{}", self.os.keys),
            action: tool(),
            estimate,
            parent: None,
            lane: None,
            recovery: Recovery::Repeatable,
            deadline_us: None,
            priority: Priority::Normal,
            // What waits is none, so that it need not be remembered who asked.
            client,
            digest: None,
            unattended: false,
        });
        let Reply::Decided { decision } = reply else { panic!("{}: {reply:?}", self.name) };
        let verdict = self.ledger.verdict(pid, amounts(&estimate));
        match decision {
            Decision::Go { ticket, .. } => {
                assert!(verdict == Verdict::Fits && !closing && !suspended, "{}: {verdict:?}", self.name);
                self.ledger.begin(ticket, pid, amounts(&estimate), client);
                self.saw("went");
            }
            Decision::Deny { refusal } => {
                assert!(closing || verdict == Verdict::Never, "{}: {refusal:?}, {verdict:?}", self.name);
                self.saw("denied");
            }
            Decision::Wait { request, .. } => {
                assert!(verdict != Verdict::Never && !closing, "{}: {verdict:?}", self.name);
                self.turn += 1;
                let row = Waiting { pid, estimate: amounts(&estimate) };
                self.ledger.waiting.insert((self.turn, request), row);
                self.saw("waits");
                if client {
                    // Its ticket would be a client's; the model of those who wait has none.
                    self.ledger.expire();
                    self.follow();
                    if self.ledger.waiting.contains_key(&(self.turn, request)) {
                        self.call(Call::Withdraw { request });
                        self.ledger.waiting.remove(&(self.turn, request));
                    }
                }
            }
            Decision::Ask { .. } => panic!("{}: nobody is asked here", self.name),
        }
        self.ledger.expire();
        self.follow();
    }

    fn report(&mut self, dice: &mut Dice) {
        let Some(ticket) = self.ticket(dice) else { return };
        let row = &self.ledger.tickets[&ticket];
        let reserved = row.reserved.iter().fold([0; 4], |sum, amounts| plus(sum, *amounts));
        let (pid, stopping) = (row.pid, row.stopping);
        let within = |dice: &mut Dice| -> Cost {
            let [usd_micros, tokens, wall_us, turns] = reserved
                .map(|amount| u64::try_from(amount).unwrap_or(u64::MAX))
                .map(|amount| dice.roll((amount / 2).saturating_add(1)));
            Cost { usd_micros, tokens, wall_us, turns }
        };
        match dice.roll(8) {
            0 | 1 => {
                let estimate = cost(dice, 30);
                let verdict = self.ledger.verdict(pid, amounts(&estimate));
                let reply = self.call(Call::Extend { ticket, estimate });
                let goes = verdict == Verdict::Fits && !stopping;
                assert_eq!(reply == Reply::Done, goes, "{}: {reply:?}, {verdict:?}", self.name);
                if goes {
                    let row = self.ledger.tickets.get_mut(&ticket).expect("open");
                    row.reserved.push(amounts(&estimate));
                    self.saw("extended");
                }
            }
            2 => {
                let spent = if dice.roll(3) == 0 { cost(dice, 90) } else { within(dice) };
                let fits = amounts(&spent).iter().zip(reserved).all(|(spent, reserved)| *spent <= reserved);
                let reply = self.call(Call::Progress { ticket, cost: spent });
                assert_eq!(reply == Reply::Done, fits, "{}: {reply:?}", self.name);
                let row = self.ledger.tickets.get_mut(&ticket).expect("open");
                if fits {
                    row.wall_us = row.wall_us.max(spent.wall_us);
                    self.saw("progress");
                }
            }
            3 => {
                self.call(Call::Cancel { ticket });
                self.ledger.stop(ticket);
            }
            _ => {
                let cost = within(dice);
                self.call(Call::Complete { ticket, outcome: Outcome::Ok, cost, labels: Labels::BOTTOM });
                self.ledger.end(ticket, amounts(&cost));
                // The first report wins.
                self.ledger.expire();
                self.follow();
                self.call(Call::Complete { ticket, outcome: Outcome::Ok, cost, labels: Labels::BOTTOM });
            }
        }
        self.ledger.expire();
        self.follow();
    }

    fn steer(&mut self, dice: &mut Dice) {
        let (root, pid) = (self.os.kernel.state().root().expect("lives"), self.pid(dice));
        let row = self.ledger.processes.get_mut(&pid).expect("listed");
        if pid == root || row.closing.is_some() {
            return;
        }
        match dice.roll(4) {
            0 | 1 => {
                let status = [ExitStatus::Done, ExitStatus::Failed, ExitStatus::Lost, ExitStatus::Failed]
                    [dice.roll(4) as usize];
                row.closing = Some(status);
                self.call(Call::Exit { pid, status });
                self.saw("exit");
            }
            2 if dice.roll(3) == 0 => {
                row.closing = Some(ExitStatus::Killed);
                self.call(Call::Signal { by: root, pid, signal: Signal::Kill });
            }
            _ => {
                row.suspended = !row.suspended;
                let signal = if row.suspended { Signal::Suspend } else { Signal::Resume };
                assert_eq!(self.call(Call::Signal { by: root, pid, signal }), Reply::Done, "{}", self.name);
            }
        }
        self.ledger.expire();
        self.follow();
    }

    fn stir(&mut self, dice: &mut Dice) {
        match dice.roll(40) {
            0..=17 if self.ledger.waiting.len() + self.ledger.tickets.len() < 25 => self.ask(dice),
            0..=29 => self.report(dice),
            30 | 31 => self.bear(dice),
            32..=34 => self.steer(dice),
            35 if dice.roll(3) == 0 => {
                self.call(Call::Epoch);
                self.ledger.new_daemon();
                self.ledger.expire();
                self.follow();
            }
            _ => {
                self.os.now_us += dice.roll(8_000_000);
                self.call(Call::Tick);
                self.ledger.expire();
                self.follow();
            }
        }
    }

    fn check(&self) {
        let mut checked = BTreeSet::new();
        for row in self.os.kernel.state().processes() {
            if !self.ledger.processes.contains_key(&row.pid) {
                continue;
            }
            let (spent, reserved) = (self.ledger.spent(row.pid), self.ledger.reserved(row.pid));
            let capped = |sum: Amounts| sum.map(|amount| amount.min(u128::from(u64::MAX)));
            assert_eq!(amounts(&row.spent), capped(spent), "{}: spent by {row:?}", self.name);
            assert_eq!(amounts(&row.reserved), capped(reserved), "{}: reserved by {row:?}", self.name);
            checked.insert(row.pid);
        }
        assert_eq!(checked.len(), self.ledger.processes.len(), "{}", self.name);
        let open = self.os.kernel.state().tickets.iter().filter(|(_, row)| row.child.is_none()).count();
        assert_eq!(open, self.ledger.tickets.len(), "{}", self.name);
        assert_eq!(
            self.os.kernel.state().requests.iter().count(),
            self.ledger.waiting.len(),
            "{}",
            self.name
        );
        // The oldest of those who may go stands behind nobody.
        let awake = |row: &&Waiting| !self.ledger.processes[&row.pid].suspended;
        if let Some(first) = self.ledger.waiting.values().find(awake)
            && self.ledger.waiting.values().all(|row| awake(&row))
        {
            let verdict = self.ledger.verdict(first.pid, first.estimate);
            assert_ne!(verdict, Verdict::Fits, "{}: it could go", self.name);
        }
    }
}

#[test]
fn everybody_has_spent_and_reserved_what_a_ledger_says() {
    let calls = random_calls(40_000);
    let mut seen = BTreeMap::new();
    for seed in 0..calls.div_ceil(CALLS_A_WORLD) {
        let mut dice = Dice(seed);
        let mut pair = Pair::new(&mut dice, format!("seed {seed}"));
        for call in 0..CALLS_A_WORLD {
            pair.name = format!("seed {seed}, call {call}");
            pair.stir(&mut dice);
            pair.check();
        }
        for (what, count) in pair.seen {
            *seen.entry(what).or_insert(0) += count;
        }
    }
    for what in ["went", "went later", "denied", "denied later", "waits", "extended", "progress", "restarted"]
    {
        assert!(seen.get(what).is_some_and(|count| *count > calls / 2_000), "{what}: {seen:?}");
    }
}
