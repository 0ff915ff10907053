//! A descriptor that becomes readable when there is something to fetch: no polling, and safe to signal
//! from any thread.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Both ends of a socket pair, neither of which ever blocks.
pub(crate) struct Wake {
    reading: UnixStream,
    writing: UnixStream,
}

impl Wake {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (reading, writing) = UnixStream::pair()?;
        reading.set_nonblocking(true)?;
        writing.set_nonblocking(true)?;
        Ok(Self { reading, writing })
    }

    /// Makes `fileno` readable. A full buffer already does.
    pub(crate) fn signal(&self) {
        let _ = (&self.writing).write(&[1]);
    }

    /// Makes `fileno` unreadable until the next `signal`.
    pub(crate) fn clear(&self) {
        let mut buffer = [0; 256];
        while matches!((&self.reading).read(&mut buffer), Ok(read) if read > 0) {}
    }

    pub(crate) fn fileno(&self) -> i32 {
        self.reading.as_raw_fd()
    }
}
