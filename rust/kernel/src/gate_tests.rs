use agentos_abi::*;

use crate::driven::*;

fn matcher(action: &str) -> Matcher {
    Matcher { action: vec![action.to_owned()], ..Matcher::default() }
}

fn connect(host: &str) -> Action {
    Action::Connect { host: host.to_owned(), port: 443 }
}

fn publish(reference: &str) -> Action {
    Action::Publish { repository: "/r".to_owned(), reference: reference.to_owned() }
}

fn secret() -> Action {
    Action::UseSecret { name: "key".to_owned() }
}

fn example(action: Action, history: Vec<Action>) -> Example {
    Example { action, process: String::new(), labels: Labels::BOTTOM, history }
}

/// No publishing to main.
fn no_main(effect: Effect) -> Rule {
    Rule {
        name: "no-main".to_owned(),
        effect,
        reason: "main is for people".to_owned(),
        when: Matcher { reference: vec!["refs/heads/main".to_owned()], ..matcher("publish") },
        except: Vec::new(),
        after: Vec::new(),
        until: None,
        catches: vec![example(publish("refs/heads/main"), Vec::new())],
        spares: vec![example(publish("refs/heads/mainly"), Vec::new())],
    }
}

/// Once a secret was used, no other host than its own, until a person has declassified.
fn after_secret() -> Rule {
    Rule {
        name: "after-secret".to_owned(),
        effect: Effect::Deny,
        reason: "a secret was used: only its own host".to_owned(),
        when: matcher("connect"),
        except: vec![Matcher { host: vec![".example.org".to_owned()], ..Matcher::default() }],
        after: vec![matcher("use_secret")],
        until: Some(matcher("declassify")),
        catches: vec![example(connect("elsewhere.net"), vec![secret()])],
        spares: vec![
            example(connect("elsewhere.net"), Vec::new()),
            example(connect("api.example.org"), vec![secret()]),
            example(connect("elsewhere.net"), vec![secret(), Action::Declassify]),
        ],
    }
}

fn load(os: &mut Driven, rules: Vec<Rule>) -> Reply {
    os.call(Call::Rules { rules, digest: format!("d{}", os.now_us) })
}

fn ask(os: &mut Driven, pid: Pid, action: Action) -> Decision {
    os.request(pid, action, Cost::ZERO, None)
}

fn rule_name(decision: &Decision) -> &str {
    match decision {
        Decision::Deny { refusal } | Decision::Ask { refusal, .. } => &refusal.name,
        other => panic!("neither denied nor asked: {other:?}"),
    }
}

#[test]
fn a_rule_denies_what_it_catches_and_nothing_else() {
    let (mut os, root) = Driven::new();
    assert_eq!(load(&mut os, vec![no_main(Effect::Deny)]), Reply::Done);
    assert_eq!(stage(&ask(&mut os, root, publish("refs/heads/main"))), Stage::Rule);
    assert_eq!(stage(&ask(&mut os, root, publish("refs/heads/main/sub"))), Stage::Rule);
    ticket(&ask(&mut os, root, publish("refs/heads/main2")));
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn rules_whose_examples_do_not_hold_are_refused_whole() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Deny)]);
    let blind = Rule { when: matcher("exec"), ..no_main(Effect::Deny) };
    let greedy = Rule { when: matcher("publish"), ..no_main(Effect::Deny) };
    let silent = Rule { spares: Vec::new(), ..no_main(Effect::Deny) };
    let unknown = Rule { when: matcher("fly"), ..no_main(Effect::Deny) };
    let odd_host = Matcher { host: vec!["*.org".to_owned()], ..matcher("connect") };
    let globbed = Rule { when: odd_host, ..no_main(Effect::Deny) };
    let crooked = Matcher { path: vec!["/a/../b".to_owned()], ..matcher("read") };
    let crooked = Rule { when: crooked, ..no_main(Effect::Deny) };
    for (rule, word) in [
        (blind, "does not catch"),
        (greedy, "catches its example 1 of `spares`"),
        (silent, "needs an example"),
        (unknown, "no action `fly`"),
        (globbed, "is not a host"),
        (crooked, "not absolute and normal"),
    ] {
        let reply = load(&mut os, vec![after_secret(), rule]);
        let Reply::Refused { refusal } = reply else { panic!("taken") };
        assert!(refusal.message.contains(word), "{refusal:?}");
    }
    let twice = load(&mut os, vec![after_secret(), after_secret()]);
    assert!(matches!(twice, Reply::Refused { .. }));
    // The rules from before are still in force.
    assert_eq!(stage(&ask(&mut os, root, publish("refs/heads/main"))), Stage::Rule);
}

