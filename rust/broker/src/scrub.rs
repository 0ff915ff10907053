//! The key never comes back: where a reply repeats it, asterisks stand in its place.
//!
//! Works on the decoded text of events, so neither JSON escapes nor a split over several deltas hide it: the end
//! of a piece that could be the beginning of the key waits for the next piece of the same text. A second line
//! of defence: the first is that the key is sent to its own base URL alone.

use memchr::memmem;
use zeroize::Zeroizing;

use crate::event::Event;

/// Shorter keys are placeholders (`none`, `ollama`), and hiding them would spoil ordinary words.
const SHORTEST: usize = 8;

pub(crate) struct Scrubber {
    key: Zeroizing<String>,
    /// The end of a text that begins like the key, and the event it came in.
    held: Option<Event>,
}

impl Scrubber {
    pub(crate) fn new(key: &str) -> Self {
        let key = if key.len() < SHORTEST { String::new() } else { key.to_owned() };
        Self { key: Zeroizing::new(key), held: None }
    }

    /// Clean `events` in place. What is held back comes with a later call: `done` holds nothing back.
    pub(crate) fn clean(&mut self, events: &mut Vec<Event>) {
        if self.key.is_empty() {
            return;
        }
        let mut clean = Vec::with_capacity(events.len() + 1);
        for mut event in events.drain(..) {
            if let Some(mut held) = self.held.take() {
                match (continues(&held, &event), piece(&mut held), piece(&mut event)) {
                    (true, Some(start), Some(text)) => text.insert_str(0, start),
                    _ => clean.push(held),
                }
            }
            for text in texts(&mut event) {
                self.mask(text);
            }
            self.held = self.split(&mut event);
            if piece(&mut event).is_none_or(|text| !text.is_empty()) {
                clean.push(event);
            }
        }
        *events = clean;
    }

    fn mask(&self, text: &mut String) {
        if memmem::find(text.as_bytes(), self.key.as_bytes()).is_some() {
            *text = text.replace(self.key.as_str(), &"*".repeat(self.key.len()));
        }
    }

    /// Cut off the end of a text that is the beginning of the key.
    fn split(&self, event: &mut Event) -> Option<Event> {
        let mut rest = event.clone_empty_piece()?;
        let text = piece(event)?;
        let longest = text.len().min(self.key.len() - 1);
        let starts = |length: &usize| {
            self.key.as_bytes().get(..*length).is_some_and(|start| text.as_bytes().ends_with(start))
        };
        let length = (1..=longest).rev().find(starts)?;
        // The key is ASCII, so the cut lies between characters.
        *piece(&mut rest)? = text.split_off(text.len() - length);
        Some(rest)
    }
}

impl Event {
    fn clone_empty_piece(&self) -> Option<Self> {
        Some(match self {
            Self::Text { .. } => Self::Text { delta: String::new() },
            Self::Thinking { .. } => Self::Thinking { delta: String::new() },
            Self::ToolCallDelta { index, .. } => Self::ToolCallDelta { index: *index, json: String::new() },
            _ => return None,
        })
    }
}

fn continues(held: &Event, event: &Event) -> bool {
    match (held, event) {
        (Event::Text { .. }, Event::Text { .. }) | (Event::Thinking { .. }, Event::Thinking { .. }) => true,
        (Event::ToolCallDelta { index, .. }, Event::ToolCallDelta { index: same, .. }) => index == same,
        _ => false,
    }
}

/// The text of an event that is a piece of a longer one.
fn piece(event: &mut Event) -> Option<&mut String> {
    match event {
        Event::Text { delta } | Event::Thinking { delta } => Some(delta),
        Event::ToolCallDelta { json, .. } => Some(json),
        _ => None,
    }
}

/// Everything in an event that the far side wrote.
fn texts(event: &mut Event) -> Vec<&mut String> {
    match event {
        Event::Text { delta } | Event::Thinking { delta } => vec![delta],
        Event::ToolCallDelta { json, .. } => vec![json],
        Event::ToolCallStart { id, name, .. } => vec![id, name],
        Event::ThinkingEnd { signature, redacted } => signature.iter_mut().chain(redacted).collect(),
        Event::Started { request_id, .. } => request_id.iter_mut().collect(),
        Event::Stop { provider_reason, .. } => vec![provider_reason],
        Event::Error(failure) => [&mut failure.message].into_iter().chain(&mut failure.code).collect(),
        Event::ToolCallEnd { .. } | Event::Usage(_) | Event::Done => Vec::new(),
    }
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
