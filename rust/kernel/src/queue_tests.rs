use std::collections::VecDeque;

use agentos_abi::*;

use super::{AGE_STEP_US, LONGEST_WAIT_US};
use crate::driven::*;

fn tokens(tokens: u64) -> Cost {
    Cost { tokens, ..Cost::ZERO }
}

fn group(weight: u32) -> Option<GroupSpec> {
    Some(GroupSpec { weight, concurrency: 0 })
}

impl Driven {
    fn lane(&mut self, lane: &str, capacity: u32, rates: Rates) {
        assert_eq!(self.call(Call::Lane { lane: lane.to_owned(), capacity, rates }), Reply::Done);
    }

    fn urgent(&mut self, pid: Pid, lane: &str, priority: Priority) -> Decision {
        let key = format!("urgent {}", self.journal.len());
        let reply = self.call(Call::Request {
            pid,
            key,
            action: tool(),
            estimate: Cost::ZERO,
            parent: None,
            lane: Some(lane.to_owned()),
            recovery: Recovery::Repeatable,
            deadline_us: None,
            priority,
            client: false,
            digest: None,
            unattended: false,
        });
        match reply {
            Reply::Decided { decision } => decision,
            other => panic!("not a decision: {other:?}"),
        }
    }

    fn press(&mut self, lane: &str, retry_after_us: u64) -> Reply {
        self.call(Call::Pressure { lane: lane.to_owned(), retry_after_us })
    }

    /// Lets time come to what is next.
    fn wait(&mut self) {
        self.now_us = self.kernel.state().next_deadline_us().expect("something is due") - 1;
        self.call(Call::Tick);
    }

    fn went(&self, request: RequestId) -> bool {
        matches!(self.decided(request), Some(Decision::Go { .. }))
    }

    /// Lets a lane of one place run dry, and tells whose requests went, in order.
    fn drain(&mut self, mut open: TicketId) -> Vec<Pid> {
        let mut served = Vec::new();
        loop {
            let before = self.events.len();
            self.complete(open, Cost::ZERO);
            let next = self.events[before..].iter().find_map(|event| match event {
                Event::Decided { pid, decision: Decision::Go { ticket, .. }, .. } => Some((*pid, *ticket)),
                _ => None,
            });
            let Some((pid, ticket)) = next else { return served };
            served.push(pid);
            open = ticket;
        }
    }
}

#[test]
fn a_large_request_is_not_overtaken_by_small_ones() {
    let (mut os, root) = Driven::new();
    let owner = os.spawn(root, vec![any_tool(), Scope::Spawn], ceiling(100), None);
    let child = os.spawn(owner, vec![any_tool()], Limit::default(), None);
    let first = ticket(&os.request(child, tool(), usd(50), None));
    let second = ticket(&os.request(child, tool(), usd(30), None));
    let large = waiting(&os.request(child, tool(), usd(90), None));
    let small = waiting(&os.request(owner, tool(), usd(10), None));
    // What the short budget does not count is not held up.
    ticket(&os.request(child, tool(), tokens(10), None));
    os.complete(first, Cost::ZERO);
    assert!(!os.went(large) && !os.went(small));
    os.complete(second, Cost::ZERO);
    assert!(os.went(large) && os.went(small));
}

#[test]
fn what_waits_for_budget_is_looked_at_once_for_each_release() {
    let (mut os, root) = Driven::new();
    let owner = os.spawn(root, vec![any_tool()], ceiling(100), None);
    let open: Vec<TicketId> = (0..10).map(|_| ticket(&os.request(owner, tool(), usd(10), None))).collect();
    for _ in 0..1_000 {
        waiting(&os.request(owner, tool(), usd(10), None));
    }
    for ticket in open {
        let entries = os.journal.len();
        os.complete(ticket, Cost::ZERO);
        let facts: Vec<&Fact> = os.journal[entries..].iter().map(|entry| &entry.fact).collect();
        assert!(
            matches!(facts[..], [Fact::Completed { .. }, Fact::Promised { .. }, Fact::Go { .. }]),
            "{facts:?}"
        );
    }
}

