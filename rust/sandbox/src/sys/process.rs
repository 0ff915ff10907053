//! Processes: clone, wait, execute.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::{check, check_int};

/// Which side of a fork we are on.
pub(crate) enum Fork {
    Child,
    Parent(libc::pid_t),
}

/// Forks into the new namespaces that `flags` (`CLONE_NEW*`, 0 for none) name.
pub(crate) fn fork(flags: libc::c_int) -> io::Result<Fork> {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack this is fork: the child gets a copy of everything,
    // and this process has one thread, so no lock is held by another.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) })?;
    Ok(match libc::pid_t::try_from(pid) {
        Ok(0) => Fork::Child,
        Ok(pid) => Fork::Parent(pid),
        Err(error) => return Err(io::Error::other(error)),
    })
}

/// Leaves without running destructors or flushing anything: for forked children.
pub(crate) fn exit_now(code: u8) -> ! {
    // SAFETY: always allowed; does not return.
    unsafe { libc::_exit(libc::c_int::from(code)) }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
}

/// Waits for `pid` (-1: any child); with `now`, returns none if no child has ended. An error of kind
/// `ECHILD` says that there is no child left.
pub(crate) fn wait(pid: libc::pid_t, now: bool) -> io::Result<Option<(libc::pid_t, End)>> {
    let mut status = 0;
    let options = libc::__WALL | if now { libc::WNOHANG } else { 0 };
    loop {
        // SAFETY: `status` is written before the call returns a pid.
        match check_int(unsafe { libc::waitpid(pid, &raw mut status, options) }) {
            Ok(0) => return Ok(None),
            Ok(pid) if libc::WIFSIGNALED(status) => {
                return Ok(Some((pid, End::Signal(libc::WTERMSIG(status)))));
            }
            Ok(pid) => return Ok(Some((pid, End::Code(libc::WEXITSTATUS(status))))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends a signal to a process, or to a group if `pid` is negative.
pub(crate) fn kill(pid: libc::pid_t, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A session, and so a process group, of its own: it cannot push input into its starter's terminal.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::setsid() }).map(drop)
}

/// Real user and group.
pub(crate) fn identity() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: these calls cannot fail and take nothing.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Drops the supplementary groups, which only root may do; others keep theirs.
pub(crate) fn drop_groups() -> io::Result<()> {
    // SAFETY: a list of length zero is not read.
    check_int(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop)
}

/// Name of the host in this uts namespace.
pub(crate) fn set_host_name(name: &CStr) -> io::Result<()> {
    // SAFETY: pointer and length are those of a live string.
    check_int(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) }).map(drop)
}

pub(crate) fn set_umask(mask: u32) {
    // SAFETY: cannot fail.
    unsafe { libc::umask(mask) };
}

/// No core files: they could hold what the command had in memory.
pub(crate) fn no_core_files() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives until the call returns.
    check_int(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) }).map(drop)
}

pub(crate) fn change_folder(path: &CStr) -> io::Result<()> {
    // SAFETY: a NUL-terminated string.
    check_int(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

pub(crate) fn change_folder_to(folder: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an open descriptor.
    check_int(unsafe { libc::fchdir(folder.as_raw_fd()) }).map(drop)
}

/// Marks every descriptor from 3 up close-on-exec, so that the command gets its three streams alone.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: no pointers; only flags change, so no descriptor that Rust owns becomes invalid.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
    check(result).map(drop)
}

/// Points the three standard streams elsewhere.
pub(crate) fn replace_streams(with: BorrowedFd<'_>) -> io::Result<()> {
    for stream in 0..3 {
        // SAFETY: both are descriptor numbers; Rust does not own 0, 1 and 2.
        check_int(unsafe { libc::dup2(with.as_raw_fd(), stream) })?;
    }
    Ok(())
}

/// The three standard streams, as far as they are regular files, with whether each is open for reading
/// and for writing anywhere in it (which appending is not).
pub(crate) fn file_streams() -> Vec<(BorrowedFd<'static>, bool, bool)> {
    let access = |stream: RawFd| {
        // SAFETY: no pointers; a number that is not open gives -1.
        let flags = unsafe { libc::fcntl(stream, libc::F_GETFL) };
        if flags < 0 {
            return None;
        }
        // SAFETY: it is open, as the call above has shown, and nothing here closes 0, 1 or 2.
        let stream = unsafe { BorrowedFd::borrow_raw(stream) };
        let file = File::from(stream.try_clone_to_owned().ok()?).metadata().ok()?.is_file();
        let (read, write) = match flags & libc::O_ACCMODE {
            libc::O_RDONLY => (true, false),
            libc::O_WRONLY => (false, true),
            _ => (true, true),
        };
        file.then_some((stream, read, write && flags & libc::O_APPEND == 0))
    };
    (0..3).filter_map(access).collect()
}

/// Replaces this process by the program at `path`; returns only the error.
pub(crate) fn execute(path: &CStr, argv: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(argv), pointers(environment));
    // SAFETY: both arrays end in null and point at strings that live until the call returns.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// This process adopts orphaned descendants, so that it can end them.
pub(crate) fn become_subreaper() -> io::Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// This process gets `signal` when its parent ends; fails if the parent is already another.
pub(crate) fn die_with_parent(parent: libc::pid_t, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) })?;
    // SAFETY: cannot fail.
    if unsafe { libc::getppid() } != parent {
        return Err(io::Error::other("the launcher has ended"));
    }
    Ok(())
}
