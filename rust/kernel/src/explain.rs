//! Why a request would go, wait, be put to a person or be denied: every stage's word, and what would change it.

use agentos_abi::{Action, Cost, Effect, Finding, Pid, Refusal, Stage};

use crate::budget::{Verdict, verdict};
use crate::gate;
use crate::label;
use crate::mailbox;
use crate::queue;
use crate::request::{carried, over_budget, refusal};
use crate::send;
use crate::state::State;

/// What each stage says to `action` by `pid` now, in the order of the pipeline; the strictest decides.
pub(crate) fn findings(
    state: &State,
    pid: Pid,
    action: &Action,
    estimate: Cost,
    lane: Option<&str>,
) -> Vec<Finding> {
    let Some(actor) = gate::actor(state, pid) else {
        return vec![finding("deny", refusal(Stage::Process, "unknown", "no such process".to_owned()), None)];
    };
    let mut found = Vec::new();
    found.push(match carried(state, state.now_us, pid, action) {
        Ok(by) => {
            let names: Vec<String> = by.iter().map(|id| format!("c{}", id.0)).collect();
            let name = names.join(", ");
            let message = "it holds a capability for each thing this needs".to_owned();
            finding("go", refusal(Stage::Capability, &name, message), Some("revoke that capability"))
        }
        Err(refusal) => {
            let name = state.process(pid).map_or("", |process| process.name.as_str());
            let grant = format!("grant `{}` to `{name}` or to what starts it", refusal.name);
            finding("deny", refusal, Some(&grant))
        }
    });
    found.push(match label::rule_of_two(actor.labels, action) {
        Some(refusal) => {
            finding("ask", refusal, Some("endorse what it has read, or declassify what it holds"))
        }
        None => free(Stage::Label, "labels", "no label stands against it"),
    });
    found.push(match gate::verdict(&state.rules, &actor, action) {
        Some((effect, refusal)) => {
            let decision = if effect == Effect::Deny { "deny" } else { "ask" };
            finding(decision, refusal, Some("change that rule in policy.toml"))
        }
        None => free(Stage::Rule, "rules", "no rule catches it"),
    });
    found.push(budget(state, pid, estimate));
    found.push(queue(state, pid, action, lane, &estimate));
    found
}

fn budget(state: &State, pid: Pid, estimate: Cost) -> Finding {
    match verdict(state, pid, estimate) {
        Verdict::Fits => free(Stage::Budget, "budget", "the estimate fits all ceilings above it"),
        Verdict::Later { of, amount } => {
            finding("wait", over_budget(state, of, amount, false), Some("others must settle first"))
        }
        Verdict::Never { of, amount } => {
            finding("deny", over_budget(state, of, amount, true), Some("raise that budget, or ask for less"))
        }
    }
}

fn queue(state: &State, pid: Pid, action: &Action, lane: Option<&str>, estimate: &Cost) -> Finding {
    match send::addressed(state, pid, action) {
        Err(refusal) => return finding("deny", refusal, Some("name a process that lives")),
        Ok(action) => {
            if let Some(full) = mailbox::hindrance(state, pid, &action) {
                return finding("wait", full, Some("its owner must receive first"));
            }
        }
    }
    let Some(name) = lane else { return free(Stage::Queue, "none", "it queues for nothing") };
    match queue::hindrance(state, state.now_us, lane, state.group_of(pid), estimate) {
        Some(full) if full.name == "concurrency" => {
            finding("wait", full, Some("a larger concurrency of its group"))
        }
        Some(full) => {
            finding("wait", full, Some("more places or a higher rate of the lane, or fewer others"))
        }
        None => free(Stage::Queue, name, "there is a place"),
    }
}

fn free(stage: Stage, name: &str, message: &str) -> Finding {
    finding("go", refusal(stage, name, message.to_owned()), None)
}

fn finding(decision: &str, said: Refusal, change: Option<&str>) -> Finding {
    Finding {
        stage: said.stage,
        decision: decision.to_owned(),
        name: said.name,
        message: said.message,
        change: change.map(str::to_owned),
    }
}
