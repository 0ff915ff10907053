use agentos_abi::*;

use crate::Kernel;
use crate::driven::*;

fn pair(messages: u32) -> (Driven, Pid, Pid) {
    let (mut os, root) = Driven::new();
    let a = os.member(root, "a", messages);
    let b = os.member(root, "b", messages);
    (os, a, b)
}

fn labelled(secrecy: Secrecy) -> Labels {
    Labels { secrecy, ..Labels::BOTTOM }
}

fn blob(size: u64) -> Content {
    Content::Blob { digest: "ab".repeat(32), size }
}

fn send_to(name: &str, to: Option<Pid>, content: Content) -> Action {
    Action::Send { mailbox: name.to_owned(), to, content, reply_to: None }
}

impl Driven {
    /// The texts that `pid` waited for and got.
    fn received(&self, pid: Pid) -> Vec<String> {
        let got = |event: &Event| match event {
            Event::Received { pid: to, message, .. } if *to == pid => Some(text(message)),
            _ => None,
        };
        self.events.iter().filter_map(got).collect()
    }
}

fn went(os: &Driven, request: RequestId) -> bool {
    matches!(os.decided(request), Some(Decision::Go { .. }))
}

#[test]
fn messages_come_out_as_they_went_in_or_by_their_sender() {
    let (mut os, a, b) = pair(9);
    let root = os.kernel.state().root().expect("there is a root");
    let c = os.member(root, "c", 9);
    for (from, text) in [(a, "a1"), (c, "c1"), (a, "a2"), (c, "c2")] {
        ticket(&os.send(from, "b", text));
    }
    assert_eq!(os.text(b, Some(c)), "c1");
    assert_eq!(os.text(b, None), "a1");
    assert_eq!(os.text(b, None), "a2");
    assert_eq!(os.text(b, None), "c2");
    assert!(matches!(os.receive(b, None), Reply::Waiting { .. }));
}

#[test]
fn a_message_says_who_sent_it_and_what_it_answers() {
    let (mut os, a, b) = pair(9);
    let asked = ticket(&os.send(a, "b", "what?"));
    let Reply::Received { message } = os.receive(b, None) else { panic!("no message") };
    assert_eq!((message.id, message.from, message.sender.as_str()), (asked, a, "a"));
    let answer =
        Action::Send { mailbox: "a".to_owned(), to: Some(a), content: blob(9), reply_to: Some(asked) };
    ticket(&os.request(b, answer, Cost::ZERO, None));
    let Reply::Received { message } = os.receive(a, Some(b)) else { panic!("no answer") };
    assert_eq!((message.reply_to, message.content), (Some(asked), blob(9)));
}

#[test]
fn a_send_to_a_full_mailbox_waits_and_goes_in_its_turn() {
    let (mut os, a, b) = pair(2);
    ticket(&os.send(a, "b", "1"));
    ticket(&os.send(a, "b", "2"));
    let third = os.send(a, "b", "3");
    let Decision::Wait { request: third, refusal } = third else { panic!("it does not wait: {third:?}") };
    assert_eq!((refusal.stage, refusal.name.as_str()), (Stage::Queue, "mailbox"));
    assert_eq!(os.view(a).state, State::Waiting);
    assert_eq!(os.view(a).waiting_on.as_deref(), Some("the mailbox of `b`"));
    let fourth = waiting(&os.send(a, "b", "4"));
    assert_eq!(os.text(b, None), "1");
    assert!(went(&os, third) && !went(&os, fourth));
    assert_eq!(os.text(b, None), "2");
    assert!(went(&os, fourth));
    assert_eq!((os.text(b, None), os.text(b, None)), ("3".to_owned(), "4".to_owned()));
    assert_eq!(os.view(a).state, State::Ready);
}

