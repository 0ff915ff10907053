use agentos_abi::*;

use crate::driven::*;
use crate::wait_for::tests::stuck;

#[test]
fn a_child_holds_the_meet_and_no_more() {
    let (mut os, root) = Driven::new();
    let read = |path: &str| Action::Read { path: path.to_owned() };
    let scope = Scope::Path { path: "/w".to_owned(), rights: Rights::Read };
    let parent = os.spawn(root, vec![scope, Scope::Spawn], Limit::default(), None);
    let all = Scope::Path { path: "/".to_owned(), rights: Rights::ReadWrite };
    let child = os.spawn(parent, vec![all], Limit::default(), None);
    ticket(&os.request(child, read("/w/x"), Cost::ZERO, None));
    assert_eq!(stage(&os.request(child, read("/etc"), Cost::ZERO, None)), Stage::Capability);
    let write = Action::Write { path: "/w/x".to_owned() };
    assert_eq!(stage(&os.request(child, write, Cost::ZERO, None)), Stage::Capability);
}

#[test]
fn a_grant_that_the_parent_has_nothing_of_is_refused() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![Scope::Spawn], Limit::default(), None);
    let child = ChildSpec { name: "c".to_owned(), grants: vec![Scope::Exec.into()], ..ChildSpec::default() };
    let decision = os.request(parent, Action::Spawn { child: Box::new(child) }, Cost::ZERO, None);
    assert_eq!(stage(&decision), Stage::Capability);
}

#[test]
fn revocation_reaches_all_that_was_derived_and_cancels_what_it_carried() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool(), Scope::Spawn], Limit::default(), None);
    let child = os.spawn(parent, vec![any_tool()], Limit::default(), None);
    let open = ticket(&os.request(child, tool(), Cost::ZERO, None));
    let held = os.kernel.state().process(parent).expect("lives").capabilities.ids().to_vec();
    let capability = *held.first().expect("it holds the tool");
    assert_eq!(os.call(Call::Revoke { pid: parent, capability }), Reply::Done);
    assert_eq!(stage(&os.request(child, tool(), Cost::ZERO, None)), Stage::Capability);
    assert_eq!(stage(&os.request(parent, tool(), Cost::ZERO, None)), Stage::Capability);
    assert!(os.events.contains(&Event::Cancel { pid: child, ticket: open }));
}

#[test]
fn a_repeat_gets_the_first_answer() {
    let (mut os, root) = Driven::new();
    let first = os.ask(root, "same", tool(), usd(1), None);
    let entries = os.journal.len();
    assert_eq!(os.ask(root, "same", tool(), usd(1), None), first);
    assert_eq!(os.journal.len(), entries);
    os.complete(ticket(&first), usd(1));
    assert_eq!(
        os.call(Call::Complete {
            ticket: ticket(&first),
            outcome: Outcome::Error,
            cost: usd(9),
            labels: Labels::BOTTOM
        }),
        Reply::Done
    );
    assert_eq!(os.view(root).spent, usd(1));
}

#[test]
fn short_because_of_others_waits_and_short_for_good_is_denied() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool(), Scope::Spawn], ceiling(100), None);
    let child = os.spawn(parent, vec![any_tool()], ceiling(1_000), None);
    let first = os.request(parent, tool(), usd(80), None);
    let second = waiting(&os.request(child, tool(), usd(50), None));
    assert_eq!(stage(&os.request(child, tool(), usd(101), None)), Stage::Budget);
    os.complete(ticket(&first), usd(30));
    let went = os.decided(second).cloned().expect("decided");
    assert_eq!(os.view(parent).spent, usd(30));
    assert_eq!(os.view(parent).reserved, usd(50));
    os.complete(ticket(&went), usd(50));
    assert_eq!(stage(&os.request(child, tool(), usd(21), None)), Stage::Budget);
}

