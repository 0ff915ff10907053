//! The journal: what was decided, durable and in order, in one SQLite file.
//!
//! Entries form a hash chain whose head is anchored in the same transaction that appends them, so that a
//! changed, missing, moved or cut-off entry is found and named. One writer thread commits everything that
//! is queued in one transaction (group commit); callers queue without waiting and are told what is durable.
//! Blobs (prompts, replies) and streams (output) lie beside the chain: deleting them breaks nothing.
//!
//! This crate alone opens `kernel.db`. A second SQLite library in the same process would drop this one's
//! file locks.

mod chain;
mod error;
mod journal;
mod queue;
mod reader;
mod recovery;
mod reserve;
mod schema;
mod tree;
mod verify;
mod writer;

pub use chain::{Hash, Head};
pub use error::JournalError;
pub use journal::{Journal, Options};
pub use reader::{Reader, StoredEntry};
pub use recovery::Recovery;
pub use tree::{Proof, prove, root_of};
pub use verify::{FirstBad, Report, verify, verify_each};

/// The longest entry, in bytes: longer data belongs into a blob.
pub const MAX_ENTRY: usize = 4096;
