//! The formats that can be imported: one file each in this folder, found by the build script.
//!
//! To add one: write `src/formats/<name>.rs` with a `pub(crate) const FORMAT` of a type that implements
//! [`Format`]. Nothing else names it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::record::{Piece, Record};

/// How one kind of element of somebody's export is recognised and read.
pub(crate) trait Format: Sync {
    /// Unique name; stored with every record, so it never changes.
    fn name(&self) -> &'static str;

    /// Whose export it is: `chatgpt`, `claude`, …
    fn provider(&self) -> &'static str;

    /// Whether an element with these keys is one of this format. Tight: two formats never agree on one.
    fn recognises(&self, keys: &Keys) -> bool;

    /// Whether a whole file that is no JSON is one element of this format.
    fn recognises_text(&self, _text: &str) -> bool {
        false
    }

    /// Reads one element. An error is the reason for the report, in a few words.
    fn record(&self, json: &str) -> Result<Record, String>;

    /// The words of one message, from its bytes in the element.
    fn pieces(&self, message: &str) -> Vec<Piece>;
}

include!(concat!(env!("OUT_DIR"), "/formats.rs"));

/// The keys of an element, by which its format is found.
#[derive(Debug, Default)]
pub(crate) struct Keys(pub(crate) BTreeSet<String>);

impl Keys {
    /// Empty if the element is no object.
    pub(crate) fn of(json: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Object(std::collections::BTreeMap<String, IgnoredAny>);
        Self(
            serde_json::from_str::<Object>(json)
                .map(|object| object.0.into_keys().collect())
                .unwrap_or_default(),
        )
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }
}

pub(crate) fn recognise(json: &str) -> Option<&'static dyn Format> {
    let keys = Keys::of(json);
    FORMATS.iter().copied().find(|format| format.recognises(&keys))
}

pub(crate) fn recognise_text(text: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.recognises_text(text))
}

pub(crate) fn named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}