#[test]
fn a_waiting_request_whose_budget_is_gone_is_denied() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool()], ceiling(100), None);
    let first = os.request(parent, tool(), usd(90), None);
    let second = waiting(&os.request(parent, tool(), usd(50), None));
    os.complete(ticket(&first), usd(90));
    assert_eq!(stage(os.decided(second).expect("decided")), Stage::Budget);
}

#[test]
fn a_stream_extends_its_reservation_or_is_cut() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool()], ceiling(100), None);
    let open = ticket(&os.request(parent, tool(), usd(60), None));
    assert!(matches!(os.call(Call::Progress { ticket: open, cost: usd(61) }), Reply::Refused { .. }));
    assert_eq!(os.call(Call::Extend { ticket: open, estimate: usd(40) }), Reply::Done);
    assert!(matches!(os.call(Call::Extend { ticket: open, estimate: usd(1) }), Reply::Refused { .. }));
    assert_eq!(os.call(Call::Progress { ticket: open, cost: usd(100) }), Reply::Done);
}

#[test]
fn groups_share_a_lane_by_weight_and_keep_to_their_concurrency() {
    let (mut os, root) = Driven::new();
    os.call(Call::Lane { lane: "exec".to_owned(), capacity: 1, rates: Rates::default() });
    let heavy = Some(GroupSpec { weight: 3, concurrency: 0 });
    let light = Some(GroupSpec { weight: 1, concurrency: 0 });
    let a = os.spawn(root, vec![any_tool()], Limit::default(), heavy);
    let b = os.spawn(root, vec![any_tool()], Limit::default(), light);
    let mut open = ticket(&os.request(root, tool(), Cost::ZERO, Some("exec")));
    for _ in 0..40 {
        waiting(&os.request(b, tool(), Cost::ZERO, Some("exec")));
        waiting(&os.request(a, tool(), Cost::ZERO, Some("exec")));
    }
    let mut served = Vec::new();
    for _ in 0..40 {
        let before = os.events.len();
        os.complete(open, Cost::ZERO);
        let admitted: Vec<_> = os.events.split_off(before);
        match admitted.as_slice() {
            [Event::Decided { pid, decision, .. }] => {
                served.push(*pid);
                open = ticket(decision);
            }
            other => panic!("one place admits one: {other:?}"),
        }
    }
    let of_a = served.iter().filter(|pid| **pid == a).count();
    assert!((29..=31).contains(&of_a), "{of_a} of 40");
}

#[test]
fn a_group_never_runs_more_than_it_may() {
    let (mut os, root) = Driven::new();
    os.call(Call::Lane { lane: "exec".to_owned(), capacity: 9, rates: Rates::default() });
    let group = Some(GroupSpec { weight: 1, concurrency: 2 });
    let batch = os.spawn(root, vec![Scope::Spawn], Limit::default(), group);
    let spec = ChildSpec { name: "u".to_owned(), ..ChildSpec::default() };
    let spawn = || Action::Spawn { child: Box::new(spec.clone()) };
    let first = os.request(batch, spawn(), Cost::ZERO, Some("exec"));
    ticket(&os.request(batch, spawn(), Cost::ZERO, Some("exec")));
    let third = waiting(&os.request(batch, spawn(), Cost::ZERO, Some("exec")));
    let Decision::Go { child: Some(unit), .. } = first else { panic!("no child") };
    assert_eq!(os.decided(third), None);
    os.call(Call::Exit { pid: unit, status: ExitStatus::Done });
    assert!(matches!(os.decided(third), Some(Decision::Go { child: Some(_), .. })));
}

