//! Capabilities against sets of objects: after each of many random calls everybody may do the same in both, and
//! what is under way is the same.
//!
//! `AGENTOS_RANDOM_CALLS` says how many (default 50,000).

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::*;

use crate::driven::*;
use crate::naive_capability_tests::{Capability, Phase, Process, Ticket, World, least, objects, set};
use crate::request::carried;

const CALLS_A_WORLD: u64 = 250;
/// The first object.
const SPAWN: u64 = 1;
const MOST_PROCESSES: usize = 7;

struct Pair {
    os: Driven,
    world: World,
    objects: Vec<Action>,
    /// Names that once were handed out, for those who use them when they no longer are.
    old: Vec<CapabilityId>,
    name: String,
    seen: BTreeMap<&'static str, u64>,
}

impl Pair {
    fn new(name: String) -> Self {
        let (os, root) = Driven::new();
        let mut world = World::default();
        let held = os.kernel.state().process(root).expect("lives").capabilities.ids().to_vec();
        let all = Capability {
            owner: root,
            from: None,
            set: set(&Scope::Everything),
            expires_us: None,
            most: None,
            carried: 0,
        };
        world.capabilities.insert(held[0], all);
        world.processes.insert(root, Process { parent: None, phase: Phase::Active });
        Self { os, world, objects: objects(), old: Vec::new(), name, seen: BTreeMap::new() }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn call(&mut self, call: Call) -> Reply {
        self.os.journal.clear();
        let reply = self.os.call(call);
        self.world.now_us = self.os.now_us;
        reply
    }

    fn pid(&self, dice: &mut Dice) -> Pid {
        let all: Vec<Pid> = self.world.processes.keys().copied().collect();
        dice.pick(&all).expect("the root lives")
    }

    /// A capability that is there, mostly.
    fn capability(&self, dice: &mut Dice) -> CapabilityId {
        let all: Vec<CapabilityId> = self.world.capabilities.keys().copied().collect();
        dice.pick(&self.old)
            .filter(|_| dice.roll(12) == 0)
            .unwrap_or_else(|| dice.pick(&all).expect("the root's"))
    }

    fn grant(&self, dice: &mut Dice) -> Grant {
        let uses = (dice.roll(3) == 0).then(|| dice.roll(4));
        let expires_us = (dice.roll(4) == 0).then(|| self.os.now_us + dice.roll(60_000_000));
        Grant { scope: scope(dice), expires_us, uses }
    }

    fn ask(&mut self, dice: &mut Dice, action: Action) {
        let pid = self.pid(dice);
        let at = self.objects.iter().position(|thing| thing.kind() == action.kind() && same(thing, &action));
        let bit = 1_u64 << at.expect("an object of this world");
        let phase = self.world.processes[&pid].phase;
        let parents: Vec<TicketId> = self.world.tickets.keys().copied().collect();
        let upcoming = self.os.kernel.state().tickets.upcoming(0);
        let parent = match dice.roll(8) {
            0 => Some(TicketId::new(upcoming.0, upcoming.1)),
            1 | 2 => dice.pick(&parents),
            _ => None,
        };
        let client = dice.roll(2) == 0;
        self.os.keys += 1;
        let reply = self.call(Call::Request {
            pid,
            key: format!("k{}", self.os.keys),
            action: action.clone(),
            estimate: Cost::ZERO,
            parent,
            lane: None,
            recovery: Recovery::Repeatable,
            deadline_us: None,
            priority: Priority::Normal,
            client,
            digest: None,
            unattended: false,
        });
        let Reply::Decided { decision } = reply else { panic!("{}: {reply:?}", self.name) };
        let mut granted = self.world.may(pid) & bit != 0;
        if let Action::Spawn { child } = &action {
            let denied = matches!(decision, Decision::Deny { .. });
            granted &= self.is_given(pid, child, denied);
        }
        match decision {
            Decision::Go { ticket, child } => {
                assert!(granted && phase == Phase::Active, "{}: {action:?} goes", self.name);
                let (by, born) = self.went();
                self.used(pid, &by, bit);
                let row = Ticket { pid, by, parent, stopping: false, expires_us: None, client, child };
                self.world.tickets.insert(ticket, row);
                if let (Some(born), Action::Spawn { child: spec }) = (born, &action) {
                    self.bear(pid, &born, spec);
                }
                self.saw("go");
            }
            Decision::Deny { refusal } => {
                assert!(!granted || phase == Phase::Closing, "{}: {action:?}: {refusal:?}", self.name);
                self.saw("denied");
            }
            Decision::Wait { request, .. } => {
                assert!(granted && phase == Phase::Suspended, "{}: {action:?} waits", self.name);
                self.world.settle();
                self.call(Call::Withdraw { request });
            }
            Decision::Ask { .. } => panic!("{}: nobody is asked here", self.name),
        }
        self.world.settle();
    }

    /// Whether something is there of each thing asked for; `sure`: whatever of it the spawn itself uses up.
    fn is_given(&self, pid: Pid, child: &ChildSpec, sure: bool) -> bool {
        let world = &self.world;
        let live = |(id, row): &(&CapabilityId, &Capability)| row.owner == pid && world.is_live(**id);
        let spawns = world.capabilities.iter().filter(live).filter(|(_, row)| row.set & SPAWN != 0);
        let lines: BTreeSet<CapabilityId> = spawns.flat_map(|(id, _)| world.line(*id)).collect();
        let last = |id: &CapabilityId| lines.contains(id) && world.left(*id) == Some(1);
        let gives = |wanted: &Grant| {
            let held = world.capabilities.iter().filter(live);
            let held = held.filter(|(id, _)| !(sure && world.line(**id).iter().any(last)));
            held.fold(0, |all, (_, row)| all | row.set) & set(&wanted.scope) != 0
        };
        child.grants.iter().all(gives)
    }

    fn went(&self) -> (Vec<CapabilityId>, Option<Born>) {
        match self.os.journal.first().map(|entry| &entry.fact) {
            Some(Fact::Go { by, child, .. }) => (by.clone(), child.clone()),
            Some(Fact::Passed { by, .. }) => (by.clone(), None),
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// What carried a request could: it was held, alive, and meant it.
    fn used(&mut self, pid: Pid, by: &[CapabilityId], bit: u64) {
        for id in by {
            let row = &self.world.capabilities[id];
            assert!(
                row.owner == pid && row.set & bit != 0 && self.world.is_live(*id),
                "{}: by {id:?}",
                self.name
            );
        }
        assert!(!by.is_empty(), "{}: carried by nothing", self.name);
        self.world.carry(by);
    }

    fn bear(&mut self, parent: Pid, born: &Born, spec: &ChildSpec) {
        let live = |id: &CapabilityId, row: &Capability| row.owner == parent && self.world.is_live(*id);
        let held = self.world.capabilities.iter().filter(|(id, row)| live(id, row));
        let all = held.fold(0, |set, (_, row)| set | row.set);
        let wanted = spec.grants.iter().fold(0, |all, wanted| all | set(&wanted.scope));
        self.world.processes.insert(born.pid, Process { parent: Some(parent), phase: Phase::Active });
        for given in &born.capabilities {
            let from = given.from.expect("a child's are derived");
            let source = &self.world.capabilities[&from];
            assert!(source.owner == parent && self.world.is_live(from), "{}: {given:?}", self.name);
            let is_meet = |wanted: &&Grant| {
                set(&given.grant.scope) == source.set & set(&wanted.scope)
                    && given.grant.expires_us == least(source.expires_us, wanted.expires_us)
                    && given.grant.uses == least(self.world.left(from), wanted.uses)
            };
            let wanted = spec.grants.iter().find(is_meet);
            let wanted = wanted.unwrap_or_else(|| panic!("{}: {given:?} of {spec:?}", self.name)).clone();
            self.world.hand_on(given.capability, from, born.pid, &wanted);
            self.old.push(given.capability);
        }
        let is_counted = spec.grants.iter().any(|grant| grant.uses == Some(0) || grant.expires_us.is_some());
        if !is_counted {
            assert_eq!(self.world.may(born.pid), all & wanted, "{}: {spec:?}", self.name);
        }
        self.saw("born");
    }

    fn pass(&mut self, dice: &mut Dice) {
        let at = dice.roll(self.objects.len() as u64) as usize;
        let (pid, action) = (self.pid(dice), self.objects[at].clone());
        if !matches!(action, Action::Read { .. } | Action::Call { .. }) {
            return;
        }
        let granted =
            self.world.may(pid) & (1 << at) != 0 && self.world.processes[&pid].phase == Phase::Active;
        let reply = self.call(Call::Pass { pid, action });
        assert_eq!(reply == Reply::Done, granted, "{}: {reply:?}", self.name);
        if granted {
            let (by, _) = self.went();
            self.used(pid, &by, 1 << at);
            self.saw("passed");
        }
        self.world.settle();
    }

    fn derive(&mut self, dice: &mut Dice) {
        let (from, to, grant) = (self.capability(dice), self.pid(dice), self.grant(dice));
        let owner = self.world.capabilities.get(&from).map(|row| row.owner);
        let pid = owner.filter(|_| dice.roll(8) > 0).unwrap_or_else(|| self.pid(dice));
        let common = self.world.capabilities.get(&from).map_or(0, |row| row.set & set(&grant.scope));
        let granted = owner == Some(pid) && common != 0 && self.world.processes[&to].phase == Phase::Active;
        match self.call(Call::Derive { pid, capability: from, to, grant: grant.clone() }) {
            Reply::Capability { capability } => {
                assert!(granted, "{}: derived", self.name);
                self.world.hand_on(capability, from, to, &grant);
                self.old.push(capability);
                self.saw("derived");
            }
            other => assert!(!granted, "{}: {other:?}", self.name),
        }
        self.world.settle();
    }

    fn revoke(&mut self, dice: &mut Dice) {
        let (pid, capability) = (self.pid(dice), self.capability(dice));
        let root = self.os.kernel.state().root().expect("lives");
        let Some(row) = self.world.capabilities.get(&capability) else {
            let reply = self.call(Call::Revoke { pid: root, capability });
            assert!(matches!(reply, Reply::Refused { .. }), "{}: a stale name", self.name);
            return self.world.settle();
        };
        if row.from.is_none() {
            return;
        }
        let granted = self.world.may_revoke(pid, capability);
        let reply = self.call(Call::Revoke { pid, capability });
        assert_eq!(reply == Reply::Done, granted, "{}: {reply:?}", self.name);
        if granted {
            self.world.revoke(capability);
            self.saw("revoked");
        }
        self.world.settle();
    }

    fn end(&mut self, dice: &mut Dice) {
        let open = self.world.tickets.iter().filter(|(_, row)| row.child.is_none());
        let open: Vec<TicketId> = open.map(|(id, _)| *id).collect();
        let Some(ticket) = dice.pick(&open) else { return };
        if dice.roll(5) == 0 {
            self.call(Call::Cancel { ticket });
            self.world.cancel(ticket);
        } else {
            self.call(Call::Complete {
                ticket,
                outcome: Outcome::Ok,
                cost: Cost::ZERO,
                labels: Labels::BOTTOM,
            });
            self.world.tickets.remove(&ticket);
        }
        self.world.settle();
    }

    fn steer(&mut self, dice: &mut Dice) {
        let root = self.os.kernel.state().root().expect("lives");
        let pid = self.pid(dice);
        if pid == root {
            return;
        }
        let phase = self.world.processes[&pid].phase;
        match (dice.roll(5), phase) {
            (0 | 1, Phase::Active | Phase::Suspended) => {
                self.call(Call::Exit { pid, status: ExitStatus::Done });
                self.world.close(pid);
                self.saw("exit");
            }
            (2, Phase::Active | Phase::Suspended) => {
                self.call(Call::Signal { by: root, pid, signal: Signal::Kill });
                self.world.close(pid);
            }
            (_, Phase::Active) => {
                self.call(Call::Signal { by: root, pid, signal: Signal::Suspend });
                self.world.processes.get_mut(&pid).unwrap().phase = Phase::Suspended;
            }
            (_, Phase::Suspended) => {
                self.call(Call::Signal { by: root, pid, signal: Signal::Resume });
                self.world.processes.get_mut(&pid).unwrap().phase = Phase::Active;
            }
            (_, Phase::Closing) => {}
        }
        self.world.settle();
    }

    fn stir(&mut self, dice: &mut Dice) {
        match dice.roll(32) {
            0..=3 if self.world.processes.len() < MOST_PROCESSES => {
                let mut grants = vec![Scope::Spawn.into()];
                grants.extend((0..dice.roll(4)).map(|_| self.grant(dice)));
                let child = ChildSpec { name: "c".to_owned(), grants, ..ChildSpec::default() };
                self.ask(dice, Action::Spawn { child: Box::new(child) });
            }
            4..=11 => {
                // None of those about which labels and mailboxes speak.
                let at = dice.roll(self.objects.len() as u64 - 1) as usize + 1;
                let action = self.objects[at].clone();
                if matches!(action, Action::Read { .. } | Action::Write { .. } | Action::Call { .. }) {
                    self.ask(dice, action);
                }
            }
            12 | 13 => self.pass(dice),
            14..=18 if self.world.capabilities.len() < 40 => self.derive(dice),
            19 | 20 => self.revoke(dice),
            21..=25 => self.end(dice),
            26 | 27 => self.steer(dice),
            28 if dice.roll(4) == 0 => {
                self.call(Call::Epoch);
                self.world.new_daemon();
                self.world.settle();
            }
            _ => {
                self.os.now_us += dice.roll(9_000_000);
                self.call(Call::Tick);
                self.world.settle();
            }
        }
    }

    fn check(&self, pid: Pid) {
        let state = self.os.kernel.state();
        let may = self.world.may(pid);
        for (at, thing) in self.objects.iter().enumerate() {
            let kernel = carried(state, self.os.now_us, pid, thing).is_ok();
            assert_eq!(kernel, may & (1 << at) != 0, "{}: {pid:?} {thing:?}", self.name);
        }
    }

    fn check_all(&self) {
        let state = self.os.kernel.state();
        let alive = state.processes().filter(|row| !matches!(row.state, State::Exited { .. }));
        let alive: Vec<(Pid, Phase)> = alive
            .map(|row| match row.state {
                State::Suspended => (row.pid, Phase::Suspended),
                State::Closing => (row.pid, Phase::Closing),
                _ => (row.pid, Phase::Active),
            })
            .collect();
        let wanted: Vec<(Pid, Phase)> =
            self.world.processes.iter().map(|(pid, row)| (*pid, row.phase)).collect();
        assert_eq!(sorted(alive), wanted, "{}", self.name);
        let tickets = state.tickets.iter().map(|((index, generation), row)| {
            (TicketId::new(index, generation), (row.pid, row.cancelling, row.expires_us))
        });
        let wanted =
            self.world.tickets.iter().map(|(id, row)| (*id, (row.pid, row.stopping, row.expires_us)));
        assert_eq!(sorted(tickets.collect()), sorted(wanted.collect()), "{}", self.name);
        let held: Vec<CapabilityId> = state
            .capabilities
            .iter()
            .map(|((index, generation), _)| CapabilityId::new(index, generation))
            .collect();
        assert_eq!(
            sorted(held),
            self.world.capabilities.keys().copied().collect::<Vec<_>>(),
            "{}",
            self.name
        );
    }
}

fn sorted<T: PartialOrd>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort_by(|a, b| a.partial_cmp(b).expect("ordered"));
    rows
}

fn same(thing: &Action, action: &Action) -> bool {
    matches!(action, Action::Spawn { .. }) || thing == action
}

fn scope(dice: &mut Dice) -> Scope {
    let mut pattern = |names: &[&str]| {
        let name = dice.pick(names).unwrap_or_default().to_owned();
        if dice.roll(3) == 0 { Pattern::Any } else { Pattern::Is(name) }
    };
    let (tool, host) = (pattern(&["x", "y"]), pattern(&["h", "g"]));
    let rights = dice.pick(&[Rights::Read, Rights::Write, Rights::ReadWrite]).expect("one of three");
    match dice.roll(12) {
        0 => Scope::Everything,
        1 | 2 => Scope::Tool { tool },
        3 => Scope::Mailbox { name: tool },
        4 => Scope::Memory { space: tool, rights },
        5 => Scope::Host { host, port: dice.roll(3) as u16 },
        6 => {
            let reference = dice.pick(&["refs", "refs/x", "refs/xy"]).expect("one of three").to_owned();
            Scope::Publish { repository: Pattern::Any, reference }
        }
        7 => Scope::Spawn,
        _ => {
            let path = dice.pick(&["/", "/a", "/a/b", "/ab", "/a/b/c"]).expect("one of five").to_owned();
            Scope::Path { path, rights }
        }
    }
}

#[test]
fn everybody_may_do_what_sets_of_objects_say() {
    let calls = random_calls(50_000);
    let mut seen = BTreeMap::new();
    for seed in 0..calls.div_ceil(CALLS_A_WORLD) {
        let mut dice = Dice(seed);
        let mut pair = Pair::new(String::new());
        for call in 0..CALLS_A_WORLD {
            pair.name = format!("seed {seed}, call {call}");
            pair.stir(&mut dice);
            let pid = pair.pid(&mut dice);
            pair.check(pid);
            pair.check_all();
            if call % 16 == 0 {
                let all: Vec<Pid> = pair.world.processes.keys().copied().collect();
                all.into_iter().for_each(|pid| pair.check(pid));
            }
        }
        for (what, count) in pair.seen {
            *seen.entry(what).or_insert(0) += count;
        }
    }
    for what in ["go", "denied", "born", "passed", "derived", "revoked", "exit"] {
        assert!(seen.get(what).is_some_and(|count| *count > calls / 200), "{what}: {seen:?}");
    }
}
