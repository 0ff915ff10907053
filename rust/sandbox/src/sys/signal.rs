//! Signals as descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{check_int, owned};

fn set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: an all-zero `sigset_t` is valid memory for sigemptyset to initialise.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid place for a signal set.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: as above; an invalid number is refused without effect.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// Blocks exactly `signals`.
pub(crate) fn block_only(signals: &[libc::c_int]) -> io::Result<()> {
    let set = set(signals);
    // SAFETY: `set` lives until the call returns; the old mask is not asked for.
    check_int(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) }).map(drop)
}

/// A descriptor from which blocked `signals` are read.
pub(crate) fn descriptor(signals: &[libc::c_int]) -> io::Result<OwnedFd> {
    let set = set(signals);
    // SAFETY: `set` lives until the call returns; -1 asks for a new descriptor.
    owned(libc::c_long::from(unsafe {
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }))
}

/// The next signal that waits in `descriptor`.
pub(crate) fn next(descriptor: BorrowedFd<'_>) -> Option<libc::c_int> {
    // SAFETY: an all-zero `signalfd_siginfo` is a valid value of that plain C struct.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: there is room for one record.
    let read = unsafe { libc::read(descriptor.as_raw_fd(), (&raw mut info).cast(), size) };
    (usize::try_from(read) == Ok(size)).then(|| libc::c_int::try_from(info.ssi_signo).ok()).flatten()
}

/// Gives every signal its default action and unblocks all: what a fresh program expects.
pub(crate) fn reset_all() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        if !matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            // SAFETY: the default action is no function of ours. The C library refuses its two private
            // signals, which changes nothing.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    block_only(&[])
}
