//! ChatGPT conversations, all generations: a tree of nodes under `mapping`.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use self::content::Turn;
use crate::json::{self, Flag, List, Text, Time};
use crate::record::{self, Kind, Message, Piece, Record, Role, Tree};

#[path = "chatgpt/content.rs"]
mod content;

pub(crate) const FORMAT: ChatGpt = ChatGpt;

pub(crate) struct ChatGpt;

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    conversation_id: Text<'a>,
    #[serde(borrow, default)]
    title: Text<'a>,
    #[serde(default)]
    create_time: Time,
    #[serde(default)]
    update_time: Time,
    #[serde(borrow, default)]
    current_node: Text<'a>,
    #[serde(default)]
    is_do_not_remember: Flag,
    #[serde(default)]
    is_temporary: Flag,
    #[serde(borrow)]
    mapping: Mapping<'a>,
}

#[derive(Default)]
struct Node<'a> {
    parent: Text<'a>,
    children: Vec<Text<'a>>,
    message: Option<&'a RawValue>,
}

struct Mapping<'a>(Vec<(Text<'a>, Node<'a>)>);

struct MappingVisitor;

impl<'de> Visitor<'de> for MappingVisitor {
    type Value = Mapping<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of nodes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(entry) = map.next_entry::<Text<'de>, Node<'de>>()? {
            nodes.push(entry);
        }
        Ok(Mapping(nodes))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Mapping<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MappingVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a node")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.get() {
                Some("parent") => node.parent = map.next_value()?,
                Some("children") => node.children = map.next_value::<List<Text<'de>>>()?.0,
                Some("message") if node.message.is_some() => {
                    return Err(A::Error::custom("a node has two messages"));
                }
                Some("message") => node.message = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(node)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(NodeVisitor)
    }
}

impl super::Format for ChatGpt {
    fn name(&self) -> &'static str {
        "chatgpt"
    }

    fn provider(&self) -> &'static str {
        "chatgpt"
    }

    fn recognises(&self, keys: &super::Keys) -> bool {
        // DeepSeek's exports have a `mapping` too, and `inserted_at`.
        keys.has("mapping") && !keys.has("inserted_at")
    }

    fn record(&self, json: &str) -> Result<Record, String> {
        let chat: Chat<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut nodes = tree_nodes(&chat)?;
        let native = chat.conversation_id.owned().or_else(|| chat.id.owned());
        let mut record = Record::new(Kind::Conversation, native.unwrap_or_else(|| id_from_roots(&chat)));
        record.title = chat.title.owned();
        record.created = chat.create_time.0;
        record.updated = chat.update_time.0;
        let distil = !chat.is_do_not_remember.0 && !chat.is_temporary.0;
        let mut broken = 0;
        // Each message is made as it is parsed, and put in its place later: a tree of parsed messages beside
        // the made ones would double what a large conversation takes.
        for (node, (_, source)) in nodes.iter_mut().zip(&chat.mapping.0) {
            let Some(raw) = source.message.filter(|raw| raw.get() != "null") else { continue };
            let Ok(turn) = serde_json::from_str::<Turn<'_>>(raw.get()) else {
                broken += 1;
                continue;
            };
            (node.time, node.holds_message) = (turn.create_time.0, true);
            let message = message(json, node.key, raw.get(), &turn);
            if distil {
                let time = turn.create_time.0.or(record.created).or(record.updated);
                content::statements(&turn, &message, time, &mut record.statements);
            }
            record.messages.push(message);
        }
        if broken > 0 {
            record.dropped.push(("malformed_message", broken));
        }
        let tree = Tree::new(&nodes, chat.current_node.get().map(record::message_key));
        record.branches = tree.leaves.saturating_sub(1);
        for message in &mut record.messages {
            message.parent = tree.parent_message(message.key);
            message.active = tree.active.contains(&message.key);
        }
        Ok(record)
    }

    fn pieces(&self, message: &str) -> Vec<Piece> {
        serde_json::from_str::<Turn<'_>>(message).map(|turn| content::pieces(&turn)).unwrap_or_default()
    }
}

/// A message without its place in the tree.
fn message(json: &str, key: i64, raw: &str, turn: &Turn<'_>) -> Message {
    let (start, end) = json::span(json, raw);
    Message {
        key,
        parent: None,
        role: role(turn),
        time: turn.create_time.0,
        start,
        end,
        active: false,
        hidden: turn.is_hidden(),
        pieces: content::pieces(turn),
    }
}

fn role(turn: &Turn<'_>) -> Role {
    match turn.author.0.role.get() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => Role::System,
    }
}

/// The nodes with their parents; slim exports leave out one of the two directions, so each mends the other.
fn tree_nodes(chat: &Chat<'_>) -> Result<Vec<record::Node>, String> {
    let mut of_child = HashMap::new();
    for (key, node) in &chat.mapping.0 {
        let parent = record::message_key(key.get().unwrap_or_default());
        for child in node.children.iter().filter_map(Text::get) {
            of_child.entry(record::message_key(child)).or_insert(parent);
        }
    }
    let mut seen = HashSet::new();
    let mut nodes = Vec::with_capacity(chat.mapping.0.len());
    for (native, node) in &chat.mapping.0 {
        let key = record::message_key(native.get().unwrap_or_default());
        if !seen.insert(key) {
            return Err(format!("the key `{}` occurs twice in `mapping`", native.get().unwrap_or_default()));
        }
        let parent = node.parent.filled().map(record::message_key).or_else(|| of_child.get(&key).copied());
        let parent = parent.filter(|parent| *parent != key);
        nodes.push(record::Node { key, parent, time: None, holds_message: false });
    }
    Ok(nodes)
}

/// Where an export gives a conversation no id, its start and its roots do not change while it grows.
fn id_from_roots(chat: &Chat<'_>) -> String {
    let named: HashSet<&str> =
        chat.mapping.0.iter().flat_map(|(_, node)| node.children.iter().filter_map(Text::get)).collect();
    let mut roots: Vec<&str> = chat
        .mapping
        .0
        .iter()
        .filter(|(key, node)| {
            node.parent.filled().is_none() && !named.contains(key.get().unwrap_or_default())
        })
        .filter_map(|(key, _)| key.get())
        .collect();
    roots.sort_unstable();
    format!("{}/{}", chat.create_time.0.unwrap_or_default(), roots.join("/"))
}

#[cfg(test)]
#[path = "chatgpt_tests.rs"]
mod tests;
