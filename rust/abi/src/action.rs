//! Everything an agent can want to do to the world: a closed enum, and the one door's vocabulary.

use serde::{Deserialize, Serialize};

use crate::tagged::tagged;
use crate::{Content, Grant, Limit, MailboxSpec, Pid, Restart, Scope, Supervision, TicketId};

/// An effect that a process asks for. Contents (prompts, file bytes) never travel here: only what the
/// decision needs, at most a few hundred bytes, with digests standing for the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// One call of a model at the provider reached under `host`.
    Model {
        model: String,
        host: String,
        port: u16,
    },
    /// Run a host program, confined to `mandate`. `command` is its digest or a short name for people.
    Exec {
        command: String,
        mandate: Vec<Scope>,
    },
    Read {
        path: String,
    },
    Write {
        path: String,
    },
    Connect {
        host: String,
        port: u16,
    },
    /// Put a message into the mailbox of the process called `mailbox`: the nearest of that name in the tree
    /// (the sender itself left out), or the one of them that `to` names. It is delivered as it goes: its
    /// ticket is spent at once.
    Send {
        mailbox: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Pid>,
        #[serde(default, skip_serializing_if = "Content::is_empty")]
        content: Content,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<TicketId>,
    },
    /// Start a child process; the ticket is completed by the child's exit.
    Spawn {
        child: Box<ChildSpec>,
    },
    UseSecret {
        name: String,
    },
    Remember {
        space: String,
    },
    Recall {
        space: String,
    },
    /// Move a ref of a repository, open a pull request or merge.
    Publish {
        repository: String,
        reference: String,
    },
    /// Call a tool by name.
    Call {
        tool: String,
    },
    /// Take the mark of untrusted data off the process: somebody vouches for what it has read.
    Endorse,
    /// Take the mark of secret data off the process: somebody says that what it holds may go out.
    Declassify,
}

tagged!(Action);

impl Action {
    /// Its `type` tag.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Model { .. } => "model",
            Self::Exec { .. } => "exec",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Connect { .. } => "connect",
            Self::Send { .. } => "send",
            Self::Spawn { .. } => "spawn",
            Self::UseSecret { .. } => "use_secret",
            Self::Remember { .. } => "remember",
            Self::Recall { .. } => "recall",
            Self::Publish { .. } => "publish",
            Self::Call { .. } => "call",
            Self::Endorse => "endorse",
            Self::Declassify => "declassify",
        }
    }

    /// All kinds, for messages and checks.
    pub const KINDS: [&str; 14] = [
        "model",
        "exec",
        "read",
        "write",
        "connect",
        "send",
        "spawn",
        "use_secret",
        "remember",
        "recall",
        "publish",
        "call",
        "endorse",
        "declassify",
    ];
}

/// What a child process starts with. Its capabilities are `parent ⊓ grants`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpec {
    pub name: String,
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// A ceiling within the parent's.
    #[serde(default)]
    pub budget: Limit,
    /// Scheduling group of its own, with how many of the group's children may run at once (0: no limit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupSpec>,
    /// Its parent reads nothing of what it produces (a person does, or a check): labels do not flow back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// Its children are started again as this says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervises: Option<Supervision>,
    /// When a parent that supervises starts it again. Its spawn ticket stays open until it is given up.
    #[serde(default, skip_serializing_if = "Restart::is_never")]
    pub restart: Restart,
    #[serde(default, skip_serializing_if = "MailboxSpec::is_default")]
    pub mailbox: MailboxSpec,
}

/// A scheduling group: its share against its siblings and its own concurrency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    pub weight: u32,
    /// How many tickets of queued requests the group may hold at once; 0 is no limit.
    pub concurrency: u32,
}

/// What recovery may do with an effect that was under way when its performer died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// No trace outside: drop it. Goes on before its entry is durable.
    Pure,
    /// Reset and run again; charged whole.
    Repeatable,
    /// Ask the far side whether it happened.
    Keyed,
    /// A person decides.
    Once,
}

/// How an effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    Error,
    Cancelled,
    /// Its performer died; nobody knows more.
    Lost,
}
