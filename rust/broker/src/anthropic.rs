//! Anthropic Messages: its stream of events, or its one document, as our events.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{Event, StopReason, Usage, append};
use crate::failure::Failure;
use crate::text::Text;

/// More content blocks than this are not a reply but an attack on memory.
const BLOCK_LIMIT: usize = 4096;

#[derive(Default)]
pub(crate) struct Anthropic {
    blocks: BTreeMap<u32, Block>,
    tool_calls: u32,
    usage: Usage,
    stop_reason: Option<String>,
}

/// A content block that has begun and not ended.
enum Block {
    Text,
    Thinking {
        signature: String,
    },
    /// `input` is what the block began with; it holds where no deltas come.
    ToolCall {
        index: u32,
        input: String,
        sent: bool,
    },
    Other,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    index: Option<u32>,
    #[serde(borrow)]
    delta: Option<DeltaJson<'a>>,
    #[serde(borrow)]
    content_block: Option<BlockJson<'a>>,
    #[serde(borrow)]
    message: Option<MessageJson<'a>>,
    usage: Option<UsageJson>,
}

#[derive(Deserialize)]
struct DeltaJson<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct BlockJson<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MessageJson<'a> {
    #[serde(borrow, default)]
    content: Vec<BlockJson<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<UsageJson>,
}

#[derive(Deserialize)]
struct UsageJson {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreationJson>,
}

/// The same tokens by how long they are kept: told by newer servers, beside the sum or without it.
#[derive(Deserialize)]
struct CacheCreationJson {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

impl Anthropic {
    /// Take one event of the stream. True when it was the last.
    pub(crate) fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<bool, Failure> {
        if name == b"error" {
            return Err(error_event(data));
        }
        let payload: Payload<'_> = serde_json::from_slice(data).map_err(not_an_event)?;
        match &*payload.kind.0 {
            "content_block_delta" => {
                let block = payload.index.and_then(|index| self.blocks.get_mut(&index));
                if let (Some(block), Some(delta)) = (block, payload.delta) {
                    block.delta(delta, events);
                }
            }
            "content_block_start" => {
                if let (Some(index), Some(block)) = (payload.index, payload.content_block) {
                    self.begin(index, block, events)?;
                }
            }
            "content_block_stop" => {
                if let Some(block) = payload.index.and_then(|index| self.blocks.remove(&index)) {
                    block.end(events);
                }
            }
            "message_start" => {
                self.measure(payload.message.and_then(|message| message.usage), events);
            }
            "message_delta" => {
                if let Some(reason) = payload.delta.and_then(|delta| delta.stop_reason) {
                    self.stop_reason = Some(reason.into_string());
                }
                self.measure(payload.usage, events);
            }
            "message_stop" => return self.stop(events).map(|()| true),
            "error" => return Err(error_event(data)),
            // `ping`, and what a later version of the format may add.
            _ => {}
        }
        Ok(false)
    }

    /// Take a whole reply that came as one document.
    pub(crate) fn document(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
        let message: MessageJson<'_> = match serde_json::from_slice::<Payload<'_>>(data) {
            Ok(payload) if payload.kind.0 == "error" => return Err(error_event(data)),
            _ => serde_json::from_slice(data).map_err(not_an_event)?,
        };
        for (index, block) in (0..).zip(message.content) {
            self.begin(index, block, events)?;
            if let Some(block) = self.blocks.remove(&index) {
                block.end(events);
            }
        }
        self.measure(message.usage, events);
        self.stop_reason = message.stop_reason.map(Text::into_string);
        self.stop(events)
    }

    fn begin(&mut self, index: u32, json: BlockJson<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        if self.blocks.len() >= BLOCK_LIMIT {
            return Err(Failure::broken("the reply holds too many content blocks"));
        }
        let block = match &*json.kind.0 {
            "text" => {
                add(events, json.text, |delta| Event::Text { delta });
                Block::Text
            }
            "thinking" => {
                add(events, json.thinking, |delta| Event::Thinking { delta });
                Block::Thinking { signature: json.signature.unwrap_or_default().into_string() }
            }
            "redacted_thinking" => {
                let redacted = json.data.map(Text::into_string);
                append(events, Event::ThinkingEnd { signature: None, redacted });
                Block::Other
            }
            "tool_use" => self.begin_tool_call(json, events),
            _ => Block::Other,
        };
        self.blocks.insert(index, block);
        Ok(())
    }

