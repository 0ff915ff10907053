//! One ChatGPT message: its words by content type, and the memories that it carries.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::{Flag, List, Maybe, Text, Time, Weight};
use crate::record::{Message, Piece, Statement, Trust};
use crate::statements;
use crate::time;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Turn<'a> {
    #[serde(borrow)]
    pub(super) author: Maybe<Author<'a>>,
    pub(super) create_time: Time,
    #[serde(borrow)]
    content: Maybe<Content<'a>>,
    #[serde(borrow)]
    recipient: Text<'a>,
    weight: Weight,
    #[serde(borrow)]
    metadata: Maybe<Metadata<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Author<'a> {
    #[serde(borrow)]
    pub(super) role: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata<'a> {
    is_visually_hidden_from_conversation: Flag,
    #[serde(borrow)]
    attachments: List<Maybe<Attachment<'a>>>,
}

/// An uploaded file; its bytes are another member of the export.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Attachment<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// What a picture that ChatGPT made was made from.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Picture<'a> {
    #[serde(borrow)]
    dalle: Maybe<Prompt<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Prompt<'a> {
    #[serde(borrow)]
    prompt: Text<'a>,
}

/// The fields of every content type together: each type fills its own few.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    content_type: Text<'a>,
    #[serde(borrow)]
    parts: List<Part<'a>>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    result: Text<'a>,
    #[serde(borrow)]
    summary: Text<'a>,
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    snippet: Text<'a>,
    #[serde(borrow)]
    output_str: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    thoughts: List<Maybe<Thought<'a>>>,
    #[serde(borrow)]
    user_profile: Text<'a>,
    #[serde(borrow)]
    user_instructions: Text<'a>,
    #[serde(borrow)]
    model_set_context: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Thought<'a> {
    #[serde(borrow)]
    summary: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
}

/// A part of a message: words, or an object of which only the words matter here.
#[derive(Default)]
struct Part<'a>(Text<'a>);

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a part")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Part(Text(Some(Cow::Borrowed(text)))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Part(Text(Some(Cow::Owned(text.to_owned())))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Part::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Part::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Part::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Part::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Part::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut text = Text::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.get() {
                Some("text") => text = map.next_value()?,
                Some("metadata") => {
                    let prompt = map.next_value::<Maybe<Picture<'de>>>()?.0.dalle.0.prompt;
                    text = if text.filled().is_some() { text } else { prompt };
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Part(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PartVisitor)
    }
}

impl Turn<'_> {
    pub(super) fn is_hidden(&self) -> bool {
        self.metadata.0.is_visually_hidden_from_conversation.0 || self.weight.0 == Some(0.0)
    }

    fn kind(&self) -> &str {
        self.content.0.content_type.get().unwrap_or("text")
    }
}

/// The words of a message, then the names of the files that came with it.
pub(super) fn pieces(turn: &Turn<'_>) -> Vec<Piece> {
    let mut pieces = vec![piece(turn)];
    let mut names = Words::default();
    names.extend(turn.metadata.0.attachments.0.iter().map(|attached| &attached.0.name));
    if names.1 > 0 {
        pieces.push(Piece { trust: Trust::Attachment, text: names.0, silent: false });
    }
    pieces
}

fn piece(turn: &Turn<'_>) -> Piece {
    let kind = turn.kind();
    let content = &turn.content.0;
    let silent = matches!(kind, "user_editable_context" | "model_editable_context" | "reasoning_recap");
    let mut text = Words::default();
    match kind {
        "user_editable_context" => text.extend([&content.user_profile, &content.user_instructions]),
        "model_editable_context" => text.extend([&content.model_set_context]),
        "thoughts" => {
            for thought in &content.thoughts.0 {
                text.extend([&thought.0.summary, &thought.0.content]);
            }
        }
        _ => {}
    }
    text.extend(content.parts.0.iter().map(|part| &part.0));
    if !silent {
        text.extend([&content.title, &content.url, &content.text, &content.result, &content.summary]);
        text.extend([&content.snippet, &content.output_str]);
    }
    text.extend([&content.content]);
    Piece { trust: trust(turn), text: strip_citations(text.0), silent: silent || text.1 == 0 }
}

/// Words joined by lines, and how many there are of them.
#[derive(Default)]
struct Words(String, usize);

