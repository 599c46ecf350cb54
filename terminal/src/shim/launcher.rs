//! The line to the launcher inside the sandbox.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use wsm_sandbox::launch::{Order, PACKET_BYTES_MAX, Report};

use crate::pty;

/// Orders that may wait for the launcher. It only forks and answers; more means that it hangs.
const QUEUE_MAX: usize = 64;
/// Longest report: the name of what failed.
const REPORT_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Launcher {
    socket: Option<OwnedFd>,
    queue: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

/// What a look at the socket brought.
pub(super) enum Received {
    Report(Report, Option<OwnedFd>),
    Nothing,
    Closed,
}

impl Launcher {
    pub(super) fn new(socket: OwnedFd) -> Launcher {
        Launcher {
            socket: Some(socket),
            queue: VecDeque::new(),
        }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn close(&mut self) {
        self.socket = None;
        self.queue.clear();
    }

    pub(super) fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends an order, now or as soon as the launcher reads.
    pub(super) fn send(&mut self, order: &Order, fds: Vec<OwnedFd>) -> Result<(), Errno> {
        let packet = serde_json::to_vec(order).expect("our own types serialize");
        if packet.len() > PACKET_BYTES_MAX {
            return Err(Errno::E2BIG);
        }
        if self.socket.is_none() {
            return Err(Errno::ESRCH);
        }
        if self.queue.len() >= QUEUE_MAX {
            return Err(Errno::EAGAIN);
        }
        self.queue.push_back((packet, fds));
        self.flush();
        Ok(())
    }

    /// Sends what waits. A broken socket is found out when it is read.
    pub(super) fn flush(&mut self) {
        let Some(socket) = &self.socket else {
            return;
        };
        while let Some((packet, fds)) = self.queue.front() {
            let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
            let rights = [ControlMessage::ScmRights(&fds)];
            let control = if fds.is_empty() { &[] } else { &rights[..] };
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            let sent = sendmsg::<()>(
                socket.as_raw_fd(),
                &[IoSlice::new(packet)],
                control,
                flags,
                None,
            );
            if matches!(sent, Err(Errno::EAGAIN | Errno::EINTR)) {
                return;
            }
            self.queue.pop_front();
        }
    }

    /// Takes one report, by way of `scratch`.
    pub(super) fn receive(&mut self, scratch: &mut [u8]) -> Received {
        let Some(socket) = &self.socket else {
            return Received::Nothing;
        };
        let most = scratch.len().min(REPORT_BYTES_MAX);
        let packet = &mut scratch[..most];
        let mut control = nix::cmsg_space!([RawFd; 1]);
        let mut slices = [IoSliceMut::new(packet)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags);
        let (length, fd) = match received {
            Err(Errno::EAGAIN | Errno::EINTR) => return Received::Nothing,
            Err(_) => return Received::Closed,
            Ok(message) => {
                let mut fds = message.cmsgs().into_iter().flatten().filter_map(|control| {
                    let ControlMessageOwned::ScmRights(fds) = control else {
                        return None;
                    };
                    fds.first().and_then(|fd| pty::adopt(*fd).ok())
                });
                (message.bytes, fds.next())
            }
        };
        match serde_json::from_slice(&packet[..length]) {
            Ok(report) => Received::Report(report, fd),
            // The end, or something that is not our launcher: either way nothing more to expect.
            Err(_) => Received::Closed,
        }
    }
}
