use super::super::Format;
use super::*;

fn record(messages: &str) -> Record {
    let json = format!(
        r#"{{"uuid":"c","name":"N","created_at":"2025-01-14T09:30:00Z","chat_messages":{messages}}}"#
    );
    FORMAT.record(&json).unwrap()
}

#[test]
fn messages_without_parents_follow_one_another() {
    let record = record(
        r#"[{"uuid":"a","sender":"human","text":"hi"},{"uuid":"b","sender":"assistant","text":null,"content":[{"type":"text","text":"hello"}]}]"#,
    );
    assert_eq!(record.messages[1].parent, Some(record.messages[0].key));
    assert_eq!(record.messages[1].pieces[0].text, "hello");
    assert!(record.messages.iter().all(|message| message.active));
}

#[test]
fn parents_make_branches() {
    let record = record(
        r#"[{"uuid":"a","parent_message_uuid":"00000000-0000-4000-8000-000000000000","sender":"human","text":"q","created_at":"2025-01-01T00:00:01Z"},
            {"uuid":"b","parent_message_uuid":"a","sender":"assistant","text":"one","created_at":"2025-01-01T00:00:02Z"},
            {"uuid":"c","parent_message_uuid":"a","sender":"assistant","text":"two","created_at":"2025-01-01T00:00:03Z"}]"#,
    );
    let active: Vec<bool> = record.messages.iter().map(|message| message.active).collect();
    assert_eq!((record.branches, active), (1, vec![true, false, true]));
}

#[test]
fn messages_under_one_id_or_none_hide_nothing() {
    let record = record(
        r#"[{"uuid":"a","sender":"human","text":"one"},{"uuid":"a","sender":"human","text":"two"},
            {"sender":"human","text":"same"},{"sender":"human","text":"same"}]"#,
    );
    let keys: std::collections::HashSet<i64> = record.messages.iter().map(|message| message.key).collect();
    assert_eq!(keys.len(), 4);
}

#[test]
fn the_text_that_repeats_the_blocks_counts_once() {
    let record =
        record(r#"[{"uuid":"a","sender":"human","text":"once","content":[{"type":"text","text":"once"}]}]"#);
    assert_eq!(record.messages[0].pieces, [Piece { trust: Trust::User, text: "once".into(), silent: false }]);
}

#[test]
fn pasted_and_retrieved_words_keep_their_own_trust() {
    let record = record(
        r#"[{"uuid":"a","sender":"human","text":"read this","attachments":[{"file_name":"f.txt","extracted_content":"pasted"}]},
            {"uuid":"b","sender":"assistant","text":"","content":[{"type":"thinking","thinking":"hm"},
              {"type":"tool_use","name":"artifacts","input":{"title":"T","content":"body"}},{"type":"tool_use","input":"odd"},
              {"type":"tool_result","name":"web_search","content":[{"title":"P","url":"u","text":"found"},"odd"]}]}]"#,
    );
    let pieces: Vec<(Trust, &str)> =
        record.messages.iter().flat_map(|m| &m.pieces).map(|p| (p.trust, p.text.as_str())).collect();
    assert_eq!(
        pieces,
        [
            (Trust::User, "read this"),
            (Trust::Attachment, "f.txt\npasted"),
            (Trust::Assistant, ""),
            (Trust::Assistant, "hm"),
            (Trust::Assistant, "artifacts\nT\nbody"),
            (Trust::Web, "P\nu\nfound"),
        ]
    );
}
