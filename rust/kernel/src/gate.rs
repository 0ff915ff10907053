//! The gate: rules over what a process is about to do, what it is and what it did.
//!
//! INVARIANT: a rule only narrows. The state of history rules moves by facts (`Go` carries its moves), so
//! replaying a journal gives the same state under any rules.

use std::collections::BTreeMap;

use agentos_abi::{
    Action, Effect, Example, Labels, Matcher, Move, Pattern, Pid, Refusal, Rule, Scope, Stage,
    call::RECORD_BYTES,
};

use crate::capability::{is_reference, normal, within};
use crate::label;
use crate::request::refusal;
use crate::size::shown;
use crate::state::State;

/// Longest reason of a rule: a sentence, which every refusal by it repeats.
const REASON_BYTES: usize = 400;

/// Who acts: what rules may ask about it. `history` counts, per history rule, what it has met.
pub(crate) struct Actor<'a> {
    /// Its name and those that it descends from, below the root: the last was started by a person, the names
    /// before it were chosen by processes.
    pub(crate) names: Vec<&'a str>,
    pub(crate) labels: Labels,
    pub(crate) history: &'a BTreeMap<String, u32>,
}

/// The strictest rule that catches `action`, the first of equals.
pub(crate) fn verdict(rules: &[Rule], actor: &Actor<'_>, action: &Action) -> Option<(Effect, Refusal)> {
    let caught = rules.iter().filter(|rule| catches(rule, actor, action));
    let strictest = caught.min_by_key(|rule| rule.effect)?;
    Some((strictest.effect, refusal(Stage::Rule, &strictest.name, strictest.reason.clone())))
}

/// What letting `action` go moves in the history rules.
pub(crate) fn moves(rules: &[Rule], actor: &Actor<'_>, action: &Action) -> Vec<Move> {
    let mut moved = Vec::new();
    for rule in rules.iter().filter(|rule| !rule.after.is_empty()) {
        let met = actor.history.get(&rule.name).copied().unwrap_or(0);
        let restarts = rule.until.as_ref().is_some_and(|until| surely_speaks_of(until, actor, action));
        let next = if restarts {
            0
        } else if rule.after.get(met as usize).is_some_and(|matcher| may_speak_of(matcher, actor, action)) {
            met.saturating_add(1)
        } else {
            met
        };
        if next != met {
            moved.push(Move { rule: rule.name.clone(), met: next });
        }
    }
    moved
}

/// The actor that `pid` is now.
pub(crate) fn actor(state: &State, pid: Pid) -> Option<Actor<'_>> {
    let process = state.process(pid)?;
    // Only rules ask for names.
    let lineage = if state.rules.is_empty() { Vec::new() } else { state.lineage(pid) };
    let below_root = lineage.into_iter().filter(|ancestor| Some(*ancestor) != state.root);
    let names = below_root.filter_map(|ancestor| Some(state.process(ancestor)?.name.as_str())).collect();
    Some(Actor { names, labels: process.labels, history: &process.history })
}

fn catches(rule: &Rule, actor: &Actor<'_>, action: &Action) -> bool {
    let met = actor.history.get(&rule.name).copied().unwrap_or(0);
    met as usize >= rule.after.len()
        && facets(action).iter().any(|facet| {
            let speaks = |matcher, sure| speaks_of(matcher, actor, action, facet, sure);
            speaks(&rule.when, false) && !rule.except.iter().any(|except| speaks(except, true))
        })
}

fn may_speak_of(matcher: &Matcher, actor: &Actor<'_>, action: &Action) -> bool {
    facets(action).iter().any(|facet| speaks_of(matcher, actor, action, facet, false))
}

fn surely_speaks_of(matcher: &Matcher, actor: &Actor<'_>, action: &Action) -> bool {
    facets(action).iter().all(|facet| speaks_of(matcher, actor, action, facet, true))
}

