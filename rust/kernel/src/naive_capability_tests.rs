//! Capabilities as sets of single objects, written from the rules and not from the code: what is handed on is an
//! intersection, a count bounds all that ever came of a capability, and every question looks through all of
//! them. `capability_reference_tests` compares it with the kernel.

use std::collections::{BTreeMap, BTreeSet};

use agentos_abi::*;

/// How long who is asked to stop has for it, and a client to come back to a new daemon.
const STOPPING_US: u64 = 30_000_000;
const RETURN_US: u64 = 10_000_000;

const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/ab", "/a/b/c"];
const TOOLS: [&str; 2] = ["x", "y"];
const HOSTS: [(&str, u16); 4] = [("h", 1), ("h", 2), ("g", 1), ("g", 2)];
const REFERENCES: [&str; 3] = ["refs", "refs/x", "refs/xy"];

/// Everything that can be done in this world, one thing each.
pub(crate) fn objects() -> Vec<Action> {
    let mut all = vec![Action::Spawn { child: Box::default() }];
    for path in PATHS.map(str::to_owned) {
        all.push(Action::Read { path: path.clone() });
        all.push(Action::Write { path });
    }
    all.extend(TOOLS.map(|tool| Action::Call { tool: tool.to_owned() }));
    all.extend(TOOLS.map(send));
    all.extend(HOSTS.map(|(host, port)| Action::Connect { host: host.to_owned(), port }));
    for space in TOOLS.map(str::to_owned) {
        all.push(Action::Recall { space: space.clone() });
        all.push(Action::Remember { space });
    }
    for reference in REFERENCES.map(str::to_owned) {
        all.push(Action::Publish { repository: "r".to_owned(), reference });
    }
    all
}

fn send(mailbox: &str) -> Action {
    let mailbox = mailbox.to_owned();
    Action::Send { mailbox, to: None, content: Content::default(), reply_to: None }
}

fn is_named(pattern: &Pattern, name: &str) -> bool {
    *pattern == Pattern::Any || *pattern == Pattern::Is(name.to_owned())
}

/// Part by part, as a person reads it.
fn lies_below(outer: &str, inner: &str) -> bool {
    let parts =
        |place: &str| place.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    parts(inner).starts_with(&parts(outer))
}

/// Whether a scope means this one thing.
fn means(scope: &Scope, thing: &Action) -> bool {
    match (scope, thing) {
        (Scope::Everything, _) | (Scope::Spawn, Action::Spawn { .. }) => true,
        (Scope::Path { path: outer, rights }, Action::Read { path }) => {
            *rights != Rights::Write && lies_below(outer, path)
        }
        (Scope::Path { path: outer, rights }, Action::Write { path }) => {
            *rights != Rights::Read && lies_below(outer, path)
        }
        (Scope::Tool { tool: pattern }, Action::Call { tool }) => is_named(pattern, tool),
        (Scope::Mailbox { name }, Action::Send { mailbox, .. }) => is_named(name, mailbox),
        (Scope::Host { host: pattern, port: wanted }, Action::Connect { host, port }) => {
            is_named(pattern, host) && (*wanted == 0 || wanted == port)
        }
        (Scope::Memory { space: pattern, rights }, Action::Recall { space }) => {
            *rights != Rights::Write && is_named(pattern, space)
        }
        (Scope::Memory { space: pattern, rights }, Action::Remember { space }) => {
            *rights != Rights::Read && is_named(pattern, space)
        }
        (
            Scope::Publish { repository: pattern, reference: outer },
            Action::Publish { repository, reference },
        ) => is_named(pattern, repository) && lies_below(outer, reference),
        _ => false,
    }
}

/// One bit for each object.
pub(crate) fn set(scope: &Scope) -> u64 {
    let marked = objects().into_iter().enumerate().filter(|(_, thing)| means(scope, thing));
    marked.fold(0, |set, (at, _)| set | 1 << at)
}

#[derive(Clone)]
pub(crate) struct Capability {
    pub(crate) owner: Pid,
    pub(crate) from: Option<CapabilityId>,
    pub(crate) set: u64,
    pub(crate) expires_us: Option<u64>,
    pub(crate) most: Option<u64>,
    /// How many requests it has carried, or what came of it has.
    pub(crate) carried: u64,
}

#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) enum Phase {
    Active,
    Suspended,
    Closing,
}

pub(crate) struct Process {
    pub(crate) parent: Option<Pid>,
    pub(crate) phase: Phase,
}

pub(crate) struct Ticket {
    pub(crate) pid: Pid,
    pub(crate) by: Vec<CapabilityId>,
    pub(crate) parent: Option<TicketId>,
    pub(crate) stopping: bool,
    pub(crate) expires_us: Option<u64>,
    pub(crate) client: bool,
    pub(crate) child: Option<Pid>,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) now_us: u64,
    pub(crate) processes: BTreeMap<Pid, Process>,
    pub(crate) capabilities: BTreeMap<CapabilityId, Capability>,
    pub(crate) tickets: BTreeMap<TicketId, Ticket>,
}

pub(crate) fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    [a, b].into_iter().flatten().min()
}

impl World {
    /// It and all that it was derived from.
    pub(crate) fn line(&self, id: CapabilityId) -> Vec<CapabilityId> {
        let mut line = vec![id];
        while let Some(from) = self.capabilities[line.last().unwrap()].from {
            line.push(from);
        }
        line
    }

    pub(crate) fn is_live(&self, id: CapabilityId) -> bool {
        self.line(id).into_iter().all(|id| {
            let row = &self.capabilities[&id];
            row.expires_us.is_none_or(|at| at > self.now_us) && row.most.is_none_or(|most| row.carried < most)
        })
    }

