use agentos_abi::*;

use crate::driven::Driven;

fn set(driven: &mut Driven, id: &str, due_us: Option<u64>) -> Reply {
    driven.call(Call::Timer { id: id.to_owned(), due_us })
}

fn tick(driven: &mut Driven, now_us: u64) {
    driven.now_us = now_us;
    driven.call(Call::Tick);
}

fn due(driven: &Driven) -> Vec<&str> {
    let mut found = Vec::new();
    for event in &driven.events {
        if let Event::Due { id } = event {
            found.push(id.as_str());
        }
    }
    found
}

fn facts(driven: &Driven) -> usize {
    driven.journal.iter().filter(|entry| matches!(entry.fact, Fact::Due { .. })).count()
}

#[test]
fn timers_go_off_once_in_the_order_of_time() {
    let (mut driven, _) = Driven::new();
    for (id, at) in [("late", 300), ("early", 100), ("also early", 100), ("later", 301)] {
        assert_eq!(set(&mut driven, id, Some(at)), Reply::Done);
    }
    assert_eq!(driven.kernel.state().next_deadline_us(), Some(100));
    tick(&mut driven, 98);
    assert_eq!(due(&driven), Vec::<&str>::new());
    tick(&mut driven, 299);
    assert_eq!(due(&driven), ["also early", "early", "late"]);
    tick(&mut driven, 299);
    assert_eq!(facts(&driven), 3);
    assert_eq!(driven.kernel.state().next_deadline_us(), Some(301));
    assert_eq!(driven.recovered(), driven.kernel);
}

#[test]
fn a_timer_is_moved_and_taken_back() {
    let (mut driven, _) = Driven::new();
    set(&mut driven, "a", Some(100));
    set(&mut driven, "a", Some(200));
    set(&mut driven, "b", Some(150));
    set(&mut driven, "b", None);
    let entries = driven.journal.len();
    set(&mut driven, "a", Some(200));
    set(&mut driven, "none", None);
    assert_eq!(driven.journal.len(), entries, "what is so already is no fact");
    tick(&mut driven, 190);
    assert_eq!(facts(&driven), 0);
    tick(&mut driven, 200);
    assert_eq!(due(&driven), ["a"]);
    assert_eq!(driven.kernel.state().next_deadline_us(), None);
}

#[test]
fn after_a_restart_a_timer_that_is_past_goes_off_at_the_first_call() {
    let (mut driven, _) = Driven::new();
    set(&mut driven, "past", Some(100));
    set(&mut driven, "future", Some(5_000));
    let mut restarted = Driven { kernel: driven.recovered(), now_us: 1_000, ..Driven::default() };
    restarted.call(Call::Epoch);
    assert_eq!(due(&restarted), ["past"]);
    assert_eq!(restarted.kernel.state().next_deadline_us(), Some(5_000));
}

#[test]
fn a_timer_set_for_the_past_goes_off_at_once() {
    let (mut driven, _) = Driven::new();
    driven.now_us = 1_000;
    set(&mut driven, "past", Some(1));
    assert_eq!(due(&driven), ["past"]);
}

#[test]
fn a_name_that_would_burst_an_entry_is_refused() {
    let (mut driven, _) = Driven::new();
    let long = "x".repeat(call::TIMER_BYTES + 1);
    assert!(matches!(set(&mut driven, &long, Some(1)), Reply::Refused { .. }));
    assert_eq!(driven.kernel.state().next_deadline_us(), None);
}

#[test]
fn births_and_records_are_told() {
    let (mut driven, root) = Driven::new();
    let pid = driven.spawn(root, Vec::new(), Limit::default(), None);
    let spawned = Event::Spawned { pid, parent: root, name: "child".to_owned() };
    assert_eq!(driven.events.iter().filter(|event| **event == spawned).count(), 1);
    driven.call(Call::Put { kind: "k".to_owned(), id: "i".to_owned(), body: "{}".to_owned() });
    assert_eq!(driven.events.last(), Some(&Event::Written { kind: "k".to_owned(), id: "i".to_owned() }));
}
