use super::super::Format;
use super::*;

#[test]
fn prose_becomes_sentences_under_their_headings() {
    let json = r#"{"account_uuid":"u","conversations_memory":"**Work context**\n\nAda works at a mill. She uses Rust.\n\n**Personal context**\n\nAda has a dog named Rex.","project_memories":{"p":"**Purpose**\nShip it."}}"#;
    let record = FORMAT.record(json).unwrap();
    let told: Vec<(&str, Option<&str>, &str)> =
        record.statements.iter().map(|s| (s.text.as_str(), s.tag.as_deref(), s.kind)).collect();
    assert_eq!(
        told,
        [
            ("Ada works at a mill.", Some("Work context"), "identity"),
            ("She uses Rust.", Some("Work context"), "environment"),
            ("Ada has a dog named Rex.", Some("Personal context"), "relationship"),
            ("Ship it.", Some("Purpose"), "project"),
        ]
    );
    assert_ne!(record.statements[0].scope, record.statements[3].scope);
}

#[test]
fn every_span_is_its_sentence() {
    let json =
        r#"{"account_uuid":"u","conversations_memory":"Über Müller. He naps.\n- Tea \ud83d\ude00 only."}"#;
    let record = FORMAT.record(json).unwrap();
    let text = &record.messages[0].pieces[0].text;
    for statement in &record.statements {
        let (from, to) = statement.span;
        let cut: String = text.chars().skip(from).take(to - from).collect();
        assert_eq!(cut, statement.text);
    }
    assert_eq!(record.statements.len(), 3);
}
