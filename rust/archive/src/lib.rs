//! The archive of a person's chats: lossless import of chatbot exports, facts, full-text search.
//!
//! One kind of effect: reading exports and keeping them under one folder. The caller holds the ticket.

mod error;
mod facts;
mod formats;
mod id;
mod import;
mod json;
mod query;
mod record;
mod records;
mod report;
mod search;
mod sniff;
mod source;
mod split;
mod statements;
mod store;
mod time;

pub use error::{Error, Trouble};
pub use import::{Counters, Job};
pub use report::Report;
pub use search::Question;
pub use source::Input;
pub use store::Archive;

#[cfg(test)]
mod archive_tests;
