use super::*;
use crate::event::{StopReason, Usage, append};
use crate::failure::Kind;

fn read(wire: Wire, pieces: &[&[u8]], whole: bool) -> (Vec<Event>, Result<(), Failure>) {
    let mut reply = Reply::new(wire);
    let mut events = Vec::new();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| reply.push(piece, &mut events));
    }
    let result = result.and_then(|()| reply.end(whole, &mut events));
    // Pieces of one text are one event or several, as they happened to arrive.
    let mut joined = Vec::new();
    events.into_iter().for_each(|event| append(&mut joined, event));
    (joined, result)
}

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grü\\u00dfe\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const OPENAI: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"Grü\\u00dfe\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
    "data: [DONE]\n\n",
);

fn usage(input: u64, output: u64) -> Event {
    Event::Usage(Usage { input, output, ..Usage::default() })
}

fn stop(provider_reason: &str) -> Event {
    Event::Stop { reason: StopReason::EndTurn, provider_reason: provider_reason.to_owned() }
}

fn greeting() -> Event {
    Event::Text { delta: "Grüße".to_owned() }
}

fn expected(wire: Wire) -> Vec<Event> {
    match wire {
        Wire::Anthropic => vec![usage(3, 1), greeting(), usage(3, 4), stop("end_turn")],
        Wire::Openai => vec![greeting(), usage(3, 4), stop("stop")],
    }
}

fn wires() -> [(Wire, &'static str); 2] {
    [(Wire::Anthropic, ANTHROPIC), (Wire::Openai, OPENAI)]
}

#[test]
fn every_split_gives_the_same_reply() {
    for (wire, stream) in wires() {
        for newline in ["\n", "\r\n"] {
            let stream = stream.replace('\n', newline);
            for at in 0..=stream.len() {
                let (left, right) = stream.as_bytes().split_at(at);
                assert_eq!(read(wire, &[left, right], true), (expected(wire), Ok(())), "{wire:?} at {at}");
            }
        }
    }
}

#[test]
fn every_cut_is_a_broken_stream() {
    for (wire, stream) in wires() {
        // Without its last line end the terminator is there already.
        let terminator = stream.trim_end().len();
        for at in 0..terminator {
            let (events, result) = read(wire, &[&stream.as_bytes()[..at]], false);
            assert_eq!(result.unwrap_err().kind, Kind::BrokenStream, "{wire:?} cut at {at}");
            assert!(!events.iter().any(|event| matches!(event, Event::Stop { .. })), "{wire:?} cut at {at}");
        }
    }
}

#[test]
fn what_follows_the_terminator_is_ignored() {
    for (wire, stream) in wires() {
        let stream = format!("{stream}data: garbage\n\n");
        assert_eq!(read(wire, &[stream.as_bytes()], true), (expected(wire), Ok(())));
    }
}

#[test]
fn whole_body_without_done_is_complete_after_a_finish_reason() {
    let stream = OPENAI.replace("data: [DONE]\n\n", "");
    assert_eq!(read(Wire::Openai, &[stream.as_bytes()], true), (expected(Wire::Openai), Ok(())));
    assert_eq!(read(Wire::Openai, &[stream.as_bytes()], false).1.unwrap_err().kind, Kind::BrokenStream);
}

#[test]
fn whole_body_without_message_stop_is_broken() {
    let stream = ANTHROPIC.replace("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", "");
    assert_eq!(read(Wire::Anthropic, &[stream.as_bytes()], true).1.unwrap_err().kind, Kind::BrokenStream);
}

#[test]
fn document_is_read_in_any_portions() {
    let anthropic = r#" {"type":"message","content":[{"type":"text","text":"Grüße"}],"stop_reason":"end_turn",
        "usage":{"input_tokens":3,"output_tokens":4}}"#;
    let openai = r#"{"choices":[{"message":{"content":"Grüße"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    for (wire, document, reason) in [(Wire::Anthropic, anthropic, "end_turn"), (Wire::Openai, openai, "stop")]
    {
        for at in 0..=document.len() {
            let (left, right) = document.as_bytes().split_at(at);
            let expected = vec![greeting(), usage(3, 4), stop(reason)];
            assert_eq!(read(wire, &[left, right], true), (expected, Ok(())), "{wire:?} at {at}");
        }
    }
}

#[test]
fn what_is_no_reply_says_so() {
    for (body, words) in [
        ("", "empty"),
        ("{\"choices\":[", "prescribes"),
        ("data: {\"choices\": 3}\n\n", "prescribes"),
        ("{}", "without a finish reason"),
    ] {
        let failure = read(Wire::Openai, &[body.as_bytes()], true).1.unwrap_err();
        assert_eq!(failure.kind, Kind::BrokenStream);
        assert!(failure.message.contains(words), "{body:?}: {}", failure.message);
    }
    let page = read(Wire::Openai, &[b" \n<!DOCTYPE html><html>".as_slice()], true).1.unwrap_err();
    assert_eq!(page.kind, Kind::NoModel);
}

#[test]
fn error_document_under_status_200_is_an_error() {
    let anthropic = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let openai = br#"{"error":{"message":"busy","type":"server_overloaded"}}"#;
    for (wire, body) in [(Wire::Anthropic, anthropic.as_slice()), (Wire::Openai, openai.as_slice())] {
        let failure = read(wire, &[body], true).1.unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (Kind::Overloaded, "busy"));
    }
}

#[test]
fn damaged_bytes_never_make_it_panic() {
    // A fixed sequence (xorshift), so that a failure repeats.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    for round in 0..20_000 {
        let (wire, stream) = wires()[round % 2];
        let mut bytes = stream.as_bytes().to_vec();
        for _ in 0..=next(4) {
            if bytes.is_empty() {
                break;
            }
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let cut = next(bytes.len() + 1);
        let (events, result) = read(wire, &[&bytes[..cut], &bytes[cut..]], true);
        let stops = events.iter().filter(|event| matches!(event, Event::Stop { .. })).count();
        assert_eq!(stops, usize::from(result.is_ok()), "{wire:?} round {round}");
    }
}

#[test]
fn endless_reply_is_cut() {
    let piece = vec![b'\n'; 1 << 20];
    let mut reply = Reply::new(Wire::Openai);
    let mut events = Vec::new();
    let result: Result<Vec<()>, Failure> = (0..70).map(|_| reply.push(&piece, &mut events)).collect();
    assert_eq!(result.unwrap_err().kind, Kind::BrokenStream);
}