#[test]
fn a_mailbox_is_full_by_bytes_too_and_never_takes_what_is_larger_than_it() {
    let (mut os, a, _) = pair(9);
    let most = MailboxSpec::default().bytes;
    let decision = os.request(a, send_to("b", None, blob(most + 1)), Cost::ZERO, None);
    assert_eq!(denied(&decision).name, "mailbox");
    ticket(&os.request(a, send_to("b", None, blob(most)), Cost::ZERO, None));
    waiting(&os.send(a, "b", "small"));
}

#[test]
fn a_mailbox_without_room_passes_from_hand_to_hand() {
    let (mut os, a, b) = pair(0);
    let held = waiting(&os.send(a, "b", "now"));
    assert!(matches!(os.receive(b, None), Reply::Waiting { .. }));
    assert_eq!(os.received(b), ["now"]);
    assert!(went(&os, held));
    waiting(&os.send(a, "b", "later"));
}

#[test]
fn who_waits_for_a_sender_gets_its_message_through_a_full_mailbox() {
    let (mut os, a, b) = pair(1);
    let root = os.kernel.state().root().expect("there is a root");
    let c = os.member(root, "c", 1);
    ticket(&os.send(a, "b", "first"));
    let behind = waiting(&os.send(a, "b", "second"));
    assert!(matches!(os.receive(b, Some(c)), Reply::Waiting { .. }));
    let wanted = waiting(&os.send(c, "b", "wanted"));
    assert!(went(&os, wanted));
    assert_eq!(os.received(b), ["wanted"]);
    assert!(!went(&os, behind));
    assert_eq!(os.text(b, None), "first");
    assert!(went(&os, behind));
}

#[test]
fn labels_and_history_rise_on_receipt_and_not_before() {
    let (mut os, a, b) = pair(9);
    let open = ticket(&os.request(a, tool(), Cost::ZERO, None));
    let secret = labelled(Secrecy::Secret);
    os.call(Call::Complete { ticket: open, outcome: Outcome::Ok, cost: Cost::ZERO, labels: secret });
    ticket(&os.send(a, "b", "what I know"));
    assert_eq!(os.view(b).labels, Labels::BOTTOM);
    let Reply::Received { message } = os.receive(b, None) else { panic!("no message") };
    assert_eq!(message.labels, secret);
    assert_eq!(os.view(b).labels, secret);
}

#[test]
fn a_message_carries_the_labels_its_sender_had_when_it_went() {
    let (mut os, a, b) = pair(9);
    let open = ticket(&os.request(a, tool(), Cost::ZERO, None));
    ticket(&os.send(a, "b", "innocent"));
    let labels = labelled(Secrecy::Private);
    os.call(Call::Complete { ticket: open, outcome: Outcome::Ok, cost: Cost::ZERO, labels });
    os.text(b, None);
    assert_eq!(os.view(b).labels, Labels::BOTTOM);
}

#[test]
fn a_message_passes_on_how_far_its_sender_is_in_the_history_rules() {
    let (mut os, a, b) = pair(9);
    let of = |kind: &str| Matcher { action: vec![kind.to_owned()], ..Matcher::default() };
    let example = |history: Vec<Action>| Example {
        action: send_to("x", None, Content::default()),
        process: String::new(),
        labels: Labels::BOTTOM,
        history,
    };
    let rule = Rule {
        name: "quiet".to_owned(),
        effect: Effect::Deny,
        reason: "it has used a tool".to_owned(),
        when: of("send"),
        except: vec![Matcher { process: vec!["a".to_owned()], ..Matcher::default() }],
        after: vec![of("call")],
        until: None,
        catches: vec![example(vec![tool()])],
        spares: vec![example(Vec::new())],
    };
    assert_eq!(os.call(Call::Rules { rules: vec![rule], digest: "1".to_owned() }), Reply::Done);
    let open = ticket(&os.request(a, tool(), Cost::ZERO, None));
    os.complete(open, Cost::ZERO);
    ticket(&os.send(b, "a", "before"));
    ticket(&os.send(a, "b", "found with the tool"));
    ticket(&os.send(b, "a", "not read yet"));
    os.text(b, None);
    assert_eq!(denied(&os.send(b, "a", "after")).name, "quiet");
}