    fn begin_tool_call(&mut self, json: BlockJson<'_>, events: &mut Vec<Event>) -> Block {
        let index = self.tool_calls;
        self.tool_calls += 1;
        let id = json.id.map_or_else(|| format!("call_{index}"), Text::into_string);
        let name = json.name.unwrap_or_default().into_string();
        append(events, Event::ToolCallStart { index, id, name });
        let input = json.input.map_or("{}", RawValue::get).to_owned();
        Block::ToolCall { index, input, sent: false }
    }

    fn measure(&mut self, json: Option<UsageJson>, events: &mut Vec<Event>) {
        let Some(json) = json else { return };
        let usage = &mut self.usage;
        for (field, value) in [
            (&mut usage.input, json.input_tokens),
            (&mut usage.output, json.output_tokens),
            (&mut usage.cache_read, json.cache_read_input_tokens),
            (&mut usage.cache_write, json.cache_creation_input_tokens),
        ] {
            *field = value.unwrap_or(*field);
        }
        if let Some(kept) = json.cache_creation {
            usage.cache_write_hour = kept.ephemeral_1h_input_tokens.unwrap_or(0);
            let sum = kept.ephemeral_5m_input_tokens.unwrap_or(0).saturating_add(usage.cache_write_hour);
            usage.cache_write = usage.cache_write.max(sum);
        }
        append(events, Event::Usage(*usage));
    }

    fn stop(&mut self, events: &mut Vec<Event>) -> Result<(), Failure> {
        for (_, block) in std::mem::take(&mut self.blocks) {
            block.end(events);
        }
        let Some(provider_reason) = self.stop_reason.take() else {
            return Err(Failure::broken("the reply ended without a stop reason"));
        };
        let reason = match provider_reason.as_str() {
            "end_turn" | "stop_sequence" => StopReason::EndTurn,
            "tool_use" => StopReason::ToolUse,
            "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
            "refusal" => StopReason::Refusal,
            _ => StopReason::Other,
        };
        append(events, Event::Stop { reason, provider_reason });
        Ok(())
    }
}

impl Block {
    fn delta(&mut self, delta: DeltaJson<'_>, events: &mut Vec<Event>) {
        match (self, delta.kind.as_ref().map(|kind| &*kind.0)) {
            (Self::Text, Some("text_delta")) => add(events, delta.text, |delta| Event::Text { delta }),
            (Self::Thinking { .. }, Some("thinking_delta")) => {
                add(events, delta.thinking, |delta| Event::Thinking { delta });
            }
            (Self::Thinking { signature }, Some("signature_delta")) => {
                signature.push_str(&delta.signature.unwrap_or_default().0);
            }
            (Self::ToolCall { index, sent, .. }, Some("input_json_delta")) => {
                let index = *index;
                *sent |= delta.partial_json.as_ref().is_some_and(|json| !json.is_empty());
                add(events, delta.partial_json, |json| Event::ToolCallDelta { index, json });
            }
            // Citations and other kinds belong to no event of ours.
            _ => {}
        }
    }

    fn end(self, events: &mut Vec<Event>) {
        match self {
            Self::ToolCall { index, input, sent } => {
                if !sent {
                    append(events, Event::ToolCallDelta { index, json: input });
                }
                append(events, Event::ToolCallEnd { index });
            }
            Self::Thinking { signature } => {
                let signature = Some(signature).filter(|text| !text.is_empty());
                append(events, Event::ThinkingEnd { signature, redacted: None });
            }
            Self::Text | Self::Other => {}
        }
    }
}

/// Append the event of a piece of text, unless the piece is empty.
fn add(events: &mut Vec<Event>, text: Option<Text<'_>>, event: impl FnOnce(String) -> Event) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        append(events, event(text.into_string()));
    }
}

fn error_event(data: &[u8]) -> Failure {
    match serde_json::from_slice(data) {
        Ok(value) => Failure::from_event(&value),
        Err(error) => not_an_event(error),
    }
}

fn not_an_event(error: serde_json::Error) -> Failure {
    Failure::broken(format!("the reply is not what the Anthropic Messages format prescribes: {error}"))
}

#[cfg(test)]
#[path = "anthropic_tests.rs"]
mod tests;
