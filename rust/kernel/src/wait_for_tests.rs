use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::*;

use crate::driven::*;

/// Members of one root, `a`, `b`, `c` … by age, each with a mailbox for one message.
fn members(count: usize) -> (Driven, Vec<Pid>) {
    let (mut os, root) = Driven::new();
    let names = ["a", "b", "c", "d"];
    let pids = names.iter().take(count).map(|name| os.member(root, name, 1)).collect();
    (os, pids)
}

impl Driven {
    /// Who was told of a deadlock, and in which words.
    fn deadlocks(&self) -> Vec<(Pid, String)> {
        let told = |event: &Event| match event {
            Event::Forgone { pid, refusal, .. }
            | Event::Decided { pid, decision: Decision::Deny { refusal }, .. }
                if refusal.name == "deadlock" =>
            {
                Some((*pid, refusal.message.clone()))
            }
            _ => None,
        };
        self.events.iter().filter_map(told).collect()
    }

    fn told(&self) -> Vec<Pid> {
        self.deadlocks().into_iter().map(|(pid, _)| pid).collect()
    }

    fn wait_exit(&mut self, pid: Pid, child: Pid) -> Reply {
        self.call(Call::Wait { pid, child, deadline_us: None })
    }
}

#[test]
fn two_that_wait_for_each_other_are_no_hang_but_an_error_to_the_younger() {
    for first in [0, 1] {
        let (mut os, pids) = members(2);
        let (one, other) = (pids[first], pids[1 - first]);
        assert!(matches!(os.receive(one, Some(other)), Reply::Waiting { .. }));
        assert!(os.deadlocks().is_empty());
        assert!(matches!(os.receive(other, Some(one)), Reply::Waiting { .. }));
        let words = "deadlock: `b` waits for a message from `a`, `a` waits for a message from `b`; \
                     the youngest, `b`, waits no longer";
        assert_eq!(os.deadlocks(), [(pids[1], words.to_owned())]);
        // The other goes on waiting, and gets what it waits for.
        assert_eq!(os.view(pids[0]).state, State::Waiting);
        assert_eq!(os.view(pids[1]).state, State::Ready);
        ticket(&os.send(pids[1], "a", "so be it"));
        assert!(
            os.events.iter().any(|event| matches!(event, Event::Received { pid, .. } if *pid == pids[0]))
        );
    }
}

#[test]
fn a_cycle_of_three_is_found_at_its_last_edge() {
    let (mut os, pids) = members(3);
    os.receive(pids[2], Some(pids[0]));
    os.receive(pids[1], Some(pids[2]));
    assert!(os.told().is_empty());
    os.receive(pids[0], Some(pids[1]));
    assert_eq!(os.told(), [pids[2]]);
    assert!(os.deadlocks()[0].1.contains("`a` waits for a message from `b`, `b` waits for"));
}

/// One task has `a` ask `b` while another has `b` ask `a`: in no one's call chain, and found all the same.
#[test]
fn two_tasks_that_ask_each_other_at_once_are_told() {
    let (mut os, root) = Driven::new();
    let [first, second] = ["one", "two"].map(|name| os.member(root, name, 9));
    let a = os.member(first, "a", 9);
    let b = os.member(second, "b", 9);
    ticket(&os.send(a, "b", "a asks"));
    ticket(&os.send(b, "a", "b asks"));
    // Each got the other's question, but waits for an answer to its own.
    assert_eq!((os.text(a, None), os.text(b, None)), ("b asks".to_owned(), "a asks".to_owned()));
    os.receive(a, Some(b));
    os.receive(b, Some(a));
    assert_eq!(os.told(), [b]);
}

#[test]
fn full_mailboxes_make_a_cycle_too() {
    let (mut os, pids) = members(2);
    ticket(&os.send(pids[0], "b", "1"));
    ticket(&os.send(pids[1], "a", "1"));
    let of_a = waiting(&os.send(pids[0], "b", "2"));
    let of_b = waiting(&os.send(pids[1], "a", "2"));
    assert_eq!(os.told(), [pids[1]]);
    assert_eq!(denied(os.decided(of_b).expect("decided")).name, "deadlock");
    assert!(os.deadlocks()[0].1.contains("`b` waits for room in the mailbox of `a`"));
    assert_eq!(os.decided(of_a), None);
    os.text(pids[1], None);
    assert!(matches!(os.decided(of_a), Some(Decision::Go { .. })));
}