#[test]
fn a_killed_process_exits_after_its_last_ticket_and_takes_its_children_along() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool(), Scope::Spawn], Limit::default(), None);
    let child = os.spawn(parent, vec![any_tool()], Limit::default(), None);
    let open = ticket(&os.request(child, tool(), usd(5), None));
    assert_eq!(os.call(Call::Signal { by: root, pid: parent, signal: Signal::Kill }), Reply::Done);
    assert_eq!(os.view(parent).state, State::Closing);
    assert_eq!(os.view(child).state, State::Closing);
    assert!(os.events.contains(&Event::Cancel { pid: child, ticket: open }));
    assert_eq!(stage(&os.request(child, tool(), Cost::ZERO, None)), Stage::Process);
    os.complete(open, usd(2));
    let exited = State::Exited { status: ExitStatus::Killed };
    assert!(os.events.contains(&Event::State { pid: parent, state: exited }));
    assert_eq!(os.kernel.state().processes().count(), 1);
    assert_eq!(os.view(root).spent, usd(2));
}

#[test]
fn a_performer_that_never_reports_is_charged_whole() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool()], Limit::default(), None);
    ticket(&os.request(parent, tool(), usd(7), None));
    os.call(Call::Signal { by: root, pid: parent, signal: Signal::Cancel });
    os.now_us = os.kernel.state().next_deadline_us().expect("closing has a deadline");
    os.call(Call::Tick);
    assert_eq!(os.view(root).spent, usd(7));
    assert_eq!(os.kernel.state().processes().count(), 1);
}

#[test]
fn illegal_signals_are_errors() {
    let (mut os, root) = Driven::new();
    let a = os.spawn(root, vec![any_tool()], Limit::default(), None);
    let b = os.spawn(root, vec![any_tool()], Limit::default(), None);
    for (by, pid, signal) in [(a, b, Signal::Kill), (a, a, Signal::Kill), (root, a, Signal::Resume)] {
        assert!(matches!(os.call(Call::Signal { by, pid, signal }), Reply::Refused { .. }), "{signal:?}");
    }
    os.call(Call::Signal { by: root, pid: a, signal: Signal::Suspend });
    assert!(matches!(
        os.call(Call::Signal { by: root, pid: a, signal: Signal::Suspend }),
        Reply::Refused { .. }
    ));
    let held = waiting(&os.request(a, tool(), Cost::ZERO, None));
    os.call(Call::Signal { by: root, pid: a, signal: Signal::Resume });
    assert!(matches!(os.decided(held), Some(Decision::Go { .. })));
}

#[test]
fn a_deadline_denies_what_still_waits() {
    let (mut os, root) = Driven::new();
    os.call(Call::Lane { lane: "l".to_owned(), capacity: 0, rates: Rates::default() });
    let call = Call::Request {
        pid: root,
        key: "late".to_owned(),
        action: tool(),
        estimate: Cost::ZERO,
        parent: None,
        lane: Some("l".to_owned()),
        recovery: Recovery::Repeatable,
        deadline_us: Some(1_000),
        priority: Priority::Normal,
        client: false,
        digest: None,
        unattended: false,
    };
    let Reply::Decided { decision } = os.call(call) else { panic!("undecided") };
    os.now_us = 1_000;
    os.call(Call::Tick);
    let Some(Decision::Deny { refusal }) = os.decided(waiting(&decision)) else { panic!("not denied") };
    assert_eq!(refusal.name, "deadline");
}

#[test]
fn a_new_daemon_settles_what_the_last_one_held() {
    let (mut os, root) = Driven::new();
    let child = os.spawn(root, vec![any_tool()], Limit::default(), None);
    ticket(&os.request(child, tool(), usd(4), None));
    assert_eq!(os.call(Call::Epoch), Reply::Epoch { epoch: 2 });
    assert_eq!(os.view(child).state, State::Ready);
    assert_eq!((os.view(child).spent, os.view(child).reserved), (usd(4), Cost::ZERO));
}

#[test]
fn a_record_too_large_for_an_entry_is_refused() {
    let (mut os, _) = Driven::new();
    let put = |body: String| Call::Put { kind: "k".to_owned(), id: "i".to_owned(), body };
    assert!(matches!(os.call(put("x".repeat(4_000))), Reply::Refused { .. }));
    assert_eq!(os.call(put("{}".to_owned())), Reply::Done);
}

