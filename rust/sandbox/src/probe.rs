//! What this machine can do, tried rather than read from version numbers.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use serde::Serialize;

use crate::failure::{Failure, Mechanism};
use crate::sys::process::{self, End, Fork};
use crate::sys::{self, mount, security};
use crate::{landlock, seccomp, strict};

/// Each mechanism: what it gives, or the reason why it cannot be had. Whether they work together is for
/// a launch at level `strict` to show.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// Version of Landlock.
    pub landlock: Result<u32, Failure>,
    /// The system call filter installs.
    pub seccomp: Result<(), Failure>,
    /// User, mount, pid, network, ipc and uts namespaces, made together, with power over them.
    pub namespaces: Result<(), Failure>,
    /// Layered file systems inside a user namespace.
    pub overlay: Result<(), Failure>,
    /// Memory that the kernel itself does not map.
    pub secret_memory: Result<(), Failure>,
}

/// Tries every mechanism, each in a process of its own.
#[must_use]
pub fn probe() -> Probe {
    let (user, group) = process::identity();
    Probe {
        landlock: landlock::version(),
        seccomp: in_child("seccomp", 0, || {
            security::no_new_privileges().mechanism("seccomp", "giving up new privileges")?;
            seccomp::enforce().mechanism("seccomp", "installing a filter")
        }),
        namespaces: in_child("namespaces", strict::NAMESPACES, || {
            strict::map_identity(user, group)?;
            // Some systems let everybody make namespaces and then give no power over them.
            sys::loopback_up().mechanism("namespaces", "bringing up the loopback interface")?;
            mount::new_filesystem(c"tmpfs", &[], 0).map(drop).mechanism("namespaces", "mounting")
        }),
        overlay: in_child("overlay", strict::NAMESPACES, || {
            strict::map_identity(user, group)?;
            overlay().mechanism("overlay", "mounting one")
        }),
        secret_memory: security::secret_memory().map(drop).mechanism("secret_memory", "asking for it"),
    }
}

/// Mounts an overlay whose layers are in memory.
fn overlay() -> io::Result<()> {
    let root = mount::open_path(c"/", true)?;
    mount::make_private(root.as_fd())?;
    let memory = mount::new_filesystem(c"tmpfs", &[], mount::NO_SET_ID)?;
    mount::attach(memory.as_fd(), mount::open_path(c"/usr", true)?.as_fd())?;
    for layer in ["lower", "upper", "work"] {
        fs::create_dir(format!("/usr/{layer}"))?;
    }
    let layers = [(c"lowerdir", c"/usr/lower"), (c"upperdir", c"/usr/upper"), (c"workdir", c"/usr/work")];
    mount::new_filesystem(c"overlay", &layers, mount::NO_SET_ID).map(drop)
}

/// Runs `attempt` in a child with new namespaces; the error number of its failure is the exit code.
fn in_child(
    what: &str,
    flags: libc::c_int,
    attempt: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    match process::fork(flags).mechanism(what, "making a process for it")? {
        Fork::Child => process::exit_now(match attempt() {
            Ok(()) => 0,
            Err(failure) => u8::try_from(failure.errno).unwrap_or(u8::MAX),
        }),
        Fork::Parent(pid) => match process::wait(pid, false).mechanism(what, "trying it")? {
            Some((_, End::Code(0))) => Ok(()),
            Some((_, End::Code(code))) => {
                Err(io::Error::from_raw_os_error(code)).mechanism(what, "trying it")
            }
            _ => Err(io::Error::other("the attempt was killed")).mechanism(what, "trying it"),
        },
    }
}
