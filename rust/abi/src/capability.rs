//! What a capability can name. Scopes are structures, never string globs compared with one another:
//! `kernel::capability::meet` intersects two of them, so a child can never hold more than its parent.

use serde::{Deserialize, Serialize};

use crate::tagged::tagged;

/// Any value, or exactly one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    Any,
    Is(String),
}

/// What may be done below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    Read,
    Write,
    ReadWrite,
}

/// The objects that a capability designates, one variant for each kind of action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// The whole of everything: what the person at the keyboard holds.
    Everything,
    /// A subtree of the host's files: an absolute path of normal components (no `.`, `..` or `//`).
    Path { path: String, rights: Rights },
    /// A network peer: lower-case host name, port (0: any), method and path prefix where HTTP is meant.
    Host { host: Pattern, port: u16 },
    /// A model by the name its provider knows it under.
    Model { model: Pattern },
    /// A tool by name.
    Tool { tool: Pattern },
    /// Run host programs, confined to what the holder's path and host capabilities name.
    Exec,
    /// Create child processes.
    Spawn,
    /// A secret by name, for use on the wire only.
    Secret { name: Pattern },
    /// A mailbox by the name of its owner.
    Mailbox { name: Pattern },
    /// A memory space, to recall from (`Read`) or to remember into (`Write`).
    Memory { space: Pattern, rights: Rights },
    /// Refs of a repository (its git common folder) at or below a full ref name, `refs/heads/agentos/b-1`.
    Publish { repository: Pattern, reference: String },
    /// Signal processes by name, besides one's own descendants.
    Process { name: Pattern },
    /// Vouch for untrusted data that one has read.
    Endorse,
    /// Let data out that one has read as private or secret.
    Declassify,
}

tagged!(Scope);

/// A scope handed out, with its bounds in time and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub scope: Scope,
    /// UTC microseconds after which it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_us: Option<u64>,
    /// How many requests it may still carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
}

impl From<Scope> for Grant {
    fn from(scope: Scope) -> Self {
        Self { scope, expires_us: None, uses: None }
    }
}