#[test]
fn a_parent_and_a_child_that_wait_for_each_other_are_found_though_the_parent_has_a_ticket() {
    let (mut os, root) = Driven::new();
    let parent = os.member(root, "parent", 9);
    let child = os.member(parent, "child", 9);
    assert!(matches!(os.wait_exit(parent, child), Reply::Waiting { .. }));
    assert_eq!(os.view(parent).state, State::Waiting);
    assert_eq!(os.view(parent).waiting_on.as_deref(), Some("the end of `child`"));
    os.receive(child, Some(parent));
    assert_eq!(os.told(), [child]);
    os.call(Call::Exit { pid: child, status: ExitStatus::Failed });
    assert!(os.events.contains(&Event::Exited { pid: parent, child, status: ExitStatus::Failed }));
    assert_eq!(os.wait_exit(parent, child), Reply::Exited { status: ExitStatus::Failed });
}

#[test]
fn who_waits_for_itself_is_told() {
    let (mut os, pids) = members(1);
    os.receive(pids[0], Some(pids[0]));
    assert_eq!(os.told(), [pids[0]]);
}

#[test]
fn nobody_is_told_while_a_member_has_anything_else_under_way() {
    let (mut os, pids) = members(3);
    let (a, b) = (pids[0], pids[1]);
    // A tool of its own.
    let open = ticket(&os.request(a, tool(), Cost::ZERO, None));
    os.receive(a, Some(b));
    os.receive(b, Some(a));
    assert!(os.told().is_empty());
    // A child that works: it may yet make its parent act.
    let child = os.member(a, "child", 9);
    os.complete(open, Cost::ZERO);
    assert!(os.told().is_empty());
    // A receive from whoever.
    os.receive(b, None);
    os.call(Call::Exit { pid: child, status: ExitStatus::Done });
    assert!(os.told().is_empty());
    // With the last of it gone, it is one.
    os.call(Call::Forgo { pid: b, awaited: Awaited::Message { from: None } });
    assert_eq!(os.told(), [b]);
}

#[test]
fn a_request_that_waits_for_its_turn_is_something_under_way() {
    let (mut os, pids) = members(2);
    os.call(Call::Lane { lane: "l".to_owned(), capacity: 0, rates: Rates::default() });
    let request = waiting(&os.request(pids[0], tool(), Cost::ZERO, Some("l")));
    os.receive(pids[0], Some(pids[1]));
    os.receive(pids[1], Some(pids[0]));
    assert!(os.told().is_empty());
    os.call(Call::Withdraw { request });
    assert_eq!(os.told(), [pids[1]]);
}

/// It had room and did not send for another reason; then somebody else took the room.
#[test]
fn a_send_that_comes_to_wait_for_room_closes_a_cycle() {
    let (mut os, pids) = members(4);
    let root = os.kernel.state().root().expect("there is a root");
    os.call(Call::Signal { by: root, pid: pids[0], signal: Signal::Suspend });
    waiting(&os.send(pids[0], "b", "once I go on"));
    os.receive(pids[1], Some(pids[2]));
    os.receive(pids[2], Some(pids[0]));
    assert!(os.told().is_empty());
    os.send(pids[3], "b", "in between");
    assert_eq!(os.told(), [pids[2]]);
}

#[test]
fn a_child_that_waits_as_well_is_no_work() {
    let (mut os, pids) = members(2);
    let child = os.member(pids[0], "child", 9);
    os.receive(child, Some(pids[0]));
    os.receive(pids[0], Some(pids[1]));
    os.receive(pids[1], Some(pids[0]));
    assert_eq!(os.told(), [pids[1]], "the youngest is outside the cycle");
}

#[test]
fn what_ends_a_wait_takes_its_edge_away() {
    let (mut os, pids) = members(3);
    os.receive(pids[0], Some(pids[1]));
    os.receive(pids[1], Some(pids[2]));
    os.call(Call::Exit { pid: pids[1], status: ExitStatus::Done });
    os.receive(pids[2], Some(pids[0]));
    assert!(os.told().is_empty());
    let (mut os, pids) = members(2);
    os.call(Call::Receive { pid: pids[0], from: Some(pids[1]), deadline_us: Some(50) });
    os.now_us = 50;
    os.call(Call::Tick);
    os.receive(pids[1], Some(pids[0]));
    assert!(os.told().is_empty());
}

