//! What random calls and nonsense found, one by one: capabilities that were handed on, entries that were too
//! long, sums beyond numbers.

use agentos_abi::*;

use crate::driven::*;

/// What `pid` holds, in order.
fn held(os: &Driven, pid: Pid) -> Vec<CapabilityId> {
    os.kernel.state().process(pid).expect("lives").capabilities.ids().to_vec()
}

fn counted(uses: u64) -> Grant {
    Grant { scope: any_tool(), expires_us: None, uses: Some(uses) }
}

fn derive(os: &mut Driven, pid: Pid, to: Pid, grant: Grant) -> CapabilityId {
    let capability = held(os, pid)[0];
    match os.call(Call::Derive { pid, capability, to, grant }) {
        Reply::Capability { capability } => capability,
        other => panic!("not derived: {other:?}"),
    }
}

#[test]
fn copies_of_a_counted_capability_have_its_uses_together() {
    let (mut os, root) = Driven::new();
    let spec = ChildSpec { name: "a".to_owned(), grants: vec![counted(2)], ..ChildSpec::default() };
    let pid = os.bear(root, spec);
    for _ in 0..3 {
        derive(&mut os, pid, pid, counted(2));
    }
    ticket(&os.request(pid, tool(), Cost::ZERO, None));
    ticket(&os.request(pid, tool(), Cost::ZERO, None));
    assert_eq!(stage(&os.request(pid, tool(), Cost::ZERO, None)), Stage::Capability);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_grant_that_the_parent_holds_twice_is_given_once() {
    let (mut os, root) = Driven::new();
    let parent = os.spawn(root, vec![any_tool(), any_tool(), Scope::Spawn], Limit::default(), None);
    let spec = ChildSpec { name: "a".to_owned(), grants: vec![counted(1)], ..ChildSpec::default() };
    let child = os.bear(parent, spec);
    assert_eq!(held(&os, child).len(), 1);
}

#[test]
fn an_exit_cancels_what_others_do_by_what_it_handed_on() {
    let (mut os, root) = Driven::new();
    let giver = os.spawn(root, vec![any_tool()], Limit::default(), None);
    let other = os.spawn(root, Vec::new(), Limit::default(), None);
    derive(&mut os, giver, other, any_tool().into());
    let open = ticket(&os.request(other, tool(), Cost::ZERO, None));
    os.call(Call::Exit { pid: giver, status: ExitStatus::Done });
    assert!(os.events.contains(&Event::Cancel { pid: other, ticket: open }));
    assert_eq!(stage(&os.request(other, tool(), Cost::ZERO, None)), Stage::Capability);
}

#[test]
fn who_handed_a_capability_on_may_take_it_back() {
    let (mut os, root) = Driven::new();
    let giver = os.spawn(root, vec![any_tool()], Limit::default(), None);
    let other = os.spawn(root, Vec::new(), Limit::default(), None);
    let capability = derive(&mut os, giver, other, any_tool().into());
    assert_eq!(os.call(Call::Revoke { pid: giver, capability }), Reply::Done);
    ticket(&os.request(giver, tool(), Cost::ZERO, None));
    assert_eq!(stage(&os.request(other, tool(), Cost::ZERO, None)), Stage::Capability);
}

#[test]
fn a_ticket_that_is_its_own_parent_is_cancelled_once() {
    let (mut os, root) = Driven::new();
    let (index, generation) = os.kernel.state().tickets.upcoming(0);
    let own = TicketId::new(index, generation);
    let call = Call::Request {
        pid: root,
        key: "own".to_owned(),
        action: tool(),
        estimate: Cost::ZERO,
        parent: Some(own),
        lane: None,
        recovery: Recovery::Keyed,
        deadline_us: None,
        priority: Priority::Normal,
        client: false,
        digest: None,
        unattended: false,
    };
    let Reply::Decided { decision } = os.call(call) else { panic!("undecided") };
    assert_eq!(ticket(&decision), own);
    os.call(Call::Cancel { ticket: own });
    assert_eq!(os.events, [Event::Cancel { pid: root, ticket: own }]);
}

#[test]
fn what_an_entry_cannot_hold_is_refused_before_it_is_applied() {
    let (mut os, root) = Driven::new();
    let quotes = Call::Put { kind: "k".to_owned(), id: "i".to_owned(), body: "\"".repeat(3_000) };
    assert!(matches!(os.call(quotes), Reply::Refused { .. }), "it doubles where it is written");
    let crooked = Action::Read { path: format!("/{}/..", "x".repeat(5_000)) };
    assert_eq!(stage(&os.request(root, crooked, Cost::ZERO, None)), Stage::Capability);
    // Many capabilities, each of which the child would get.
    let tools = (0..40).map(|number| Scope::Tool { tool: Pattern::Is(number.to_string()) });
    let parent = os.spawn(root, vec![Scope::Spawn], Limit::default(), None);
    for scope in tools {
        derive(&mut os, root, parent, scope.into());
    }
    let child = ChildSpec { name: "c".to_owned(), grants: vec![any_tool().into()], ..ChildSpec::default() };
    let decision = os.request(parent, Action::Spawn { child: Box::new(child) }, Cost::ZERO, None);
    assert_eq!(stage(&decision), Stage::Ticket);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn no_sum_of_reservations_is_beyond_numbers() {
    let (mut os, root) = Driven::new();
    let first = ticket(&os.request(root, tool(), usd(u64::MAX - 1), None));
    let second = waiting(&os.request(root, tool(), usd(2), None));
    os.complete(first, usd(5));
    assert!(matches!(os.decided(second), Some(Decision::Go { .. })));
    assert_eq!((os.view(root).spent, os.view(root).reserved), (usd(5), usd(2)));
}