#[test]
fn the_strictest_of_several_rules_wins() {
    let (mut os, root) = Driven::new();
    let asks = Rule { name: "asks".to_owned(), ..no_main(Effect::Ask) };
    load(&mut os, vec![asks, no_main(Effect::Deny)]);
    assert_eq!(rule_name(&ask(&mut os, root, publish("refs/heads/main"))), "no-main");
}

#[test]
fn a_history_rule_remembers_for_a_process_and_its_children() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![after_secret()]);
    let agent = os.spawn(root, vec![Scope::Everything], Limit::default(), None);
    let other = os.spawn(root, vec![Scope::Everything], Limit::default(), None);
    ticket(&ask(&mut os, agent, connect("elsewhere.net")));
    ticket(&ask(&mut os, agent, secret()));
    assert_eq!(rule_name(&ask(&mut os, agent, connect("elsewhere.net"))), "after-secret");
    ticket(&ask(&mut os, other, connect("elsewhere.net")));
    let child = os.spawn(agent, vec![Scope::Everything], Limit::default(), None);
    assert_eq!(rule_name(&ask(&mut os, child, connect("elsewhere.net"))), "after-secret");
    ticket(&ask(&mut os, child, Action::Declassify));
    // It is declassified for the child alone.
    ticket(&ask(&mut os, child, connect("elsewhere.net")));
    assert_eq!(rule_name(&ask(&mut os, agent, connect("elsewhere.net"))), "after-secret");
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn what_a_child_did_counts_for_its_parent_once_it_has_exited() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![after_secret()]);
    let agent = os.spawn(root, vec![Scope::Everything], Limit::default(), None);
    let child = os.spawn(agent, vec![Scope::Everything], Limit::default(), None);
    let used = ticket(&ask(&mut os, child, secret()));
    os.complete(used, Cost::ZERO);
    ticket(&ask(&mut os, agent, connect("elsewhere.net")));
    os.call(Call::Exit { pid: child, status: ExitStatus::Done });
    assert_eq!(rule_name(&ask(&mut os, agent, connect("elsewhere.net"))), "after-secret");
    assert_eq!(os.view(root).labels, Labels::BOTTOM);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_program_is_caught_for_any_one_thing_that_it_may_do() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![after_secret()]);
    let host = |name: &str| Scope::Host { host: Pattern::Is(name.to_owned()), port: 443 };
    let exec = |mandate: Vec<Scope>| Action::Exec { command: "c".to_owned(), mandate };
    let reads = Scope::Path { path: "/a".to_owned(), rights: Rights::Read };
    let keys = Matcher { path: vec!["/a/keys".to_owned()], ..matcher("exec") };
    let rule = Rule {
        name: "keys".to_owned(),
        when: keys,
        catches: vec![example(exec(vec![reads.clone()]), Vec::new())],
        spares: vec![example(exec(vec![host("a")]), Vec::new())],
        ..no_main(Effect::Deny)
    };
    let outside = Rule {
        name: "outside".to_owned(),
        when: Matcher { host: vec!["bad.net".to_owned()], ..matcher("exec") },
        except: vec![Matcher { host: vec!["api.example.org".to_owned()], ..Matcher::default() }],
        catches: vec![example(exec(vec![host("api.example.org"), host("bad.net")]), Vec::new())],
        spares: vec![example(exec(vec![host("api.example.org")]), Vec::new())],
        ..no_main(Effect::Deny)
    };
    assert_eq!(load(&mut os, vec![rule, outside]), Reply::Done);
    // Everything below `/a` includes the keys; a mandate of any host includes the bad one.
    assert_eq!(rule_name(&ask(&mut os, root, exec(vec![reads]))), "keys");
    let anywhere = Scope::Host { host: Pattern::Any, port: 0 };
    assert_eq!(rule_name(&ask(&mut os, root, exec(vec![anywhere]))), "outside");
    ticket(&ask(&mut os, root, exec(vec![host("api.example.org")])));
}

