use super::super::Format;
use super::*;

const ANSWER: &str = "```\n## Instructions\n[2024-05-01] - Always answer in Frënch.\n\n## Identity\n[unknown] - The user's name is Ada.\n```\nThat was all.\n";

#[test]
fn entries_become_facts_with_their_dates_and_places() {
    let record = FORMAT.record(ANSWER).unwrap();
    let told: Vec<(&str, &str, Option<i64>)> =
        record.statements.iter().map(|s| (s.kind, s.text.as_str(), s.since)).collect();
    assert_eq!(
        told,
        [
            ("instruction", "Always answer in Frënch.", Some(1_714_521_600_000_000)),
            ("identity", "The user's name is Ada.", None)
        ]
    );
    for statement in &record.statements {
        let (from, to) = statement.span;
        let cut: String = ANSWER.chars().skip(from).take(to - from).collect();
        assert_eq!(cut, statement.text);
    }
}

#[test]
fn only_a_text_of_entries_is_a_paste() {
    assert!(FORMAT.recognises_text(ANSWER));
    for text in ["", "hello\n", "[link] - x", "Dear Ada,\nI write\non\n[2024-05-01] - a day.\nBye"] {
        assert!(!FORMAT.recognises_text(text), "{text}");
    }
}