#[test]
fn a_request_whose_turn_comes_while_its_budget_is_short_lets_others_go() {
    let (mut os, root) = Driven::new();
    os.lane("l", 2, Rates::default());
    let poor = os.spawn(root, vec![any_tool()], ceiling(10), group(8));
    let rich = os.spawn(root, vec![any_tool()], Limit::default(), group(1));
    let first = ticket(&os.request(poor, tool(), usd(10), Some("l")));
    let other = ticket(&os.request(rich, tool(), usd(10), Some("l")));
    let short = waiting(&os.request(poor, tool(), usd(10), Some("l")));
    let next = waiting(&os.request(rich, tool(), usd(10), Some("l")));
    os.complete(other, Cost::ZERO);
    assert!(os.went(next) && !os.went(short));
    assert!(os.journal.iter().any(|entry| matches!(entry.fact, Fact::Parked { of, .. } if of == poor)));
    assert_eq!(os.view(poor).waiting_on.as_deref(), Some("budget"));
    os.complete(first, Cost::ZERO);
    assert!(os.went(short));
}

#[test]
fn a_promised_budget_is_kept_until_the_lane_opens_and_the_rest_of_it_is_free() {
    let (mut os, root) = Driven::new();
    os.lane("slow", 1, Rates::default());
    os.lane("quick", 9, Rates::default());
    let owner = os.spawn(root, vec![any_tool()], ceiling(100), None);
    let first = ticket(&os.request(owner, tool(), usd(90), None));
    let large = waiting(&os.request(owner, tool(), usd(60), Some("slow")));
    let taker = ticket(&os.request(root, tool(), Cost::ZERO, Some("slow")));
    os.complete(first, Cost::ZERO);
    assert!(!os.went(large), "its lane is full");
    ticket(&os.request(owner, tool(), usd(40), Some("quick")));
    waiting(&os.request(owner, tool(), usd(1), Some("quick")));
    os.complete(taker, Cost::ZERO);
    assert!(os.went(large));
}

#[test]
fn a_suspended_process_holds_nobody_up() {
    let (mut os, root) = Driven::new();
    os.lane("l", 1, Rates::default());
    let owner = os.spawn(root, vec![Scope::Spawn, any_tool()], ceiling(100), None);
    let first = os.spawn(owner, vec![any_tool()], Limit::default(), None);
    let second = os.spawn(owner, vec![any_tool()], Limit::default(), None);
    let open = ticket(&os.request(owner, tool(), usd(80), Some("l")));
    let queued = waiting(&os.request(first, tool(), Cost::ZERO, Some("l")));
    let parked = waiting(&os.request(first, tool(), usd(90), None));
    let behind = waiting(&os.request(second, tool(), usd(20), None));
    let later = waiting(&os.request(second, tool(), Cost::ZERO, Some("l")));
    os.call(Call::Signal { by: root, pid: first, signal: Signal::Suspend });
    assert!(os.went(behind));
    os.complete(open, Cost::ZERO);
    assert!(os.went(later) && !os.went(queued) && !os.went(parked));
    let asleep = waiting(&os.request(first, tool(), Cost::ZERO, None));
    os.call(Call::Signal { by: root, pid: first, signal: Signal::Resume });
    assert!(os.went(asleep) && !os.went(queued), "its place in the lane is taken");
    os.complete(ticket(os.decided(later).expect("it went")), Cost::ZERO);
    os.complete(ticket(os.decided(behind).expect("it went")), Cost::ZERO);
    assert!(os.went(queued) && os.went(parked));
}

