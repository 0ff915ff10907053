//! Claude's own memories of the person: prose under headings, written anew for every export.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Text};
use crate::record::{self, Kind, Message, Piece, Record, Role, Statement, Trust};
use crate::statements;

pub(crate) const FORMAT: ClaudeMemories = ClaudeMemories;

pub(crate) struct ClaudeMemories;

#[derive(Deserialize)]
struct Memories<'a> {
    #[serde(borrow, default)]
    account_uuid: Text<'a>,
    #[serde(borrow, default)]
    conversations_memory: Option<&'a RawValue>,
    #[serde(borrow, default)]
    project_memories: Option<BTreeMap<String, &'a RawValue>>,
}

impl super::Format for ClaudeMemories {
    fn name(&self) -> &'static str {
        "claude-memories"
    }

    fn provider(&self) -> &'static str {
        "claude"
    }

    fn recognises(&self, keys: &super::Keys) -> bool {
        keys.has("conversations_memory") || keys.has("project_memories")
    }

    fn record(&self, json: &str) -> Result<Record, String> {
        let memories: Memories<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let account = memories.account_uuid.owned();
        let mut record = Record::new(Kind::Memories, account.clone().unwrap_or_else(|| "memories".into()));
        record.title = Some("Claude's memory".into());
        if let Some(raw) = memories.conversations_memory {
            let scope = format!("memory:{}", account.as_deref().unwrap_or_default());
            add(&mut record, json, raw, "conversations", &scope);
        }
        for (project, raw) in memories.project_memories.unwrap_or_default() {
            let scope = format!("project-memory:{project}");
            add(&mut record, json, raw, &project, &scope);
        }
        record.account = account;
        Ok(record)
    }

    fn pieces(&self, message: &str) -> Vec<Piece> {
        let text: Text<'_> = serde_json::from_str(message).unwrap_or_default();
        let text = text.owned().unwrap_or_default();
        // Its sentences are facts, and found as such.
        vec![Piece { trust: Trust::Vendor, text, silent: true }]
    }
}

fn add(record: &mut Record, json: &str, raw: &RawValue, name: &str, scope: &str) {
    let Some(text) = serde_json::from_str::<Text<'_>>(raw.get()).ok().and_then(|text| text.owned()) else {
        return;
    };
    let (start, end) = json::span(json, raw.get());
    let key = record::message_key(name);
    let mut tag: Option<String> = None;
    for (from, to, sentence) in statements::sentences(&text) {
        if let Some(heading) = heading(sentence) {
            tag = Some(heading.to_owned());
            continue;
        }
        let kind = match (statements::kind(sentence), scope.starts_with("project")) {
            ("fact", true) => "project",
            ("fact", false) if tag.as_deref().is_some_and(|tag| tag.to_lowercase().contains("work")) => {
                "context"
            }
            (kind, _) => kind,
        };
        record.statements.push(Statement {
            scope: scope.to_owned(),
            kind,
            trust: Trust::Vendor,
            text: sentence.to_owned(),
            tag: tag.clone(),
            message: key,
            time: None,
            since: None,
            span: (from, to),
            listed: true,
        });
    }
    let pieces = vec![Piece { trust: Trust::Vendor, text, silent: true }];
    let role = Role::System;
    record.messages.push(Message {
        key,
        parent: None,
        role,
        time: None,
        start,
        end,
        active: true,
        hidden: false,
        pieces,
    });
}

/// `**Work context**`, `Work context**` (its first stars were taken for a bullet) or `# Work context`.
fn heading(line: &str) -> Option<&str> {
    let marked = line.ends_with("**") || line.starts_with('#');
    let bare = line.trim_matches(|c| c == '*' || c == '#' || c == ' ' || c == ':');
    (marked && !bare.is_empty() && bare.chars().count() <= 60).then_some(bare)
}

#[cfg(test)]
#[path = "claude_memories_tests.rs"]
mod tests;