#[test]
fn the_youngest_is_who_was_born_last_though_a_pid_is_used_again() {
    let (mut os, root) = Driven::new();
    let gone = os.member(root, "gone", 9);
    let old = os.member(root, "old", 9);
    os.call(Call::Exit { pid: gone, status: ExitStatus::Done });
    let young = os.member(root, "young", 9);
    assert_eq!(young.index(), gone.index());
    os.receive(young, Some(old));
    os.receive(old, Some(young));
    assert_eq!(os.told(), [young]);
}

#[test]
fn only_a_child_is_waited_for() {
    let (mut os, pids) = members(2);
    assert_eq!(refused(os.wait_exit(pids[0], pids[1])).name, "child");
}

#[test]
fn a_long_cycle_is_told_in_few_words() {
    let (mut os, root) = Driven::new();
    let names: Vec<String> = (0..40).map(|number| format!("{number:0>128}")).collect();
    let pids: Vec<Pid> = names.iter().map(|name| os.member(root, name, 9)).collect();
    for (at, pid) in pids.iter().enumerate() {
        os.receive(*pid, Some(pids[(at + 1) % pids.len()]));
    }
    assert_eq!(os.told(), [pids[39]]);
    assert!(os.deadlocks()[0].1.contains("and so on over 34 more"));
    let longest = os.journal.iter().map(|entry| format!("{entry:?}").len()).max();
    assert!(longest < Some(4_096), "{longest:?}");
}

/// Who waits for whom, by a fixed point over all processes rather than a search from the changed one: those
/// that have something else under way, or wait for one that does, go on; the rest never will.
pub(crate) fn stuck(os: &Driven) -> BTreeSet<Pid> {
    let state = os.kernel.state();
    let mut free = BTreeSet::new();
    let mut needs: BTreeMap<Pid, BTreeSet<Pid>> = BTreeMap::new();
    for row in os.kernel.state().processes() {
        let process = state.process(row.pid).expect("in the table");
        let mut on: BTreeSet<Pid> = process.children.iter().copied().collect();
        on.retain(|child| !matches!(os.view(*child).state, State::Exited { .. }));
        let waits_for_others = process.waiting.iter().all(|id| {
            let waiting = state.request(*id).expect("it waits");
            let Action::Send { to: Some(owner), .. } = waiting.action else { return false };
            on.insert(owner);
            let mailbox = &state.process(owner).expect("lives").mailbox;
            mailbox.iter().count() >= mailbox.spec.messages as usize
        });
        let mut from_any = false;
        for awaited in process.awaiting.keys() {
            match awaited {
                Awaited::Message { from: Some(pid) } | Awaited::Exit { child: pid } => on.insert(*pid),
                Awaited::Message { from: None } => std::mem::replace(&mut from_any, true),
            };
        }
        let waits = !process.waiting.is_empty() || !process.awaiting.is_empty();
        // A child that has exited and still has its ticket is about to be started again.
        let comes_back = |child: Pid| matches!(os.view(child).state, State::Exited { .. });
        let works = process
            .tickets
            .iter()
            .any(|id| state.ticket(*id).is_some_and(|row| row.child.is_none_or(comes_back)));
        if works || !waits || !waits_for_others || from_any || row.parent.is_none() {
            free.insert(row.pid);
        }
        needs.insert(row.pid, on);
    }
    loop {
        let goes_on = |on: &BTreeSet<Pid>| on.iter().any(|pid| free.contains(pid));
        let next = needs.iter().find(|(pid, on)| !free.contains(pid) && goes_on(on)).map(|(pid, _)| *pid);
        match next {
            Some(pid) => free.insert(pid),
            None => return needs.into_keys().filter(|pid| !free.contains(pid)).collect(),
        };
    }
}

/// What a member of the small world may do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Send(usize, usize),
    Receive(usize, Option<usize>),
    Wait,
    Begin(usize),
    End(usize),
    Exit(usize),
}

/// Two processes, and a child of the first; mailboxes for one message.
struct World {
    os: Driven,
    pids: [Pid; 3],
}

impl World {
    fn after(path: &[Act]) -> Self {
        let (mut os, root) = Driven::new();
        let a = os.member(root, "a", 1);
        let b = os.member(root, "b", 1);
        let c = os.member(a, "c", 1);
        let mut world = Self { os, pids: [a, b, c] };
        for act in path {
            world.act(*act);
        }
        world
    }