#[test]
fn a_full_group_is_out_of_the_way_until_one_of_its_tickets_ends() {
    let (mut os, root) = Driven::new();
    os.lane("l", 3, Rates::default());
    os.lane("m", 9, Rates::default());
    let full = Some(GroupSpec { weight: 100, concurrency: 1 });
    let full = os.spawn(root, vec![any_tool(), Scope::Spawn], Limit::default(), full);
    let within = os.spawn(full, vec![any_tool()], Limit::default(), group(1));
    let one = ticket(&os.request(full, tool(), Cost::ZERO, Some("l")));
    let elsewhere = waiting(&os.request(full, tool(), Cost::ZERO, Some("m")));
    ticket(&os.request(root, tool(), Cost::ZERO, Some("l")));
    // A group within it has places of its own.
    ticket(&os.request(within, tool(), Cost::ZERO, Some("l")));
    let second = waiting(&os.request(full, tool(), Cost::ZERO, Some("l")));
    let other = waiting(&os.request(root, tool(), Cost::ZERO, Some("l")));
    os.lane("l", 4, Rates::default());
    assert!(os.went(other) && !os.went(second));
    os.complete(one, Cost::ZERO);
    assert_eq!([os.went(second), os.went(elsewhere)].iter().filter(|went| **went).count(), 1);
}

/// Of 100 admissions, how many a group gets that asks for a quarter of a minute's tokens each time, while
/// another asks for few: with sixteen places, a quarter of the tokens weighs as much as four of them.
fn of_100(weight: u32, real: Cost) -> usize {
    const MINUTE: u64 = 1_000_000;
    let (mut os, root) = Driven::new();
    os.lane("l", 16, Rates { tokens_per_minute: Some(MINUTE), ..Rates::default() });
    let long = os.spawn(root, vec![any_tool()], Limit::default(), group(weight));
    let short = os.spawn(root, vec![any_tool()], Limit::default(), group(1));
    let ask = |os: &mut Driven, pid| {
        let estimate = tokens(if pid == long { MINUTE / 4 } else { 10 });
        os.request(pid, tool(), estimate, Some("l"))
    };
    let mut open: VecDeque<(Pid, TicketId)> =
        (0..16).map(|_| (root, ticket(&os.request(root, tool(), Cost::ZERO, Some("l"))))).collect();
    for _ in 0..100 {
        waiting(&ask(&mut os, long));
        waiting(&ask(&mut os, short));
    }
    let mut served = Vec::new();
    while served.len() < 100 {
        // By then the bucket is full again: it is the order that counts here.
        os.now_us += 60_000_000;
        let (pid, ticket) = open.pop_front().expect("all places are taken");
        let before = os.events.len();
        os.complete(ticket, if pid == long { real } else { tokens(10) });
        for event in &os.events[before..] {
            if let Event::Decided { pid, decision: Decision::Go { ticket, .. }, .. } = event {
                served.push(*pid);
                open.push_back((*pid, *ticket));
            }
        }
    }
    served.iter().filter(|pid| **pid == long).count()
}

#[test]
fn who_takes_more_of_the_scarcest_thing_goes_less_often() {
    assert_eq!(of_100(1, tokens(250_000)), 20);
    assert_eq!(of_100(4, tokens(250_000)), 50);
}

#[test]
fn what_was_estimated_too_high_is_given_back() {
    // Not all of it: a refund that comes when its group's turn is near takes it to the virtual time only.
    let of_long = of_100(1, tokens(10));
    assert!((28..=50).contains(&of_long), "{of_long}");
}

