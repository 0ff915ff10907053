//! What an import found, kept and dropped.

use serde::Serialize;

use crate::time::{self, Micros};

/// Places named for one reason; the count goes on.
const PLACES: usize = 10;

/// The summary of an import; `--json` prints it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the import that holds it. None if the archive already had everything and no import did.
    pub import: Option<String>,
    pub source: String,
    pub account: Option<String>,
    pub conversations: Changes,
    pub messages: MessageChanges,
    pub branches: u64,
    pub facts: FactChanges,
    pub projects: u64,
    pub files: u64,
    pub redacted: u64,
    pub dropped: Vec<Dropped>,
    pub notes: Vec<Dropped>,
    /// First and last day of what was found.
    pub first: Option<String>,
    pub last: Option<String>,
    pub bytes: u64,
    /// Whether the archive changed.
    pub written: bool,
    #[serde(skip)]
    span: Option<(Micros, Micros)>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Changes {
    pub seen: u64,
    pub new: u64,
    pub updated: u64,
    pub unchanged: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct MessageChanges {
    pub new: u64,
    pub updated: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct FactChanges {
    pub new: u64,
    pub quarantined: u64,
}

/// Something that was left out or replaced, why, how often and where.
#[derive(Clone, Debug, Serialize)]
pub struct Dropped {
    pub reason: String,
    pub count: u64,
    #[serde(rename = "where")]
    pub places: Vec<String>,
    /// The first case in words.
    pub detail: Option<String>,
}

impl Report {
    pub(crate) fn drop(&mut self, reason: &str, count: u64, place: String, detail: Option<String>) {
        add(&mut self.dropped, reason, count, place, detail);
    }

    /// Something that people may want to know, but nothing is lost.
    pub(crate) fn note(&mut self, reason: &str, count: u64, place: String) {
        add(&mut self.notes, reason, count, place, None);
    }

    pub(crate) fn saw(&mut self, time: Option<Micros>) {
        let Some(time) = time else { return };
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
        self.first = self.span.map(|(first, _)| time::iso(first));
        self.last = self.span.map(|(_, last)| time::iso(last));
    }
}

fn add(list: &mut Vec<Dropped>, reason: &str, count: u64, place: String, detail: Option<String>) {
    if let Some(known) = list.iter_mut().find(|dropped| dropped.reason == reason) {
        known.count += count;
        if known.places.len() < PLACES {
            known.places.push(place);
        }
        return;
    }
    list.push(Dropped { reason: reason.to_owned(), count, places: vec![place], detail });
}
