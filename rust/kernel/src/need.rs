//! What an action needs and what a capability gives, in one borrowed shape, so that a check allocates nothing.

use agentos_abi::{Action, Pattern, Rights, Scope};

use crate::capability::{is_reference, normal, within};
use crate::size::shown;

/// Which kind of object it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Everything,
    Path,
    Host,
    Model,
    Tool,
    Exec,
    Spawn,
    Secret,
    Mailbox,
    Memory,
    Publish,
    Process,
    Endorse,
    Declassify,
}

/// A scope, or what an action needs of one. Parts that a kind does not have are at their defaults, the same
/// on both sides of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need<'a> {
    pub(crate) kind: Kind,
    /// The exact name; `None` is any.
    pub(crate) name: Option<&'a str>,
    /// The path or ref at or below which it lies.
    pub(crate) tree: &'a str,
    /// 0 is any.
    pub(crate) port: u16,
    pub(crate) rights: Rights,
}

impl<'a> Need<'a> {
    const fn plain(kind: Kind) -> Self {
        Self { kind, name: None, tree: "", port: 0, rights: Rights::Read }
    }

    fn named(kind: Kind, pattern: &'a Pattern) -> Self {
        let name = match pattern {
            Pattern::Any => None,
            Pattern::Is(name) => Some(name.as_str()),
        };
        Self { name, ..Self::plain(kind) }
    }

    fn exactly(kind: Kind, name: &'a str) -> Self {
        Self { name: Some(name), ..Self::plain(kind) }
    }

    pub(crate) fn of(scope: &'a Scope) -> Self {
        match scope {
            Scope::Everything => Self::plain(Kind::Everything),
            Scope::Path { path, rights } => Self { tree: path, rights: *rights, ..Self::plain(Kind::Path) },
            Scope::Host { host, port } => Self { port: *port, ..Self::named(Kind::Host, host) },
            Scope::Model { model } => Self::named(Kind::Model, model),
            Scope::Tool { tool } => Self::named(Kind::Tool, tool),
            Scope::Exec => Self::plain(Kind::Exec),
            Scope::Spawn => Self::plain(Kind::Spawn),
            Scope::Secret { name } => Self::named(Kind::Secret, name),
            Scope::Mailbox { name } => Self::named(Kind::Mailbox, name),
            Scope::Memory { space, rights } => Self { rights: *rights, ..Self::named(Kind::Memory, space) },
            Scope::Publish { repository, reference } => {
                Self { tree: reference, ..Self::named(Kind::Publish, repository) }
            }
            Scope::Process { name } => Self::named(Kind::Process, name),
            Scope::Endorse => Self::plain(Kind::Endorse),
            Scope::Declassify => Self::plain(Kind::Declassify),
        }
    }

    /// Everything that `action` needs; all of it must be held.
    pub(crate) fn all(action: &'a Action) -> impl Iterator<Item = Self> {
        let mandate: &[Scope] = match action {
            Action::Exec { mandate, .. } => mandate,
            _ => &[],
        };
        std::iter::once(Self::first(action)).chain(mandate.iter().map(Self::of))
    }

    fn first(action: &'a Action) -> Self {
        let path = |path: &'a str, rights| Self { tree: path, rights, ..Self::plain(Kind::Path) };
        match action {
            Action::Model { model, .. } => Self::exactly(Kind::Model, model),
            Action::Exec { .. } => Self::plain(Kind::Exec),
            Action::Read { path: read } => path(read, Rights::Read),
            Action::Write { path: written } => path(written, Rights::Write),
            Action::Connect { host, port } => Self { port: *port, ..Self::exactly(Kind::Host, host) },
            Action::Send { mailbox, .. } => Self::exactly(Kind::Mailbox, mailbox),
            Action::Spawn { .. } => Self::plain(Kind::Spawn),
            Action::UseSecret { name } => Self::exactly(Kind::Secret, name),
            Action::Remember { space } => {
                Self { rights: Rights::Write, ..Self::exactly(Kind::Memory, space) }
            }
            Action::Recall { space } => Self::exactly(Kind::Memory, space),
            Action::Publish { repository, reference } => {
                Self { tree: reference, ..Self::exactly(Kind::Publish, repository) }
            }
            Action::Call { tool } => Self::exactly(Kind::Tool, tool),
            Action::Endorse => Self::plain(Kind::Endorse),
            Action::Declassify => Self::plain(Kind::Declassify),
        }
    }

    /// Whether all that this means is also meant by `held`.
    pub(crate) fn is_covered_by(&self, held: &Need<'_>) -> bool {
        held.kind == Kind::Everything
            || (held.kind == self.kind
                && (held.name.is_none() || held.name == self.name)
                && (held.port == 0 || held.port == self.port)
                && (held.rights == Rights::ReadWrite || held.rights == self.rights)
                && within(held.tree, self.tree))
    }

    /// The bytes of names that it carries, with what else it takes in an entry.
    pub(crate) fn bytes(&self) -> usize {
        32 + self.tree.len() + self.name.map_or(0, str::len)
    }

    /// Why it is not well formed, if it is not: a path that could mean another place than it says.
    pub(crate) fn malformed(&self) -> Option<String> {
        match self.kind {
            Kind::Path if !normal(self.tree) => Some(format!(
                "path `{}` is not absolute and normal (no `.`, `..`, empty parts or NUL)",
                shown(self.tree)
            )),
            Kind::Publish if !is_reference(self.tree) => {
                Some(format!("`{}` is not a full ref name", shown(self.tree)))
            }
            _ => None,
        }
    }

    /// In words: the name that refusals carry.
    pub(crate) fn describe(&self) -> String {
        let name = self.name.unwrap_or("*");
        let rights = match self.rights {
            Rights::Read => "read",
            Rights::Write => "write",
            Rights::ReadWrite => "read-write",
        };
        match self.kind {
            Kind::Everything => "everything".to_owned(),
            Kind::Path => format!("{rights} {}", self.tree),
            Kind::Host => format!("connect {name}:{}", self.port),
            Kind::Model => format!("model {name}"),
            Kind::Tool => format!("tool {name}"),
            Kind::Exec => "exec".to_owned(),
            Kind::Spawn => "spawn".to_owned(),
            Kind::Secret => format!("secret {name}"),
            Kind::Mailbox => format!("send {name}"),
            Kind::Memory => format!("memory {rights} {name}"),
            Kind::Publish => format!("publish {} in {name}", self.tree),
            Kind::Process => format!("process {name}"),
            Kind::Endorse => "endorse".to_owned(),
            Kind::Declassify => "declassify".to_owned(),
        }
    }
}