#[test]
fn more_urgent_requests_of_a_group_go_first_but_not_for_ever() {
    let (mut os, root) = Driven::new();
    os.lane("l", 1, Rates::default());
    let mut open = ticket(&os.urgent(root, "l", Priority::Normal));
    let low = waiting(&os.urgent(root, "l", Priority::Low));
    let high = waiting(&os.urgent(root, "l", Priority::High));
    let critical = waiting(&os.urgent(root, "l", Priority::Critical));
    for next in [critical, high] {
        os.complete(open, Cost::ZERO);
        open = ticket(os.decided(next).expect("its turn"));
    }
    // A stream of the most urgent holds it up for three steps, and no longer.
    let began = os.now_us;
    let mut overtaken = 0;
    while !os.went(low) {
        os.now_us += AGE_STEP_US / 10;
        let next = waiting(&os.urgent(root, "l", Priority::Critical));
        os.complete(open, Cost::ZERO);
        if os.went(next) {
            open = ticket(os.decided(next).expect("its turn"));
            overtaken += 1;
        }
    }
    assert!((28..=30).contains(&overtaken), "{overtaken}");
    assert!(os.now_us - began <= 3 * AGE_STEP_US + AGE_STEP_US / 5);
}

#[test]
fn urgency_is_no_claim_on_other_groups() {
    let (mut os, root) = Driven::new();
    os.lane("l", 1, Rates::default());
    let loud = os.spawn(root, vec![any_tool()], Limit::default(), group(1));
    let quiet = os.spawn(root, vec![any_tool()], Limit::default(), group(1));
    let open = ticket(&os.urgent(root, "l", Priority::Normal));
    for _ in 0..10 {
        waiting(&os.urgent(loud, "l", Priority::Critical));
        waiting(&os.urgent(quiet, "l", Priority::Low));
    }
    let served = os.drain(open);
    assert_eq!(served[..10].iter().filter(|pid| **pid == quiet).count(), 5);
}

#[test]
fn every_waiting_request_has_a_deadline() {
    let (mut os, root) = Driven::new();
    os.lane("l", 0, Rates::default());
    let request = waiting(&os.request(root, tool(), Cost::ZERO, Some("l")));
    let asked = os.now_us;
    assert_eq!(os.kernel.state().next_deadline_us(), Some(asked + LONGEST_WAIT_US));
    os.wait();
    assert_eq!(stage(os.decided(request).expect("denied")), Stage::Queue);
}

#[test]
fn a_rate_that_is_used_up_opens_by_itself() {
    let (mut os, root) = Driven::new();
    os.lane("l", 9, Rates { requests_per_minute: Some(2), ..Rates::default() });
    for _ in 0..2 {
        ticket(&os.request(root, tool(), Cost::ZERO, Some("l")));
    }
    let used = os.now_us;
    let third = os.request(root, tool(), Cost::ZERO, Some("l"));
    let Decision::Wait { request, refusal } = third else { panic!("{third:?}") };
    assert_eq!((refusal.stage, refusal.name.as_str()), (Stage::Queue, "l"));
    let next = os.kernel.state().next_deadline_us().expect("the next refill");
    assert!((used + 29_999_999..=used + 30_000_000).contains(&next), "{next} after {used}");
    os.wait();
    assert!(os.went(request));
}

#[test]
fn real_tokens_count_against_the_rate_not_the_estimate() {
    let (mut os, root) = Driven::new();
    os.lane("l", 9, Rates { tokens_per_minute: Some(1_000), ..Rates::default() });
    let first = ticket(&os.request(root, tool(), tokens(1_000), Some("l")));
    let second = waiting(&os.request(root, tool(), tokens(900), Some("l")));
    os.complete(first, tokens(50));
    assert!(os.went(second));
}