/// One thing that an action may touch. A program may touch all that its mandate names, so it has a facet for
/// each: a rule catches it for any one of them, and an exception has to hold for that very one.
#[derive(Clone, Copy, Default)]
struct Facet<'a> {
    path: Option<&'a str>,
    /// Not the path alone but everything below it.
    subtree: bool,
    /// The host of an action, or what a mandate says of hosts.
    named_host: Option<&'a str>,
    host: Option<&'a Pattern>,
    port: Option<u16>,
    name: Option<&'a str>,
    reference: Option<&'a str>,
}

fn facets(action: &Action) -> Vec<Facet<'_>> {
    let none = Facet::default();
    let one = match action {
        Action::Exec { command, mandate } => {
            let bare = Facet { name: Some(command), ..none };
            let named = mandate.iter().filter_map(|scope| in_mandate(scope, bare));
            return std::iter::once(bare).chain(named).collect();
        }
        Action::Model { model, host, port } => {
            Facet { name: Some(model), named_host: Some(host), port: Some(*port), ..none }
        }
        Action::Read { path } | Action::Write { path } => Facet { path: Some(path), ..none },
        Action::Connect { host, port } => Facet { named_host: Some(host), port: Some(*port), ..none },
        Action::Spawn { child } => Facet { name: Some(&child.name), ..none },
        Action::Publish { repository, reference } => {
            Facet { path: Some(repository), reference: Some(reference), ..none }
        }
        Action::Send { mailbox: name, .. }
        | Action::UseSecret { name }
        | Action::Remember { space: name }
        | Action::Recall { space: name }
        | Action::Call { tool: name } => Facet { name: Some(name), ..none },
        Action::Endorse | Action::Declassify => none,
    };
    vec![one]
}

fn in_mandate<'a>(scope: &'a Scope, bare: Facet<'a>) -> Option<Facet<'a>> {
    match scope {
        Scope::Everything => {
            Some(Facet { path: Some("/"), subtree: true, host: Some(&Pattern::Any), port: Some(0), ..bare })
        }
        Scope::Path { path, .. } => Some(Facet { path: Some(path), subtree: true, ..bare }),
        Scope::Host { host, port } => Some(Facet { host: Some(host), port: Some(*port), ..bare }),
        _ => None,
    }
}

/// Whether a matcher speaks of one facet of an action: `sure` asks whether it does whatever is done within
/// the facet, otherwise whether it may.
fn speaks_of(matcher: &Matcher, actor: &Actor<'_>, action: &Action, facet: &Facet<'_>, sure: bool) -> bool {
    let any = |wanted: &[String], found: Option<&str>, same: &dyn Fn(&str, &str) -> bool| {
        wanted.is_empty() || found.is_some_and(|have| wanted.iter().any(|want| same(want, have)))
    };
    let equal = |want: &str, have: &str| want == have;
    let covers =
        |want: &str, have: &str| within(want, have) || (facet.subtree && !sure && within(have, want));
    let host = match facet.host {
        Some(Pattern::Any) => matcher.host.is_empty() || !sure,
        Some(Pattern::Is(host)) => any(&matcher.host, Some(host), &is_host),
        None => any(&matcher.host, facet.named_host, &is_host),
    };
    let port = match facet.port {
        Some(0) => matcher.port.is_empty() || !sure,
        Some(port) => matcher.port.is_empty() || matcher.port.contains(&port),
        None => matcher.port.is_empty(),
    };
    host && port
        && any(&matcher.action, Some(action.kind()), &equal)
        && is_called(&matcher.process, actor, sure)
        && any(&matcher.path, facet.path, &covers)
        && any(&matcher.name, facet.name, &equal)
        && any(&matcher.reference, facet.reference, &within)
        && matcher.secrecy.is_none_or(|least| actor.labels.secrecy >= least)
        && matcher.integrity.is_none_or(|least| actor.labels.integrity >= least)
}

/// A process answers for those that it descends from. An exception counts only for the name that a person gave:
/// the others could be called anything.
fn is_called(wanted: &[String], actor: &Actor<'_>, sure: bool) -> bool {
    let counts = if sure { actor.names.len().saturating_sub(1) } else { 0 };
    let names = actor.names.get(counts..).unwrap_or_default();
    wanted.is_empty() || wanted.iter().any(|want| names.contains(&want.as_str()))
}

