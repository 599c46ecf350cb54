//! A process whose standard streams a client has, as `exec` and probes do.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read, write};

use crate::protocol::Frame;
use crate::pty;

/// Output kept until a client opens the stream; then the process waits.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Input that may wait for the process; then the client waits.
pub(super) const STDIN_BYTES_MAX: usize = 64 * 1024;

/// Our ends of three pipes.
pub(super) struct Stream {
    stdin: Option<OwnedFd>,
    stdin_waits: VecDeque<u8>,
    stdin_ends: bool,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    kept: VecDeque<Frame>,
    kept_bytes: usize,
    peer: Peer,
    bytes: u64,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Nobody came yet.
    Awaited,
    /// This client.
    Here(u64),
    /// It came and went, or has everything: what is still written goes nowhere.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Stdin,
    Stdout,
    Stderr,
}

impl Stream {
    /// Makes the pipes; the process's ends come second, in order.
    pub(super) fn new() -> io::Result<(Stream, Vec<OwnedFd>)> {
        let (stdin_theirs, stdin) = pipe2(OFlag::O_CLOEXEC)?;
        let (stdout, stdout_theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, stderr_theirs) = pipe2(OFlag::O_CLOEXEC)?;
        for ours in [&stdin, &stdout, &stderr] {
            pty::set_nonblocking(ours.as_fd())?;
        }
        let stream = Stream {
            stdin: Some(stdin),
            stdin_waits: VecDeque::new(),
            stdin_ends: false,
            stdout: Some(stdout),
            stderr: Some(stderr),
            kept: VecDeque::new(),
            kept_bytes: 0,
            peer: Peer::Awaited,
            bytes: 0,
        };
        Ok((stream, vec![stdin_theirs, stdout_theirs, stderr_theirs]))
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The end, if there is something to wait for at it; `room`: the client's buffer has some.
    pub(super) fn wants(&self, end: End, room: bool) -> Option<&OwnedFd> {
        let reads = match self.peer {
            Peer::Awaited => self.kept_bytes < KEPT_BYTES_MAX,
            Peer::Here(_) => room,
            Peer::Left => true,
        };
        match end {
            End::Stdin => self.stdin.as_ref().filter(|_| !self.stdin_waits.is_empty()),
            End::Stdout => self.stdout.as_ref().filter(|_| reads),
            End::Stderr => self.stderr.as_ref().filter(|_| reads),
        }
    }

    /// A client came: everything that waited is for it.
    pub(super) fn open(&mut self, client: u64) -> Option<VecDeque<Frame>> {
        if self.peer != Peer::Awaited {
            return None;
        }
        self.peer = Peer::Here(client);
        self.kept_bytes = 0;
        Some(std::mem::take(&mut self.kept))
    }

    /// Nobody reads any more. The process's input ends; its output is read on, so that neither it
    /// nor its children die of a closed pipe.
    pub(super) fn leave(&mut self) {
        self.peer = Peer::Left;
        self.stdin = None;
        self.stdin_waits.clear();
        self.kept.clear();
    }

    /// Reads once from one end, by way of `scratch`. What comes back is for the client.
    pub(super) fn read(&mut self, end: End, scratch: &mut [u8]) -> Option<Frame> {
        let pipe = match end {
            End::Stdin => return None,
            End::Stdout => &mut self.stdout,
            End::Stderr => &mut self.stderr,
        };
        let bytes = match read(pipe.as_ref()?, scratch) {
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Ok(0) | Err(_) => {
                *pipe = None;
                return None;
            }
            Ok(length) => scratch[..length].to_vec(),
        };
        let length = bytes.len();
        self.bytes += length as u64;
        let frame = match end {
            End::Stderr => Frame::Stderr(bytes),
            End::Stdin | End::Stdout => Frame::Stdout(bytes),
        };
        match self.peer {
            Peer::Here(_) => return Some(frame),
            Peer::Awaited => {
                self.kept_bytes += length;
                self.kept.push_back(frame);
            }
            Peer::Left => {}
        }
        None
    }

    /// The process has ended: takes what is in the pipes right now.
    pub(super) fn drain(&mut self, scratch: &mut [u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for end in [End::Stdout, End::Stderr] {
            // A pipe holds no more than this unless a child that lives on keeps filling it.
            for _ in 0..16 {
                let before = self.bytes;
                frames.extend(self.read(end, scratch));
                if self.bytes == before {
                    break;
                }
            }
        }
        self.stdin = None;
        frames
    }

    /// The client's input. It is read only while [`Stream::hungry`], which bounds what waits.
    pub(super) fn stdin(&mut self, bytes: &[u8]) {
        if self.stdin.is_some() && !self.stdin_ends {
            self.stdin_waits.extend(bytes);
            self.write();
        }
    }

    pub(super) fn stdin_end(&mut self) {
        self.stdin_ends = true;
        self.write();
    }

    pub(super) fn hungry(&self) -> bool {
        self.stdin_waits.len() < STDIN_BYTES_MAX
    }

    pub(super) fn write(&mut self) {
        while let Some(pipe) = &self.stdin {
            let (head, _) = self.stdin_waits.as_slices();
            if head.is_empty() {
                if self.stdin_ends {
                    self.stdin = None;
                }
                return;
            }
            match write(pipe, head) {
                Ok(length) => drop(self.stdin_waits.drain(..length)),
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                // It closed its input; that is its right.
                Err(_) => {
                    self.stdin = None;
                    self.stdin_waits.clear();
                }
            }
        }
    }

    /// What children that live on may still write to.
    pub(super) fn into_pipes(self) -> impl Iterator<Item = OwnedFd> {
        [self.stdout, self.stderr].into_iter().flatten()
    }
}