#[test]
fn a_question_is_answered_by_a_person_and_then_goes_or_does_not() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Ask)]);
    let Decision::Ask { request, .. } = ask(&mut os, root, publish("refs/heads/main")) else {
        panic!("not asked")
    };
    let questions: Vec<Question> = os.kernel.state().questions().collect();
    assert_eq!(questions.iter().map(|question| question.request).collect::<Vec<_>>(), vec![request]);
    os.call(Call::Answer { request, approve: true, standing: false });
    assert!(matches!(os.decided(request), Some(Decision::Go { .. })));
    assert_eq!(os.kernel.state().questions().count(), 0);
    // A yes is for that request alone.
    let Decision::Ask { request, .. } = ask(&mut os, root, publish("refs/heads/main")) else {
        panic!("not asked again")
    };
    os.call(Call::Answer { request, approve: false, standing: false });
    let Some(Decision::Deny { refusal }) = os.decided(request) else { panic!("not denied") };
    assert!(refusal.message.contains("a person said no"), "{refusal:?}");
    assert!(matches!(
        os.call(Call::Answer { request, approve: true, standing: false }),
        Reply::Refused { .. }
    ));
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_standing_yes_is_for_the_same_process_and_the_exact_action() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Ask)]);
    let agent = os.spawn(root, vec![Scope::Everything], Limit::default(), None);
    let Decision::Ask { request, .. } = ask(&mut os, agent, publish("refs/heads/main")) else {
        panic!("not asked")
    };
    os.call(Call::Answer { request, approve: true, standing: true });
    ticket(&ask(&mut os, agent, publish("refs/heads/main")));
    assert!(matches!(ask(&mut os, agent, publish("refs/heads/main/x")), Decision::Ask { .. }));
    assert!(matches!(ask(&mut os, root, publish("refs/heads/main")), Decision::Ask { .. }));
    let with = |digest: &str| Call::Request {
        pid: agent,
        key: digest.to_owned(),
        action: publish("refs/heads/main"),
        estimate: Cost::ZERO,
        parent: None,
        lane: None,
        recovery: Recovery::Once,
        deadline_us: None,
        priority: Priority::Normal,
        client: false,
        digest: Some(digest.to_owned()),
        unattended: false,
    };
    // Other arguments are another action.
    let Reply::Decided { decision } = os.call(with("d1")) else { panic!("undecided") };
    assert!(matches!(decision, Decision::Ask { .. }));
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_question_that_nobody_answers_is_answered_with_no() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Ask)]);
    let Decision::Ask { request, .. } = ask(&mut os, root, publish("refs/heads/main")) else {
        panic!("not asked")
    };
    os.now_us = os.kernel.state().next_deadline_us().expect("a question has a deadline");
    os.call(Call::Tick);
    let Some(Decision::Deny { refusal }) = os.decided(request) else { panic!("not denied") };
    assert!(refusal.message.contains("nobody answered"), "{refusal:?}");
}

#[test]
fn what_would_need_a_person_is_denied_where_nobody_can_be_asked() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Ask)]);
    let call = Call::Request {
        pid: root,
        key: "alone".to_owned(),
        action: publish("refs/heads/main"),
        estimate: Cost::ZERO,
        parent: None,
        lane: None,
        recovery: Recovery::Once,
        deadline_us: None,
        priority: Priority::Normal,
        client: false,
        digest: None,
        unattended: true,
    };
    let Reply::Decided { decision } = os.call(call) else { panic!("undecided") };
    assert_eq!(stage(&decision), Stage::Rule);
}

#[test]
fn untrusted_data_private_data_and_a_way_out_do_not_meet_without_a_person() {
    let (mut os, root) = Driven::new();
    let agent = os.spawn(root, vec![Scope::Everything], Limit::default(), None);
    let read = ticket(&ask(&mut os, agent, connect("news.example")));
    os.complete(read, Cost::ZERO);
    ticket(&ask(&mut os, agent, connect("news.example")));
    ticket(&ask(&mut os, agent, Action::Recall { space: "mine".to_owned() }));
    assert_eq!(rule_name(&ask(&mut os, agent, connect("news.example"))), "rule_of_two");
    // A child knows what its parent knows.
    let child = os.spawn(agent, vec![Scope::Everything], Limit::default(), None);
    assert_eq!(rule_name(&ask(&mut os, child, publish("refs/heads/x"))), "rule_of_two");
    // What a performer reports counts as well.
    let reader = os.spawn(root, vec![Scope::Everything], Limit::default(), None);
    let file = ticket(&ask(&mut os, reader, Action::Read { path: "/inbox".to_owned() }));
    let labels = Labels { secrecy: Secrecy::Private, integrity: Integrity::Untrusted };
    os.call(Call::Complete { ticket: file, outcome: Outcome::Ok, cost: Cost::ZERO, labels });
    assert_eq!(rule_name(&ask(&mut os, reader, connect("a.example"))), "rule_of_two");
    ticket(&ask(&mut os, reader, Action::Endorse));
    ticket(&ask(&mut os, reader, connect("a.example")));
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_request_that_waited_is_looked_at_again_before_it_goes() {
    let (mut os, root) = Driven::new();
    os.call(Call::Lane { lane: "l".to_owned(), capacity: 0, rates: Rates::default() });
    let waits = waiting(&os.request(root, publish("refs/heads/main"), Cost::ZERO, Some("l")));
    load(&mut os, vec![no_main(Effect::Ask)]);
    os.call(Call::Lane { lane: "l".to_owned(), capacity: 1, rates: Rates::default() });
    assert_eq!(os.decided(waits), None);
    assert_eq!(os.kernel.state().questions().count(), 1);
    os.call(Call::Answer { request: waits, approve: true, standing: false });
    assert!(matches!(os.decided(waits), Some(Decision::Go { .. })));
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn an_explanation_names_the_stage_that_decides_and_changes_nothing() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Ask)]);
    let agent = os.spawn(root, vec![any_tool()], ceiling(5), None);
    let before = os.journal.len();
    let decisions = |findings: Vec<Finding>| -> Vec<(Stage, String)> {
        findings.into_iter().map(|found| (found.stage, found.decision)).collect()
    };
    let found = decisions(os.kernel.state().explain(agent, &publish("refs/heads/main"), usd(6), None));
    assert!(found.contains(&(Stage::Capability, "deny".to_owned())), "{found:?}");
    assert!(found.contains(&(Stage::Rule, "ask".to_owned())), "{found:?}");
    assert!(found.contains(&(Stage::Budget, "deny".to_owned())), "{found:?}");
    let found = decisions(os.kernel.state().explain(agent, &tool(), usd(5), None));
    assert!(found.iter().all(|(_, decision)| decision == "go"), "{found:?}");
    assert_eq!(os.journal.len(), before);
}

