//! Messages between processes, their mailboxes, and what a process can wait for.

use serde::{Deserialize, Serialize};

use crate::{Labels, Pid, TicketId};

/// Longest text in a message, in the bytes that JSON writes it with; what is longer goes into a blob.
pub const TEXT_BYTES: usize = 1_024;

/// How many messages a mailbox may be made to hold.
pub const MAILBOX_MESSAGES: u32 = 4_096;

/// What a message says: a short text, or the blob that holds it (`digest` is its SHA-256 in hex).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    Text { text: String },
    Blob { digest: String, size: u64 },
}

impl Default for Content {
    fn default() -> Self {
        Self::Text { text: String::new() }
    }
}

impl Content {
    /// What it counts for against the bound of a mailbox, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self {
            Self::Text { text } => text.len() as u64,
            Self::Blob { size, .. } => *size,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text { text } if text.is_empty())
    }
}

/// A message as its receiver gets it. The ticket that sent it is its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: TicketId,
    pub from: Pid,
    /// The name of the process that sent it, which may be gone by now.
    pub sender: String,
    pub content: Content,
    /// The message that this one answers.
    pub reply_to: Option<TicketId>,
    /// What its sender had touched: joined into its receiver's on receipt.
    pub labels: Labels,
}

/// The bounds of a mailbox: it is full once it holds as many messages, or as many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailboxSpec {
    /// At most `MAILBOX_MESSAGES`; with 0, a message passes only into the hands of who waits for it.
    pub messages: u32,
    /// Blobs count with their size. One message may be as large as this.
    pub bytes: u64,
}

impl Default for MailboxSpec {
    fn default() -> Self {
        Self { messages: 64, bytes: 16 << 20 }
    }
}

impl MailboxSpec {
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a process waits for, besides the decisions on its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Awaited {
    /// A message: from this process, or from any.
    Message { from: Option<Pid> },
    /// The end of a child.
    Exit { child: Pid },
}

impl Awaited {
    /// The one process that can bring it, if it is one.
    #[must_use]
    pub const fn on(self) -> Option<Pid> {
        match self {
            Self::Message { from } => from,
            Self::Exit { child } => Some(child),
        }
    }
}