    fn act(&mut self, act: Act) {
        let pid = |at: usize| self.pids[at];
        match act {
            Act::Send(from, to) => drop(self.os.send(pid(from), ["a", "b", "c"][to], "")),
            Act::Receive(at, from) => drop(self.os.receive(pid(at), from.map(pid))),
            Act::Wait => drop(self.os.wait_exit(pid(0), pid(2))),
            Act::Begin(at) => drop(self.os.request(pid(at), tool(), Cost::ZERO, None)),
            Act::End(at) => {
                let open = self.open(at).expect("it has begun");
                self.os.complete(open, Cost::ZERO);
            }
            Act::Exit(at) => drop(self.os.call(Call::Exit { pid: pid(at), status: ExitStatus::Done })),
        }
    }

    fn open(&self, at: usize) -> Option<TicketId> {
        let state = self.os.kernel.state();
        let process = state.process(self.pids[at])?;
        process.tickets.iter().copied().find(|id| state.ticket(*id).is_some_and(|row| row.child.is_none()))
    }

    fn acts(&self, one_task: bool) -> Vec<Act> {
        let state = self.os.kernel.state();
        let lives = |at: usize| state.process(self.pids[at]).is_some_and(|process| !process.is_ending());
        let mut acts = Vec::new();
        for at in (0..3).filter(|at| lives(*at)) {
            acts.push(Act::Exit(at));
            let waits = self.os.view(self.pids[at]).state == State::Waiting;
            let open = self.open(at).is_some();
            if open {
                acts.push(Act::End(at));
            }
            if one_task && (waits || open) {
                continue;
            }
            if !open {
                acts.push(Act::Begin(at));
            }
            acts.push(Act::Receive(at, None));
            if at == 0 && lives(2) {
                acts.push(Act::Wait);
            }
            for other in (0..3).filter(|other| *other != at && lives(*other)) {
                acts.push(Act::Receive(at, Some(other)));
                let sends = state.process(self.pids[at]).map_or(0, |process| process.waiting.len());
                if sends < 2 {
                    acts.push(Act::Send(at, other));
                }
            }
        }
        acts
    }

    /// All that makes two states differ in what can follow.
    fn print(&self) -> String {
        let state = self.os.kernel.state();
        let row = |pid: &Pid| {
            let process = state.process(*pid)?;
            let held: Vec<Pid> = process.mailbox.iter().map(|message| message.from).collect();
            let senders: Vec<Option<Pid>> =
                process.mailbox.senders.values().map(|id| state.request(*id).map(|row| row.pid)).collect();
            let waits: Vec<&Awaited> = process.awaiting.keys().collect();
            Some(format!("{:?}{held:?}{senders:?}{waits:?}{}", process.state, process.tickets.len()))
        };
        format!("{:?}", self.pids.iter().map(row).collect::<Vec<_>>())
    }
}

/// Every state that the small world reaches in so many acts; with `one_task`, a process that waits does not
/// act. Returns how many.
#[expect(clippy::print_stdout, reason = "the count is the finding")]
fn explore(depth: usize, one_task: bool) -> usize {
    let mut seen = BTreeSet::from([World::after(&[]).print()]);
    let mut frontier = vec![Vec::new()];
    let (mut steps, mut told, mut reached) = (0_u64, 0_u64, 0);
    while !frontier.is_empty() && reached < depth {
        reached += 1;
        for path in std::mem::take(&mut frontier) {
            for act in World::after(&path).acts(one_task) {
                let mut world = World::after(&path);
                let before = world.os.told().len();
                world.act(act);
                steps += 1;
                told += (world.os.told().len() - before) as u64;
                assert_eq!(stuck(&world.os), BTreeSet::new(), "after {path:?} {act:?}");
                if seen.insert(world.print()) {
                    assert_eq!(world.os.recovered(), world.os.kernel, "after {path:?} {act:?}");
                    frontier.push([path.as_slice(), &[act]].concat());
                }
            }
        }
    }
    let end = if frontier.is_empty() { "all there are" } else { "more deeper" };
    println!("{} distinct states, {steps} steps, {told} deadlocks told, depth {reached}: {end}", seen.len());
    assert!(told > 100, "the world is too small to show anything");
    seen.len()
}

#[test]
fn no_state_at_all_of_a_small_world_has_a_cycle_of_waiting_processes() {
    explore(usize::MAX, true);
}

#[test]
fn nor_has_one_of_processes_that_do_several_things_at_once() {
    explore(4, false);
}
