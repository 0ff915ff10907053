use super::*;
use crate::failure::Kind;

fn read(chunks: &[&str]) -> Vec<Event> {
    let mut openai = OpenAi::default();
    let mut events = Vec::new();
    for chunk in chunks {
        openai.event(b"message", chunk.as_bytes(), &mut events).unwrap();
    }
    openai.end(&mut events).unwrap();
    events
}

/// Index, id, name and arguments of each call.
fn calls(events: &[Event]) -> Vec<(u32, String, String, String)> {
    let mut calls: Vec<(u32, String, String, String)> = Vec::new();
    for event in events {
        match event {
            Event::ToolCallStart { index, id, name } => {
                calls.push((*index, id.clone(), name.clone(), String::new()));
            }
            Event::ToolCallDelta { index, json } => calls[*index as usize].3.push_str(json),
            _ => {}
        }
    }
    let ended = events.iter().filter(|event| matches!(event, Event::ToolCallEnd { .. })).count();
    assert_eq!(ended, calls.len());
    calls
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> (u32, String, String, String) {
    (index, id.to_owned(), name.to_owned(), arguments.to_owned())
}

fn reason(events: &[Event]) -> StopReason {
    match events.last() {
        Some(Event::Stop { reason, .. }) => *reason,
        other => panic!("{other:?} is no stop"),
    }
}

const FINISH: &str = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;

#[test]
fn interleaved_calls_are_kept_apart() {
    let events = read(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"x\""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}},{"index":1,"id":"","function":{"name":null,"arguments":":1}"}}]}}]}"#,
        FINISH,
    ]);
    assert_eq!(calls(&events), [call(0, "a", "f", "{}"), call(1, "b", "g", "{\"x\":1}")]);
    assert_eq!(reason(&events), StopReason::ToolUse);
}

#[test]
fn calls_that_all_have_index_0_are_told_apart_by_id() {
    // Ollama, whole calls; the finish reason is `stop`.
    let events = read(&[
        r#"{"choices":[{"delta":{"content":"","tool_calls":[{"id":"a","index":0,"type":"function","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"","tool_calls":[{"id":"b","index":0,"type":"function","function":{"name":"f","arguments":"{\"y\":2}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!(calls(&events), [call(0, "a", "f", "{}"), call(1, "b", "f", "{\"y\":2}")]);
    assert_eq!(reason(&events), StopReason::ToolUse);
}

#[test]
fn calls_without_index_or_id_are_numbered() {
    let events = read(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}},{"function":{"name":"g"}}]}}]}"#,
        FINISH,
    ]);
    assert_eq!(calls(&events), [call(0, "call_0", "f", "{\"x\":1}"), call(1, "call_1", "g", "{}")]);
}

#[test]
fn thinking_has_two_names() {
    for name in ["reasoning_content", "reasoning"] {
        let chunk =
            format!(r#"{{"choices":[{{"delta":{{"{name}":"hm","content":null}},"finish_reason":"stop"}}]}}"#);
        let events = read(&[&chunk]);
        assert_eq!(events[0], Event::Thinking { delta: "hm".to_owned() });
        assert_eq!(reason(&events), StopReason::EndTurn);
    }
}

#[test]
fn content_parts_are_text() {
    let chunk = r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a\u00e4"},{"type":"x"},"b"]},"finish_reason":"stop"}]}"#;
    assert_eq!(read(&[chunk])[0], Event::Text { delta: "aäb".to_owned() });
}

#[test]
fn finish_reasons_are_normalised() {
    for (word, expected) in [
        ("stop", StopReason::EndTurn),
        ("length", StopReason::MaxTokens),
        ("content_filter", StopReason::Refusal),
        ("function_call", StopReason::ToolUse),
        ("eos", StopReason::Other),
    ] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{word}"}}]}}"#);
        let events = read(&[&chunk]);
        let stop = Event::Stop { reason: expected, provider_reason: word.to_owned() };
        assert_eq!(events, [stop]);
    }
}

#[test]
fn usage_in_every_chunk_is_told_once() {
    let events = read(&[
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#,
        r#"{"choices":null,"usage":{"prompt_tokens":5,"completion_tokens":2,
            "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
    ]);
    let usage = Usage { input: 1, output: 2, cache_read: 4, reasoning: 1, ..Usage::default() };
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Usage(_))).count(), 1);
    assert!(events.contains(&Event::Usage(usage)));
}

#[test]
fn reasoning_counts_once_whether_it_is_told_within_the_completion_or_beside_it() {
    for (total, output) in [(r#""total_tokens":30,"#, 25), (r#""total_tokens":25,"#, 20), ("", 20)] {
        let events = read(&[&format!(
            r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":5,{total}
                "completion_tokens":20,"completion_tokens_details":{{"reasoning_tokens":5}}}}}}"#
        )]);
        assert!(events.contains(&Event::Usage(Usage { input: 5, output, reasoning: 5, ..Usage::default() })));
    }
}

#[test]
fn errors_in_the_stream_end_it() {
    let chunks: [(&[u8], &str, Kind); 4] = [
        (b"message", r#"{"error":{"message":"m","type":"rate_limit_exceeded"}}"#, Kind::RateLimit),
        (b"message", r#"{"error":{"message":"m","code":503}}"#, Kind::Overloaded),
        (b"message", r#"{"error":"m"}"#, Kind::Http),
        (b"error", r#"{"code":500,"message":"m","type":"server_error"}"#, Kind::Http),
    ];
    for (name, chunk, kind) in chunks {
        let failure = OpenAi::default().event(name, chunk.as_bytes(), &mut Vec::new()).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (kind, "m"), "{chunk}");
    }
}

#[test]
fn calls_without_end_are_refused() {
    let mut openai = OpenAi::default();
    let mut result = Ok(false);
    for index in 0..=CALL_LIMIT {
        let chunk = format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index},"function":{{"name":"f"}}}}]}}}}]}}"#
        );
        result = openai.event(b"message", chunk.as_bytes(), &mut Vec::new());
    }
    assert_eq!(result.unwrap_err().kind, Kind::BrokenStream);
}
