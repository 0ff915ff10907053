//! Budgets as a ledger, written from the rules and not from the code: who reserved how much and who spent how
//! much, each time summed over everybody below. `budget_reference_tests` compares it with the kernel.

use std::collections::BTreeMap;

use agentos_abi::*;

/// An amount of everything that is counted, wide enough never to overflow.
pub(crate) type Amounts = [u128; 4];

pub(crate) fn amounts(cost: &Cost) -> Amounts {
    [cost.usd_micros, cost.tokens, cost.wall_us, cost.turns].map(u128::from)
}

fn limits(limit: &Limit) -> [Option<u128>; 4] {
    [limit.usd_micros, limit.tokens, limit.wall_us, limit.turns].map(|amount| amount.map(u128::from))
}

pub(crate) fn plus(a: Amounts, b: Amounts) -> Amounts {
    std::array::from_fn(|at| a[at] + b[at])
}

pub(crate) struct Process {
    pub(crate) parent: Option<Pid>,
    pub(crate) limit: Limit,
    /// It will be started again when it fails, under another name.
    pub(crate) again: bool,
    pub(crate) suspended: bool,
    /// With which status, once its work is being cut.
    pub(crate) closing: Option<ExitStatus>,
}

pub(crate) struct Ticket {
    pub(crate) pid: Pid,
    /// All reservations that were made for it.
    pub(crate) reserved: Vec<Amounts>,
    pub(crate) wall_us: u64,
    pub(crate) expires_us: Option<u64>,
    pub(crate) stopping: bool,
    pub(crate) client: bool,
}

pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    pub(crate) estimate: Amounts,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) now_us: u64,
    pub(crate) processes: BTreeMap<Pid, Process>,
    pub(crate) tickets: BTreeMap<TicketId, Ticket>,
    /// By age.
    pub(crate) waiting: BTreeMap<(u64, RequestId), Waiting>,
    /// What was spent, by each one that it was spent under, for ever.
    pub(crate) spent: Vec<(Vec<Pid>, Amounts)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fits,
    Later,
    Never,
}

impl Ledger {
    pub(crate) fn line(&self, pid: Pid) -> Vec<Pid> {
        let mut line = vec![pid];
        while let Some(parent) = self.processes.get(line.last().unwrap()).and_then(|row| row.parent) {
            line.push(parent);
        }
        line
    }

    pub(crate) fn spent(&self, pid: Pid) -> Amounts {
        let under = self.spent.iter().filter(|(line, _)| line.contains(&pid));
        under.fold([0; 4], |sum, (_, amounts)| plus(sum, *amounts))
    }

    pub(crate) fn reserved(&self, pid: Pid) -> Amounts {
        let under = self.tickets.values().filter(|row| self.line(row.pid).contains(&pid));
        under.flat_map(|row| row.reserved.iter()).fold([0; 4], |sum, amounts| plus(sum, *amounts))
    }

    /// Whether `more` would go beyond what a process may still take.
    fn exceeds(&self, pid: Pid, held: Amounts, more: Amounts) -> bool {
        let limits = limits(&self.processes[&pid].limit);
        let beyond = |at: usize| held[at] + more[at] > limits[at].unwrap_or(u128::from(u64::MAX));
        (0..4).any(|at| more[at] > 0 && beyond(at))
    }

    pub(crate) fn verdict(&self, pid: Pid, more: Amounts) -> Verdict {
        let line = self.line(pid);
        if line.iter().any(|pid| self.exceeds(*pid, self.spent(*pid), more)) {
            return Verdict::Never;
        }
        let held = |pid: Pid| plus(self.spent(pid), self.reserved(pid));
        if line.iter().any(|pid| self.exceeds(*pid, held(*pid), more)) {
            Verdict::Later
        } else {
            Verdict::Fits
        }
    }

    pub(crate) fn begin(&mut self, id: TicketId, pid: Pid, estimate: Amounts, client: bool) {
        let row =
            Ticket { pid, reserved: vec![estimate], wall_us: 0, expires_us: None, stopping: false, client };
        assert!(self.tickets.insert(id, row).is_none(), "a name is given once");
    }

    pub(crate) fn end(&mut self, id: TicketId, cost: Amounts) {
        let row = self.tickets.remove(&id).expect("it is open");
        self.spent.push((self.line(row.pid), cost));
    }

    /// Nobody knows what became of it: all that was reserved is gone, but of time only what was reported.
    fn lose(&mut self, id: TicketId) {
        let row = &self.tickets[&id];
        let mut cost = row.reserved.iter().fold([0; 4], |sum, amounts| plus(sum, *amounts));
        cost[2] = u128::from(row.wall_us);
        self.end(id, cost);
    }

    pub(crate) fn stop(&mut self, id: TicketId) {
        let now_us = self.now_us;
        let row = self.tickets.get_mut(&id).expect("it is open");
        if !row.stopping {
            (row.stopping, row.expires_us) = (true, Some(now_us + 30_000_000));
        }
    }

    pub(crate) fn new_daemon(&mut self) {
        self.waiting.clear();
        let ids: Vec<TicketId> = self.tickets.keys().copied().collect();
        for id in ids {
            if self.tickets[&id].client {
                self.tickets.get_mut(&id).unwrap().expires_us = Some(self.now_us + 10_000_000);
            } else {
                self.lose(id);
            }
        }
    }

    /// Time acts.
    pub(crate) fn expire(&mut self) {
        let due = |row: &Ticket| row.expires_us.is_some_and(|at| at <= self.now_us);
        let due: Vec<TicketId> = self.tickets.iter().filter(|(_, row)| due(row)).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.lose(id));
    }

    /// Those below a closing process close too, and stop what they do.
    pub(crate) fn close(&mut self) {
        let ids: Vec<Pid> = self.processes.keys().copied().collect();
        for pid in ids {
            let above = &self.line(pid)[1..];
            let cut =
                above.iter().any(|above| self.processes.get(above).is_some_and(|row| row.closing.is_some()));
            let row = self.processes.get_mut(&pid).unwrap();
            if cut && row.closing.is_none() {
                row.closing = Some(ExitStatus::Killed);
            }
            if self.processes[&pid].closing.is_none() {
                continue;
            }
            self.waiting.retain(|_, row| row.pid != pid);
            let open: Vec<TicketId> =
                self.tickets.iter().filter(|(_, row)| row.pid == pid).map(|(id, _)| *id).collect();
            open.into_iter().for_each(|id| self.stop(id));
        }
    }

    /// A process lives on under another name: what was spent under the old one was spent under the new one.
    pub(crate) fn rename(&mut self, old: Pid, new: Pid) {
        let mut row = self.processes.remove(&old).expect("it was there");
        (row.closing, row.suspended) = (None, false);
        self.processes.insert(new, row);
        for (line, _) in &mut self.spent {
            line.iter_mut().filter(|pid| **pid == old).for_each(|pid| *pid = new);
        }
    }
}
