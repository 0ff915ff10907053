//! Rules of the gate: what is stopped, or put to a person, before it happens.
//!
//! A rule only ever narrows: it denies or asks, and the strictest of all that apply wins. Matchers are
//! structural, as scopes are: a path or ref matches what lies at or below it, a host its exact name or, with
//! a leading dot, every name below it. No globs, no regular expressions.

use serde::{Deserialize, Serialize};

use crate::{Action, Integrity, Labels, Secrecy};

/// What a rule does with what it matches, strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Deny,
    Ask,
}

/// Which actions a matcher speaks of. Each list means "any of these", an empty one "whatever it is"; an
/// action without that part (a path, a host) does not match a list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matcher {
    /// Kinds of action by their `type` tag: `exec`, `connect`, `publish` …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<String>,
    /// Names of processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub process: Vec<String>,
    /// Paths: those files and folders, and all below them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Hosts: `example.org`, or `.example.org` for every name below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub port: Vec<u16>,
    /// What an action names: the model, tool, secret, mailbox, memory space, command or child.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<String>,
    /// Full ref names, and all below them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<String>,
    /// The process has touched something at least this secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrecy: Option<Secrecy>,
    /// The process has touched something no better than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
}

/// A situation that shows what a rule does: checked whenever rules are loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub action: Action,
    #[serde(default)]
    pub process: String,
    #[serde(default)]
    pub labels: Labels,
    /// What the process did before, oldest first.
    #[serde(default)]
    pub history: Vec<Action>,
}

/// One rule. It applies to what `when` matches and `except` does not; with `after`, only once the process
/// has done one thing that each matcher of `after` speaks of, in that order, since it last did `until`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    pub effect: Effect,
    /// The sentence for a person.
    pub reason: String,
    #[serde(default)]
    pub when: Matcher,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Matcher>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Matcher>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Matcher>,
    /// Must be caught; at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catches: Vec<Example>,
    /// Must not be caught; at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spares: Vec<Example>,
}

/// A step of a history rule: how many matchers of its `after` a process has met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub rule: String,
    pub met: u32,
}
