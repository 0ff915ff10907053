//! Landlock: the second line behind the mounts. What the new root does not show cannot be named; what it
//! shows can be used only as granted, even through a descriptor or a mount that slipped in.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::failure::{Failure, Mechanism};
use crate::sys::security;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_BLOCK: u64 = 1 << 11;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

/// Rights that make sense for something that is not a folder.
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// Newest version whose rights are known here.
const KNOWN: u32 = 7;

/// What a place of the new root may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Nothing of its own: what the folders above it say.
    Inherited,
    /// List folders.
    List,
    Read,
    Write,
    /// Use device files.
    Devices,
    /// Read, and write what exists: the process file system.
    Processes,
    /// Open a standard stream that is a file once more, in the way it is open.
    Stream {
        read: bool,
        write: bool,
    },
}

impl Rights {
    const fn bits(self) -> u64 {
        const READ: u64 = EXECUTE | READ_FILE | READ_DIR;
        match self {
            Self::Inherited => 0,
            Self::List => READ_DIR,
            Self::Read => READ,
            Self::Write => {
                READ | WRITE_FILE
                    | REMOVE_DIR
                    | REMOVE_FILE
                    | MAKE_DIR
                    | MAKE_REG
                    | MAKE_SOCK
                    | MAKE_FIFO
                    | MAKE_SYM
                    | REFER
                    | TRUNCATE
            }
            Self::Devices => READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | IOCTL_DEV,
            Self::Processes => READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE,
            Self::Stream { read, write } => {
                (if read { READ_FILE } else { 0 }) | if write { WRITE_FILE | TRUNCATE } else { 0 }
            }
        }
    }
}

/// Every right over files that version `version` of Landlock controls.
const fn handled(version: u32) -> u64 {
    let first = EXECUTE
        | WRITE_FILE
        | READ_FILE
        | READ_DIR
        | REMOVE_DIR
        | REMOVE_FILE
        | MAKE_CHAR
        | MAKE_DIR
        | MAKE_REG
        | MAKE_SOCK
        | MAKE_FIFO
        | MAKE_BLOCK
        | MAKE_SYM;
    match version {
        0 => 0,
        1 => first,
        2 => first | REFER,
        3 | 4 => first | REFER | TRUNCATE,
        _ => first | REFER | TRUNCATE | IOCTL_DEV,
    }
}

/// A ruleset under construction. TCP ports are left alone: the network namespace has no network, and
/// inside it every port of the loopback interface is the command's own.
pub(crate) struct Ruleset {
    descriptor: OwnedFd,
    handled: u64,
}

impl Ruleset {
    /// Everything forbidden, with all that this kernel's Landlock controls; version 6 also keeps signals
    /// and abstract sockets inside.
    pub(crate) fn new() -> Result<Self, Failure> {
        let version = version()?.min(KNOWN);
        let scoped = if version >= 6 { 0b11 } else { 0 };
        let handled = handled(version);
        let descriptor =
            security::landlock_ruleset(handled, scoped).mechanism("landlock", "making a ruleset")?;
        Ok(Self { descriptor, handled })
    }

    /// Allows `rights` at `place` and, if it is a folder, below.
    pub(crate) fn allow(&self, place: BorrowedFd<'_>, folder: bool, rights: Rights) -> Result<(), Failure> {
        let bits = rights.bits() & self.handled & if folder { u64::MAX } else { ON_FILES };
        if bits == 0 {
            return Ok(());
        }
        security::landlock_allow(self.descriptor.as_fd(), place, bits).mechanism("landlock", "adding a rule")
    }

    /// Puts this process and its descendants under it.
    pub(crate) fn enforce(self) -> Result<(), Failure> {
        security::landlock_enforce(self.descriptor.as_fd()).mechanism("landlock", "enforcing the rules")
    }
}

/// The version that this kernel offers; Landlock missing or switched off is a failure.
pub(crate) fn version() -> Result<u32, Failure> {
    security::landlock_version().mechanism("landlock", "asking for its version")
}

#[cfg(test)]
#[path = "landlock_tests.rs"]
mod tests;
