//! Level `none`: the command acts as the user. Its environment is still emptied, its descriptors closed,
//! and its processes end with it as far as that can be had without namespaces.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use crate::command;
use crate::failure::{Event, Failure, Mechanism};
use crate::init::{self, RELAYED};
use crate::spec::LaunchSpec;
use crate::sys::process::{self, End, Fork};
use crate::sys::{signal, wait_ready};

/// Starts the command and stays until it has ended and every descendant is killed.
pub(crate) fn run(spec: &LaunchSpec, control: &OwnedFd) -> Result<u8, Failure> {
    process::become_subreaper().mechanism("subreaper", "adopting orphans")?;
    let launcher = std::process::id().cast_signed();
    Event::Started { init: 0 }.send(control.as_fd());
    match process::fork(0).mechanism("fork", "starting the command")? {
        Fork::Child => {
            let failure = match process::die_with_parent(launcher, libc::SIGKILL) {
                Ok(()) => command::become_plain(spec),
                Err(error) => Failure::input(error.to_string()),
            };
            let code = failure.exit_code();
            Event::Failed(failure).send(control.as_fd());
            process::exit_now(code)
        }
        Fork::Parent(command) => {
            let end = serve(command, control);
            end_descendants();
            let end = end?;
            end.event().send(control.as_fd());
            Ok(end.exit_code())
        }
    }
}

/// Waits for the command's end, or for the lifeline's.
fn serve(command: libc::pid_t, control: &OwnedFd) -> Result<End, Failure> {
    let signals = signal::descriptor(RELAYED).mechanism("signals", "listening for signals")?;
    loop {
        if let Some(end) = init::reap(command) {
            return Ok(end);
        }
        let [lifeline, _] =
            wait_ready([(control.as_fd(), false), (signals.as_fd(), true)]).mechanism("poll", "waiting")?;
        if lifeline.closed {
            return Ok(End::Signal(libc::SIGKILL));
        }
        while let Some(number) = signal::next(signals.as_fd()) {
            if number != libc::SIGCHLD {
                let _ = process::kill(-command, number);
            }
        }
    }
}

/// Kills every descendant: orphans come to this process, so killing children until there are none
/// reaches all of them.
fn end_descendants() {
    let own = std::process::id();
    let list = format!("/proc/{own}/task/{own}/children");
    loop {
        for child in fs::read_to_string(&list).unwrap_or_default().split_whitespace() {
            if let Ok(pid) = child.parse() {
                let _ = process::kill(pid, libc::SIGKILL);
            }
        }
        // Waits for one of the killed; an error says that there is none left.
        if process::wait(-1, false).is_err() {
            return;
        }
    }
}
