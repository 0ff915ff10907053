//! Safe wrappers around the system calls that confinement needs, one small function each.
//!
//! Everything here runs in processes with one thread: the launcher never starts another, so a forked
//! child may allocate.

pub(crate) mod mount;
pub(crate) mod process;
pub(crate) mod security;
pub(crate) mod signal;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Turns the `-1` of a system call into its error.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Like [`check`], for wrappers of the C library.
fn check_int(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call has just returned.
fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let number = RawFd::try_from(check(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just created this descriptor for us and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Adopts the descriptor `number` that this process was started with, and marks it close-on-exec.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD takes an integer and fails cleanly if `number` is not open.
    check_int(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the number came from the parent on the command line for this purpose; nothing else in
    // this process has opened or wrapped it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends all of `bytes` over a socket, without SIGPIPE.
pub(crate) fn send(socket: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length are those of a live slice.
        let sent =
            unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

/// A pipe, both ends close-on-exec: (read, write).
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    check_int(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [read, write] = ends;
    // SAFETY: both descriptors are new and ours alone.
    Ok(unsafe { (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)) })
}

/// Brings up the loopback interface of this network namespace.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: creates a descriptor; no pointers.
    let socket = owned(libc::c_long::from(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    }))?;
    // SAFETY: an all-zero `ifreq` is a valid value of that plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, letter) in request.ifr_name.iter_mut().zip(*b"lo\0") {
        *place = letter.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which lives until the call returns.
    check_int(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })?;
    Ok(())
}

/// What a descriptor has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// There is something to read.
    pub(crate) readable: bool,
    /// The other end is gone.
    pub(crate) closed: bool,
}

/// Waits until one of `descriptors` has something to say; for sockets listens for the far end closing
/// only where `read` is false.
pub(crate) fn wait_ready<const N: usize>(descriptors: [(BorrowedFd<'_>, bool); N]) -> io::Result<[Ready; N]> {
    let mut set = descriptors.map(|(descriptor, read)| libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: if read { libc::POLLIN } else { libc::POLLRDHUP },
        revents: 0,
    });
    loop {
        // SAFETY: `set` holds N valid entries.
        let result = unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, -1) };
        match check_int(result) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(set.map(|entry| Ready {
        readable: entry.revents & libc::POLLIN != 0,
        closed: entry.revents & (libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR | libc::POLLNVAL) != 0,
    }))
}

/// Reads up to and without the first newline; at most `limit` bytes.
pub(crate) fn read_line(socket: BorrowedFd<'_>, limit: usize) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        // SAFETY: the pointer and length are those of a live buffer.
        let read = unsafe { libc::read(socket.as_raw_fd(), chunk.as_mut_ptr().cast(), chunk.len()) };
        match usize::try_from(read) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => line.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(line);
        }
        if line.len() > limit {
            return Err(io::Error::other("it is too long"));
        }
    }
}

/// Lets the process behind the other end of the gate go on. The gate stays open after that: its closing
/// says that this process is gone.
pub(crate) fn open_gate(gate: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: one byte of a live constant.
    check(unsafe { libc::write(gate.as_raw_fd(), b"g".as_ptr().cast(), 1) } as libc::c_long).map(drop)
}

/// Waits at the gate; false if whoever should open it is gone.
pub(crate) fn pass_gate(gate: BorrowedFd<'_>) -> bool {
    let mut byte = 0u8;
    // SAFETY: room for one byte.
    unsafe { libc::read(gate.as_raw_fd(), (&raw mut byte).cast(), 1) == 1 }
}
