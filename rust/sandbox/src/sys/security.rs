//! Privileges, Landlock and seccomp.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{check, check_int, owned};

/// From here on no program, set-uid or not, can gain privileges.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Other processes of the same user can neither trace this one nor read its `/proc` files.
pub(crate) fn not_dumpable() -> io::Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// Gives up every capability for good: empties all five sets, and locks the switches by which user 0
/// would get them back on execve.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    const LOCKED: libc::c_int = 0b1110_1111; // noroot, no_setuid_fixup, keep_caps off, no ambient; all locked
    for capability in 0..64 {
        // SAFETY: no pointers.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match check_int(result) {
            Ok(_) => {}
            // The first number that this kernel does not know ends the list.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    // SAFETY: no pointers.
    check_int(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, LOCKED, 0, 0, 0) })?;
    // SAFETY: no pointers.
    check_int(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    set_no_capabilities()
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

fn set_no_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = CapabilityHeader { version: VERSION_3, pid: 0 };
    let empty = [0u32; 6];
    // SAFETY: version 3 reads two records of three words, which `empty` holds.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, empty.as_ptr()) }).map(drop)
}

// Numbers from 424 on are the same on every architecture.
const SYS_LANDLOCK_CREATE_RULESET: libc::c_long = 444;
const SYS_LANDLOCK_ADD_RULE: libc::c_long = 445;
const SYS_LANDLOCK_RESTRICT_SELF: libc::c_long = 446;
const LANDLOCK_CREATE_RULESET_VERSION: libc::c_uint = 1;
const LANDLOCK_RULE_PATH_BENEATH: libc::c_int = 1;

#[repr(C)]
struct RulesetAttributes {
    files: u64,
    network: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: libc::c_int,
}

/// The version of Landlock that this kernel offers.
pub(crate) fn landlock_version() -> io::Result<u32> {
    let none = std::ptr::null::<RulesetAttributes>();
    // SAFETY: with this flag the kernel expects a null pointer and size 0.
    let version = check(unsafe {
        libc::syscall(SYS_LANDLOCK_CREATE_RULESET, none, 0usize, LANDLOCK_CREATE_RULESET_VERSION)
    })?;
    u32::try_from(version).map_err(io::Error::other)
}

/// A ruleset that forbids `files` (access rights) except where allowed, and everything in `scoped`.
pub(crate) fn landlock_ruleset(files: u64, scoped: u64) -> io::Result<OwnedFd> {
    let attributes = RulesetAttributes { files, network: 0, scoped };
    // SAFETY: `attributes` lives until the call returns. A kernel that does not know its last fields
    // accepts them as long as they are zero.
    owned(unsafe {
        libc::syscall(
            SYS_LANDLOCK_CREATE_RULESET,
            &raw const attributes,
            size_of::<RulesetAttributes>(),
            0u32,
        )
    })
}

/// Allows `allowed` at and below `place`.
pub(crate) fn landlock_allow(ruleset: BorrowedFd<'_>, place: BorrowedFd<'_>, allowed: u64) -> io::Result<()> {
    let rule = PathBeneath { allowed, parent: place.as_raw_fd() };
    // SAFETY: `rule` lives until the call returns and has the layout of the kernel's struct.
    let result = unsafe {
        libc::syscall(
            SYS_LANDLOCK_ADD_RULE,
            ruleset.as_raw_fd(),
            LANDLOCK_RULE_PATH_BENEATH,
            &raw const rule,
            0u32,
        )
    };
    check(result).map(drop)
}

/// Puts this process and all its descendants under the ruleset. Needs no-new-privileges.
pub(crate) fn landlock_enforce(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset.as_raw_fd(), 0u32) }).map(drop)
}

/// Installs a filter for all further system calls of this process and its descendants. Needs
/// no-new-privileges.
pub(crate) fn install_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `length` instructions from the slice and does not write to it.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0u32, &raw const program) };
    check(result).map(drop)
}

/// Memory that not even the kernel maps: only probed here.
pub(crate) fn secret_memory() -> io::Result<OwnedFd> {
    const SYS_MEMFD_SECRET: libc::c_long = 447;
    // SAFETY: no pointers.
    owned(unsafe { libc::syscall(SYS_MEMFD_SECRET, libc::O_CLOEXEC) })
}
