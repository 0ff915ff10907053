//! Random operations on mailboxes, call by call against a naive reference: lists, searched anew each time.

use std::collections::BTreeSet;

use agentos_abi::*;

use crate::driven::*;

#[derive(Clone, Debug, PartialEq)]
struct Wait {
    from: Option<usize>,
    until_us: u64,
}

#[derive(Clone, Debug)]
struct Sender {
    request: RequestId,
    from: usize,
    text: String,
    until_us: u64,
}

/// One process of the reference.
#[derive(Clone, Debug, Default)]
struct Row {
    exited: bool,
    suspended: bool,
    working: bool,
    labels: Labels,
    held: Vec<(usize, String, Labels)>,
    senders: Vec<Sender>,
    waits: Vec<Wait>,
}

/// What somebody is told later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Got(usize, String),
    Went(RequestId),
    Denied(RequestId, String),
    Forgone(usize, Option<usize>, String),
}

const ROOM: usize = 2;

/// The processes by age: a lower index was born earlier.
#[derive(Debug, Default)]
struct Reference {
    rows: Vec<Row>,
    told: Vec<Told>,
}

impl Reference {
    fn waits_for(&self, owner: usize, from: usize) -> bool {
        let row = &self.rows[owner];
        let asked = |from: Option<usize>| row.waits.iter().any(|wait| wait.from == from);
        (asked(Some(from)) && !row.held.iter().any(|(sender, ..)| *sender == from))
            || (asked(None) && row.held.is_empty())
    }

    fn takes(&self, owner: usize, from: usize) -> bool {
        self.rows[owner].held.len() < ROOM || self.waits_for(owner, from)
    }

    /// Does the first thing that follows, if anything does.
    fn follow(&mut self) -> bool {
        self.hand_over() || self.let_in() || self.break_up()
    }

    fn hand_over(&mut self) -> bool {
        for owner in 0..self.rows.len() {
            let row = &mut self.rows[owner];
            if row.suspended || row.exited {
                continue;
            }
            for at in 0..row.held.len() {
                let from = row.held[at].0;
                let find = |from: Option<usize>| row.waits.iter().position(|wait| wait.from == from);
                let Some(wait) = find(Some(from)).or_else(|| find(None)) else { continue };
                row.waits.remove(wait);
                let (_, text, labels) = row.held.remove(at);
                row.labels = row.labels.join(labels);
                self.told.push(Told::Got(owner, text));
                return true;
            }
        }
        false
    }

    fn let_in(&mut self) -> bool {
        for owner in 0..self.rows.len() {
            for at in 0..self.rows[owner].senders.len() {
                let from = self.rows[owner].senders[at].from;
                if self.rows[from].suspended || !self.takes(owner, from) {
                    continue;
                }
                let labels = self.rows[from].labels;
                let sender = self.rows[owner].senders.remove(at);
                self.rows[owner].held.push((from, sender.text, labels));
                self.told.push(Told::Went(sender.request));
                return true;
            }
        }
        false
    }

    /// Whom `at` waits for; None if it can do anything else.
    fn needs(&self, at: usize) -> Option<BTreeSet<usize>> {
        let row = &self.rows[at];
        let mut needs = BTreeSet::new();
        for wait in &row.waits {
            needs.insert(wait.from?);
            if row.held.iter().any(|(from, ..)| Some(*from) == wait.from) {
                return None;
            }
        }
        for (owner, other) in self.rows.iter().enumerate() {
            if other.senders.iter().any(|sender| sender.from == at) {
                needs.insert(owner);
                if self.takes(owner, at) {
                    return None;
                }
            }
        }
        (!row.exited && !row.working && !needs.is_empty()).then_some(needs)
    }

    fn reaches(&self, stuck: &BTreeSet<usize>, from: usize, to: usize) -> bool {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            for on in self.needs(at).into_iter().flatten().filter(|on| stuck.contains(on)) {
                if on == to {
                    return true;
                }
                if reached.insert(on) {
                    next.push(on);
                }
            }
        }
        false
    }

    fn break_up(&mut self) -> bool {
        let mut stuck: BTreeSet<usize> = (0..self.rows.len()).collect();
        loop {
            let free =
                stuck.iter().copied().find(|at| !self.needs(*at).is_some_and(|on| on.is_subset(&stuck)));
            match free {
                Some(at) => stuck.remove(&at),
                None => break,
            };
        }
        let Some(victim) = stuck.iter().rev().copied().find(|at| self.reaches(&stuck, *at, *at)) else {
            return false;
        };
        let mut open: Vec<Told> = Vec::new();
        for wait in &self.rows[victim].waits {
            open.push(Told::Forgone(victim, wait.from, "deadlock".to_owned()));
        }
        for row in &self.rows {
            let of = row.senders.iter().filter(|sender| sender.from == victim);
            open.extend(of.map(|sender| Told::Denied(sender.request, "deadlock".to_owned())));
        }
        assert_eq!(open.len(), 1, "the walk lets a process wait for one thing alone, or work");
        self.end(open.remove(0));
        true
    }

    fn end(&mut self, told: Told) {
        match &told {
            Told::Forgone(at, from, _) => self.rows[*at].waits.retain(|wait| wait.from != *from),
            Told::Denied(request, _) => {
                for row in &mut self.rows {
                    row.senders.retain(|sender| sender.request != *request);
                }
            }
            Told::Got(..) | Told::Went(_) => {}
        }
        self.told.push(told);
    }

    fn overdue(&mut self, now_us: u64) {
        for at in 0..self.rows.len() {
            for wait in self.rows[at].waits.clone() {
                if wait.until_us <= now_us {
                    self.end(Told::Forgone(at, wait.from, "deadline".to_owned()));
                }
            }
            for sender in self.rows[at].senders.clone() {
                if sender.until_us <= now_us {
                    self.end(Told::Denied(sender.request, "deadline".to_owned()));
                }
            }
        }
    }
}

