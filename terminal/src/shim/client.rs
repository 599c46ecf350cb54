//! One connection: frames in, a bounded buffer of frames out.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;

use super::guest::Trust;
use super::tty::Tty;
use super::viewer::{OUT_HIGH, Viewer};
use crate::protocol::{
    Decoder, Event, Frame, FrameError, Hello, PROTOCOL_VERSION, Person, SPEAKS,
    VIEWER_FRAME_BYTES_MAX,
};
use crate::pty;

/// A connection whose answers pile up to this is not read until they are gone.
const READ_HIGH: usize = 256 * 1024;
/// From which [`SPEAKS`] on a client knows reports.
const REPORTS: u32 = 4;
/// Bytes thrown away at once.
const DISCARD_BYTES: usize = 4 * 1024;

pub(super) struct Client {
    /// A viewer's own terminal. Let go before the socket: the end of that says so.
    pub(super) tty: Option<Tty>,
    socket: UnixStream,
    /// A descriptor that came along, for the frame that says what it is.
    passed: Option<OwnedFd>,
    decoder: Decoder,
    out: Vec<u8>,
    written: usize,
    pub(super) greeted: bool,
    pub(super) trust: Trust,
    pub(super) role: Role,
    /// Newest additions to the protocol that it knows.
    pub(super) speaks: u32,
    /// Who it is, as its ticket says, or for whom its command runs.
    pub(super) person: Person,
    pub(super) subscribed: bool,
    missed: bool,
    /// Close as soon as everything is written.
    pub(super) closing: bool,
    /// Gone: remove.
    pub(super) gone: bool,
}

/// What a connection became.
pub(super) enum Role {
    Plain,
    Viewer(Viewer),
    /// Peer of the process of this name.
    Stream(String),
}

impl Client {
    pub(super) fn new(socket: UnixStream, trust: Trust) -> Client {
        Client {
            tty: None,
            socket,
            passed: None,
            decoder: Decoder::default(),
            out: Vec::new(),
            written: 0,
            greeted: false,
            trust,
            role: Role::Plain,
            speaks: 1,
            person: Person::default(),
            subscribed: false,
            missed: false,
            closing: false,
            gone: false,
        }
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    pub(super) fn pending(&self) -> usize {
        self.out.len() - self.written
    }

    /// It may send nothing longer than a viewer has to say.
    pub(super) fn narrow(&mut self) {
        self.decoder.narrow(VIEWER_FRAME_BYTES_MAX);
    }

    /// Bytes that came and are no whole frame yet.
    pub(super) fn unread(&self) -> usize {
        self.decoder.pending()
    }

    pub(super) fn reads(&self) -> bool {
        !self.closing && self.pending() < READ_HIGH
    }

    /// Answers its hello. Both know now; one that speaks another version has been told ours.
    pub(super) fn greet(&mut self, hello: &Hello, incarnation: u64) {
        self.greeted = true;
        self.speaks = hello.speaks.max(1);
        self.send(&Frame::Hello(Hello {
            version: PROTOCOL_VERSION,
            incarnation,
            ticket: None,
            speaks: SPEAKS,
        }));
        self.closing = hello.version != PROTOCOL_VERSION;
    }

    /// Adds a frame; what bounds the buffer is that callers look at [`Client::pending`] or answer a
    /// request, of which no more are read while answers wait.
    pub(super) fn send(&mut self, frame: &Frame) {
        if !self.closing && !self.gone {
            frame.encode(&mut self.out);
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if matches!(event, Event::Reported) && self.speaks < REPORTS {
            return;
        }
        if self.pending() > OUT_HIGH {
            self.missed = true;
        } else {
            self.send(&Frame::Event(event.clone()));
        }
    }

    /// Reads what there is, at most what `scratch` holds; whether there was something. A descriptor
    /// may come along with an attach; all others are closed.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> bool {
        let expects = self.greeted && matches!(self.role, Role::Plain);
        let read = if expects {
            pty::receive(self.socket.as_fd(), scratch)
        } else {
            nix::unistd::read(&self.socket, scratch).map(|length| (length, None))
        };
        match read {
            Ok((0, _)) => self.gone = true,
            Ok((length, passed)) => {
                self.decoder.push(&scratch[..length]);
                self.passed = passed.or(self.passed.take());
                return true;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.gone = true,
        }
        false
    }

    /// The descriptor that came along.
    pub(super) fn take_passed(&mut self) -> Option<OwnedFd> {
        self.passed.take()
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.next_frame()
    }

    /// Takes what still came in (acknowledgements, mostly): closing with it unread would make the
    /// peer see a reset where the end should be.
    fn discard(&mut self) {
        let mut bytes = [0; DISCARD_BYTES];
        for _ in 0..64 {
            if !matches!(self.socket.read(&mut bytes), Ok(1..)) {
                break;
            }
        }
    }

    /// Writes what the socket takes.
    pub(super) fn flush(&mut self) {
        while self.pending() > 0 {
            match self.socket.write(&self.out[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if again(&error) => break,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
        if self.pending() == 0 {
            self.out.clear();
            self.out.shrink_to(OUT_HIGH);
            self.written = 0;
            if std::mem::take(&mut self.missed) {
                self.send(&Frame::Event(Event::Missed));
            }
            if self.closing {
                self.discard();
                self.gone = true;
            }
        } else if self.written > OUT_HIGH {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }
}

fn again(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
