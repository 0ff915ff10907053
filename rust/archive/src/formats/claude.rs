//! Claude conversations: messages in a list, since 2025 with parents and thus branches.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Flag, List, Maybe, Text, Time};
use crate::record::{self, Kind, Message, Piece, Record, Role, Tree, Trust};

pub(crate) const FORMAT: Claude = Claude;

pub(crate) struct Claude;

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow, default)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    created_at: Time,
    #[serde(default)]
    updated_at: Time,
    #[serde(borrow, default)]
    current_leaf_message_uuid: Text<'a>,
    #[serde(borrow, default)]
    account: Maybe<Owner<'a>>,
    #[serde(borrow)]
    chat_messages: Vec<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Owner<'a> {
    #[serde(borrow, default)]
    uuid: Text<'a>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(borrow, default)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    content: List<Maybe<Block<'a>>>,
    #[serde(borrow, default)]
    sender: Text<'a>,
    #[serde(default)]
    created_at: Time,
    #[serde(borrow, default)]
    parent_message_uuid: Option<Text<'a>>,
    #[serde(borrow, default)]
    attachments: List<Maybe<Attachment<'a>>>,
    #[serde(borrow, default)]
    files: List<Maybe<Attachment<'a>>>,
    #[serde(default)]
    is_hidden: Flag,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    input: Maybe<Input<'a>>,
    #[serde(borrow)]
    content: List<Maybe<Retrieved<'a>>>,
}

/// What an artifact or file tool was given: the document that the person got.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Input<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    file_text: Text<'a>,
    #[serde(borrow)]
    new_str: Text<'a>,
    #[serde(borrow)]
    query: Text<'a>,
    #[serde(borrow)]
    code: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Retrieved<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attachment<'a> {
    #[serde(borrow)]
    file_name: Text<'a>,
    #[serde(borrow)]
    extracted_content: Text<'a>,
}

impl super::Format for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn provider(&self) -> &'static str {
        "claude"
    }

    fn recognises(&self, keys: &super::Keys) -> bool {
        keys.has("chat_messages")
    }

    fn record(&self, json: &str) -> Result<Record, String> {
        let chat: Chat<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut turns = Vec::with_capacity(chat.chat_messages.len());
        let mut broken = 0;
        for raw in &chat.chat_messages {
            match serde_json::from_str::<Turn<'_>>(raw.get()) {
                Ok(turn) => turns.push((raw.get(), turn)),
                Err(_) => broken += 1,
            }
        }
        let native = chat.uuid.owned().unwrap_or_else(|| {
            let first = turns.first().and_then(|(_, turn)| turn.uuid.get()).unwrap_or_default();
            format!("{}/{first}", chat.created_at.0.unwrap_or_default())
        });
        let mut record = Record::new(Kind::Conversation, native);
        record.title = chat.name.owned();
        record.created = chat.created_at.0;
        record.updated = chat.updated_at.0;
        record.account = chat.account.0.uuid.owned();
        if broken > 0 {
            record.dropped.push(("malformed_message", broken));
        }
        let nodes = tree_nodes(&turns);
        let tree = Tree::new(&nodes, chat.current_leaf_message_uuid.get().map(record::message_key));
        record.branches = tree.leaves.saturating_sub(1);
        for ((raw, turn), node) in turns.iter().zip(&nodes) {
            let (start, end) = json::span(json, raw);
            record.messages.push(Message {
                key: node.key,
                parent: tree.parent_message(node.key),
                role: if is_human(turn) { Role::User } else { Role::Assistant },
                time: node.time,
                start,
                end,
                active: tree.active.contains(&node.key),
                hidden: turn.is_hidden.0,
                pieces: pieces(turn),
            });
        }
        Ok(record)
    }

    fn pieces(&self, message: &str) -> Vec<Piece> {
        serde_json::from_str::<Turn<'_>>(message).map(|turn| pieces(&turn)).unwrap_or_default()
    }
}

fn is_human(turn: &Turn<'_>) -> bool {
    matches!(turn.sender.get(), Some("human" | "user"))
}

/// Older exports know no parents: there each message answers the one before it. In newer ones a parent that
/// is not in the list (the all-but-zero uuid) makes a root.
fn tree_nodes(turns: &[(&str, Turn<'_>)]) -> Vec<record::Node> {
    let branched = turns.iter().any(|(_, turn)| turn.parent_message_uuid.is_some());
    let mut seen = HashSet::new();
    let mut nodes: Vec<record::Node> = Vec::with_capacity(turns.len());
    for (number, (_, turn)) in turns.iter().enumerate() {
        let previous = nodes.last().map(|node| node.key);
        let key = record::own_key(turn.uuid.filled(), number, &mut seen);
        let named = turn.parent_message_uuid.as_ref().and_then(Text::filled).map(record::message_key);
        let parent = if branched { named } else { previous };
        nodes.push(record::Node { key, parent, time: turn.created_at.0, holds_message: true });
    }
    nodes
}

/// The words first, then what was pasted or retrieved. `text` repeats the text blocks, so it counts only
/// where there are none.
fn pieces(turn: &Turn<'_>) -> Vec<Piece> {
    let own = if is_human(turn) { Trust::User } else { Trust::Assistant };
    let mut words: Vec<&str> = Vec::new();
    let mut aside: Vec<Piece> = Vec::new();
    for Maybe(block) in &turn.content.0 {
        match block.kind.get() {
            Some("thinking") => aside.extend(piece(Trust::Assistant, &[&block.thinking])),
            Some("tool_use") => {
                let input = &block.input.0;
                let fields = [&block.name, &input.title, &input.content, &input.file_text, &input.new_str];
                let fields: Vec<&Text<'_>> = fields.into_iter().chain([&input.query, &input.code]).collect();
                aside.extend(piece(Trust::Assistant, &fields));
            }
            Some("tool_result") => {
                let web = block.name.get().is_some_and(|name| name.starts_with("web"));
                let trust = if web { Trust::Web } else { Trust::Tool };
                for Maybe(found) in &block.content.0 {
                    aside.extend(piece(trust, &[&found.title, &found.url, &found.text]));
                }
            }
            _ => words.extend(block.text.filled()),
        }
    }
    if words.is_empty() {
        words.extend(turn.text.filled());
    }
    for Maybe(attached) in turn.attachments.0.iter().chain(&turn.files.0) {
        aside.extend(piece(Trust::Attachment, &[&attached.file_name, &attached.extracted_content]));
    }
    let text = words.join("\n");
    let mut pieces = vec![Piece { trust: own, silent: text.is_empty(), text }];
    pieces.append(&mut aside);
    pieces
}

fn piece(trust: Trust, texts: &[&Text<'_>]) -> Option<Piece> {
    let words: Vec<&str> = texts.iter().filter_map(|text| text.filled()).collect();
    (!words.is_empty()).then(|| Piece { trust, text: words.join("\n"), silent: false })
}

#[cfg(test)]
#[path = "claude_tests.rs"]
mod tests;
