use agentos_abi::*;

use crate::driven::*;

const SECOND: u64 = 1_000_000;

fn supervision(strategy: Strategy) -> Supervision {
    Supervision { strategy, restarts: 3, within_us: 60 * SECOND, pause_us: SECOND, longest_us: 3 * SECOND }
}

/// A supervisor below the root with `count` children called `c0`, `c1` … that are started again on failure.
fn family(strategy: Strategy, count: usize) -> (Driven, Pid, Vec<Pid>) {
    let (mut os, root) = Driven::new();
    let keeper = os.bear(
        root,
        ChildSpec {
            name: "keeper".to_owned(),
            grants: [Scope::Spawn, any_tool()].map(Grant::from).to_vec(),
            supervises: Some(supervision(strategy)),
            ..ChildSpec::default()
        },
    );
    let children = (0..count).map(|number| os.bear(keeper, child(number))).collect();
    (os, keeper, children)
}

fn child(number: usize) -> ChildSpec {
    ChildSpec {
        name: format!("c{number}"),
        grants: vec![Grant { scope: any_tool(), expires_us: None, uses: Some(2) }],
        budget: ceiling(100),
        restart: Restart::OnFailure,
        ..ChildSpec::default()
    }
}

fn exit(os: &mut Driven, pid: Pid, status: ExitStatus) {
    os.call(Call::Exit { pid, status });
}

/// Lets the next deadline pass.
fn wait(os: &mut Driven) {
    os.now_us = os.kernel.state().next_deadline_us().expect("something is due");
    os.call(Call::Tick);
}

/// Who came after whom, in the order of the restarts.
fn restarted(os: &Driven) -> Vec<(Pid, Pid)> {
    let pair = |event: &Event| match event {
        Event::Restarted { old, pid, .. } => Some((*old, *pid)),
        _ => None,
    };
    os.events.iter().filter_map(pair).collect()
}

fn names(os: &Driven) -> Vec<String> {
    let started = |event: &Event| match event {
        Event::Restarted { name, .. } => Some(name.clone()),
        _ => None,
    };
    os.events.iter().filter_map(started).collect()
}

