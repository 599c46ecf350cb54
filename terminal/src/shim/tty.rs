//! A viewer's own terminal, drawn on without a detour through the viewer.
//!
//! Whoever passes it keeps its own way in for keys, and makes the descriptor so that there is
//! nothing else to be done with it. What is not so is not taken, and the viewer gets frames.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat, major};
use nix::sys::uio::writev;
use nix::unistd::write;

use super::echo::Echo;
use crate::protocol::{REDRAW, RESET};

/// Device numbers of pseudo-terminals. Others may be slow hardware that blocks in spite of flags.
const PTS_MAJORS: std::ops::RangeInclusive<u64> = 136..=143;

#[derive(Debug)]
pub(super) struct Tty {
    fd: OwnedFd,
    /// A screen that is not drawn to its end.
    rest: Vec<u8>,
    drawn: usize,
    /// It took less than it was given.
    full: bool,
    /// Whether it pays to wait for a key that was pressed here.
    pub(super) keys: Echo,
}

impl Tty {
    /// `None`: it is not fit.
    pub(super) fn new(fd: OwnedFd) -> Option<Tty> {
        let stat = fstat(&fd).ok()?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL).ok()?);
        let pts = kind == SFlag::S_IFCHR && PTS_MAJORS.contains(&major(stat.st_rdev));
        let mode = flags & OFlag::O_ACCMODE == OFlag::O_WRONLY && flags.contains(OFlag::O_NONBLOCK);
        (pts && mode).then_some(Tty {
            fd,
            rest: Vec::new(),
            drawn: 0,
            full: false,
            keys: Echo::default(),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether nothing more can be written before [`Tty::flush`] was called in time.
    pub(super) fn full(&self) -> bool {
        self.full
    }

    /// Writes output; returns how much of it was taken.
    pub(super) fn write(&mut self, (one, other): (&[u8], &[u8])) -> Result<usize, Errno> {
        let length = one.len() + other.len();
        let taken = loop {
            // Nearly always there is one part, and the plain call is the shorter way.
            let done = if other.is_empty() {
                write(&self.fd, one)
            } else {
                writev(&self.fd, &[IoSlice::new(one), IoSlice::new(other)])
            };
            match done {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break 0,
                done => break done?,
            }
        };
        self.full = taken < length;
        Ok(taken)
    }

    /// Rings the bell, where no sequence is cut by that.
    pub(super) fn ring(&mut self) {
        if !self.full {
            // One that takes no byte now is far from being heard.
            let _heard = write(&self.fd, b"\x07");
        }
    }

    /// Draws a whole screen over whatever is there.
    pub(super) fn draw(&mut self, snapshot: &[u8]) -> Result<(), Errno> {
        let (begin, end) = REDRAW;
        let parts = [RESET.as_bytes(), begin.as_bytes(), snapshot, end.as_bytes()];
        self.paint(parts.concat())
    }

    /// Draws what brings it from one picture to the next.
    pub(super) fn paint(&mut self, picture: Vec<u8>) -> Result<(), Errno> {
        self.rest = picture;
        self.drawn = 0;
        self.flush()
    }

    /// Goes on with a screen that is not drawn to its end.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        self.full = false;
        while self.drawn < self.rest.len() {
            match write(&self.fd, &self.rest[self.drawn..]) {
                Ok(taken) => self.drawn += taken,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.full = true;
                    return Ok(());
                }
                Err(errno) => return Err(errno),
            }
        }
        self.rest = Vec::new();
        Ok(())
    }
}
