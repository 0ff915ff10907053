//! OpenAI chat completions: its stream of chunks, or its one document, as our events.
//!
//! Read leniently where servers are known to differ: fields that are null or absent, thinking under
//! `reasoning_content` (vLLM, DeepSeek, llama.cpp) or `reasoning` (OpenRouter, Ollama), all tool calls under
//! index 0 or under none (Ollama, Gemini), arguments given as an object, whole calls in one chunk, calls
//! that end with the finish reason `stop`, usage in every chunk. Never lenient about the end: a reply is
//! complete only after a finish reason.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{Event, StopReason, Usage, append};
use crate::failure::Failure;
use crate::text::Text;

/// More tool calls than this are not a reply but an attack on memory.
const CALL_LIMIT: usize = 4096;

#[derive(Default)]
pub(crate) struct OpenAi {
    calls: Vec<Call>,
    usage: Option<Usage>,
    finish_reason: Option<String>,
}

/// A tool call of this reply; its place in the list is its index in our events.
struct Call {
    /// The index that the server uses for it.
    wire_index: u32,
    id: String,
    sent: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<UsageJson>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "message")]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallJson<'a>>>,
}

#[derive(Deserialize)]
struct CallJson<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<FunctionJson<'a>>,
}

#[derive(Deserialize)]
struct FunctionJson<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct UsageJson {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptJson>,
    completion_tokens_details: Option<CompletionJson>,
}

#[derive(Deserialize)]
struct PromptJson {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionJson {
    reasoning_tokens: Option<u64>,
}

impl OpenAi {
    /// Take one chunk of the stream. True when it was the terminator.
    pub(crate) fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<bool, Failure> {
        if data.trim_ascii() == b"[DONE]" {
            return self.end(events).map(|()| true);
        }
        if name == b"error" {
            return Err(error_event(data));
        }
        self.chunk(data, events)?;
        Ok(false)
    }

    /// Take a whole reply that came as one document.
    pub(crate) fn document(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
        self.chunk(data, events)?;
        self.end(events)
    }

    /// The reply is over as far as HTTP knows. An error unless the model had finished.
    pub(crate) fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(provider_reason) = self.finish_reason.take() else {
            return Err(Failure::broken("the reply ended without a finish reason"));
        };
        let called = !self.calls.is_empty();
        for (index, call) in (0..).zip(std::mem::take(&mut self.calls)) {
            if !call.sent {
                append(events, Event::ToolCallDelta { index, json: "{}".to_owned() });
            }
            append(events, Event::ToolCallEnd { index });
        }
        if let Some(usage) = self.usage {
            append(events, Event::Usage(usage));
        }
        let reason = match provider_reason.as_str() {
            "stop" if called => StopReason::ToolUse,
            "stop" => StopReason::EndTurn,
            "tool_calls" | "function_call" => StopReason::ToolUse,
            "length" => StopReason::MaxTokens,
            "content_filter" => StopReason::Refusal,
            _ => StopReason::Other,
        };
        append(events, Event::Stop { reason, provider_reason });
        Ok(())
    }

    fn chunk(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(not_a_chunk)?;
        if chunk.error.is_some() {
            return Err(error_event(data));
        }
        // Other choices exist only when several were asked for; the first is the reply.
        if let Some(choice) = chunk.choices.and_then(|choices| choices.into_iter().next()) {
            if let Some(delta) = choice.delta {
                self.delta(delta, events)?;
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish_reason = Some(reason.into_string());
            }
        }
        if let Some(json) = chunk.usage {
            self.usage = Some(json.into());
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        let filled = |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(Text::into_string);
        // Some servers send the same thought under both names.
        if let Some(delta) = filled(delta.reasoning_content).or_else(|| filled(delta.reasoning)) {
            append(events, Event::Thinking { delta });
        }
        if let Some(delta) = filled(delta.content) {
            append(events, Event::Text { delta });
        }
        if let Some(delta) = filled(delta.refusal) {
            append(events, Event::Text { delta });
        }
        for (place, call) in (0..).zip(delta.tool_calls.unwrap_or_default()) {
            self.tool_call(place, call, events)?;
        }
        Ok(())
    }

    fn tool_call(&mut self, place: u32, json: CallJson<'_>, events: &mut Vec<Event>) -> Result<(), Failure> {
        let wire_index = json.index.unwrap_or(place);
        let id = json.id.map(Text::into_string).filter(|id| !id.is_empty());
        let (name, arguments) = json.function.map_or((None, None), |f| (f.name, f.arguments));
        let name = name.filter(|name| !name.is_empty());
        let known = self.calls.iter().rposition(|call| call.wire_index == wire_index);
        // A second id under the same index is a second call, where the server does not count.
        let continued = known.filter(|at| match (&id, &name, self.calls.get(*at)) {
            (Some(id), Some(_), Some(call)) => *id == call.id,
            _ => true,
        });
        let position = match continued {
            Some(position) => position,
            None => self.begin(wire_index, id, name, events)?,
        };
        let json = arguments.map(arguments_text).transpose()?.unwrap_or_default();
        if let Some(call) = self.calls.get_mut(position).filter(|_| !json.is_empty()) {
            call.sent = true;
            append(events, Event::ToolCallDelta { index: number(position), json });
        }
        Ok(())
    }

    fn begin(
        &mut self,
        wire_index: u32,
        id: Option<String>,
        name: Option<Text<'_>>,
        events: &mut Vec<Event>,
    ) -> Result<usize, Failure> {
        let position = self.calls.len();
        if position >= CALL_LIMIT {
            return Err(Failure::broken("the reply holds too many tool calls"));
        }
        let id = id.unwrap_or_else(|| format!("call_{position}"));
        let name = name.unwrap_or_default().into_string();
        append(events, Event::ToolCallStart { index: number(position), id: id.clone(), name });
        self.calls.push(Call { wire_index, id, sent: false });
        Ok(position)
    }
}

impl From<UsageJson> for Usage {
    fn from(json: UsageJson) -> Self {
        let prompt = json.prompt_tokens.unwrap_or(0);
        let cache_read = json.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        let reasoning = json.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        // Completion tokens include reasoning, but some servers count it beside them: the total tells.
        let rest = json.total_tokens.unwrap_or(0).saturating_sub(prompt);
        let output = json.completion_tokens.unwrap_or(0).max(rest);
        Self {
            input: prompt.saturating_sub(cache_read),
            output,
            cache_read: cache_read.min(prompt),
            cache_write: 0,
            cache_write_hour: 0,
            reasoning: reasoning.unwrap_or(0).min(output),
        }
    }
}

/// Arguments are JSON in a string; some servers send the JSON itself.
fn arguments_text(raw: &RawValue) -> Result<String, Failure> {
    match raw.get() {
        "null" => Ok(String::new()),
        text if text.starts_with('"') => serde_json::from_str(text).map_err(not_a_chunk),
        json => Ok(json.to_owned()),
    }
}

fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn error_event(data: &[u8]) -> Failure {
    match serde_json::from_slice(data) {
        Ok(value) => Failure::from_event(&value),
        Err(_) => Failure::broken(format!("the provider broke off: {}", String::from_utf8_lossy(data))),
    }
}

fn not_a_chunk(error: serde_json::Error) -> Failure {
    Failure::broken(format!("the reply is not what the chat completions format prescribes: {error}"))
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
