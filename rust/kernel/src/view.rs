//! What readers see: process rows, records, and words for scopes and amounts.

use std::collections::BTreeMap;

use agentos_abi::{Action, Cost, Finding, Limit, Pid, ProcessView, Question, Rule, Scope, TicketId};

use crate::explain;
use crate::request::holds;

use crate::queue::{Stand, UNLIMITED};
use crate::state::{State, Waiting};
use crate::wait;

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
            let request = process.waiting.first().and_then(|id| self.request(*id));
            let waiting_on = match (request, process.awaiting.keys().next()) {
                (Some(waiting), _) => Some(waits_for(waiting)),
                (None, awaited) => awaited.map(|awaited| wait::describe(self, *awaited)),
            };
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

    /// Whether `pid` holds a live capability for all of `scope`. Allocates nothing; labels, rules and budgets
    /// have no say here.
    #[must_use]
    pub fn allows(&self, pid: Pid, scope: &Scope) -> bool {
        holds(self, self.now_us, pid, scope)
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

/// What a waiting request waits for: its receiver's mailbox, its lane, or a budget.
fn waits_for(waiting: &Waiting) -> String {
    if let Action::Send { mailbox, .. } = &waiting.action {
        return format!("the mailbox of `{mailbox}`");
    }
    match waiting.stand {
        Stand::Parked(_) => "budget".to_owned(),
        Stand::Lane | Stand::Aside if waiting.lane_name() == UNLIMITED => "budget".to_owned(),
        Stand::Lane | Stand::Aside => waiting.lane_name().to_owned(),
    }
}

/// One amount of a ceiling in words.
pub(crate) fn describe_amount(limit: &Limit, amount: &str) -> String {
    let shown = |value: Option<u64>| value.map_or("no limit".to_owned(), |value| value.to_string());
    match amount {
        "usd_micros" => limit.usd_micros.map_or_else(
            || shown(None),
            |micros| format!("{}.{:06} USD", micros / 1_000_000, micros % 1_000_000),
        ),
        "tokens" => format!("{} tokens", shown(limit.tokens)),
        "wall_us" => format!("{} µs of wall time", shown(limit.wall_us)),
        _ => format!("{} turns", shown(limit.turns)),
    }
}
