#![expect(clippy::string_slice, reason = "test data is cut at places known to be boundaries")]
use super::super::{Format, recognise};
use super::*;

const CHAT: &str = r#"{"uuid":"d","project":{"uuid":"p","name":"Mill"},"messages":[
    {"uuid":"a","role":"user","content":{"role":"user","content":"Draw a mill","timestamp":"2026-08-01T10:00:01Z"}},
    {"uuid":"b","role":"assistant","created_at":"2026-08-01T10:00:02Z","content":{"content":"Here","contentBlocks":[
        {"type":"text","text":"Here it is"},{"type":"thinking","thinking":"wind"},
        {"type":"tool_call","toolCall":{"id":"t","name":"render","input":{"x":1},"output":"done"}}]}},
    {"uuid":"b","role":"assistant","content":{"content":"Once more"}}, 7]}"#;

#[test]
fn a_design_chat_is_a_conversation_of_its_project() {
    assert_eq!(recognise(CHAT).unwrap().name(), "claude-design");
    let record = FORMAT.record(CHAT).unwrap();
    assert_eq!((record.title.as_deref(), record.native.as_str()), (Some("Mill"), "d"));
    assert_eq!(record.dropped, [("malformed_message", 1)]);
    let told: Vec<(Role, Vec<(Trust, &str)>)> = record
        .messages
        .iter()
        .map(|m| (m.role, m.pieces.iter().map(|p| (p.trust, p.text.as_str())).collect()))
        .collect();
    assert_eq!(
        told,
        [
            (Role::User, vec![(Trust::User, "Draw a mill")]),
            (
                Role::Assistant,
                vec![
                    (Trust::Assistant, "Here it is"),
                    (Trust::Assistant, "wind"),
                    (Trust::Tool, "render\ndone")
                ]
            ),
            (Role::Assistant, vec![(Trust::Assistant, "Once more")]),
        ]
    );
    assert_eq!(record.messages[1].parent, Some(record.messages[0].key));
    assert_ne!(record.messages[1].key, record.messages[2].key, "two messages under one id stay two");
    for message in &record.messages {
        assert_eq!(FORMAT.pieces(&CHAT[message.start..message.end]), message.pieces);
    }
}
