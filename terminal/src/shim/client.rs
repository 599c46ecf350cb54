//! One connection: frames in, a bounded buffer of frames out.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::guest::Trust;
use super::viewer::{OUT_HIGH, Viewer};
use crate::protocol::{Decoder, Event, Frame, FrameError};

/// A connection whose answers pile up to this is not read until they are gone.
const READ_HIGH: usize = 256 * 1024;
/// Bytes taken from a connection per turn of the loop.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Client {
    socket: UnixStream,
    decoder: Decoder,
    out: Vec<u8>,
    written: usize,
    pub(super) greeted: bool,
    pub(super) trust: Trust,
    pub(super) role: Role,
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
            socket,
            decoder: Decoder::default(),
            out: Vec::new(),
            written: 0,
            greeted: false,
            trust,
            role: Role::Plain,
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

    /// Bytes that came and are no whole frame yet.
    pub(super) fn unread(&self) -> usize {
        self.decoder.pending()
    }

    pub(super) fn reads(&self) -> bool {
        !self.closing && self.pending() < READ_HIGH
    }

    /// Adds a frame; what bounds the buffer is that callers look at [`Client::pending`] or answer a
    /// request, of which no more are read while answers wait.
    pub(super) fn send(&mut self, frame: &Frame) {
        if !self.closing && !self.gone {
            frame.encode(&mut self.out);
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if self.pending() > OUT_HIGH {
            self.missed = true;
        } else {
            self.send(&Frame::Event(event.clone()));
        }
    }

    /// Reads what there is, at most a turn's worth.
    pub(super) fn read(&mut self) {
        let mut bytes = [0; READ_BYTES];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.gone = true,
            Ok(length) => self.decoder.push(&bytes[..length]),
            Err(error) if again(&error) => {}
            Err(_) => self.gone = true,
        }
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.next_frame()
    }

    /// Takes what still came in (acknowledgements, mostly): closing with it unread would make the
    /// peer see a reset where the end should be.
    fn discard(&mut self) {
        let mut bytes = [0; READ_BYTES];
        for _ in 0..4 {
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
