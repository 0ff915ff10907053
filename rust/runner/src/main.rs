//! The one multi-call executable: `agentos-runner broker | launch | init`.
fn main() {}
