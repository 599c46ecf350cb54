//! The UDP socket of an agent's name server: an answer leaves from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc::in6_pktinfo;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg,
};
use tokio::io::Interest;

/// Longest question.
const BYTES_MAX: usize = 1500;

/// The socket.
#[derive(Debug)]
pub(super) struct Socket(tokio::net::UdpSocket);

/// A question as it came.
pub(super) struct Question {
    pub(super) bytes: Vec<u8>,
    from: SockaddrIn6,
    asked: in6_pktinfo,
}

impl Socket {
    /// It must tell the address that was asked.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Socket> {
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        tokio::net::UdpSocket::from_std(socket).map(Socket)
    }

    pub(super) async fn receive(&self) -> io::Result<Question> {
        let fd = self.0.as_raw_fd();
        let read = || {
            let mut bytes = vec![0; BYTES_MAX];
            let mut space = nix::cmsg_space!(in6_pktinfo);
            let (length, from, asked) = {
                let mut iov = [IoSliceMut::new(&mut bytes)];
                let none = MsgFlags::empty();
                let message = recvmsg::<SockaddrIn6>(fd, &mut iov, Some(&mut space), none)?;
                let asked = message.cmsgs()?.find_map(|part| match part {
                    ControlMessageOwned::Ipv6PacketInfo(info) => Some(info),
                    _ => None,
                });
                (message.bytes, message.address, asked)
            };
            let (Some(from), Some(asked)) = (from, asked) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            bytes.truncate(length);
            Ok(Question { bytes, from, asked })
        };
        self.0.async_io(Interest::READABLE, read).await
    }

    pub(super) async fn send(&self, to: &Question, bytes: &[u8]) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        let write = || {
            let iov = [IoSlice::new(bytes)];
            let from = [ControlMessage::Ipv6PacketInfo(&to.asked)];
            sendmsg(fd, &iov, &from, MsgFlags::empty(), Some(&to.from))?;
            Ok(())
        };
        self.0.async_io(Interest::WRITABLE, write).await
    }
}
