//! The UDP socket of an agent's name server: an answer leaves from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
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
    from: SockaddrStorage,
    asked: Asked,
}

/// The address that was asked, as the kernel tells it.
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Socket {
    /// It must tell the address that was asked.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Socket> {
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        tokio::net::UdpSocket::from_std(socket).map(Socket)
    }

    /// Whether it hears questions by IPv6: else the sandbox has none.
    pub(super) fn has_ipv6(&self) -> bool {
        self.0.local_addr().is_ok_and(|address| address.is_ipv6())
    }

    pub(super) async fn receive(&self) -> io::Result<Question> {
        let fd = self.0.as_raw_fd();
        let read = || {
            let mut bytes = vec![0; BYTES_MAX];
            let mut space = nix::cmsg_space!(in6_pktinfo, in_pktinfo);
            let (length, from, asked) = {
                let mut iov = [IoSliceMut::new(&mut bytes)];
                let none = MsgFlags::empty();
                let message = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut space), none)?;
                let asked = message.cmsgs()?.find_map(|part| match part {
                    ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::V4(info)),
                    ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::V6(info)),
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
            let from = [match &to.asked {
                Asked::V4(info) => ControlMessage::Ipv4PacketInfo(info),
                Asked::V6(info) => ControlMessage::Ipv6PacketInfo(info),
            }];
            sendmsg(fd, &iov, &from, MsgFlags::empty(), Some(&to.from))?;
            Ok(())
        };
        self.0.async_io(Interest::WRITABLE, write).await
    }
}
