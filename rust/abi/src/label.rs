//! What a process has touched: two small lattices, joined as data flows.

use serde::{Deserialize, Serialize};

/// How far data may travel, from everybody to nobody. The join is the larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secrecy {
    #[default]
    Public,
    /// About a person or an organisation: memories, mail, customers.
    Private,
    /// Keys, tokens, passwords, and what was fetched with them.
    Secret,
}

/// Who may have written data. The join is the larger: what is untrusted spoils what it meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    #[default]
    Trusted,
    /// The network, other people's files, imported memories: an attacker may have chosen every byte.
    Untrusted,
}

/// A point of both lattices; the default is the bottom: public and trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Labels {
    pub secrecy: Secrecy,
    pub integrity: Integrity,
}

impl Labels {
    pub const BOTTOM: Self = Self { secrecy: Secrecy::Public, integrity: Integrity::Trusted };

    /// The least label that both flow to.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { secrecy: self.secrecy.max(other.secrecy), integrity: self.integrity.max(other.integrity) }
    }

    #[must_use]
    pub fn is_bottom(&self) -> bool {
        *self == Self::BOTTOM
    }
}
