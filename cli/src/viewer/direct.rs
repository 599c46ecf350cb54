//! Straight to the shim, on the same machine: the daemon has given a ticket and is out of the way.
//!
//! The shim is given the terminal to draw on, if it can be given safely; a key costs this thread one
//! write then, and an echo nothing. Else it draws what the shim sends.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use wsm_api::terminal::Ticket;
use wsm_terminal::protocol::{Decoder, Frame, Hello};

use super::canvas;
use super::picture::Picture;
use super::{DRAW_BYTES, READ_BYTES, Turn};

/// How long the shim may take to answer a hello, and to read what was typed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to let go of the terminal: until then it may draw over what comes after.
const PARTING: Duration = Duration::from_secs(1);

/// Read from the shim at once.
const SOCKET_BYTES: usize = 64 * 1024;

/// What a signal writes into the pipe: the size changed.
pub(super) const RESIZED: u8 = b'r';
/// … or the process shall end.
pub(super) const QUIT: u8 = b'q';

/// A connection to a shim that has let us in.
#[derive(Debug)]
pub(super) struct Link {
    socket: UnixStream,
    decoder: Decoder,
    buffer: Box<[u8]>,
    /// To send.
    out: Vec<u8>,
    /// The shim has got the terminal.
    gave: bool,
}

impl Link {
    /// Shows the ticket at the socket in the run directory.
    pub(super) fn connect(run: &Path, ticket: &Ticket) -> io::Result<Link> {
        if ticket.socket.contains('/') {
            return Err(ErrorKind::InvalidInput.into());
        }
        // By descriptor: a socket's path has 107 bytes at most.
        let run = File::open(run)?;
        let path = format!("/proc/self/fd/{}/{}", run.as_raw_fd(), ticket.socket);
        let socket = UnixStream::connect(path)?;
        let mut link = Link {
            socket,
            decoder: Decoder::default(),
            buffer: vec![0; SOCKET_BYTES].into_boxed_slice(),
            out: Vec::new(),
            gave: false,
        };
        Frame::Hello(Hello::client(Some(ticket.ticket.clone()))).encode(&mut link.out);
        link.socket.write_all(&link.out)?;
        link.out.clear();
        // Its hello stays in the socket for the conversation; that it comes is what matters here.
        let mut fds = [PollFd::new(&link.socket, PollFlags::IN)];
        poll(&mut fds, Some(&timespec(PATIENCE)))?;
        link.socket.set_nonblocking(true)?;
        match link.receive()? {
            Received::Bytes => Ok(link),
            Received::Nothing => Err(ErrorKind::TimedOut.into()),
            Received::End => Err(ErrorKind::PermissionDenied.into()),
        }
    }

    /// Uses the connection until it or the attachment ends. An error is the terminal's. `signals`
    /// says [`RESIZED`] and [`QUIT`].
    pub(super) fn converse(
        mut self,
        picture: &mut Picture,
        signals: &UnixStream,
    ) -> io::Result<Turn> {
        let mut keyboard = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if let Err(error) = self.attach(picture) {
            return Ok(Turn::Lost(error.to_string()));
        }
        // What came with the hello.
        if let Some(turn) = self.show(picture)? {
            return Ok(turn);
        }
        let mut typed = [0; READ_BYTES];
        loop {
            if let Err(error) = self.flush() {
                return Ok(Turn::Lost(error.to_string()));
            }
            let waits = !self.out.is_empty();
            let [told, pressed, heard] = self.wait(&keyboard, signals, waits)?;
            if waits && ![told, pressed, heard].contains(&true) {
                return Ok(Turn::Lost("the shim takes no input".to_owned()));
            }
            if pressed {
                let length = read_keys(&mut keyboard, &mut typed)?;
                let typed = picture.typed(&typed[..length]);
                typed
                    .frames
                    .iter()
                    .for_each(|frame| frame.encode(&mut self.out));
                if typed.leaves {
                    return Ok(self.leave(picture));
                }
            }
            if heard && let Some(turn) = self.show(picture)? {
                return Ok(turn);
            }
            if told {
                let mut said = [0; 64];
                let length = (&*signals).read(&mut said)?;
                if length == 0 || said[..length].contains(&QUIT) {
                    return Ok(self.leave(picture));
                }
                if let Some(frame) = picture.resized() {
                    frame.encode(&mut self.out);
                }
            }
        }
    }

