//! What readers see: process rows, records, and words for scopes and amounts.

use std::collections::BTreeMap;

use agentos_abi::{
    Action, Cost, Finding, Limit, Pattern, Pid, ProcessView, Question, Rights, Rule, Scope, TicketId,
};

use crate::explain;

use crate::state::State;

impl State {
    /// The process of the home itself, once there has been an epoch.
    #[must_use]
    pub fn root(&self) -> Option<Pid> {
        self.root
    }

    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Every process, in the order of the table.
    pub fn processes(&self) -> impl Iterator<Item = ProcessView> {
        self.processes.iter().map(|((index, generation), process)| {
            let pid = Pid::new(index, generation);
            let waiting_on = process.waiting.first().and_then(|id| self.request(*id)).map(|waiting| {
                waiting.lane.clone().filter(|lane| !lane.is_empty()).unwrap_or_else(|| "budget".to_owned())
            });
            ProcessView {
                pid,
                parent: process.parent,
                name: process.name.clone(),
                state: process.state,
                waiting_on,
                since_us: process.since_us,
                spent: process.spent,
                reserved: process.reserved,
                budget: process.budget,
                group: Some(self.group_of(pid)),
                tickets: u32::try_from(process.tickets.len()).unwrap_or(u32::MAX),
                labels: process.labels,
                restarts: process.restarts,
            }
        })
    }

    /// What waits for a person, the oldest first.
    pub fn questions(&self) -> impl Iterator<Item = Question> {
        self.questions.iter().filter_map(|id| {
            let waiting = self.request(*id)?;
            Some(Question {
                request: *id,
                pid: waiting.pid,
                process: self.process(waiting.pid)?.name.clone(),
                action: waiting.action.clone(),
                digest: waiting.digest.clone(),
                why: waiting.question.clone()?,
                deadline_us: waiting.deadline_us,
            })
        })
    }

    /// The rules in force, without their examples.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What every stage says to `action` by `pid` now, and what would change it.
    #[must_use]
    pub fn explain(&self, pid: Pid, action: &Action, estimate: Cost, lane: Option<&str>) -> Vec<Finding> {
        explain::findings(self, pid, action, estimate, lane)
    }

    /// The records of one kind, by id.
    #[must_use]
    pub fn records(&self, kind: &str) -> Option<&BTreeMap<String, String>> {
        self.records.get(kind)
    }

    /// The open ticket's process and action, if it is open.
    #[must_use]
    pub fn ticket_action(&self, ticket: TicketId) -> Option<(Pid, &agentos_abi::Action)> {
        self.ticket(ticket).map(|row| (row.pid, &row.action))
    }
}

/// A scope in words: the name that refusals carry.
pub(crate) fn describe(scope: &Scope) -> String {
    match scope {
        Scope::Everything => "everything".to_owned(),
        Scope::Path { path, rights } => format!("{} {path}", rights_word(*rights)),
        Scope::Host { host, port } => format!("connect {}:{port}", pattern(host)),
        Scope::Model { model } => format!("model {}", pattern(model)),
        Scope::Tool { tool } => format!("tool {}", pattern(tool)),
        Scope::Exec => "exec".to_owned(),
        Scope::Spawn => "spawn".to_owned(),
        Scope::Secret { name } => format!("secret {}", pattern(name)),
        Scope::Mailbox { name } => format!("send {}", pattern(name)),
        Scope::Memory { space, rights } => format!("memory {} {}", rights_word(*rights), pattern(space)),
        Scope::Publish { repository, reference } => format!("publish {reference} in {}", pattern(repository)),
        Scope::Process { name } => format!("process {}", pattern(name)),
        Scope::Endorse => "endorse".to_owned(),
        Scope::Declassify => "declassify".to_owned(),
    }
}

fn pattern(pattern: &Pattern) -> &str {
    match pattern {
        Pattern::Any => "*",
        Pattern::Is(name) => name,
    }
}

fn rights_word(rights: Rights) -> &'static str {
    match rights {
        Rights::Read => "read",
        Rights::Write => "write",
        Rights::ReadWrite => "read-write",
    }
}

/// One amount of a ceiling in words.
pub(crate) fn describe_amount(limit: &Limit, amount: &str) -> String {
    let shown = |value: Option<u64>| value.map_or("no limit".to_owned(), |value| value.to_string());
    match amount {
        "usd_micros" => {
            let micros = limit.usd_micros.unwrap_or(0);
            format!("{}.{:06} USD", micros / 1_000_000, micros % 1_000_000)
        }
        "tokens" => format!("{} tokens", shown(limit.tokens)),
        "wall_us" => format!("{} µs of wall time", shown(limit.wall_us)),
        _ => format!("{} turns", shown(limit.turns)),
    }
}