#[test]
fn nobody_sends_to_who_has_exited() {
    let (mut os, a, b) = pair(1);
    ticket(&os.send(a, "b", "1"));
    let held = waiting(&os.send(a, "b", "2"));
    os.call(Call::Exit { pid: b, status: ExitStatus::Done });
    let Some(Decision::Deny { refusal }) = os.decided(held) else { panic!("it still waits") };
    assert_eq!((refusal.stage, refusal.name.as_str()), (Stage::Process, "exited"));
    assert_eq!(denied(&os.send(a, "b", "3")).name, "unknown");
    let named = os.request(a, send_to("b", Some(b), Content::default()), Cost::ZERO, None);
    assert_eq!(denied(&named).name, "exited");
    assert!(denied(&named).message.contains("`b` has exited"));
}

#[test]
fn a_name_means_the_nearest_and_a_pid_must_bear_it() {
    let (mut os, root) = Driven::new();
    let team = |os: &mut Driven, name: &str| {
        let head = os.member(root, name, 9);
        (head, os.member(head, "writer", 9), os.member(head, "reviewer", 9))
    };
    let (_, writer, reviewer) = team(&mut os, "one");
    let (_, other_writer, other_reviewer) = team(&mut os, "two");
    ticket(&os.send(other_writer, "reviewer", "two"));
    ticket(&os.send(writer, "reviewer", "one"));
    assert_eq!((os.text(reviewer, None), os.text(other_reviewer, None)), ("one".into(), "two".into()));
    ticket(&os.request(writer, send_to("reviewer", Some(other_reviewer), blob(1)), Cost::ZERO, None));
    let wrong = os.request(writer, send_to("writer", Some(other_reviewer), blob(1)), Cost::ZERO, None);
    assert_eq!(denied(&wrong).name, "unknown");
    ticket(&os.send(writer, "writer", "to the other one, not to oneself"));
    assert_eq!(os.text(other_writer, None), "to the other one, not to oneself");
}

#[test]
fn a_capability_for_one_name_opens_no_other_mailbox() {
    let (mut os, root) = Driven::new();
    let b = os.member(root, "b", 9);
    os.member(root, "c", 9);
    let only = Scope::Mailbox { name: Pattern::Is("c".to_owned()) };
    let a = os.spawn(root, vec![only], Limit::default(), None);
    ticket(&os.send(a, "c", "allowed"));
    assert_eq!(denied(&os.send(a, "b", "not")).stage, Stage::Capability);
    let sly = os.request(a, send_to("c", Some(b), Content::default()), Cost::ZERO, None);
    assert_eq!(denied(&sly).name, "unknown");
    // What it may not send to, it does not learn of either.
    assert_eq!(denied(&os.send(a, "nobody", "x")).stage, Stage::Capability);
}

#[test]
fn what_no_entry_holds_is_refused() {
    let (mut os, a, _) = pair(9);
    ticket(&os.send(a, "b", &"x".repeat(1_024)));
    for content in [
        Content::Text { text: "x".repeat(1_025) },
        Content::Text { text: "\u{1}".repeat(171) },
        Content::Blob { digest: "short".to_owned(), size: 1 },
    ] {
        let decision = os.request(a, send_to("b", None, content), Cost::ZERO, None);
        assert_eq!(denied(&decision).name, "size");
    }
    let laned = os.request(a, send_to("b", None, Content::default()), Cost::ZERO, Some("exec"));
    assert_eq!(denied(&laned).name, "lane");
}

