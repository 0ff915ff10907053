//! Types shared by the kernel, its drivers and its bindings. Data only: no rule is decided here.
//!
//! Everything is serde data with explicit `type` tags, the first field of its object, so that a journal entry describes itself and a
//! message means the same in process and over the socket. Integers carry their unit in their name.

pub mod action;
pub mod call;
pub mod capability;
pub mod cost;
pub mod entry;
pub mod id;
pub mod label;
pub mod lane;
pub mod length;
pub mod message;
pub mod process;
pub mod rule;
mod tagged;
pub mod view;

pub use action::{Action, ChildSpec, GroupSpec, Outcome, Recovery};
pub use call::{Call, Decision, Event, Finding, Refusal, Reply, Stage};
pub use capability::{Grant, Pattern, Rights, Scope};
pub use cost::{Cost, Limit};
pub use entry::{Born, Derivation, Entry, Fact};
pub use id::{CapabilityId, Pid, RequestId, TicketId};
pub use label::{Integrity, Labels, Secrecy};
pub use lane::{PLACE, Priority, Rates};
pub use message::{Awaited, Content, MailboxSpec, Message};
pub use process::{ExitStatus, Restart, Signal, State, Strategy, Supervision};
pub use rule::{Effect, Example, Matcher, Move, Rule};
pub use view::{ProcessView, Question};
