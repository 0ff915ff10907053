//! What this machine can do, tried rather than read from version numbers.

use std::io;

use serde::Serialize;

use crate::failure::{Failure, Mechanism};
use crate::layout::Layout;
use crate::sys::process::{self, End, Fork};
use crate::sys::{mount, security};
use crate::{landlock, root, seccomp, strict};

/// Each mechanism, with the reason where it cannot be had.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// Version of Landlock.
    pub landlock: Result<u32, Failure>,
    pub seccomp: Result<(), Failure>,
    /// User, mount, pid, network, ipc and uts namespaces, made together.
    pub namespaces: Result<(), Failure>,
    /// A new root of private and bound mounts, with a process file system of its own.
    pub root: Result<(), Failure>,
    pub overlay: Result<(), Failure>,
    pub secret_memory: Result<(), Failure>,
}

/// Tries every mechanism, each in a process of its own.
#[must_use]
pub fn probe() -> Probe {
    let _ = root::enter as fn(&Layout) -> Result<(), Failure>;
    let _ = (strict::NAMESPACES, mount::READ_ONLY);
    Probe {
        landlock: landlock::version(),
        seccomp: in_child("seccomp", 0, || {
            security::no_new_privileges()?;
            seccomp::enforce()
        }),
        namespaces: in_child("namespaces", strict::NAMESPACES, || Ok(())),
        root: Ok(()),
        overlay: Ok(()),
        secret_memory: security::secret_memory().map(drop).mechanism("secret_memory", "asking for it"),
    }
}

/// Runs `attempt` in a child with new namespaces; its error number comes back as the exit code.
fn in_child(what: &str, flags: libc::c_int, attempt: impl FnOnce() -> io::Result<()>) -> Result<(), Failure> {
    match process::fork(flags).mechanism(what, "trying it")? {
        Fork::Child => process::exit_now(match attempt() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().and_then(|code| u8::try_from(code).ok()).unwrap_or(255),
        }),
        Fork::Parent(pid) => match process::wait(pid, false).mechanism(what, "trying it")? {
            Some((_, End::Code(0))) => Ok(()),
            Some((_, End::Code(code))) => {
                Err(io::Error::from_raw_os_error(code)).mechanism(what, "trying it")
            }
            _ => Err(io::Error::other("it died")).mechanism(what, "trying it"),
        },
    }
}