#[test]
fn each_send_costs_a_turn_all_the_way_up() {
    let (mut os, root) = Driven::new();
    let limit = Limit { turns: Some(2), ..Limit::default() };
    let any = Scope::Mailbox { name: Pattern::Any };
    let task = os.spawn(root, vec![any.clone(), Scope::Spawn], limit, None);
    let one = os.spawn(task, vec![any.clone()], Limit::default(), None);
    let two = os.spawn(task, vec![any], Limit::default(), None);
    let to = |pid| send_to("child", Some(pid), Content::default());
    ticket(&os.request(one, to(two), Cost::ZERO, None));
    ticket(&os.request(two, to(one), Cost::ZERO, None));
    assert_eq!(stage(&os.request(one, to(two), Cost::ZERO, None)), Stage::Budget);
    assert_eq!(os.view(task).spent.turns, 2);
    assert_eq!(os.view(task).tickets, 2, "only those of its children");
}

#[test]
fn a_receive_waits_until_its_deadline_and_once_for_each_sender() {
    let (mut os, a, b) = pair(9);
    let Reply::Waiting { until_us } = os.receive(b, Some(a)) else { panic!("it does not wait") };
    assert_eq!(until_us, os.now_us + 600_000_000);
    assert_eq!(os.view(b).waiting_on.as_deref(), Some("a message from `a`"));
    assert_eq!(os.view(b).state, State::Waiting);
    assert_eq!(refused(os.receive(b, Some(a))).name, "waits");
    let later = Some(until_us + 9);
    assert_eq!(
        os.call(Call::Receive { pid: b, from: None, deadline_us: later }),
        Reply::Waiting { until_us: until_us + 9 }
    );
    os.now_us = until_us;
    assert_eq!(os.kernel.state().next_deadline_us(), Some(until_us));
    os.call(Call::Tick);
    let ended = os.events.iter().rev().find_map(|event| match event {
        Event::Forgone { pid, awaited: Awaited::Message { from: Some(_) }, refusal } => Some((*pid, refusal)),
        _ => None,
    });
    assert_eq!(ended.map(|(pid, refusal)| (pid, refusal.name.as_str())), Some((b, "deadline")));
    ticket(&os.send(a, "b", "late"));
    assert_eq!(os.received(b), ["late"]);
}

#[test]
fn a_receive_from_who_has_exited_gets_what_it_sent_and_then_an_error() {
    let (mut os, a, b) = pair(9);
    ticket(&os.send(a, "b", "last words"));
    os.call(Call::Exit { pid: a, status: ExitStatus::Done });
    assert_eq!(os.text(b, Some(a)), "last words");
    assert_eq!(refused(os.receive(b, Some(a))).name, "exited");
}

#[test]
fn who_waits_for_a_process_that_exits_is_told() {
    let (mut os, a, b) = pair(9);
    os.receive(b, Some(a));
    os.call(Call::Exit { pid: a, status: ExitStatus::Failed });
    let told = os.events.iter().any(
        |event| matches!(event, Event::Forgone { pid, refusal, .. } if *pid == b && refusal.name == "exited"),
    );
    assert!(told, "{:?}", os.events);
    assert_eq!(os.view(b).state, State::Ready);
}

#[test]
fn a_suspended_process_gets_its_message_when_it_goes_on() {
    let (mut os, a, b) = pair(9);
    let root = os.kernel.state().root().expect("there is a root");
    os.receive(b, None);
    os.call(Call::Signal { by: root, pid: b, signal: Signal::Suspend });
    ticket(&os.send(a, "b", "hello"));
    assert!(os.received(b).is_empty());
    os.call(Call::Signal { by: root, pid: b, signal: Signal::Resume });
    assert_eq!(os.received(b), ["hello"]);
    os.call(Call::Signal { by: root, pid: a, signal: Signal::Suspend });
    let held = waiting(&os.send(a, "b", "asleep"));
    os.call(Call::Signal { by: root, pid: a, signal: Signal::Resume });
    assert!(went(&os, held));
}

