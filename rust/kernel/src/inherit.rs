//! What a child gets of what its parent holds: each grant it asks for, met with each that the parent has.

use agentos_abi::{Born, CapabilityId, ChildSpec, Derivation, Grant, Pid, Refusal, Stage};

use crate::capability::{is_within, meet_grants};
use crate::need::Need;
use crate::request::{is_live, not_held, refusal};
use crate::state::State;
use crate::supervise;

/// The capabilities of `pid` that are neither expired nor used up.
pub(crate) fn held(state: &State, now_us: u64, pid: Pid) -> impl Iterator<Item = (CapabilityId, &Grant)> {
    let ids = state.process(pid).into_iter().flat_map(|process| process.capabilities.ids().iter().copied());
    ids.filter_map(|id| Some((id, &state.capability(id)?.grant)))
        .filter(move |(_, grant)| is_live(grant, now_us))
}

/// The child of a spawn that `by` carries: every grant it asks for, met with what the parent holds.
pub(crate) fn born(
    state: &State,
    now_us: u64,
    parent: Pid,
    spec: &ChildSpec,
    by: &[CapabilityId],
) -> Result<Born, Refusal> {
    if supervise::is_full(state, parent, spec) {
        let message = "it supervises as many children as can be started again together".to_owned();
        return Err(refusal(Stage::Process, "supervision", message));
    }
    let (index, generation) = state.processes.upcoming(0);
    let capabilities = handed_on(state, now_us, parent, &spec.grants, by);
    match capabilities {
        Ok(capabilities) => Ok(Born { pid: Pid::new(index, generation), capabilities }),
        Err(wanted) => Err(not_held(state, parent, &Need::of(&wanted.scope))),
    }
}

/// What `parent` hands on of each grant in `wanted`, once `by` has carried the request for it; the first grant
/// that it has nothing of, if there is one. INVARIANT: no grant is handed on twice because it is held twice, or
/// its uses would be doubled, and with each restart again.
pub(crate) fn handed_on<'a>(
    state: &State,
    now_us: u64,
    parent: Pid,
    wanted: &'a [Grant],
    by: &[CapabilityId],
) -> Result<Vec<Derivation>, &'a Grant> {
    let used = state.counted(by);
    let left = |id: CapabilityId| state.capability(id).and_then(|row| row.grant.uses);
    let mut all: Vec<(CapabilityId, Grant)> = Vec::new();
    for wanted in wanted {
        let mut given: Vec<(CapabilityId, Grant)> = Vec::new();
        for (from, grant) in held(state, now_us, parent) {
            let Some(mut grant) = meet_grants(grant, wanted) else { continue };
            if !used.is_empty() {
                // One use of its line is gone by then: its own, or one of what it came from.
                let line = state.counted(&[from]);
                if line.iter().any(|id| used.contains(id) && left(*id) == Some(1)) {
                    continue;
                }
                if used.contains(&from) {
                    grant.uses = grant.uses.min(left(from).map(|uses| uses.saturating_sub(1)));
                }
            }
            if given.iter().any(|(_, other)| is_within(&grant, other)) {
                continue;
            }
            given.retain(|(_, other)| !is_within(other, &grant));
            given.push((from, grant));
        }
        if given.is_empty() {
            return Err(wanted);
        }
        all.extend(given);
    }
    let named = all.into_iter().enumerate().map(|(nth, (from, grant))| {
        let (index, generation) = state.capabilities.upcoming(nth);
        Derivation { capability: CapabilityId::new(index, generation), from: Some(from), grant }
    });
    Ok(named.collect())
}
