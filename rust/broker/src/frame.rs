//! Frames on a Unix socket: a length of four bytes, big end first, then so many bytes of JSON.
//! A frame may carry one descriptor, attached to its first byte.

use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use zeroize::Zeroizing;

/// Frames from the daemon; the largest holds a request with its whole conversation.
pub(crate) const DAEMON_LIMIT: usize = 64 << 20;
/// Frames from a client: its credentials and perhaps a bundle of root certificates.
pub(crate) const CLIENT_LIMIT: usize = 4 << 20;

/// One frame as it was read; its bytes are wiped when dropped, since they may hold keys.
pub(crate) struct Frame {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// The next frame, or None when the peer has closed between two frames.
pub(crate) fn read(socket: &UnixStream, limit: usize) -> io::Result<Option<Frame>> {
    let mut descriptor = None;
    let mut header = [0u8; 4];
    let mut filled = 0;
    while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match receive(socket, rest, &mut descriptor)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    let length = u32::from_be_bytes(header) as usize;
    if length > limit {
        let reason = format!("a frame of {length} bytes is over the limit of {limit}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    let mut socket = socket;
    socket.read_exact(&mut bytes)?;
    Ok(Some(Frame { bytes, descriptor }))
}

fn receive(socket: &UnixStream, into: &mut [u8], descriptor: &mut Option<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let count = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?.bytes,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            *descriptor = received.last();
        }
    }
    Ok(count)
}

/// Write one frame.
pub(crate) fn write(mut socket: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(bytes.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(bytes);
    socket.write_all(&frame)
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
