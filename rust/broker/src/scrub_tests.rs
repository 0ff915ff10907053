use super::*;
use crate::failure::{Failure, Kind};

const KEY: &str = "sk-0123-sk-0124";
const STARS: &str = "***************";

fn text(delta: &str) -> Event {
    Event::Text { delta: delta.to_owned() }
}

fn clean(batches: Vec<Vec<Event>>) -> Vec<Event> {
    let mut scrubber = Scrubber::new(KEY);
    let mut all = Vec::new();
    for mut batch in batches {
        scrubber.clean(&mut batch);
        all.extend(batch);
    }
    let mut last = vec![Event::Done];
    scrubber.clean(&mut last);
    all.extend(last);
    all
}

fn said(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|e| if let Event::Text { delta } = e { Some(delta.as_str()) } else { None })
        .collect()
}

#[test]
fn key_is_hidden_however_it_is_split() {
    let whole = format!("ä {KEY}{KEY} sk-0123-sk-0123-sk-0124 ß");
    let hidden = format!("ä {STARS}{STARS} sk-0123-{STARS} ß");
    let letters: Vec<char> = whole.chars().collect();
    for first in 0..letters.len() {
        for second in first..letters.len() {
            let piece = |range: &[char]| vec![text(&range.iter().collect::<String>())];
            let pieces =
                vec![piece(&letters[..first]), piece(&letters[first..second]), piece(&letters[second..])];
            assert_eq!(said(&clean(pieces)), hidden, "split at {first} and {second}");
        }
    }
    let single = letters.iter().map(|letter| vec![text(&letter.to_string())]).collect();
    assert_eq!(said(&clean(single)), hidden);
}

#[test]
fn held_text_stays_before_what_follows() {
    let thinking = Event::Thinking { delta: "123".to_owned() };
    let events = clean(vec![vec![text("ends in sk-0")], vec![thinking.clone()]]);
    assert_eq!(events, [text("ends in "), text("sk-0"), thinking, Event::Done]);
}

#[test]
fn calls_are_scrubbed_each_by_itself() {
    let piece = |index, json: &str| Event::ToolCallDelta { index, json: json.to_owned() };
    let events = clean(vec![vec![piece(0, "a sk-0123"), piece(1, "-sk-0124")]]);
    assert_eq!(events, [piece(0, "a "), piece(0, "sk-0123"), piece(1, "-sk-0124"), Event::Done]);
}

#[test]
fn every_field_of_the_far_side_is_scrubbed() {
    let has = |text: &str| Some(text.to_owned());
    let failure = |text: &str| Failure { code: has(text), ..Failure::new(Kind::Http, text) };
    let events = |text: &str| {
        vec![
            Event::Started { status: 200, request_id: has(text) },
            Event::ThinkingEnd { signature: has(text), redacted: has(text) },
            Event::ToolCallStart { index: 0, id: text.to_owned(), name: text.to_owned() },
            Event::Error(failure(text)),
        ]
    };
    let mut expected = events(STARS);
    expected.push(Event::Done);
    assert_eq!(clean(vec![events(KEY)]), expected);
}

#[test]
fn placeholder_keys_leave_words_alone() {
    let mut scrubber = Scrubber::new("ollama");
    let mut events = vec![text("ollama is a lla"), text("ma")];
    scrubber.clean(&mut events);
    assert_eq!(said(&events), "ollama is a llama");
}
