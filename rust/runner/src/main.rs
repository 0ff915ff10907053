//! The one multi-call executable: `agentos-runner broker | launch | probe`.
//!
//! `launch FD` runs one confined command for whoever holds the other end of the socket FD; the pid 1 of
//! the confinement (`init`) is a fork of it, so it needs no file of its own inside. `probe` prints what
//! this machine can do, as JSON. `broker` serves the daemon at the other end of its standard input.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["launch", descriptor] => match descriptor.parse() {
            Ok(descriptor) => agentos_sandbox::launch(descriptor).into(),
            Err(_) => usage(),
        },
        ["broker", arguments @ ..] => agentos_broker::main(arguments.iter().map(Into::into)),
        ["probe"] => probe(),
        _ => usage(),
    }
}

fn probe() -> ExitCode {
    let written = serde_json::to_vec(&agentos_sandbox::probe())
        .map_err(std::io::Error::other)
        .and_then(|json| std::io::stdout().write_all(&json));
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("agentos-runner is started by agentos; it has no use by hand");
    ExitCode::from(2)
}