/// `.example.org` is every name below it, label by label; anything else is one exact name.
fn is_host(want: &str, have: &str) -> bool {
    match want.strip_prefix('.') {
        Some(domain) => have.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => want == have,
    }
}

/// Why `rules` cannot be taken: the first mistake, by the name of its rule.
pub(crate) fn mistake(rules: &[Rule]) -> Option<Refusal> {
    let mut names = std::collections::BTreeSet::new();
    rules.iter().find_map(|rule| {
        let twice = !names.insert(rule.name.as_str());
        let message = if twice {
            Some(format!("two rules are called `{}`", rule.name))
        } else {
            in_itself(rule).or_else(|| unlike_its_examples(rule))
        }?;
        Some(refusal(Stage::Rule, &rule.name, message))
    })
}

fn in_itself(rule: &Rule) -> Option<String> {
    let name = &rule.name;
    if name.is_empty() || name.len() > 64 || rule.reason.is_empty() || rule.reason.len() > REASON_BYTES {
        let name = shown(name);
        return Some(format!(
            "rule `{name}` needs a name of 1 to 64 bytes, and a reason of 1 to {REASON_BYTES} bytes"
        ));
    }
    if rule.until.is_some() && rule.after.is_empty() {
        return Some(format!("rule `{name}` has an `until` without an `after` that it could take back"));
    }
    let bare = Rule { catches: Vec::new(), spares: Vec::new(), ..rule.clone() };
    if format!("{bare:?}").len() > RECORD_BYTES {
        return Some(format!("rule `{name}` is too long for one entry of the journal: split it"));
    }
    let matchers = std::iter::once(&rule.when).chain(&rule.except).chain(&rule.after).chain(&rule.until);
    matchers.flat_map(in_matcher).next().map(|mistake| format!("rule `{name}`: {mistake}"))
}

fn in_matcher(matcher: &Matcher) -> Vec<String> {
    let kinds = matcher.action.iter().filter(|kind| !Action::KINDS.contains(&kind.as_str()));
    let kinds =
        kinds.map(|kind| format!("there is no action `{kind}`; there are: {}", Action::KINDS.join(", ")));
    let paths = matcher.path.iter().filter(|path| !normal(path));
    let paths = paths.map(|path| format!("path `{path}` is not absolute and normal"));
    let references = matcher.reference.iter().filter(|reference| !is_reference(reference));
    let references = references.map(|reference| format!("`{reference}` is not a full ref name"));
    let hosts = matcher.host.iter().filter(|host| host.contains(['*', '/', ':', '@']) || host.is_empty());
    let hosts = hosts.map(|host| format!("`{host}` is not a host: write `example.org` or `.example.org`"));
    kinds.chain(paths).chain(references).chain(hosts).collect()
}

fn unlike_its_examples(rule: &Rule) -> Option<String> {
    let name = &rule.name;
    if rule.catches.is_empty() || rule.spares.is_empty() {
        return Some(format!("rule `{name}` needs an example that it catches and one that it spares"));
    }
    let wrong = |examples: &[Example], expected: bool| {
        examples.iter().position(|example| is_caught(rule, example) != expected)
    };
    if let Some(at) = wrong(&rule.catches, true) {
        return Some(format!("rule `{name}` does not catch its example {} of `catches`", at + 1));
    }
    let at = wrong(&rule.spares, false)?;
    Some(format!("rule `{name}` catches its example {} of `spares`", at + 1))
}

fn is_caught(rule: &Rule, example: &Example) -> bool {
    let one = std::slice::from_ref(rule);
    let mut labels = Labels::BOTTOM;
    let mut history = BTreeMap::new();
    for action in &example.history {
        let actor = Actor { names: vec![&example.process], labels, history: &history };
        let moved = moves(one, &actor, action);
        labels = label::after(labels, action);
        history.extend(moved.into_iter().map(|step| (step.rule, step.met)));
    }
    let labels = labels.join(example.labels);
    catches(rule, &Actor { names: vec![&example.process], labels, history: &history }, &example.action)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
