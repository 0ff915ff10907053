//! The reserve: a file that holds disk space, given back when the disk is full so that what is under way
//! can still be settled. Whether the reserve is whole is the measure of "little disk": unlike the free
//! space that the file system names, it knows of quotas and limits.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use crate::schema;

/// The file that holds the space.
pub(crate) struct Reserve {
    path: PathBuf,
    size: u64,
}

impl Reserve {
    /// A reserve of `size` bytes at `path`; not made yet.
    pub(crate) fn new(path: PathBuf, size: u64) -> Reserve {
        Reserve { path, size }
    }

    /// Whether the space is held.
    pub(crate) fn is_whole(&self) -> bool {
        self.size == 0 || fs::metadata(&self.path).is_ok_and(|file| file.len() >= self.size)
    }

    /// Holds the space, unless it is held already. It is taken when twice as much is free: a disk at its
    /// brink is not called well and ill by turns, and the last free bytes are not taken from others. An
    /// error leaves nothing behind.
    pub(crate) fn fill(&self) -> io::Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        let disk = rustix::fs::statvfs(self.path.parent().unwrap_or(&self.path))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        // A file system without a size of its own names none; then writing tells.
        if disk.f_blocks > 0 && free / 2 < self.size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.write();
        if written.is_err() {
            self.release();
        }
        written
    }

    /// Gives the space back; whether there was any.
    pub(crate) fn release(&self) -> bool {
        self.size > 0 && fs::remove_file(&self.path).is_ok()
    }

    /// Writes what no file system can store in less space: zeros may be left out or compressed.
    fn write(&self) -> io::Result<()> {
        let mut file = schema::private().truncate(true).open(&self.path)?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(1 << 16);
        let mut left = self.size;
        while left > 0 {
            block.clear();
            while block.len() < 1 << 16 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                block.extend_from_slice(&state.to_le_bytes());
            }
            block.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all(&block)?;
            left -= block.len() as u64;
        }
        Ok(())
    }
}