#[test]
fn a_pure_effect_passes_without_a_ticket_and_only_where_nobody_has_to_wait_or_be_asked() {
    let (mut os, root) = Driven::new();
    load(&mut os, vec![no_main(Effect::Ask)]);
    let grants = vec![Grant { scope: any_tool(), expires_us: None, uses: Some(1) }];
    let agent = os.bear(root, ChildSpec { name: "a".to_owned(), grants, ..ChildSpec::default() });
    let refused = |reply: Reply| match reply {
        Reply::Refused { refusal } => (refusal.stage, refusal.name),
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(os.call(Call::Pass { pid: agent, action: tool() }), Reply::Done);
    assert_eq!(os.view(agent).tickets, 0);
    // Its one use is used.
    let (stage, _) = refused(os.call(Call::Pass { pid: agent, action: tool() }));
    assert_eq!(stage, Stage::Capability);
    let crooked = Action::Read { path: "/a/../b".to_owned() };
    assert_eq!(refused(os.call(Call::Pass { pid: root, action: crooked })).1, "malformed");
    let out = refused(os.call(Call::Pass { pid: root, action: publish("refs/heads/x") }));
    assert_eq!(out, (Stage::Ticket, "pure".to_owned()));
    let tools = Rule {
        name: "tools".to_owned(),
        when: matcher("call"),
        catches: vec![example(tool(), Vec::new())],
        spares: vec![example(connect("a.b"), Vec::new())],
        ..no_main(Effect::Ask)
    };
    load(&mut os, vec![tools]);
    assert_eq!(refused(os.call(Call::Pass { pid: root, action: tool() })).1, "tools");
    os.call(Call::Signal { by: root, pid: agent, signal: Signal::Suspend });
    assert_eq!(refused(os.call(Call::Pass { pid: agent, action: tool() })).0, Stage::Process);
    // What it read counts.
    os.call(Call::Pass { pid: root, action: Action::Recall { space: "s".to_owned() } });
    assert_eq!(os.view(root).labels.secrecy, Secrecy::Private);
    assert_eq!(os.recovered(), os.kernel);
}

#[test]
fn a_process_cannot_rename_itself_out_of_a_rule_or_into_an_exception() {
    let (mut os, root) = Driven::new();
    let of = |name: &str| Matcher { process: vec![name.to_owned()], ..matcher("publish") };
    let from =
        |process: &str| Example { process: process.to_owned(), ..example(publish("refs/x"), Vec::new()) };
    let rule = |when: Matcher, except: Vec<Matcher>, catches: &str, spares: &str| Rule {
        name: format!("{catches}-not-{spares}"),
        when,
        except,
        catches: vec![from(catches)],
        spares: vec![from(spares)],
        ..no_main(Effect::Deny)
    };
    let named = rule(of("guest"), Vec::new(), "guest", "owner");
    let excepted = rule(matcher("publish"), vec![of("owner")], "other", "owner");
    assert_eq!(load(&mut os, vec![named, excepted]), Reply::Done);
    let born = |os: &mut Driven, parent: Pid, name: &str| {
        let grants = vec![Scope::Everything.into()];
        os.bear(parent, ChildSpec { name: name.to_owned(), grants, ..ChildSpec::default() })
    };
    let guest = born(&mut os, root, "guest");
    let disguised = born(&mut os, guest, "owner");
    assert_eq!(rule_name(&ask(&mut os, disguised, publish("refs/x"))), "guest-not-owner");
    let other = born(&mut os, root, "other");
    let impostor = born(&mut os, other, "owner");
    assert_eq!(rule_name(&ask(&mut os, impostor, publish("refs/x"))), "other-not-owner");
    let owner = born(&mut os, root, "owner");
    let helper = born(&mut os, owner, "anything");
    ticket(&ask(&mut os, helper, publish("refs/x")));
}
