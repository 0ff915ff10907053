//! Claude projects: instructions written by the person, and documents.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Text, Time};
use crate::record::{self, Kind, Message, Piece, Record, Role, Statement, Trust};

pub(crate) const FORMAT: ClaudeProject = ClaudeProject;

pub(crate) struct ClaudeProject;

#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    created_at: Time,
    #[serde(default)]
    updated_at: Time,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_template: Option<&'a RawValue>,
    #[serde(borrow, default)]
    docs: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    filename: Text<'a>,
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(default)]
    created_at: Time,
}

impl super::Format for ClaudeProject {
    fn name(&self) -> &'static str {
        "claude-project"
    }

    fn provider(&self) -> &'static str {
        "claude"
    }

    fn recognises(&self, keys: &super::Keys) -> bool {
        keys.has("prompt_template") && keys.has("docs")
    }

    fn record(&self, json: &str) -> Result<Record, String> {
        let project: Project<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let native = project.uuid.owned().ok_or("a project without uuid")?;
        let mut record = Record::new(Kind::Project, native);
        record.title = project.name.owned();
        record.created = project.created_at.0;
        record.updated = project.updated_at.0;
        for (name, raw) in
            [("description", project.description), ("prompt_template", project.prompt_template)]
        {
            let Some(raw) = raw.filter(|raw| raw.get().len() > 4) else { continue };
            let message = message(json, raw.get(), record::message_key(name), Role::User, record.updated);
            if name == "prompt_template" {
                record.statements.extend(instruction(&record, &message));
            }
            record.messages.push(message);
        }
        let mut seen = HashSet::new();
        for (number, raw) in project.docs.unwrap_or_default().into_iter().enumerate() {
            let Ok(document) = serde_json::from_str::<Document<'_>>(raw.get()) else {
                record.dropped.push(("malformed_document", 1));
                continue;
            };
            let name = document.uuid.filled().or(document.filename.filled());
            let key = record::own_key(name, number, &mut seen);
            record.messages.push(message(json, raw.get(), key, Role::Document, document.created_at.0));
        }
        Ok(record)
    }

    fn pieces(&self, message: &str) -> Vec<Piece> {
        vec![piece(message)]
    }
}

fn message(json: &str, raw: &str, key: i64, role: Role, time: Option<i64>) -> Message {
    let (start, end) = json::span(json, raw);
    Message {
        key,
        parent: None,
        role,
        time,
        start,
        end,
        active: true,
        hidden: false,
        pieces: vec![piece(raw)],
    }
}

fn piece(raw: &str) -> Piece {
    if let Ok(document) = serde_json::from_str::<Document<'_>>(raw) {
        let parts = [document.filename.filled(), document.content.filled()];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
        return Piece { trust: Trust::Attachment, silent: text.is_empty(), text };
    }
    let text = serde_json::from_str::<Text<'_>>(raw).ok().and_then(|text| text.owned()).unwrap_or_default();
    Piece { trust: Trust::User, silent: text.is_empty(), text }
}

fn instruction(record: &Record, message: &Message) -> Option<Statement> {
    let text =
        message.pieces.first().map(|piece| piece.text.trim().to_owned()).filter(|text| !text.is_empty())?;
    Some(Statement {
        scope: format!("project:{}", record.native),
        kind: "instruction",
        trust: Trust::User,
        tag: record.title.clone(),
        message: message.key,
        time: record.updated,
        since: None,
        span: (0, text.chars().count()),
        text,
        listed: true,
    })
}
