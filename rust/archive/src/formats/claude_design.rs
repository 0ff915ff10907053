//! Chats of Claude Design (`design_chats/*.json`, since 2026): one chat of a project in each file.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, List, Maybe, Text, Time};
use crate::record::{self, Kind, Message, Piece, Record, Role, Trust};

pub(crate) const FORMAT: ClaudeDesign = ClaudeDesign;

pub(crate) struct ClaudeDesign;

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    project: Maybe<Project<'a>>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Project<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(borrow, default)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    role: Text<'a>,
    #[serde(default)]
    created_at: Time,
    #[serde(borrow, default)]
    content: Maybe<Content<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Content<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    content_blocks: List<Maybe<Block<'a>>>,
    timestamp: Time,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    tool_call: Maybe<Call<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    output: Text<'a>,
}

impl super::Format for ClaudeDesign {
    fn name(&self) -> &'static str {
        "claude-design"
    }

    fn provider(&self) -> &'static str {
        "claude"
    }

    fn recognises(&self, keys: &super::Keys) -> bool {
        ["uuid", "project", "messages"].iter().all(|key| keys.has(key)) && !keys.has("chat_messages")
    }

    fn record(&self, json: &str) -> Result<Record, String> {
        let chat: Chat<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let native = chat.uuid.owned().ok_or("a design chat without uuid")?;
        let mut record = Record::new(Kind::Conversation, native);
        record.title = chat.project.0.name.owned();
        let (mut seen, mut broken, mut parent) = (HashSet::new(), 0, None);
        for (number, raw) in chat.messages.iter().enumerate() {
            let Ok(turn) = serde_json::from_str::<Turn<'_>>(raw.get()) else {
                broken += 1;
                continue;
            };
            let key = record::own_key(turn.uuid.filled(), number, &mut seen);
            let (start, end) = json::span(json, raw.get());
            record.messages.push(Message {
                key,
                parent,
                role: if is_person(&turn) { Role::User } else { Role::Assistant },
                time: turn.created_at.0.or(turn.content.0.timestamp.0),
                start,
                end,
                active: true,
                hidden: false,
                pieces: pieces(&turn),
            });
            parent = Some(key);
        }
        if broken > 0 {
            record.dropped.push(("malformed_message", broken));
        }
        record.created = record.messages.first().and_then(|message| message.time);
        record.updated = record.newest();
        Ok(record)
    }

    fn pieces(&self, message: &str) -> Vec<Piece> {
        serde_json::from_str::<Turn<'_>>(message).map(|turn| pieces(&turn)).unwrap_or_default()
    }
}

fn is_person(turn: &Turn<'_>) -> bool {
    turn.role.get() == Some("user")
}

/// The words first, then thoughts and what tools gave back. `content` repeats the text of the blocks.
fn pieces(turn: &Turn<'_>) -> Vec<Piece> {
    let own = if is_person(turn) { Trust::User } else { Trust::Assistant };
    let content = &turn.content.0;
    let (mut words, mut aside) = (Vec::new(), Vec::new());
    for Maybe(block) in &content.content_blocks.0 {
        let (trust, texts) = match block.kind.get() {
            Some("thinking") => (Trust::Assistant, [block.thinking.filled(), block.text.filled()]),
            Some("tool_call") => {
                (Trust::Tool, [block.tool_call.0.name.filled(), block.tool_call.0.output.filled()])
            }
            _ => {
                words.extend(block.text.filled());
                continue;
            }
        };
        let text = texts.into_iter().flatten().collect::<Vec<_>>().join("\n");
        if !text.is_empty() {
            aside.push(Piece { trust, text, silent: false });
        }
    }
    if words.is_empty() {
        words.extend(content.content.filled());
    }
    let text = words.join("\n");
    let mut pieces = vec![Piece { trust: own, silent: text.is_empty(), text }];
    pieces.append(&mut aside);
    pieces
}

#[cfg(test)]
#[path = "claude_design_tests.rs"]
mod tests;