#[test]
fn one_for_one_starts_the_fallen_one_again_after_a_pause() {
    let (mut os, keeper, children) = family(Strategy::OneForOne, 2);
    exit(&mut os, children[0], ExitStatus::Failed);
    assert!(restarted(&os).is_empty(), "it pauses first");
    wait(&mut os);
    let [(old, new)] = restarted(&os)[..] else { panic!("one restart") };
    assert_eq!(old, children[0]);
    assert_eq!(os.view(new).parent, Some(keeper));
    assert_eq!(os.view(new).restarts, 1);
    assert_eq!(os.view(children[1]).state, State::Ready);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn one_for_all_ends_the_others_and_starts_all_in_their_order() {
    let (mut os, _, children) = family(Strategy::OneForAll, 3);
    let open = ticket(&os.request(children[2], tool(), Cost::ZERO, None));
    exit(&mut os, children[1], ExitStatus::Failed);
    wait(&mut os);
    assert!(restarted(&os).is_empty(), "one of them still holds a ticket");
    os.complete(open, Cost::ZERO);
    os.call(Call::Tick);
    assert_eq!(names(&os), ["c0", "c1", "c2"]);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn rest_for_one_leaves_alone_what_was_started_before() {
    let (mut os, _, children) = family(Strategy::RestForOne, 3);
    exit(&mut os, children[1], ExitStatus::Lost);
    wait(&mut os);
    assert_eq!(names(&os), ["c1", "c2"]);
    assert_eq!(os.view(children[0]).state, State::Ready);
    // The order outlives restarts, though names of slots are used again.
    let second = restarted(&os)[0].1;
    exit(&mut os, second, ExitStatus::Failed);
    wait(&mut os);
    assert_eq!(names(&os), ["c1", "c2", "c1", "c2"]);
}

#[test]
fn what_ends_well_or_was_told_to_end_stays_ended() {
    let (mut os, keeper, children) = family(Strategy::OneForOne, 3);
    exit(&mut os, children[0], ExitStatus::Done);
    os.call(Call::Signal { by: keeper, pid: children[1], signal: Signal::Kill });
    os.call(Call::Signal { by: keeper, pid: children[2], signal: Signal::Cancel });
    os.now_us += 600 * SECOND;
    os.call(Call::Tick);
    assert!(restarted(&os).is_empty());
    assert_eq!(os.view(keeper).state, State::Ready, "their spawn tickets are complete");
    let always = os.bear(keeper, ChildSpec { restart: Restart::Always, ..child(9) });
    exit(&mut os, always, ExitStatus::Done);
    wait(&mut os);
    assert_eq!(names(&os), ["c9"]);
}

#[test]
fn a_supervisor_gives_up_after_too_many_restarts_and_fails_itself() {
    let (mut os, keeper, children) = family(Strategy::OneForOne, 2);
    let mut pid = children[0];
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let before = os.now_us;
        exit(&mut os, pid, ExitStatus::Failed);
        wait(&mut os);
        pauses.push((os.now_us - before) / SECOND);
        pid = restarted(&os).last().expect("started again").1;
    }
    assert_eq!(pauses, [1, 2, 3], "pauses double up to the longest");
    exit(&mut os, pid, ExitStatus::Failed);
    os.call(Call::Tick);
    let ended = os.events.iter().any(|event| {
        *event == Event::State { pid: keeper, state: State::Exited { status: ExitStatus::Failed } }
    });
    assert!(ended, "{:?}", os.events);
    assert_eq!(os.kernel.state().processes().count(), 1, "only the root is left");
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn restarts_long_ago_do_not_count() {
    let (mut os, keeper, children) = family(Strategy::OneForOne, 1);
    let mut pid = children[0];
    for _ in 0..9 {
        exit(&mut os, pid, ExitStatus::Failed);
        wait(&mut os);
        pid = restarted(&os).last().expect("started again").1;
        os.now_us += 61 * SECOND;
    }
    assert!(os.view(keeper).state != State::Closing);
    assert_eq!(os.view(pid).restarts, 9);
}

#[test]
fn a_restart_gives_back_neither_uses_nor_money_nor_innocence() {
    let (mut os, keeper, children) = family(Strategy::OneForOne, 1);
    let used = ticket(&os.request(children[0], tool(), usd(60), None));
    let labels = Labels { secrecy: Secrecy::Private, integrity: Integrity::Untrusted };
    os.call(Call::Complete { ticket: used, outcome: Outcome::Ok, cost: usd(60), labels });
    exit(&mut os, children[0], ExitStatus::Failed);
    wait(&mut os);
    let new = restarted(&os)[0].1;
    assert_eq!(os.view(new).spent, usd(60));
    assert_eq!(os.view(new).labels, labels);
    assert_eq!(stage(&os.request(new, tool(), usd(41), None)), Stage::Budget);
    let last = ticket(&os.request(new, tool(), usd(40), None));
    os.complete(last, usd(40));
    assert_eq!(stage(&os.request(new, tool(), Cost::ZERO, None)), Stage::Capability);
    assert_eq!(os.view(keeper).spent, usd(100));
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn what_the_supervisor_lost_the_child_does_not_get_again() {
    let (mut os, root) = Driven::new();
    let keeper = os.bear(
        root,
        ChildSpec {
            name: "keeper".to_owned(),
            grants: [Scope::Spawn, any_tool()].map(Grant::from).to_vec(),
            supervises: Some(supervision(Strategy::OneForOne)),
            ..ChildSpec::default()
        },
    );
    let pid = os.bear(keeper, child(0));
    let tool_of_keeper = os
        .journal
        .iter()
        .find_map(|entry| match &entry.fact {
            Fact::Go { child: Some(born), .. } if born.pid == keeper => {
                born.capabilities.iter().find(|given| given.grant.scope == any_tool())
            }
            _ => None,
        })
        .expect("it was given one")
        .capability;
    exit(&mut os, pid, ExitStatus::Failed);
    os.call(Call::Revoke { pid: root, capability: tool_of_keeper });
    wait(&mut os);
    let new = restarted(&os)[0].1;
    assert_eq!(stage(&os.request(new, tool(), Cost::ZERO, None)), Stage::Capability);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_supervisor_that_is_killed_takes_pending_restarts_along() {
    let (mut os, keeper, children) = family(Strategy::OneForAll, 3);
    exit(&mut os, children[1], ExitStatus::Failed);
    let root = os.kernel.state().root().expect("there is a root");
    os.call(Call::Signal { by: root, pid: keeper, signal: Signal::Kill });
    os.call(Call::Tick);
    assert_eq!(os.kernel.state().processes().count(), 1);
    assert_eq!(os.kernel.state().next_deadline_us(), None);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_suspended_supervisor_decides_once_it_goes_on() {
    let (mut os, keeper, children) = family(Strategy::OneForOne, 1);
    let root = os.kernel.state().root().expect("there is a root");
    os.call(Call::Signal { by: root, pid: keeper, signal: Signal::Suspend });
    exit(&mut os, children[0], ExitStatus::Failed);
    os.now_us += 60 * SECOND;
    os.call(Call::Tick);
    assert!(restarted(&os).is_empty());
    os.call(Call::Signal { by: root, pid: keeper, signal: Signal::Resume });
    wait(&mut os);
    assert_eq!(names(&os), ["c0"]);
}