/// A tool is put to a person, or denied, once a secret was used.
fn tool_after_secret(effect: Effect) -> Rule {
    let of = |kind: &str| Matcher { action: vec![kind.to_owned()], ..Matcher::default() };
    let secret = Action::UseSecret { name: "s".to_owned() };
    let example = |history: Vec<Action>| Example {
        action: tool(),
        process: String::new(),
        labels: Labels::BOTTOM,
        history,
    };
    Rule {
        name: "tool-after-secret".to_owned(),
        effect,
        reason: "a secret was used".to_owned(),
        when: of("call"),
        except: Vec::new(),
        after: vec![of("use_secret")],
        until: None,
        catches: vec![example(vec![secret])],
        spares: vec![example(Vec::new())],
    }
}

/// One random call, drawn from what is there.
pub(crate) fn stir(os: &mut Driven, dice: &mut Dice) {
    let pids: Vec<Pid> = os.kernel.state().processes().map(|row| row.pid).collect();
    let open: Vec<TicketId> = os
        .kernel
        .state()
        .tickets
        .iter()
        .map(|((index, generation), _)| TicketId::new(index, generation))
        .collect();
    let root = os.kernel.state().root().expect("there is a root");
    let pid = dice.pick(&pids).unwrap_or(root);
    match dice.roll(20) {
        18 => steer(os, dice, pid),
        19 => hand(os, dice, pid),
        15 if pid != root => {
            let status = [ExitStatus::Done, ExitStatus::Failed, ExitStatus::Lost][dice.roll(3) as usize];
            os.call(Call::Exit { pid, status });
        }
        12 => {
            let effect = dice.pick(&[Effect::Ask, Effect::Deny]).unwrap_or(Effect::Deny);
            let rules = if dice.roll(3) == 0 { Vec::new() } else { vec![tool_after_secret(effect)] };
            os.call(Call::Rules { rules, digest: format!("{}", os.now_us) });
        }
        13 => {
            let open: Vec<RequestId> = os.kernel.state().questions().map(|asked| asked.request).collect();
            if let Some(request) = dice.pick(&open) {
                os.call(Call::Answer { request, approve: dice.roll(3) > 0, standing: dice.roll(2) == 0 });
            }
        }
        15 => {
            let to = dice.pick(&pids);
            let content = Content::Text { text: "m".repeat(dice.roll(3) as usize) };
            let action = Action::Send { mailbox: "n".to_owned(), to, content, reply_to: None };
            os.request(pid, action, Cost::ZERO, None);
        }
        16 | 17 => {
            let from = dice.pick(&pids).filter(|_| dice.roll(3) > 0);
            let deadline_us = (dice.roll(2) == 0).then_some(os.now_us + 10_000_000);
            os.call(match from {
                Some(child) if dice.roll(3) == 0 => Call::Wait { pid, child, deadline_us },
                _ => Call::Receive { pid, from, deadline_us },
            });
        }
        14 => {
            let secret = Action::UseSecret { name: "s".to_owned() };
            let out = Action::Connect { host: "h".to_owned(), port: 1 };
            let action = if dice.roll(2) == 0 { secret } else { out };
            os.request(pid, action, Cost::ZERO, (dice.roll(2) == 0).then_some("exec"));
        }
        0..=3 => {
            let lane = (dice.roll(2) == 0).then_some("exec");
            let estimate = usd(dice.roll(40));
            os.request(pid, tool(), estimate, lane);
        }
        4 | 5 => {
            let budget = if dice.roll(2) == 0 { ceiling(dice.roll(100)) } else { Limit::default() };
            let weight = 1 + dice.roll(3) as u32;
            let group = (dice.roll(3) == 0).then_some(GroupSpec { weight, concurrency: dice.roll(3) as u32 });
            let host = Scope::Host { host: Pattern::Any, port: 0 };
            let secret = Scope::Secret { name: Pattern::Any };
            let mailboxes = Scope::Mailbox { name: Pattern::Any };
            let grants = [any_tool(), Scope::Spawn, host, secret, mailboxes].map(Grant::from).to_vec();
            let strategy = dice.pick(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]);
            let supervises = strategy.filter(|_| dice.roll(3) == 0).map(|strategy| Supervision {
                strategy,
                restarts: 2,
                within_us: 30_000_000,
                pause_us: dice.roll(2_000_000),
                longest_us: 5_000_000,
            });
            let restart =
                dice.pick(&[Restart::Never, Restart::OnFailure, Restart::Always]).unwrap_or_default();
            let (name, isolated) = ("n".to_owned(), dice.roll(2) == 0);
            let mailbox = MailboxSpec { messages: dice.roll(3) as u32, ..MailboxSpec::default() };
            let child = ChildSpec { name, grants, budget, group, isolated, supervises, restart, mailbox };
            os.request(
                pid,
                Action::Spawn { child: Box::new(child) },
                Cost::ZERO,
                Some("exec").filter(|_| dice.roll(2) == 0),
            );
        }
        6..=8 => {
            if let Some(ticket) = dice.pick(&open) {
                let reserved = os.kernel.state().ticket(ticket).map_or(0, |row| row.reserved.usd_micros);
                let cost = usd(dice.roll(reserved + 1));
                os.call(Call::Complete { ticket, outcome: Outcome::Ok, cost, labels: Labels::BOTTOM });
            }
        }
        9 if pid != root => {
            let signal =
                [Signal::Suspend, Signal::Resume, Signal::Cancel, Signal::Kill][dice.roll(4) as usize];
            os.call(Call::Signal { by: root, pid, signal });
        }
        10 => {
            if let Some(ticket) = dice.pick(&open) {
                os.call(Call::Extend { ticket, estimate: usd(dice.roll(10)) });
            }
        }
        _ => {
            os.now_us += dice.roll(20_000_000);
            if dice.roll(10) == 0 {
                os.call(Call::Epoch);
            } else {
                os.call(Call::Tick);
            }
        }
    }
}

