//! `SOCK_SEQPACKET` packets: one JSON document, descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv,
    recvmsg, sendmsg, socketpair,
};
use serde::Serialize;

use crate::sys;

/// Most descriptors in one packet: what the kernel lets anybody send (`SCM_MAX_FD`). With room for
/// fewer, those that fit would arrive beside an error, and stay open for ever.
const FDS_MAX: usize = 253;

/// One packet as it came.
#[derive(Debug)]
pub(crate) struct Packet {
    /// The document.
    pub(crate) bytes: Vec<u8>,
    /// What came beside it.
    pub(crate) fds: Vec<OwnedFd>,
}

/// What a read gave.
#[derive(Debug)]
pub(crate) enum Received {
    /// A packet.
    Packet(Packet),
    /// Nothing now.
    Nothing,
    /// The other side is gone.
    End,
}

/// A pair of connected sockets, close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
    Ok(socketpair(AddressFamily::Unix, kind, None, flags)?)
}

/// Sends a document with descriptors. Fails rather than raising SIGPIPE.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    document: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(document)?;
    send_bytes(socket, &bytes, fds)
}

/// Sends a packet that is already encoded.
pub(crate) fn send_bytes(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() {
        &rights[..0]
    } else {
        &rights[..]
    };
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        control,
        flags,
        None,
    )?;
    Ok(())
}

/// Receives one packet of at most `max` bytes; a longer one is an error.
pub(crate) fn receive(socket: BorrowedFd<'_>, max: usize) -> io::Result<Received> {
    let reset = |error: &io::Error| error.raw_os_error() == Some(libc::ECONNRESET);
    // The other side is gone and left something unread. What it had said comes after that.
    match receive_now(socket, max) {
        Err(error) if reset(&error) => match receive_now(socket, max) {
            Err(error) if reset(&error) => Ok(Received::End),
            received => received,
        },
        received => received,
    }
}

fn receive_now(socket: BorrowedFd<'_>, max: usize) -> io::Result<Received> {
    // Packets are small and the bound is large: a look at the length saves clearing the bound.
    let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    let length = match recv(socket.as_raw_fd(), &mut [], peek) {
        Ok(length) => length,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(Received::Nothing),
        Err(errno) => return Err(errno.into()),
    };
    let mut bytes = vec![0; length.clamp(1, max)];
    let mut space = cmsg_space!([RawFd; FDS_MAX]);
    let (length, flags, fds) = {
        let mut iov = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut space), flags) {
            Ok(message) => message,
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(Received::Nothing),
            Err(errno) => return Err(errno.into()),
        };
        let mut fds = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = part {
                fds.extend(raw.into_iter().map(sys::own));
            }
        }
        (message.bytes, message.flags, fds)
    };
    if flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "packet too long",
        ));
    }
    if length == 0 && fds.is_empty() {
        return Ok(Received::End);
    }
    bytes.truncate(length);
    Ok(Received::Packet(Packet { bytes, fds }))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_was_said_is_heard_also_when_the_speaker_heard_nothing() {
        let (here, there) = pair().unwrap();
        send_bytes(here.as_fd(), b"unread", &[]).unwrap();
        send_bytes(there.as_fd(), b"last words", &[]).unwrap();
        drop(there);
        let Received::Packet(packet) = receive(here.as_fd(), 64).unwrap() else {
            panic!("lost");
        };
        assert_eq!(packet.bytes, b"last words");
        assert!(matches!(receive(here.as_fd(), 64).unwrap(), Received::End));
    }
}
