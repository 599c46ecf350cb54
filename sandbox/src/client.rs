//! Asking the broker: one connection, blocking, descriptors beside the packets.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg,
    sendmsg, socket_with, sockopt,
};

use crate::protocol::{
    Envelope, Failure, FailureKind, PACKET_BYTES_MAX, PROTOCOL_VERSION, Reply, Request, SOCKETS_MAX,
};

/// Name of the broker's socket in the run directory.
pub const SOCKET_NAME: &str = "broker.sock";

/// Descriptors that one request carries at most: a working tree and its git directory.
const FDS_SENT_MAX: usize = 2;
/// Descriptors that one answer carries at most.
const FDS_RECEIVED_MAX: usize = SOCKETS_MAX as usize;

/// How long one request may take: longer than any bound inside the broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No connection.
    #[error("the broker is not reachable: {0}")]
    Unreachable(#[source] io::Error),
    /// It broke off, or timed out.
    #[error("no answer from the broker: {0}")]
    Broken(#[source] io::Error),
    /// It said no.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A connection to the broker.
#[derive(Debug)]
pub struct Broker {
    socket: OwnedFd,
}

impl Broker {
    /// Connects to the broker whose socket lies in `run_dir`.
    ///
    /// # Errors
    /// No broker listens there.
    pub fn connect(run_dir: &File) -> Result<Broker, BrokerError> {
        // Through the descriptor: the directory's own path may be longer than a socket address.
        let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", run_dir.as_raw_fd());
        let made = || -> io::Result<OwnedFd> {
            let kind = SocketType::SEQPACKET;
            let fd = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
            sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(ANSWER_TIMEOUT))?;
            sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(ANSWER_TIMEOUT))?;
            connect(&fd, &SocketAddrUnix::new(path.as_str())?)?;
            Ok(fd)
        };
        made()
            .map(|socket| Broker { socket })
            .map_err(BrokerError::Unreachable)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The broker broke off or said no.
    pub fn call(
        &self,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>), BrokerError> {
        let envelope = Envelope {
            version: PROTOCOL_VERSION,
            request,
        };
        let packet = serde_json::to_vec(&envelope).map_err(|e| BrokerError::Broken(e.into()))?;
        if packet.len() > PACKET_BYTES_MAX {
            return Err(BrokerError::Failed(Failure {
                kind: FailureKind::Invalid,
                what: "ask the broker".into(),
                why: format!(
                    "the request has {} bytes of {PACKET_BYTES_MAX}",
                    packet.len()
                ),
                hint: "use fewer services or shorter paths".into(),
            }));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_SENT_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(BrokerError::Broken(io::ErrorKind::InvalidInput.into()));
        }
        sendmsg(
            &self.socket,
            &[IoSlice::new(&packet)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .map_err(|e| BrokerError::Broken(e.into()))?;
        let (reply, fds) = self.receive().map_err(BrokerError::Broken)?;
        match reply {
            Reply::Failed(failure) => Err(BrokerError::Failed(failure)),
            reply => Ok((reply, fds)),
        }
    }

    fn receive(&self) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_RECEIVED_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut iov = [IoSliceMut::new(&mut packet)];
        let message = recvmsg(
            &self.socket,
            &mut iov,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let mut fds = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                fds.extend(received);
            }
        }
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((serde_json::from_slice(&packet[..message.bytes])?, fds))
    }
}