/// The kernel and its reference, side by side.
struct Walk {
    os: Driven,
    root: Pid,
    /// By age.
    pids: Vec<Pid>,
    naive: Reference,
    dice: Dice,
    seen: usize,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let (os, root) = Driven::new();
        let mut walk =
            Self { os, root, pids: Vec::new(), naive: Reference::default(), dice: Dice(seed), seen: 0 };
        for _ in 0..4 {
            walk.bear();
        }
        walk
    }

    fn bear(&mut self) {
        let name = format!("n{}", self.pids.len());
        self.pids.push(self.os.member(self.root, &name, ROOM as u32));
        self.naive.rows.push(Row::default());
    }

    fn index(&self, pid: Pid) -> usize {
        self.pids.iter().rposition(|known| *known == pid).expect("it was born here")
    }

    /// One random operation on one process that lives.
    fn operate(&mut self) {
        let living: Vec<usize> = (0..self.pids.len()).filter(|at| !self.naive.rows[*at].exited).collect();
        let at = self.dice.pick(&living).expect("four live");
        let other = self.dice.roll(self.pids.len() as u64) as usize;
        let sends = self.naive.rows.iter().any(|row| row.senders.iter().any(|sender| sender.from == at));
        let idle = !sends && self.naive.rows[at].waits.is_empty();
        match self.dice.roll(20) {
            0..=6 if idle => self.send(at, other),
            7..=9 if idle => self.receive(at, None),
            10..=13 if idle => self.receive(at, Some(other)),
            14 | 15 => self.work(at),
            16 => self.suspend(at),
            17 => self.forgo(at),
            18 if !self.naive.rows[at].working && self.dice.roll(4) == 0 => self.exit(at),
            19 => self.os.now_us += self.dice.roll(200),
            _ => {}
        }
        self.os.call(Call::Tick);
        self.settle();
    }

    fn settle(&mut self) {
        self.naive.overdue(self.os.now_us);
        while self.naive.follow() {}
    }

    fn send(&mut self, at: usize, to: usize) {
        let text = format!("{}", self.os.keys);
        let action = Action::Send {
            mailbox: format!("n{to}"),
            to: Some(self.pids[to]),
            content: Content::Text { text: text.clone() },
            reply_to: None,
        };
        let decision = self.os.request(self.pids[at], action, Cost::ZERO, None);
        let row = &self.naive.rows[to];
        if row.exited {
            assert_eq!(denied(&decision).name, "exited");
        } else if !self.naive.rows[at].suspended && row.senders.is_empty() && self.naive.takes(to, at) {
            ticket(&decision);
            let labels = self.naive.rows[at].labels;
            self.naive.rows[to].held.push((at, text, labels));
        } else {
            let until_us = self.os.now_us + 600_000_000;
            let sender = Sender { request: waiting(&decision), from: at, text, until_us };
            self.naive.rows[to].senders.push(sender);
        }
        self.settle();
    }

    fn receive(&mut self, at: usize, from: Option<usize>) {
        let until_us = self.os.now_us + 1 + self.dice.roll(1_000);
        let from_pid = from.map(|from| self.pids[from]);
        let call = Call::Receive { pid: self.pids[at], from: from_pid, deadline_us: Some(until_us) };
        let reply = self.os.call(call);
        let gone = from.is_some_and(|from| self.naive.rows[from].exited);
        let row = &mut self.naive.rows[at];
        let found = row.held.iter().position(|(sender, ..)| from.is_none_or(|from| from == *sender));
        match found {
            Some(found) if !row.suspended => {
                let (_, text, labels) = row.held.remove(found);
                row.labels = row.labels.join(labels);
                let Reply::Received { message } = reply else { panic!("no message: {reply:?}") };
                assert_eq!(crate::driven::text(&message), text);
            }
            None if gone => assert_eq!(refused(reply).name, "exited"),
            _ => {
                assert_eq!(reply, Reply::Waiting { until_us });
                row.waits.push(Wait { from, until_us });
            }
        }
        self.settle();
    }

    /// Takes up a tool, or lays it down having learned something.
    fn work(&mut self, at: usize) {
        let pid = self.pids[at];
        if self.naive.rows[at].working {
            let open = self.os.kernel.state().process(pid).and_then(|row| row.tickets.first().copied());
            let secrecy = self.dice.pick(&[Secrecy::Public, Secrecy::Public, Secrecy::Private]);
            let labels = Labels { secrecy: secrecy.unwrap_or_default(), ..Labels::BOTTOM };
            let (ticket, outcome) = (open.expect("it works"), Outcome::Ok);
            self.os.call(Call::Complete { ticket, outcome, cost: Cost::ZERO, labels });
            self.naive.rows[at].working = false;
            self.naive.rows[at].labels = self.naive.rows[at].labels.join(labels);
        } else if !self.naive.rows[at].suspended {
            ticket(&self.os.request(pid, tool(), Cost::ZERO, None));
            self.naive.rows[at].working = true;
        }
        self.settle();
    }

    fn suspend(&mut self, at: usize) {
        let row = &mut self.naive.rows[at];
        row.suspended = !row.suspended;
        let signal = if row.suspended { Signal::Suspend } else { Signal::Resume };
        self.os.call(Call::Signal { by: self.root, pid: self.pids[at], signal });
        self.settle();
    }

    fn forgo(&mut self, at: usize) {
        let Some(wait) = self.naive.rows[at].waits.first().cloned() else { return };
        let awaited = Awaited::Message { from: wait.from.map(|from| self.pids[from]) };
        self.os.call(Call::Forgo { pid: self.pids[at], awaited });
        self.naive.end(Told::Forgone(at, wait.from, "withdrawn".to_owned()));
        self.settle();
    }

    fn exit(&mut self, at: usize) {
        self.os.call(Call::Exit { pid: self.pids[at], status: ExitStatus::Done });
        // What is due at the same instant is settled first.
        self.naive.overdue(self.os.now_us);
        let mut ended = Vec::new();
        for (other, row) in self.naive.rows.iter().enumerate() {
            for sender in &row.senders {
                if sender.from == at {
                    ended.push(Told::Denied(sender.request, "withdrawn".to_owned()));
                } else if other == at {
                    ended.push(Told::Denied(sender.request, "exited".to_owned()));
                }
            }
            for wait in &row.waits {
                if other == at {
                    ended.push(Told::Forgone(at, wait.from, "closing".to_owned()));
                } else if wait.from == Some(at) {
                    ended.push(Told::Forgone(other, wait.from, "exited".to_owned()));
                }
            }
        }
        for told in ended {
            self.naive.end(told);
        }
        self.naive.rows[at] = Row { exited: true, ..Row::default() };
        self.settle();
        self.bear();
    }

    /// What the kernel told since the last time, and what its reference did.
    fn compare(&mut self, seed: u64) {
        let told = |event: &Event| match event {
            Event::Received { pid, message, .. } => {
                Some(Told::Got(self.index(*pid), crate::driven::text(message)))
            }
            Event::Decided { request, decision: Decision::Go { .. }, .. } => Some(Told::Went(*request)),
            Event::Decided { request, decision: Decision::Deny { refusal }, .. } => {
                Some(Told::Denied(*request, refusal.name.clone()))
            }
            Event::Forgone { pid, awaited: Awaited::Message { from }, refusal } => {
                let from = from.map(|from| self.index(from));
                Some(Told::Forgone(self.index(*pid), from, refusal.name.clone()))
            }
            _ => None,
        };
        let mut seen: Vec<Told> = self.os.events[self.seen..].iter().filter_map(told).collect();
        let mut expected = std::mem::take(&mut self.naive.told);
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "seed {seed} at {}", self.os.now_us);
        self.seen = self.os.events.len();
        for (at, row) in self.naive.rows.iter().enumerate().filter(|(_, row)| !row.exited) {
            let process = self.os.kernel.state().process(self.pids[at]).expect("it lives");
            let held: Vec<(usize, String)> = process
                .mailbox
                .iter()
                .map(|message| (self.index(message.from), crate::driven::text(message)))
                .collect();
            let expected: Vec<(usize, String)> =
                row.held.iter().map(|(from, text, _)| (*from, text.clone())).collect();
            assert_eq!(held, expected, "seed {seed}, process {at}");
            assert_eq!(process.labels, row.labels, "seed {seed}, process {at}");
            assert_eq!(process.awaiting.len(), row.waits.len(), "seed {seed}, process {at}");
        }
    }
}

#[test]
fn two_hundred_thousand_random_operations_go_as_the_reference_says() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..400 {
        let mut walk = Walk::new(seed);
        for _ in 0..500 {
            walk.operate();
            for told in &walk.naive.told {
                let kind = match told {
                    Told::Got(..) => "got",
                    Told::Went(_) => "went",
                    Told::Denied(_, why) | Told::Forgone(_, _, why) => why,
                };
                *counts.entry(kind.to_owned()).or_insert(0_u32) += 1;
            }
            walk.compare(seed);
        }
        assert_eq!(walk.os.recovered(), walk.os.kernel, "seed {seed}");
        if seed % 50 == 0 {
            walk.os.check_prefixes(&format!("seed {seed}"));
        }
    }
    for kind in ["got", "went", "deadlock", "deadline", "exited", "withdrawn"] {
        assert!(counts.get(kind) > Some(&100), "too few to show anything: {kind} in {counts:?}");
    }
}
