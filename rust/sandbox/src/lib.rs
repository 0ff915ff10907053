//! Process confinement for Linux: one program, alone with what was named for it.
//!
//! `launch` reads a [`LaunchSpec`] from an inherited socket and runs its command:
//!
//! ```text
//! launcher            host namespaces: clones, forwards signals, waits
//!  └─ init            pid 1 of the new namespaces: builds the root, watches the socket, reaps
//!      └─ command     own session, Landlock, seccomp, then execve
//! ```
//!
//! The other end of the socket is the lifeline: when it closes, whoever held it, everything ends at once.
//! This is the only crate of the project with `unsafe` code; all of it is in `sys`.

mod base64;
mod command;
mod failure;
mod init;
mod landlock;
mod launch;
mod layout;
mod plain;
mod probe;
mod root;
mod seccomp;
mod spec;
mod strict;
#[allow(unsafe_code, reason = "the one place that talks to the Linux kernel directly")]
mod sys;

pub use failure::{Event, Failure, Kind};
pub use launch::launch;
pub use probe::{Probe, probe};
pub use spec::{Access, Bytes, LaunchSpec, Level, PathGrant};
