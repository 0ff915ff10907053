use std::os::fd::AsFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::*;

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

#[test]
fn frames_come_back_whole() {
    let (left, right) = pair();
    for bytes in [b"".as_slice(), b"{}", &[7; 70_000]] {
        let writer = left.try_clone().unwrap();
        let sent = bytes.to_vec();
        let thread = std::thread::spawn(move || write(&writer, &sent).unwrap());
        let frame = read(&right, CLIENT_LIMIT).unwrap().unwrap();
        thread.join().unwrap();
        assert_eq!(*frame.bytes, bytes);
        assert!(frame.descriptor.is_none());
    }
    drop(left);
    assert!(read(&right, CLIENT_LIMIT).unwrap().is_none());
}

#[test]
fn descriptor_travels_with_its_frame() {
    let (left, right) = pair();
    let (passed, kept) = pair();
    write(&left, b"plain").unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [passed.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let frame = [io::IoSlice::new(&[0, 0, 0, 4]), io::IoSlice::new(b"with")];
    sendmsg(&left, &frame, &mut control, SendFlags::empty()).unwrap();
    assert!(read(&right, CLIENT_LIMIT).unwrap().unwrap().descriptor.is_none());
    let received = read(&right, CLIENT_LIMIT).unwrap().unwrap();
    assert_eq!(*received.bytes, b"with");
    write(&UnixStream::from(received.descriptor.unwrap()), b"hello").unwrap();
    assert_eq!(*read(&kept, CLIENT_LIMIT).unwrap().unwrap().bytes, b"hello");
}

#[test]
fn cut_and_oversized_frames_are_errors() {
    for (bytes, kind) in [
        (b"\0\0".as_slice(), io::ErrorKind::UnexpectedEof),
        (b"\0\0\0\x05half", io::ErrorKind::UnexpectedEof),
        (b"\xff\xff\xff\xff", io::ErrorKind::InvalidData),
    ] {
        let (mut left, right) = pair();
        left.write_all(bytes).unwrap();
        drop(left);
        assert_eq!(read(&right, CLIENT_LIMIT).err().map(|error| error.kind()), Some(kind));
    }
}
