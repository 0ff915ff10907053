use super::*;
use crate::failure::Kind;

fn read(events: &[&str]) -> (Vec<Event>, Result<bool, Failure>) {
    let mut anthropic = Anthropic::default();
    let mut out = Vec::new();
    let mut result = Ok(false);
    for event in events {
        result = result.and_then(|_| anthropic.event(b"message", event.as_bytes(), &mut out));
    }
    (out, result)
}

const TOOL_STOP: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#;
const END: &str = r#"{"type":"message_stop"}"#;

fn ends(usage: Usage) -> [Event; 2] {
    let stop = Event::Stop { reason: StopReason::ToolUse, provider_reason: "tool_use".to_owned() };
    [Event::Usage(usage), stop]
}

#[test]
fn thinking_text_and_calls_come_in_order() {
    let (events, result) = read(&[
        r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1,
            "cache_read_input_tokens":2,"cache_creation_input_tokens":3,
            "cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2}}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"sealed"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\": 1}"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        TOOL_STOP,
        END,
    ]);
    assert_eq!(result, Ok(true));
    let usage =
        Usage { input: 1, output: 1, cache_read: 2, cache_write: 3, cache_write_hour: 2, reasoning: 0 };
    let mut expected = vec![
        Event::Usage(usage),
        Event::Thinking { delta: "hm".to_owned() },
        Event::ThinkingEnd { signature: Some("sig".to_owned()), redacted: None },
        Event::ThinkingEnd { signature: None, redacted: Some("sealed".to_owned()) },
        Event::ToolCallStart { index: 0, id: "t".to_owned(), name: "f".to_owned() },
        Event::ToolCallDelta { index: 0, json: "{\"x\": 1}".to_owned() },
        Event::ToolCallEnd { index: 0 },
    ];
    expected.extend(ends(Usage { output: 9, ..usage }));
    assert_eq!(events, expected);
}

#[test]
fn cache_writes_count_whether_they_come_as_a_sum_or_by_lifetime() {
    for (told, cache_write, cache_write_hour) in [
        (r#""cache_creation_input_tokens":7"#, 7, 0),
        (r#""cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":3}"#, 7, 3),
        (r#""cache_creation_input_tokens":0,"cache_creation":null"#, 0, 0),
    ] {
        let delta = format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"tool_use"}},"usage":{{"output_tokens":9,{told}}}}}"#
        );
        let (events, result) = read(&[&delta, END]);
        assert_eq!(result, Ok(true));
        assert_eq!(events, ends(Usage { output: 9, cache_write, cache_write_hour, ..Usage::default() }));
    }
}

#[test]
fn call_without_deltas_has_the_arguments_it_began_with() {
    for (input, expected) in [(r#","input":{"x":1}"#, r#"{"x":1}"#), (r#","input":{}"#, "{}"), ("", "{}")] {
        let start = format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use","id":"t","name":"f"{input}}}}}"#
        );
        // Its end never came either: the reply's end stands for it.
        let (events, result) = read(&[&start, TOOL_STOP, END]);
        assert_eq!(result, Ok(true));
        assert!(events.contains(&Event::ToolCallDelta { index: 0, json: expected.to_owned() }));
        assert!(events.contains(&Event::ToolCallEnd { index: 0 }));
    }
}

#[test]
fn unknown_events_blocks_and_deltas_are_passed_over() {
    let (events, result) = read(&[
        r#"{"type":"something_new","index":0}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"web_search_result","content":[]}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"not ours"}}"#,
        r#"{"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"of no block"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        TOOL_STOP,
        END,
    ]);
    assert_eq!(result, Ok(true));
    assert_eq!(events, ends(Usage { output: 9, ..Usage::default() }));
}

#[test]
fn stop_reasons_are_normalised() {
    for (word, reason) in [
        ("end_turn", StopReason::EndTurn),
        ("stop_sequence", StopReason::EndTurn),
        ("max_tokens", StopReason::MaxTokens),
        ("refusal", StopReason::Refusal),
        ("pause_turn", StopReason::Other),
    ] {
        let delta = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{word}"}}}}"#);
        let (events, _) = read(&[&delta, END]);
        assert_eq!(events, [Event::Stop { reason, provider_reason: word.to_owned() }]);
    }
}

#[test]
fn end_without_a_reason_is_broken() {
    assert_eq!(read(&[END]).1.unwrap_err().kind, Kind::BrokenStream);
}

#[test]
fn error_event_is_its_kind() {
    for (word, kind) in [
        ("overloaded_error", Kind::Overloaded),
        ("rate_limit_error", Kind::RateLimit),
        ("authentication_error", Kind::Auth),
        ("invalid_request_error", Kind::Invalid),
        ("api_error", Kind::Http),
    ] {
        let event = format!(r#"{{"type":"error","error":{{"type":"{word}","message":"m"}}}}"#);
        let failure = read(&[&event]).1.unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str(), failure.code.as_deref()),
            (kind, "m", Some(word))
        );
    }
}
