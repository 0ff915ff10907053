#![expect(clippy::string_slice, reason = "test data is cut at places known to be boundaries")]
use super::super::{Format, named, recognise};
use super::*;
use crate::record::Trust;

fn record(json: &str) -> Record {
    FORMAT.record(json).unwrap()
}

fn message(content: &str, more: &str) -> String {
    format!(
        r#"{{"id":"c","create_time":100,"mapping":{{"n":{{"id":"n","parent":null,"children":[],
            "message":{{"author":{{"role":"tool","name":"web.run"}},"content":{content}{more}}}}}}}}}"#
    )
}

fn text(content: &str) -> String {
    record(&message(content, "")).messages[0].pieces[0].text.clone()
}

#[test]
fn every_content_type_gives_its_words() {
    for (content, expected) in [
        (r#"{"content_type":"text","parts":["a",null,{"x":1},7,"b"]}"#, "a\nb"),
        (
            r#"{"content_type":"multimodal_text","parts":[{"content_type":"image_asset_pointer","asset_pointer":"file-service://f"},"see"]}"#,
            "see",
        ),
        (
            r#"{"content_type":"multimodal_text","parts":[{"content_type":"audio_transcription","text":"spoken"}]}"#,
            "spoken",
        ),
        (r#"{"content_type":"code","language":"python","text":"print(1)"}"#, "print(1)"),
        (r#"{"content_type":"execution_output","text":"1"}"#, "1"),
        (r#"{"content_type":"tether_quote","url":"u.org","title":"T","text":"quoted"}"#, "T\nu.org\nquoted"),
        (r#"{"content_type":"thoughts","thoughts":[{"summary":"S","content":"C"},null]}"#, "S\nC"),
        (r#"{"content_type":"citable_code_output","output_str":"out"}"#, "out"),
        (r#"{"content_type":"never_seen_before","text":"kept"}"#, "kept"),
        (r#"{"content_type":"text","parts":["so\ue200cite\ue202turn0\ue201 it is"]}"#, "so it is"),
        (r#"{"content_type":"text","parts":["cut \ue200off by nothing"]}"#, "cut off by nothing"),
        (
            r#"{"content_type":"multimodal_text","parts":[{"content_type":"image_asset_pointer","metadata":{"dalle":{"prompt":"a mill"}}}]}"#,
            "a mill",
        ),
        ("null", ""),
        ("7", ""),
    ] {
        assert_eq!(text(content), expected, "{content}");
    }
}

#[test]
fn words_from_the_web_are_not_trusted_like_the_persons() {
    let web = record(&message(r#"{"content_type":"sonic_webpage","text":"page"}"#, ""));
    assert_eq!(web.messages[0].pieces[0].trust, Trust::Web);
    let tool = message(r#"{"content_type":"text","parts":["x"]}"#, "").replace("web.run", "python");
    assert_eq!(record(&tool).messages[0].pieces[0].trust, Trust::Tool);
}

#[test]
fn hidden_messages_are_marked() {
    let weight = record(&message(r#"{"content_type":"text","parts":["x"]}"#, r#","weight":0"#));
    let flagged = r#","metadata":{"is_visually_hidden_from_conversation":true}"#;
    let flagged = record(&message(r#"{"content_type":"text","parts":["x"]}"#, flagged));
    assert!(weight.messages[0].hidden && flagged.messages[0].hidden);
}

#[test]
fn saved_memories_and_custom_instructions_are_statements() {
    let saved = message(
        r#"{"content_type":"model_editable_context","model_set_context":"1. [2024-05-01]. User likes tea.\n\n2. [2024-06-02]. User has a dog.","repository":null}"#,
        r#","create_time":200"#,
    );
    let found = record(&saved).statements;
    let told: Vec<(&str, Option<i64>, bool)> =
        found.iter().map(|s| (s.text.as_str(), s.since, s.listed)).collect();
    assert_eq!(
        told,
        [
            ("User likes tea.", Some(1_714_521_600_000_000), true),
            ("User has a dog.", Some(1_717_286_400_000_000), true)
        ]
    );
    let instructions = message(
        r#"{"content_type":"user_editable_context","user_profile":"I bake.","user_instructions":"Be brief."}"#,
        "",
    );
    let found = record(&instructions).statements;
    let told: Vec<(&str, &str, Option<i64>)> =
        found.iter().map(|s| (s.kind, s.text.as_str(), s.time)).collect();
    assert_eq!(
        told,
        [("identity", "I bake.", Some(100_000_000)), ("instruction", "Be brief.", Some(100_000_000))]
    );
}

#[test]
fn the_memory_tool_adds_facts_with_their_time() {
    let call = message(
        r#"{"content_type":"text","parts":["User moved to Oslo.\nForget the old address."]}"#,
        r#","recipient":"bio","create_time":300"#,
    );
    let found = record(&call).statements;
    assert_eq!(found.len(), 1, "a removal is no fact");
    assert_eq!(
        (found[0].text.as_str(), found[0].since, found[0].listed),
        ("User moved to Oslo.", Some(300_000_000), false)
    );
    let private = call.replace(r#""id":"c","#, r#""id":"c","is_do_not_remember":true,"#);
    assert!(record(&private).statements.is_empty(), "what should not be remembered is archived only");
}

#[test]
fn either_direction_of_the_tree_is_enough() {
    let node = |id: &str, parent: &str, children: &str| {
        format!(
            r#""{id}":{{"parent":{parent},"children":{children},"message":{{"author":{{"role":"user"}},"content":{{"parts":["{id}"]}}}}}}"#
        )
    };
    let up =
        format!(r#"{{"id":"c","mapping":{{{},{}}}}}"#, node("a", "null", "[]"), node("b", r#""a""#, "[]"));
    let down = format!(
        r#"{{"id":"c","mapping":{{{},{}}}}}"#,
        node("a", "null", r#"["b"]"#),
        node("b", "null", "[]")
    );
    let parents = |json: &str| record(json).messages.iter().map(|m| m.parent).collect::<Vec<_>>();
    assert_eq!(parents(&up), parents(&down));
    assert_eq!(parents(&up)[1], Some(record::message_key("a")));
}

#[test]
fn a_conversation_without_id_is_known_by_its_roots() {
    let json = |more: &str| {
        format!(
            r#"{{"title":"t","create_time":5,"mapping":{{"root-1":{{"parent":null,"message":null}}{more}}}}}"#
        )
    };
    let grown = json(r#","x":{"parent":"root-1","message":null}"#);
    assert_eq!(record(&json("")).native, record(&grown).native);
}

#[test]
fn what_is_no_conversation_is_an_error_with_a_reason() {
    for json in
        [r#"{"id":"x"}"#, r#"{"mapping":[]}"#, r#"{"mapping":{"a":1}}"#, r#"{"mapping":{"a":{},"a":{}}}"#]
    {
        assert!(FORMAT.record(json).is_err(), "{json}");
    }
    assert!(recognise(r#"{"mapping":{},"inserted_at":"2025"}"#).is_none(), "DeepSeek has a mapping too");
    assert_eq!(named("chatgpt").unwrap().name(), recognise(r#"{"mapping":{}}"#).unwrap().name());
}

#[test]
fn a_file_that_came_with_a_message_is_found_by_its_name() {
    let metadata = r#","metadata":{"attachments":[{"id":"file-1","name":"Rechnung.pdf"},null,{"name":7}]}"#;
    let json = message(r#"{"content_type":"multimodal_text","parts":[{"asset_pointer":"sediment://f"}]}"#, metadata);
    let message = record(&json).messages.remove(0);
    let told: Vec<(Trust, &str, bool)> =
        message.pieces.iter().map(|piece| (piece.trust, piece.text.as_str(), piece.silent)).collect();
    assert_eq!(told, [(Trust::Web, "", true), (Trust::Attachment, "Rechnung.pdf", false)]);
    assert_eq!(FORMAT.pieces(&json[message.start..message.end]), message.pieces);
}