#[test]
fn a_send_that_a_person_is_asked_about_goes_after_the_yes_unless_nobody_reads_it() {
    for exits in [false, true] {
        let (mut os, a, b) = pair(9);
        let rule = Rule {
            name: "ask".to_owned(),
            effect: Effect::Ask,
            reason: "talk is not cheap".to_owned(),
            when: Matcher { name: vec!["b".to_owned()], ..Matcher::default() },
            except: Vec::new(),
            after: Vec::new(),
            until: None,
            catches: vec![Example {
                action: send_to("b", None, Content::default()),
                process: String::new(),
                labels: Labels::BOTTOM,
                history: Vec::new(),
            }],
            spares: vec![Example {
                action: send_to("a", None, Content::default()),
                process: String::new(),
                labels: Labels::BOTTOM,
                history: Vec::new(),
            }],
        };
        os.call(Call::Rules { rules: vec![rule], digest: "1".to_owned() });
        let asked = os.request(a, send_to("b", Some(b), blob(1)), Cost::ZERO, None);
        let Decision::Ask { request, .. } = asked else { panic!("not asked: {asked:?}") };
        if exits {
            os.call(Call::Exit { pid: b, status: ExitStatus::Done });
        }
        os.call(Call::Answer { request, approve: true, standing: false });
        assert_eq!(went(&os, request), !exits);
        if !exits {
            assert!(matches!(os.receive(b, None), Reply::Received { .. }));
        }
    }
}

/// Sends and receives, with a restart after every entry: each message that went is there until the entry
/// that it was received, and never after.
#[test]
fn a_message_is_received_once_however_often_the_daemon_starts_again() {
    let (mut os, a, b) = pair(3);
    for round in 0..4 {
        os.send(a, "b", &format!("m{round}"));
    }
    os.text(b, None);
    os.text(b, Some(a));
    let mut kernel = Kernel::default();
    let (mut sent, mut taken) = (Vec::new(), Vec::new());
    for entry in &os.journal {
        kernel.recover(entry);
        match &entry.fact {
            Fact::Go { ticket, action: Action::Send { .. }, .. } => sent.push(*ticket),
            Fact::Received { message, .. } => taken.push(*message),
            _ => {}
        }
        let held = kernel.state().process(b).map(|process| process.mailbox.iter().map(|kept| kept.id));
        let held: Vec<TicketId> = held.into_iter().flatten().collect();
        let expected: Vec<TicketId> = sent.iter().filter(|id| !taken.contains(id)).copied().collect();
        assert_eq!(held, expected);
    }
    assert_eq!((sent.len(), taken.len()), (4, 2));
    assert_eq!(kernel, os.kernel);
    // The new daemon's first receive gets the next one.
    kernel.step(os.now_us, &Call::Epoch);
    let step = kernel.step(os.now_us, &Call::Receive { pid: b, from: None, deadline_us: None });
    let Reply::Received { message } = step.reply else { panic!("no message") };
    assert_eq!(text(&message), "m2");
}

#[test]
fn a_new_daemon_ends_the_waits_of_the_last() {
    let (mut os, a, b) = pair(9);
    os.receive(b, None);
    os.call(Call::Epoch);
    assert_eq!(os.view(b).state, State::Ready);
    ticket(&os.send(a, "b", "for who asks again"));
    assert_eq!(os.text(b, None), "for who asks again");
}

/// Before there were mailboxes, a send was a ticket that its performer completed.
#[test]
fn entries_from_before_there_were_mailboxes_mean_what_they_meant() {
    let (os, a, _) = pair(9);
    let mut kernel = os.recovered();
    let went = Fact::Go {
        ticket: TicketId::new(2, 1),
        request: None,
        pid: a,
        key: "old".to_owned(),
        action: Action::Send {
            mailbox: "b".to_owned(),
            to: None,
            content: Content::default(),
            reply_to: None,
        },
        estimate: Cost::ZERO,
        parent: None,
        lane: None,
        recovery: Recovery::Once,
        client: false,
        charge: 0,
        by: Vec::new(),
        child: None,
        moves: Vec::new(),
    };
    kernel.recover(&Entry { at_us: os.now_us, fact: went });
    assert!(kernel.state().ticket(TicketId::new(2, 1)).is_some());
    assert!(kernel.state().processes.iter().all(|(_, process)| process.mailbox.oldest(None).is_none()));
}
