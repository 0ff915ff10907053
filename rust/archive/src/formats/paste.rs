//! A chatbot's answer to "write down all you know about me", pasted into a file: one entry a line, as
//! `[2024-05-01] - entry` or `[unknown] - entry`, maybe under headings, maybe in a code block.

use crate::id;
use crate::record::{self, Kind, Message, Piece, Record, Role, Statement, Trust};
use crate::statements;
use crate::time;

pub(crate) const FORMAT: Paste = Paste;

pub(crate) struct Paste;

struct Entry<'a> {
    since: Option<time::Micros>,
    heading: Option<&'a str>,
    text: &'a str,
}

impl super::Format for Paste {
    fn name(&self) -> &'static str {
        "paste"
    }

    fn provider(&self) -> &'static str {
        "paste"
    }

    /// It is no JSON.
    fn recognises(&self, _: &super::Keys) -> bool {
        false
    }

    /// Most lines are entries: a letter that quotes one is no paste.
    fn recognises_text(&self, text: &str) -> bool {
        let plain = |line: &&str| !line.trim().is_empty() && !is_frame(line);
        let lines = text.lines().filter(plain).count();
        let found = entries(text).len();
        found > 0 && found * 2 >= lines
    }

    fn record(&self, text: &str) -> Result<Record, String> {
        // Each paste stands for itself: whose it is and when it was made is not in it.
        let native = id::hex(&id::digest(&[text.trim().as_bytes()]));
        let key = record::message_key("paste");
        let mut record = Record::new(Kind::Memories, native);
        record.title = Some("pasted memories".into());
        for entry in entries(text) {
            let (from, _) = crate::json::span(text, entry.text);
            let start = text.get(..from).map_or(0, |before| before.chars().count());
            record.statements.push(Statement {
                scope: "memory".into(),
                kind: kind(&entry),
                trust: Trust::Vendor,
                text: entry.text.to_owned(),
                tag: entry.heading.map(str::to_owned),
                message: key,
                time: entry.since,
                since: entry.since,
                span: (start, start + entry.text.chars().count()),
                listed: false,
            });
        }
        record.messages.push(Message {
            key,
            parent: None,
            role: Role::System,
            time: None,
            start: 0,
            end: text.len(),
            active: true,
            hidden: false,
            pieces: self.pieces(text),
        });
        Ok(record)
    }

    fn pieces(&self, text: &str) -> Vec<Piece> {
        vec![Piece { trust: Trust::Vendor, text: text.to_owned(), silent: true }]
    }
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    let mut heading = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') {
            heading = Some(line.trim_start_matches('#').trim()).filter(|name| !name.is_empty());
            continue;
        }
        let line = line.trim_start_matches(['-', '*', '•']).trim_start();
        let Some((date, rest)) = line.strip_prefix('[').and_then(|inner| inner.split_once(']')) else {
            continue;
        };
        let since = time::parse(date);
        let words = rest.trim_start().trim_start_matches(['-', '–', '—', ':']).trim();
        if (since.is_some() || date.eq_ignore_ascii_case("unknown")) && !words.is_empty() {
            found.push(Entry { since, heading, text: words });
        }
    }
    found
}

fn is_frame(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('#') || line.starts_with("```")
}

fn kind(entry: &Entry<'_>) -> &'static str {
    match entry.heading.map(str::to_lowercase).as_deref() {
        Some("instructions") => "instruction",
        Some("identity") => "identity",
        Some("projects") => "project",
        Some("preferences") => "preference",
        Some("career") => "context",
        _ => statements::kind(entry.text),
    }
}

#[cfg(test)]
#[path = "paste_tests.rs"]
mod tests;
