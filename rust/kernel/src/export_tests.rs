//! The whole state as text, one line for each thing, in an order that does not depend on how it is kept: what
//! `recovery_tests` compares across versions of the code.

use std::fmt::Write;

use agentos_abi::{CapabilityId, Pid, RequestId, TicketId};
use serde_json::{Value, json};

use crate::state::State;

fn named(name: (u32, u32)) -> u64 {
    Pid::new(name.0, name.1).0
}

fn line(text: &mut String, what: &str, name: impl std::fmt::Display, value: &Value) {
    writeln!(text, "{what} {name} {value}").expect("a string takes everything");
}

/// INVARIANT: everything that decides about the future stands here, and nothing else: no index, no cache.
pub(crate) fn export(state: &State) -> String {
    let mut text = String::new();
    let rules = json!({"digest": state.rules_digest, "rules": state.rules});
    let head = json!({"now_us": state.now_us, "epoch": state.epoch, "root": state.root, "turn": state.turn,
        "births": state.births, "fallen": state.fallen, "closing": state.closing, "restarts": state.restarts});
    line(&mut text, "state", "", &head);
    line(&mut text, "rules", "", &rules);
    processes(state, &mut text);
    for ((index, generation), row) in state.capabilities.iter() {
        let id = CapabilityId::new(index, generation);
        let value = json!({"owner": row.owner, "from": row.from, "derived": row.derived, "grant": row.grant,
            "tickets": row.tickets});
        line(&mut text, "capability", id.0, &value);
    }
    for ((index, generation), row) in state.tickets.iter() {
        let id = TicketId::new(index, generation);
        let held = row.held.as_ref().map(|held| json!([held.lane, held.group, held.charge, held.estimate]));
        let value = json!({"pid": row.pid, "key": row.key, "action": row.action, "reserved": row.reserved,
            "progress": row.progress, "parent": row.parent, "held": held, "recovery": row.recovery,
            "client": row.client, "cancelling": row.cancelling, "expires_us": row.expires_us, "by": row.by,
            "child": row.child});
        line(&mut text, "ticket", id.0, &value);
    }
    for ((index, generation), row) in state.requests.iter() {
        let id = RequestId::new(index, generation);
        let value = json!({"pid": row.pid, "key": row.key, "action": row.action, "estimate": row.estimate,
            "parent": row.parent, "lane": row.lane, "recovery": row.recovery, "deadline_us": row.deadline_us,
            "client": row.client, "digest": row.digest, "unattended": row.unattended, "question": row.question,
            "approved": row.approved, "priority": row.priority, "turn": row.turn, "order_us": row.order_us,
            "stand": format!("{:?}", row.stand), "promised": row.promised});
        line(&mut text, "request", id.0, &value);
    }
    for (name, lane) in &state.lanes {
        let wake = json!({"used": lane.used(), "first": lane.first(), "closed_until_us": lane.closed_until_us(),
            "wake_us": lane.wake_us});
        line(&mut text, "lane", name, &wake);
    }
    line(&mut text, "timers", "", &json!(format!("{:?}", state.timers)));
    for (kind, records) in &state.records {
        line(&mut text, "records", kind, &json!(records));
    }
    text
}

fn processes(state: &State, text: &mut String) {
    for (name, row) in state.processes.iter() {
        let supervises = row.supervises.as_ref().map(|keeper| {
            let pending: Vec<Value> =
                keeper.pending.iter().map(|pending| json!([pending.at_us, pending.members])).collect();
            json!({"spec": keeper.spec, "log": keeper.log, "pending": pending})
        });
        let group = row.group.as_ref().map(|group| json!([group.spec, group.running]));
        let answers: Vec<String> =
            row.answers.iter().map(|(key, answer)| format!("{key}: {answer:?}")).collect();
        let mailbox = json!([row.mailbox.spec, row.mailbox.iter().collect::<Vec<_>>(), row.mailbox.senders]);
        let awaiting: Vec<_> = row.awaiting.iter().collect();
        let value = json!({"parent": row.parent, "name": row.name, "state": row.state, "since_us": row.since_us,
            "closing": row.closing, "children": row.children, "capabilities": row.capabilities.ids(),
            "tickets": row.tickets, "waiting": row.waiting, "spawn_ticket": row.spawn_ticket,
            "budget": row.budget, "spent": row.spent, "reserved": row.reserved, "parked": row.parked,
            "promised": row.promised, "group": group, "answers": answers, "labels": row.labels,
            "history": row.history, "standing": row.standing, "isolated": row.isolated,
            "mailbox": mailbox, "awaiting": awaiting, "awaited_by": row.awaited_by,
            "supervises": supervises, "again": row.again, "rank": row.rank, "restarts": row.restarts});
        line(text, "process", named(name), &value);
    }
}
