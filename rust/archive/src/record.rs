//! What a parser makes of one element of an export, whoever wrote it.

use std::collections::{HashMap, HashSet};

use crate::id;
use crate::time::Micros;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Conversation,
    /// The vendor's own memories of the person.
    Memories,
    Project,
    Account,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Memories => "memories",
            Self::Project => "project",
            Self::Account => "account",
        }
    }
}

/// Who speaks. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    User = 0,
    Assistant = 1,
    Tool = 2,
    System = 3,
    Document = 4,
}

impl Role {
    pub(crate) fn name(code: i64) -> &'static str {
        match code {
            0 => "user",
            1 => "assistant",
            2 => "tool",
            3 => "system",
            _ => "document",
        }
    }
}

/// Where words come from, most trusted first. The numbers are stored, and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    User = 0,
    Vendor = 1,
    Assistant = 2,
    Tool = 3,
    Attachment = 4,
    Web = 5,
}

impl Trust {
    pub(crate) fn name(code: i64) -> &'static str {
        match code {
            0 => "user",
            1 => "vendor",
            2 => "assistant",
            3 => "tool",
            4 => "attachment",
            _ => "web",
        }
    }
}

/// Words of a message that share one origin. Most messages have one piece; pasted documents and retrieved
/// pages are pieces of their own, so that the person's own words keep their trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) trust: Trust,
    pub(crate) text: String,
    /// Kept out of the search index: machinery that nobody looks for.
    pub(crate) silent: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Hash of the provider's own id of it, unique in its conversation.
    pub(crate) key: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) role: Role,
    pub(crate) time: Option<Micros>,
    /// Bytes `start..end` of the element are this message.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) active: bool,
    pub(crate) hidden: bool,
    pub(crate) pieces: Vec<Piece>,
}

/// Something said about the person that an export itself calls a memory or an instruction.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Statements of one scope are one list, of which each later snapshot replaces the one before.
    pub(crate) scope: String,
    /// One of the types of Portable AI Memory: fact, preference, identity, instruction, …
    pub(crate) kind: &'static str,
    pub(crate) trust: Trust,
    pub(crate) text: String,
    /// A heading it stood under.
    pub(crate) tag: Option<String>,
    pub(crate) message: i64,
    pub(crate) time: Option<Micros>,
    /// True since, where the statement itself says so.
    pub(crate) since: Option<Micros>,
    /// Characters of the message's text.
    pub(crate) span: (usize, usize),
    /// Part of a whole list; else an event that adds to it.
    pub(crate) listed: bool,
}

/// A parsed element.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// The provider's id of it.
    pub(crate) native: String,
    pub(crate) title: Option<String>,
    pub(crate) created: Option<Micros>,
    pub(crate) updated: Option<Micros>,
    pub(crate) account: Option<String>,
    pub(crate) messages: Vec<Message>,
    /// Ends of branches beyond the first.
    pub(crate) branches: usize,
    pub(crate) statements: Vec<Statement>,
    /// What could not be kept, by reason, with how often.
    pub(crate) dropped: Vec<(&'static str, usize)>,
}

impl Record {
    pub(crate) fn new(kind: Kind, native: String) -> Self {
        Self {
            kind,
            native,
            title: None,
            created: None,
            updated: None,
            account: None,
            messages: Vec::new(),
            branches: 0,
            statements: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Identity of the record across exports: provider, kind and the provider's id. The account is not part
    /// of it: the ids are unique by themselves, and the same export is seen with and without its account file.
    pub(crate) fn key(&self, provider: &str) -> [u8; 32] {
        id::digest(&[provider.as_bytes(), self.kind.name().as_bytes(), self.native.as_bytes()])
    }

    pub(crate) fn newest(&self) -> Option<Micros> {
        self.messages.iter().filter_map(|message| message.time).max()
    }
}

/// Hash of a provider's id of a message.
pub(crate) fn message_key(native: &str) -> i64 {
    id::short(&id::digest(&[native.as_bytes()]))
}

/// The key of the message `number` of a list by its id. Ids that are missing or occur again get one of their
/// own, so that none hides another.
pub(crate) fn own_key(native: Option<&str>, number: usize, seen: &mut HashSet<i64>) -> i64 {
    let named = native.map(message_key).filter(|key| !seen.contains(key));
    let key = named.unwrap_or_else(|| message_key(&format!("{number}/{}", native.unwrap_or_default())));
    seen.insert(key);
    key
}

/// A node of a conversation's tree; some hold no message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) key: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) time: Option<Micros>,
    pub(crate) holds_message: bool,
}

/// Which nodes the person sees, how many branches end, and each node's nearest ancestor with a message.
pub(crate) struct Tree {
    pub(crate) active: HashSet<i64>,
    pub(crate) leaves: usize,
    parents: HashMap<i64, Node>,
}

impl Tree {
    /// The active branch is the way up from `current`; where that is missing or dangling, from the newest
    /// leaf. Leaves are found by structure (an inner node may carry a later time than its descendants), and
    /// ties are broken by key: the order in the file means nothing.
    pub(crate) fn new(nodes: &[Node], current: Option<i64>) -> Self {
        let parents: HashMap<i64, Node> = nodes.iter().map(|node| (node.key, *node)).collect();
        let inner: HashSet<i64> = nodes.iter().filter_map(|node| node.parent).collect();
        let leaves: Vec<&Node> = nodes.iter().filter(|node| !inner.contains(&node.key)).collect();
        let newest = || leaves.iter().max_by_key(|node| (node.time, node.key)).map(|node| node.key);
        let mut active = HashSet::new();
        let mut next = current.filter(|key| parents.contains_key(key)).or_else(newest);
        while let Some(key) = next {
            // A cycle or a parent that is not there ends the walk, whatever the file says.
            let Some(node) = parents.get(&key).filter(|_| !active.contains(&key)) else { break };
            active.insert(key);
            next = node.parent;
        }
        let ends = leaves.iter().filter(|node| node.holds_message).count();
        Self { active, leaves: ends, parents }
    }

    pub(crate) fn parent_message(&self, key: i64) -> Option<i64> {
        let mut seen = HashSet::from([key]);
        let mut next = self.parents.get(&key)?.parent;
        while let Some(node) = next.and_then(|parent| self.parents.get(&parent)) {
            if node.holds_message {
                return (node.key != key).then_some(node.key);
            }
            if !seen.insert(node.key) {
                return None;
            }
            next = node.parent;
        }
        None
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