#[test]
fn pressure_holds_everybody_and_opens_with_fewer_places() {
    let (mut os, root) = Driven::new();
    os.lane("l", 4, Rates::default());
    let other = os.spawn(root, vec![any_tool()], Limit::default(), group(1));
    let failed = ticket(&os.request(root, tool(), Cost::ZERO, Some("l")));
    assert_eq!(os.press("l", 5_000_000), Reply::Done);
    let pressed = os.now_us;
    os.call(Call::Complete {
        ticket: failed,
        outcome: Outcome::Error,
        cost: Cost::ZERO,
        labels: Labels::BOTTOM,
    });
    let first = os.request(other, tool(), Cost::ZERO, Some("l"));
    let Decision::Wait { refusal, .. } = &first else { panic!("{first:?}") };
    assert!(refusal.message.contains("left alone for 5 s"), "{}", refusal.message);
    let mut requests = vec![waiting(&first)];
    for _ in 0..5 {
        requests.push(waiting(&os.request(root, tool(), Cost::ZERO, Some("l"))));
    }
    assert_eq!(os.kernel.state().next_deadline_us(), Some(pressed + 5_000_000));
    os.wait();
    let went: Vec<RequestId> = requests.iter().copied().filter(|request| os.went(*request)).collect();
    assert_eq!(went.len(), 2, "half of four places");
    // Two successes give a third place.
    for request in went {
        os.complete(ticket(os.decided(request).expect("it went")), Cost::ZERO);
    }
    assert_eq!(requests.iter().filter(|request| os.went(**request)).count(), 5);
}

#[test]
fn what_is_no_lane_is_an_error() {
    let (mut os, root) = Driven::new();
    assert!(matches!(os.press("l", 5), Reply::Refused { .. }));
    let mut refused = |lane: &str, rates: Rates| {
        let reply = os.call(Call::Lane { lane: lane.to_owned(), capacity: 1, rates });
        let Reply::Refused { refusal } = reply else { panic!("{reply:?}") };
        refusal.message
    };
    let none = Rates { requests_per_minute: Some(0), ..Rates::default() };
    assert!(refused("l", none).contains("capacity 0"));
    assert!(refused("", Rates::default()).contains("1 to 128"));
    assert!(refused(&"l".repeat(129), Rates::default()).contains("1 to 128"));
    assert_eq!(stage(&os.request(root, tool(), Cost::ZERO, Some(&"l".repeat(129)))), Stage::Process);
}

/// Entries as they were written before lanes had rates and groups were nested.
#[test]
fn entries_of_earlier_versions_are_applied() {
    let entries = [
        r#"{"at_us":1,"type":"epoch","epoch":1,"root":{"pid":4294967296,"capabilities":[{"capability":4294967296,"from":null,"grant":{"scope":{"type":"everything"}}}]}}"#,
        r#"{"at_us":2,"type":"lane","lane":"l","capacity":1}"#,
        r#"{"at_us":3,"type":"go","ticket":4294967296,"request":null,"pid":4294967296,"key":"a","action":{"type":"call","tool":"t"},"estimate":{"usd_micros":0,"tokens":0,"wall_us":0,"turns":0},"parent":null,"lane":"l","recovery":"repeatable","client":false,"by":[4294967296]}"#,
        r#"{"at_us":4,"type":"queued","request":4294967296,"pid":4294967296,"key":"b","action":{"type":"call","tool":"t"},"estimate":{"usd_micros":0,"tokens":0,"wall_us":0,"turns":0},"parent":null,"lane":"l","recovery":"repeatable","deadline_us":null,"client":false}"#,
        r#"{"at_us":5,"type":"queued","request":4294967297,"pid":4294967296,"key":"c","action":{"type":"call","tool":"t"},"estimate":{"usd_micros":0,"tokens":0,"wall_us":0,"turns":0},"parent":null,"lane":"l","recovery":"repeatable","deadline_us":null,"client":false}"#,
        r#"{"at_us":6,"type":"completed","ticket":4294967296,"outcome":"ok","cost":{"usd_micros":0,"tokens":0,"wall_us":0,"turns":0}}"#,
    ];
    let mut kernel = crate::Kernel::default();
    for entry in entries {
        kernel.recover(&serde_json::from_str(entry).expect("a released entry"));
    }
    let step = kernel.step(7, &Call::Tick);
    let went = step.entries.iter().map(|entry| match &entry.fact {
        Fact::Go { key, .. } => key.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(went.collect::<Vec<_>>(), ["b"]);
}