    /// Becomes a viewer. A watcher's terminal stays its own: the shim takes none of theirs.
    fn attach(&mut self, picture: &mut Picture) -> io::Result<()> {
        let tty = picture.drives().then(canvas::open).flatten();
        for frame in picture.begin(tty.is_some()) {
            frame.encode(&mut self.out);
        }
        let Some(tty) = tty else {
            return Ok(());
        };
        let rights = [tty.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&rights)) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let parts = [IoSlice::new(&self.out)];
        let sent = sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
        self.out.drain(..sent);
        self.gave = true;
        Ok(())
    }

    /// Says goodbye, and waits until the shim has let go of the terminal.
    fn leave(mut self, picture: &Picture) -> Turn {
        Frame::Detach.encode(&mut self.out);
        let end = Instant::now() + PARTING;
        // A shim that is gone has let go as well.
        while self.gave && self.flush().is_ok() {
            let left = timespec(end.saturating_duration_since(Instant::now()));
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            let ended = match poll(&mut fds, Some(&left)) {
                Ok(0) => true,
                Ok(_) => !matches!(self.receive(), Ok(Received::Bytes | Received::Nothing)),
                Err(errno) => errno != rustix::io::Errno::INTR,
            };
            if ended {
                break;
            }
        }
        drop(self.flush());
        Turn::Ended(picture.detached())
    }

    /// Waits for signals, keys (while nothing waits to be sent) and frames; tells which are there.
    fn wait(&self, keyboard: &File, signals: &UnixStream, waits: bool) -> io::Result<[bool; 3]> {
        let (keys, socket) = if waits {
            (PollFlags::empty(), PollFlags::IN | PollFlags::OUT)
        } else {
            (PollFlags::IN, PollFlags::IN)
        };
        let patience = timespec(PATIENCE);
        let mut fds = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(keyboard, keys),
            PollFd::new(&self.socket, socket),
        ];
        match poll(&mut fds, waits.then_some(&patience)) {
            Ok(_) => Ok([&fds[0], &fds[1], &fds[2]].map(|fd| !fd.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => Ok([false; 3]),
            Err(error) => Err(error.into()),
        }
    }

    /// Draws what has come, all by one write if it is not too much, and acknowledges it.
    fn show(&mut self, picture: &mut Picture) -> io::Result<Option<Turn>> {
        let mut out = Vec::new();
        let turn = loop {
            let taken = loop {
                match self.decoder.next_frame() {
                    Ok(Some(frame)) => match picture.take(frame, &mut out)? {
                        None => {}
                        turn => break turn,
                    },
                    Ok(None) => break None,
                    Err(error) => break Some(Turn::Lost(error.to_string())),
                }
            };
            if taken.is_some() || out.len() >= DRAW_BYTES {
                break taken;
            }
            match self.receive() {
                Ok(Received::Bytes) => {}
                Ok(Received::Nothing) => break None,
                Ok(Received::End) => {
                    break Some(Turn::Lost("the connection was closed".to_owned()));
                }
                Err(error) => break Some(Turn::Lost(error.to_string())),
            }
        };
        picture.draw(&out)?;
        for frame in picture.due()? {
            frame.encode(&mut self.out);
        }
        Ok(turn)
    }

    fn receive(&mut self) -> io::Result<Received> {
        match self.socket.read(&mut self.buffer) {
            Ok(0) => Ok(Received::End),
            Ok(length) => {
                self.decoder.push(&self.buffer[..length]);
                Ok(Received::Bytes)
            }
            Err(error) if again(&error) => Ok(Received::Nothing),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Received::End),
            Err(error) => Err(error),
        }
    }

    /// Sends what the socket takes.
    fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.out.len() {
            match self.socket.write(&self.out[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.drain(..sent);
        Ok(())
    }
}

enum Received {
    Bytes,
    Nothing,
    End,
}

/// Bytes typed; 0 when the terminal is gone.
fn read_keys(keyboard: &mut File, typed: &mut [u8]) -> io::Result<usize> {
    loop {
        match keyboard.read(typed) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // EIO: the terminal hung up.
            Err(error) if error.raw_os_error() == Some(5) => return Ok(0),
            read => return read,
        }
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
