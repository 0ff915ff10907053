//! Capability checks, derivation and revocation, as JSON lines of nanoseconds (`benches/capabilities.py` shows
//! them): by how many grants are held, exact and by path, half of them denied, against a look at one grant
//! after the other with a glob, which is how OpenFang v0.6.9 does it.
//!
//! Times of checks are what the thread had of a processor, those of one derivation or revocation too short for
//! that clock are wall time; each is the least of several rounds, because machines are noisy.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench prints, and stops where it cannot go on"
)]

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use agentos_abi::{
    Action, Call, CapabilityId, ChildSpec, Cost, Decision, Grant, Limit, Pattern, Pid, Recovery, Reply,
    Rights, Scope,
};
use agentos_kernel::Kernel;

const CHECKS: usize = 200_000;
const ROUNDS: usize = 5;
const LONG: f64 = 60e6;

fn tool(number: usize) -> Scope {
    Scope::Tool { tool: Pattern::Is(format!("tool-{number:07}")) }
}

fn path(number: usize, tail: &str) -> Scope {
    Scope::Path { path: format!("/srv/data/{number:07}{tail}"), rights: Rights::Read }
}

/// A kernel with one process that holds `count` grants.
fn holder(count: usize, grant: impl Fn(usize) -> Scope) -> (Kernel, Pid, Pid) {
    let mut kernel = Kernel::default();
    kernel.step(1, &Call::Epoch);
    let root = kernel.state().root().expect("an epoch bears the root");
    let child = ChildSpec { name: "holder".to_owned(), budget: Limit::default(), ..ChildSpec::default() };
    let call = Call::Request {
        pid: root,
        key: "holder".to_owned(),
        action: Action::Spawn { child: Box::new(child) },
        estimate: Cost::ZERO,
        parent: None,
        lane: None,
        recovery: Recovery::Pure,
        deadline_us: None,
        priority: agentos_abi::Priority::Normal,
        client: false,
        digest: None,
        unattended: false,
    };
    let Reply::Decided { decision: Decision::Go { child: Some(pid), .. } } = kernel.step(2, &call).reply
    else {
        panic!("no child")
    };
    for number in 0..count {
        derive(&mut kernel, root, CapabilityId::new(0, 1), pid, grant(number));
    }
    (kernel, root, pid)
}

fn derive(kernel: &mut Kernel, by: Pid, from: CapabilityId, to: Pid, scope: Scope) -> CapabilityId {
    let call = Call::Derive { pid: by, capability: from, to, grant: Grant::from(scope) };
    match kernel.step(3, &call).reply {
        Reply::Capability { capability } => capability,
        other => panic!("not derived: {other:?}"),
    }
}

/// Nanoseconds that this thread has run (`/proc/thread-self/schedstat`, first field).
fn ran() -> f64 {
    let stat =
        fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says how long a thread has run");
    stat.split(' ').next().and_then(|field| field.parse().ok()).expect("a number")
}

/// Nanoseconds an element, the least of the rounds. The clock moves in steps of milliseconds, so a round is
/// repeated until it is long against them.
fn least(elements: usize, mut round: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (started, mut repeats) = (ran(), 0);
        while ran() - started < LONG {
            round();
            repeats += 1;
        }
        best = best.min((ran() - started) / (elements * repeats) as f64);
    }
    best
}

/// Questions in an order that no cache foresees: half of them about what is held.
fn questions(count: usize, held: impl Fn(usize) -> Scope, strange: impl Fn(usize) -> Scope) -> Vec<Scope> {
    let mut seed = 7_usize;
    (0..CHECKS.min(20_000))
        .map(|number| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = (seed >> 33) % count;
            if number.is_multiple_of(2) { held(pick) } else { strange(pick) }
        })
        .collect()
}

fn checks(name: &str, count: usize, kernel: &Kernel, pid: Pid, asked: &[Scope]) {
    let nanoseconds = least(asked.len(), || {
        let granted = asked.iter().filter(|scope| kernel.state().allows(pid, scope)).count();
        assert_eq!(black_box(granted), asked.len() / 2, "half of them are held");
    });
    println!(r#"{{"name":"{name}","grants":{count},"ns":{nanoseconds:.1}}}"#);
}

/// OpenFang's check in shape: each grant's pattern against the value, one after the other.
fn linear(count: usize) {
    let grants: Vec<String> = (0..count).map(|number| format!("tool-{number:07}*")).collect();
    let asked: Vec<String> =
        (0..200).map(|number| format!("tool-{:07}", (number * 31) % (2 * count))).collect();
    let matches = |pattern: &str, value: &str| match pattern.strip_suffix('*') {
        Some(prefix) => value.starts_with(prefix),
        None => pattern == value,
    };
    let nanoseconds = least(asked.len(), || {
        let found = asked.iter().filter(|value| grants.iter().any(|grant| matches(grant, value))).count();
        black_box(found);
    });
    println!(r#"{{"name":"linear","grants":{count},"ns":{nanoseconds:.1}}}"#);
}

fn revocation() {
    let (mut kernel, root, pid) = holder(1, |_| Scope::Exec);
    let (mut deriving, mut revoking) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let top = derive(&mut kernel, root, CapabilityId::new(0, 1), root, Scope::Everything);
        let started = Instant::now();
        for number in 0..10_000 {
            derive(&mut kernel, root, top, pid, tool(number));
        }
        deriving = deriving.min(started.elapsed().as_secs_f64() * 1e9 / 10_000.0);
        let started = Instant::now();
        kernel.step(4, &Call::Revoke { pid: root, capability: top });
        revoking = revoking.min(started.elapsed().as_secs_f64() * 1e9);
        assert!((0..10_000).all(|number| !kernel.state().allows(pid, &tool(number))), "effective at once");
    }
    println!(r#"{{"name":"derive","grants":10000,"ns":{deriving:.1}}}"#);
    println!(r#"{{"name":"revoke","grants":10000,"ns":{revoking:.1}}}"#);
}

fn main() {
    for count in [10, 1_000, 100_000, 1_000_000] {
        let (kernel, _, pid) = holder(count, tool);
        let asked = questions(count, tool, |number| tool(number + count));
        checks("exact", count, &kernel, pid, &asked);
        let (kernel, _, pid) = holder(count, |number| path(number, ""));
        let asked = questions(count, |number| path(number, "/a/b/c.txt"), |number| path(number, "x/b/c.txt"));
        checks("path", count, &kernel, pid, &asked);
    }
    for count in [10, 1_000, 10_000] {
        linear(count);
    }
    revocation();
}
