//! What a model call reports, the same for both wire formats.
//!
//! Order: `started`, then text, thinking and tool calls as they come, `usage` whenever it is known better, and at
//! the end either `stop` (the reply is complete) or `error`, then `done`. After `done` a ticket is silent.

use serde::Serialize;

use crate::failure::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The provider has answered with this HTTP status; `request_id` is its name for the call.
    Started {
        status: u16,
        request_id: Option<String>,
    },
    Text {
        delta: String,
    },
    Thinking {
        delta: String,
    },
    /// A block of thinking is over. `signature` must be given back with it on the next turn; `redacted` is
    /// thinking that the provider shows only sealed.
    ThinkingEnd {
        signature: Option<String>,
        redacted: Option<String>,
    },
    /// `index` counts the tool calls of this reply from 0.
    ToolCallStart {
        index: u32,
        id: String,
        name: String,
    },
    /// All `json` of one call, joined, are its arguments; never empty as a whole, not checked to be valid.
    ToolCallDelta {
        index: u32,
        json: String,
    },
    ToolCallEnd {
        index: u32,
    },
    Usage(Usage),
    /// The reply is complete. `provider_reason` is the provider's own word.
    Stop {
        reason: StopReason,
        provider_reason: String,
    },
    Error(Failure),
    Done,
}

/// Tokens of the call so far: totals, so the last one counts.
///
/// `input` leaves out what was read from or written to the provider's cache; `cache_write` includes
/// `cache_write_hour`, what is kept for an hour and not for minutes; `output` includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_hour: u64,
    pub reasoning: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    EndTurn,
    ToolUse,
    MaxTokens,
    Refusal,
    Other,
}

/// Append an event, joining it to the last where both are pieces of the same text: a burst of tokens that came
/// in one read goes to the daemon as one event.
pub(crate) fn append(events: &mut Vec<Event>, event: Event) {
    match (events.last_mut(), event) {
        (Some(Event::Text { delta }), Event::Text { delta: more }) => delta.push_str(&more),
        (Some(Event::Thinking { delta }), Event::Thinking { delta: more }) => delta.push_str(&more),
        (Some(Event::ToolCallDelta { index, json }), Event::ToolCallDelta { index: same, json: more })
            if *index == same =>
        {
            json.push_str(&more)
        }
        (_, event) => events.push(event),
    }
}