    /// What a process may do now.
    pub(crate) fn may(&self, pid: Pid) -> u64 {
        let held = self.capabilities.iter().filter(|(id, row)| row.owner == pid && self.is_live(**id));
        held.fold(0, |set, (_, row)| set | row.set)
    }

    pub(crate) fn left(&self, id: CapabilityId) -> Option<u64> {
        let row = &self.capabilities[&id];
        row.most.map(|most| most - row.carried)
    }

    /// A request was carried by these: one use of each of them and of all that they came from.
    pub(crate) fn carry(&mut self, by: &[CapabilityId]) {
        let lines: BTreeSet<_> = by.iter().flat_map(|id| self.line(*id)).collect();
        for id in lines {
            self.capabilities.get_mut(&id).unwrap().carried += 1;
        }
    }

    pub(crate) fn hand_on(&mut self, id: CapabilityId, from: CapabilityId, owner: Pid, grant: &Grant) {
        let source = &self.capabilities[&from];
        let row = Capability {
            owner,
            from: Some(from),
            set: source.set & set(&grant.scope),
            expires_us: least(source.expires_us, grant.expires_us),
            most: least(self.left(from), grant.uses),
            carried: 0,
        };
        assert!(self.capabilities.insert(id, row).is_none(), "a name is given once");
    }

    pub(crate) fn is_at_or_below(&self, above: Pid, pid: Pid) -> bool {
        let mut next = Some(pid);
        while let Some(pid) = next {
            if pid == above {
                return true;
            }
            next = self.processes[&pid].parent;
        }
        false
    }

    pub(crate) fn may_revoke(&self, pid: Pid, id: CapabilityId) -> bool {
        let owner = self.capabilities[&id].owner;
        self.is_at_or_below(pid, owner) || self.line(id).iter().any(|id| self.capabilities[id].owner == pid)
    }

    fn stop(&mut self, ticket: TicketId) {
        let mut family = BTreeSet::from([ticket]);
        loop {
            let below =
                |(_, row): &(&TicketId, &Ticket)| row.parent.is_some_and(|above| family.contains(&above));
            let more: Vec<TicketId> = self.tickets.iter().filter(below).map(|(id, _)| *id).collect();
            let before = family.len();
            family.extend(more);
            if family.len() == before {
                break;
            }
        }
        for id in family {
            let Some(row) = self.tickets.get_mut(&id) else { continue };
            if row.child.is_none() && !row.stopping {
                row.stopping = true;
                row.expires_us = Some(self.now_us + STOPPING_US);
            }
        }
    }

    pub(crate) fn cancel(&mut self, ticket: TicketId) {
        self.stop(ticket);
    }

    pub(crate) fn revoke(&mut self, id: CapabilityId) {
        let gone: Vec<CapabilityId> =
            self.capabilities.keys().copied().filter(|other| self.line(*other).contains(&id)).collect();
        let carried = |row: &Ticket| row.by.iter().any(|by| gone.contains(by));
        let tickets: Vec<TicketId> =
            self.tickets.iter().filter(|(_, row)| carried(row)).map(|(id, _)| *id).collect();
        tickets.into_iter().for_each(|ticket| self.stop(ticket));
        self.capabilities.retain(|id, _| !gone.contains(id));
    }

    pub(crate) fn close(&mut self, pid: Pid) {
        self.processes.get_mut(&pid).unwrap().phase = Phase::Closing;
    }

    pub(crate) fn new_daemon(&mut self) {
        let now_us = self.now_us;
        self.tickets.retain(|_, row| row.client || row.child.is_some());
        for row in self.tickets.values_mut().filter(|row| row.child.is_none()) {
            row.expires_us = Some(now_us + RETURN_US);
        }
    }

    /// What follows by itself.
    pub(crate) fn settle(&mut self) {
        let now_us = self.now_us;
        self.tickets.retain(|_, row| row.expires_us.is_none_or(|at| at > now_us));
        while let Some(pid) = self.ready_to_exit() {
            let held: Vec<CapabilityId> =
                self.capabilities.iter().filter(|(_, row)| row.owner == pid).map(|(id, _)| *id).collect();
            for id in held {
                if self.capabilities.contains_key(&id) {
                    self.revoke(id);
                }
            }
            self.processes.remove(&pid);
            self.tickets.retain(|_, row| row.child != Some(pid));
        }
    }

    /// Tells all that is closing to stop; one of them that has nothing left to do.
    fn ready_to_exit(&mut self) -> Option<Pid> {
        loop {
            let closing: Vec<Pid> = self
                .processes
                .iter()
                .filter(|(_, row)| row.phase == Phase::Closing)
                .map(|(pid, _)| *pid)
                .collect();
            let open: Vec<(TicketId, Option<Pid>)> = self
                .tickets
                .iter()
                .filter(|(_, row)| closing.contains(&row.pid))
                .map(|(id, row)| (*id, row.child))
                .collect();
            let mut changed = false;
            for (id, child) in open {
                match child {
                    Some(child) if self.processes[&child].phase != Phase::Closing => {
                        self.close(child);
                        changed = true;
                    }
                    Some(_) => {}
                    // Alone: what was done on its behalf by others goes on.
                    None if !self.tickets[&id].stopping => {
                        let row = self.tickets.get_mut(&id).unwrap();
                        (row.stopping, row.expires_us) = (true, Some(self.now_us + STOPPING_US));
                    }
                    None => {}
                }
            }
            if !changed {
                return closing.into_iter().find(|pid| !self.tickets.values().any(|row| row.pid == *pid));
            }
        }
    }
}
