//! The launcher: reads what to run, starts it at the asked level, waits for its end.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use crate::failure::{Event, Failure, Mechanism};
use crate::init::RELAYED;
use crate::spec::{LaunchSpec, Level};
use crate::sys::process::{self, End};
use crate::sys::{self, signal, wait_ready};
use crate::{plain, strict};

/// Largest specification: beyond the kernel's own limit for arguments and environment.
const SPEC_BYTES: usize = 32 << 20;

/// Runs one launch over the inherited socket `control`: a [`LaunchSpec`] as one line of JSON comes in,
/// [`Event`]s go out, and its end of life ends the command. Returns what to exit with: the command's exit
/// code, 128 + n for signal n, 125 to 127 for failures of its own (see [`Failure::exit_code`]).
#[must_use]
pub fn launch(control: RawFd) -> u8 {
    let control = match sys::inherited(control) {
        Ok(control) => control,
        Err(error) => {
            eprintln!("agentos-runner launch: descriptor {control}: {error}");
            return 125;
        }
    };
    match start(&control) {
        Ok(code) => code,
        Err(failure) => {
            let code = failure.exit_code();
            Event::Failed(failure).send(control.as_fd());
            code
        }
    }
}

fn start(control: &OwnedFd) -> Result<u8, Failure> {
    let line = sys::read_line(control.as_fd(), SPEC_BYTES)
        .map_err(|error| Failure::input(format!("reading the specification: {error}")))?;
    let spec: LaunchSpec = serde_json::from_slice(&line)
        .map_err(|error| Failure::input(format!("the specification is not one: {error}")))?;
    spec.check()?;
    signal::block_only(RELAYED).mechanism("signals", "blocking the relayed signals")?;
    match spec.level {
        Level::Strict => {
            let (init, _keeper) = strict::start(&spec, control)?;
            wait_for(init)
        }
        Level::None => plain::run(&spec, control),
    }
}

/// Waits for pid 1 of the namespaces, and passes signals on to it.
fn wait_for(init: libc::pid_t) -> Result<u8, Failure> {
    let signals = signal::descriptor(RELAYED).mechanism("signals", "listening for signals")?;
    loop {
        while let Some(number) = signal::next(signals.as_fd()) {
            if number != libc::SIGCHLD {
                let _ = process::kill(init, number);
            }
        }
        if let Some((_, end)) = process::wait(init, true).mechanism("wait", "waiting for pid 1")? {
            return Ok(match end {
                End::Code(code) => u8::try_from(code).unwrap_or(125),
                End::Signal(_) => 125,
            });
        }
        wait_ready([(signals.as_fd(), true)]).mechanism("poll", "waiting")?;
    }
}