/// Calls about lanes, what waits, what is under way and what is kept.
fn steer(os: &mut Driven, dice: &mut Dice, pid: Pid) {
    let state = os.kernel.state();
    let waiting: Vec<RequestId> =
        state.requests.iter().map(|((index, generation), _)| RequestId::new(index, generation)).collect();
    let open: Vec<(TicketId, Cost)> = state
        .tickets
        .iter()
        .map(|((index, generation), row)| (TicketId::new(index, generation), row.reserved))
        .collect();
    let call = match dice.roll(10) {
        8 => Call::Timer {
            id: "t".to_owned(),
            due_us: (dice.roll(3) > 0).then(|| os.now_us + dice.roll(9_000_000)),
        },
        0 => Call::Lane {
            lane: "exec".to_owned(),
            capacity: 1 + dice.roll(4) as u32,
            rates: Rates {
                requests_per_minute: (dice.roll(2) == 0).then(|| 20 + dice.roll(50)),
                ..Rates::default()
            },
        },
        1 => Call::Pressure { lane: "exec".to_owned(), retry_after_us: dice.roll(4_000_000) },
        2 => dice.pick(&waiting).map_or(Call::Tick, |request| Call::Withdraw { request }),
        3 => Call::Put { kind: "k".to_owned(), id: format!("{}", dice.roll(3)), body: "{}".to_owned() },
        4 => Call::Pass { pid, action: tool() },
        5 => dice.pick(&open).map_or(Call::Tick, |(ticket, _)| Call::Cancel { ticket }),
        6 => dice.pick(&open).map_or(Call::Tick, |(ticket, cost)| Call::Progress { ticket, cost }),
        _ => urgent(os, dice, pid),
    };
    os.call(call);
}

