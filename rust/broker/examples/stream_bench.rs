//! Tokens per second of one core through the broker's reading of a stream: events split, chunks decoded, our
//! events made. One token is one chunk of the stream.
//!
//! `cargo run --release -p agentos-broker --example stream_bench -- [TOKENS]` prints one JSON document. Per wire
//! format, and per size of the pieces in which the bytes arrive (64 KiB: a backlog; 1: token by token):
//! - `value`: tokens per second, median of the rounds;
//! - `floor`: the same bytes, searched for line ends and each chunk decoded to the one string it carries, nothing
//!   else; and `ratio`, the median of the rounds' ratios.

use std::io::Write;
use std::time::Instant;

use agentos_broker::event::Event;
use agentos_broker::reply::{Reply, Wire};
use serde::Deserialize;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 9;

#[derive(Deserialize)]
struct OpenAi<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    content: Option<&'a str>,
    text: Option<&'a str>,
}

#[derive(Deserialize)]
struct Anthropic<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
}

fn chunk(wire: Wire, token: usize) -> String {
    match wire {
        Wire::Openai => format!(
            "data: {{\"id\":\"chatcmpl-0123456789abcdefghijklmn\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\
             \"model\":\"some-model-2026-01-01\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" tok{token}\"}},\"logprobs\":null,\"finish_reason\":null}}],\
             \"usage\":null}}\n\n"
        ),
        Wire::Anthropic => format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\" tok{token}\"}}}}\n\n"
        ),
    }
}

fn stream(wire: Wire, tokens: usize) -> Vec<String> {
    let (first, last) = match wire {
        Wire::Openai => (
            String::new(),
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ),
        Wire::Anthropic => (
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
                .to_owned(),
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
    };
    let mut chunks = vec![first];
    chunks.extend((0..tokens).map(|token| chunk(wire, token)));
    chunks.push(last.to_owned());
    chunks
}

/// Seconds to read `pieces` as the broker does, and the bytes of text that came of it.
fn value(wire: Wire, pieces: &[&[u8]]) -> Result<(f64, usize), Failure> {
    let began = Instant::now();
    let mut reply = Reply::new(wire);
    let (mut events, mut text) = (Vec::new(), 0);
    for piece in pieces {
        reply.push(piece, &mut events).map_err(|failure| failure.message)?;
        for event in events.drain(..) {
            if let Event::Text { delta } = event {
                text += delta.len();
            }
        }
    }
    Ok((began.elapsed().as_secs_f64(), text))
}

/// Seconds to find and decode each chunk's one string, and the bytes of text.
fn floor(wire: Wire, bytes: &[u8]) -> Result<(f64, usize), Failure> {
    let began = Instant::now();
    let mut text = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(data) = line.strip_prefix(b"data: ").filter(|data| *data != b"[DONE]") else { continue };
        let delta = match wire {
            Wire::Openai => {
                serde_json::from_slice::<OpenAi<'_>>(data)?.choices.pop().map(|choice| choice.delta)
            }
            Wire::Anthropic => serde_json::from_slice::<Anthropic<'_>>(data)?.delta,
        };
        text += delta.and_then(|delta| delta.content.or(delta.text)).map_or(0, str::len);
    }
    Ok((began.elapsed().as_secs_f64(), text))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn measure(wire: Wire, tokens: usize, by_token: bool) -> Result<serde_json::Value, Failure> {
    let chunks = stream(wire, tokens);
    let whole = chunks.concat().into_bytes();
    let pieces: Vec<&[u8]> = if by_token {
        chunks.iter().map(|chunk| chunk.as_bytes()).collect()
    } else {
        whole.chunks(64 << 10).collect()
    };
    let (mut values, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, text) = value(wire, &pieces)?;
        let (bare, same) = floor(wire, &whole)?;
        if text != same {
            return Err(format!("the texts differ: {text} and {same} bytes").into());
        }
        values.push(tokens as f64 / ours);
        floors.push(tokens as f64 / bare);
        ratios.push(bare / ours);
    }
    Ok(serde_json::json!({
        "wire": wire, "pieces": if by_token { "token" } else { "64 KiB" }, "bytes_per_token": whole.len() / tokens,
        "value": median(values).round(), "floor": median(floors).round(), "ratio": median(ratios),
    }))
}

fn main() -> Result<(), Failure> {
    let tokens = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let mut results = Vec::new();
    for wire in [Wire::Openai, Wire::Anthropic] {
        for by_token in [false, true] {
            results.push(measure(wire, tokens, by_token)?);
        }
    }
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "unit": "tokens/s", "results": results }))?;
    Ok(())
}