impl Words {
    fn extend<'a, 'b: 'a>(&mut self, texts: impl IntoIterator<Item = &'a Text<'b>>) {
        for text in texts.into_iter().filter_map(Text::filled) {
            if self.1 > 0 {
                self.0.push('\n');
            }
            self.0.push_str(text);
            self.1 += 1;
        }
    }
}

fn trust(turn: &Turn<'_>) -> Trust {
    let retrieved = matches!(turn.kind(), "tether_quote" | "tether_browsing_display" | "sonic_webpage");
    match turn.author.0.role.get() {
        _ if retrieved => Trust::Web,
        Some("user") => Trust::User,
        Some("assistant") => Trust::Assistant,
        Some("tool") => match turn.author.0.name.get() {
            Some(name) if name.starts_with("web") || name.starts_with("browser") => Trust::Web,
            _ => Trust::Tool,
        },
        _ => Trust::Vendor,
    }
}

/// Citations are marked by private-use characters around a reference that is no word of the message.
fn strip_citations(text: String) -> String {
    if !text.contains('\u{e200}') {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\u{e200}') {
        plain.push_str(before);
        // A mark that nothing closes takes no words with it.
        rest = after.split_once('\u{e201}').map_or(after, |(_, behind)| behind);
    }
    plain.push_str(rest);
    plain.retain(|letter| !('\u{e200}'..='\u{e206}').contains(&letter));
    plain
}

/// Saved memories and custom instructions that this message carries.
pub(super) fn statements(turn: &Turn<'_>, message: &Message, time: Option<i64>, found: &mut Vec<Statement>) {
    let of = |scope: &str, kind, trust, text: &str, span| Statement {
        scope: scope.to_owned(),
        kind,
        trust,
        text: text.to_owned(),
        tag: None,
        message: message.key,
        time,
        since: None,
        span,
        listed: true,
    };
    match turn.kind() {
        "user_editable_context" => {
            let mut start = 0;
            for (scope, kind, text) in [
                ("profile", "identity", &turn.content.0.user_profile),
                ("instructions", "instruction", &turn.content.0.user_instructions),
            ] {
                if let Some(text) = text.filled() {
                    let end = start + text.chars().count();
                    found.push(of(scope, kind, Trust::User, text.trim(), (start, end)));
                    start = end + 1;
                }
            }
        }
        "model_editable_context" => {
            let Some(list) = turn.content.0.model_set_context.filled() else { return };
            for (since, span, text) in saved_memories(list) {
                let statement = of("memory", statements::kind(text), Trust::Vendor, text, span);
                found.push(Statement { since, ..statement });
            }
        }
        _ if turn.recipient.get() == Some("bio") => {
            let text = message.pieces.first().map_or("", |piece| piece.text.as_str());
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_removal(line)) {
                let (from, _) = crate::json::span(text, line);
                let start = text.get(..from).map_or(0, |before| before.chars().count());
                let span = (start, start + line.chars().count());
                let statement = of("memory", statements::kind(line), Trust::Vendor, line, span);
                found.push(Statement { listed: false, since: time, ..statement });
            }
        }
        _ => {}
    }
}

/// A request to the memory tool that removes something says nothing about the person.
fn is_removal(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.starts_with("forget ") || lower.starts_with("delete ") || lower.starts_with("remove ")
}

type Saved<'a> = (Option<time::Micros>, (usize, usize), &'a str);

/// Lines such as `1. [2024-05-01]. User prefers tea`, with the date and the place of the words.
fn saved_memories(list: &str) -> Vec<Saved<'_>> {
    let mut found = Vec::new();
    for line in list.lines() {
        let mut rest = line.trim();
        let numbered = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if numbered.len() < rest.len() && numbered.starts_with(['.', ')']) {
            rest = numbered.trim_start_matches(['.', ')']).trim_start();
        }
        let mut since = None;
        if let Some((date, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            since = time::parse(date);
            rest = after.trim_start_matches(['.', ' ', '-', ':']);
        }
        let text = rest.trim();
        if !text.is_empty() {
            let (from, _) = crate::json::span(list, text);
            let start = list.get(..from).map_or(0, |before| before.chars().count());
            found.push((since, (start, start + text.chars().count()), text));
        }
    }
    found
}