/// A request of a client's, with priority and parent.
fn urgent(os: &mut Driven, dice: &mut Dice, pid: Pid) -> Call {
    os.keys += 1;
    let open =
        os.kernel.state().tickets.iter().map(|((index, generation), _)| TicketId::new(index, generation));
    let open: Vec<TicketId> = open.collect();
    let priorities = [Priority::Low, Priority::High, Priority::Critical];
    Call::Request {
        pid,
        key: format!("k{}", os.keys),
        action: tool(),
        estimate: usd(dice.roll(20)),
        parent: dice.pick(&open),
        lane: Some("exec".to_owned()),
        recovery: Recovery::Keyed,
        deadline_us: Some(os.now_us + dice.roll(90_000_000)),
        priority: dice.pick(&priorities).unwrap_or_default(),
        client: true,
        digest: Some("d".to_owned()),
        unattended: dice.roll(2) == 0,
    }
}

/// Capabilities go from hand to hand.
fn hand(os: &mut Driven, dice: &mut Dice, to: Pid) {
    let state = os.kernel.state();
    let all: Vec<(CapabilityId, Pid)> = state
        .capabilities
        .iter()
        .map(|((index, generation), row)| (CapabilityId::new(index, generation), row.owner))
        .collect();
    let root = state.root();
    let Some((capability, pid)) = dice.pick(&all) else { return };
    if dice.roll(3) == 0 && Some(pid) != root {
        os.call(Call::Revoke { pid, capability });
        return;
    }
    let expires_us = (dice.roll(2) == 0).then(|| os.now_us + dice.roll(60_000_000));
    let grant = Grant { scope: any_tool(), expires_us, uses: (dice.roll(2) == 0).then(|| dice.roll(4)) };
    os.call(Call::Derive { pid, capability, to, grant });
}

/// Sums and bounds that hold in every state.
pub(crate) fn check(os: &Driven) {
    let state = os.kernel.state();
    for row in state.processes() {
        let held = row.spent.plus(row.reserved);
        assert_eq!(row.budget.exceeded_by(Cost::ZERO, held), None, "over its ceiling: {row:?}");
        let own = state.tickets.iter().filter(|(_, ticket)| state.lineage(ticket.pid).contains(&row.pid));
        let reserved = own.fold(Cost::ZERO, |sum, (_, ticket)| sum.plus(ticket.reserved));
        assert_eq!(row.reserved, reserved, "reservations do not add up: {row:?}");
        let group = state.process(row.pid).and_then(|process| process.group.as_ref());
        if let Some(group) = group {
            assert!(group.spec.concurrency == 0 || group.running <= group.spec.concurrency, "{group:?}");
        }
    }
    assert!(stuck(os).is_empty(), "a cycle of waiting processes");
    let asked = state.requests.iter().filter(|(_, waiting)| waiting.question.is_some()).count();
    assert_eq!(asked, state.questions.len(), "questions are listed");
    for (_, waiting) in state.requests.iter().filter(|(_, waiting)| waiting.question.is_some()) {
        assert!(waiting.deadline_us.is_some(), "a question has a deadline");
    }
    // Work conservation: whatever may go has gone.
    assert!(state.due.is_empty() && state.wakes.first().is_none_or(|(at, _)| *at > os.now_us));
    for (name, lane) in &state.lanes {
        let used = state
            .tickets
            .iter()
            .filter(|(_, ticket)| ticket.held.as_ref().is_some_and(|held| held.lane == *name));
        assert_eq!(used.count(), lane.used() as usize, "lane {name}");
    }
}

#[test]
fn random_walks_keep_the_invariants_and_recover_to_the_identical_state() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let (mut os, _) = Driven::new();
        os.call(Call::Lane { lane: "exec".to_owned(), capacity: 3, rates: Rates::default() });
        for _ in 0..120 {
            stir(&mut os, &mut dice);
            check(&os);
        }
        assert_eq!(os.recovered(), os.kernel, "seed {seed}");
        let texts = os.journal.iter().map(|entry| format!("{entry:?}").len()).max();
        assert!(texts < Some(4_096), "seed {seed}");
    }
}
