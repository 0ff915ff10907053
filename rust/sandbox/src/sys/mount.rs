//! Mounts as descriptors (the interface of Linux 5.2 and 5.12): made first, attached later.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{check, check_int, owned};

// Numbers from 424 on are the same on every architecture.
const SYS_OPEN_TREE: libc::c_long = 428;
const SYS_MOVE_MOUNT: libc::c_long = 429;
const SYS_FSOPEN: libc::c_long = 430;
const SYS_FSCONFIG: libc::c_long = 431;
const SYS_FSMOUNT: libc::c_long = 432;
const SYS_OPENAT2: libc::c_long = 437;
const SYS_MOUNT_SETATTR: libc::c_long = 442;

const OPEN_TREE_CLONE: libc::c_uint = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;

pub(crate) const READ_ONLY: u64 = 0x1;
pub(crate) const NO_SET_ID: u64 = 0x2;
pub(crate) const NO_DEVICES: u64 = 0x4;
pub(crate) const NO_EXECUTE: u64 = 0x8;

const EMPTY: &CStr = c"";

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// A handle on the file or folder at `path`, for naming it only. With `symlinks` false a symbolic link
/// anywhere on the way is an error (`ELOOP`).
pub(crate) fn open_path(path: &CStr, symlinks: bool) -> io::Result<OwnedFd> {
    let how = OpenHow {
        flags: (libc::O_PATH | libc::O_CLOEXEC).cast_unsigned().into(),
        mode: 0,
        resolve: if symlinks { 0 } else { RESOLVE_NO_SYMLINKS },
    };
    // SAFETY: `how` lives until the call returns and its true size is given.
    owned(unsafe {
        libc::syscall(SYS_OPENAT2, libc::AT_FDCWD, path.as_ptr(), &raw const how, size_of::<OpenHow>())
    })
}

/// A detached copy of the mount subtree at `source`.
pub(crate) fn clone_tree(source: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE
        | AT_RECURSIVE
        | (libc::O_CLOEXEC.cast_unsigned())
        | (libc::AT_EMPTY_PATH.cast_unsigned());
    // SAFETY: an open descriptor and an empty NUL-terminated path.
    owned(unsafe { libc::syscall(SYS_OPEN_TREE, source.as_raw_fd(), EMPTY.as_ptr(), flags) })
}

/// Sets attributes on the mount `tree`, and on all below it if `recursive`.
pub(crate) fn set_attributes(tree: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    setattr(tree, &attributes, recursive)
}

/// Cuts all mounts of this namespace off from the host's: nothing propagates either way.
pub(crate) fn make_private(root: BorrowedFd<'_>) -> io::Result<()> {
    let private = MountAttributes { set: 0, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    setattr(root, &private, true)
}

fn setattr(tree: BorrowedFd<'_>, attributes: &MountAttributes, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH.cast_unsigned() | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: `attributes` lives until the call returns and its true size is given.
    let result = unsafe {
        libc::syscall(
            SYS_MOUNT_SETATTR,
            tree.as_raw_fd(),
            EMPTY.as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    check(result).map(drop)
}

/// A fresh, detached file system of the kind `name`.
pub(crate) fn new_filesystem(
    name: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: u64,
) -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated string.
    let context = owned(unsafe { libc::syscall(SYS_FSOPEN, name.as_ptr(), FSOPEN_CLOEXEC) })?;
    for (key, value) in options {
        // SAFETY: two NUL-terminated strings that live until the call returns.
        check(unsafe {
            libc::syscall(
                SYS_FSCONFIG,
                context.as_raw_fd(),
                FSCONFIG_SET_STRING,
                key.as_ptr(),
                value.as_ptr(),
                0,
            )
        })?;
    }
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes no key and no value.
    check(unsafe { libc::syscall(SYS_FSCONFIG, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0) })?;
    // SAFETY: an open file system context; no pointers.
    owned(unsafe { libc::syscall(SYS_FSMOUNT, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes) })
}

/// Attaches the detached mount `tree` over `target`.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: two open descriptors and empty NUL-terminated paths.
    let result = unsafe {
        libc::syscall(
            SYS_MOVE_MOUNT,
            tree.as_raw_fd(),
            EMPTY.as_ptr(),
            target.as_raw_fd(),
            EMPTY.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    };
    check(result).map(drop)
}

/// Makes the mount that is the current folder the root, and lets go of the old one.
pub(crate) fn enter_root() -> io::Result<()> {
    let here = c".";
    // SAFETY: NUL-terminated strings. The old root ends up stacked on the new one, where the unmount
    // then takes it off.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()) })?;
    // SAFETY: a NUL-terminated string.
    check_int(unsafe { libc::umount2(here.as_ptr(), libc::MNT_DETACH) })?;
    super::process::change_folder(c"/")
}
