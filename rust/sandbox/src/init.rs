//! Pid 1 of the new namespaces: reaps, relays signals, reports how the command ended, and takes
//! everything down when the command has ended or the lifeline is cut. When pid 1 goes, the kernel kills
//! all that is left in its namespace, before the launcher sees it gone.

use std::os::fd::{AsFd, OwnedFd};

use crate::failure::{Event, Failure, Mechanism};
use crate::sys::process::{self, End};
use crate::sys::{signal, wait_ready};

/// Signals that the launcher passes on to the command's process group, and the children's own.
pub(crate) const RELAYED: &[libc::c_int] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGCHLD,
];

/// Serves until `command` has ended, reports it and returns what to exit with. Does not return if the
/// lifeline is cut.
pub(crate) fn serve(command: libc::pid_t, control: &OwnedFd, gate: &OwnedFd) -> Result<u8, Failure> {
    let signals = signal::descriptor(RELAYED).mechanism("signals", "listening for signals")?;
    release_streams();
    loop {
        let [lifeline, launcher, signalled] =
            wait_ready([(control.as_fd(), false), (gate.as_fd(), false), (signals.as_fd(), true)])
                .mechanism("poll", "waiting")?;
        if lifeline.closed || launcher.closed {
            process::exit_now(125);
        }
        if signalled.readable {
            while let Some(number) = signal::next(signals.as_fd()) {
                if number != libc::SIGCHLD {
                    // The group may have gone already.
                    let _ = process::kill(-command, number);
                }
            }
        }
        if let Some(end) = reap(command) {
            end.event().send(control.as_fd());
            return Ok(end.exit_code());
        }
    }
}

/// Reaps what has ended; how `command` ended, if it is among them.
pub(crate) fn reap(command: libc::pid_t) -> Option<End> {
    while let Ok(Some((pid, end))) = process::wait(-1, true) {
        if pid == command {
            return Some(end);
        }
    }
    None
}

impl End {
    pub(crate) fn event(self) -> Event {
        match self {
            Self::Code(code) => Event::Exited { code },
            Self::Signal(signal) => Event::Signalled { signal },
        }
    }

    /// What a shell would say: the code, or 128 + the signal's number.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Lets go of the command's streams, so that whoever reads its output sees the end of it.
fn release_streams() {
    if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        let _ = process::replace_streams(null.as_fd());
    }
}
