//! Bytes from one socket to another: the first through memory, many through a pipe, where the
//! kernel moves pages and copies nothing (splice(2)).
//!
//! Nothing is held while a connection is silent: no buffer, no pipe.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that one read takes.
const BUFFER: usize = 64 * 1024;
/// A direction that carried so much goes through pipes.
const MANY: u64 = 256 * 1024;
/// Size of a pipe. Together they stay below what the kernel gives one user (pipe-user-pages-soft).
const PIPE_BYTES: usize = 256 * 1024;
/// Pipes of this process.
const PIPES_MAX: usize = 128;
/// Pipes that one agent may hold: its readers may be slow.
pub(super) const PIPES_OF_AGENT: usize = 32;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// Empty pipes, and how many there may be.
#[derive(Debug)]
pub(super) struct Pipes {
    room: Semaphore,
    idle: Mutex<Vec<Pipe>>,
}

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipes {
    pub(super) fn new() -> Pipes {
        Pipes {
            room: Semaphore::new(PIPES_MAX),
            idle: Mutex::default(),
        }
    }

    /// A pipe, if there is room: who gets none copies.
    fn take<'a>(&'a self, own: &'a Semaphore) -> Option<Taken<'a>> {
        let places = (own.try_acquire().ok()?, self.room.try_acquire().ok()?);
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let pipe = idle.or_else(|| Pipe::new().ok())?;
        Some(Taken {
            pipes: self,
            pipe: Some(pipe),
            _places: places,
        })
    }
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let (read, write) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        let size = i32::try_from(PIPE_BYTES).map_err(io::Error::other)?;
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(size))?;
        Ok(Pipe { read, write })
    }
}

/// A pipe while it is used.
struct Taken<'a> {
    pipes: &'a Pipes,
    pipe: Option<Pipe>,
    _places: (SemaphorePermit<'a>, SemaphorePermit<'a>),
}

impl Taken<'_> {
    /// It is empty: the next may have it. Dropped otherwise, it is closed with what is in it.
    fn give_back(mut self) {
        if let Some(pipe) = self.pipe.take() {
            let mut idle = self
                .pipes
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.push(pipe);
        }
    }
}

/// What both directions of a tunnel use.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) pipes: &'a Pipes,
    pub(super) own: &'a Semaphore,
}

/// Carries one direction to its end; `passed` hears of every byte that went on.
pub(super) async fn one_way(
    from: &TcpStream,
    to: &TcpStream,
    means: Means<'_>,
    passed: impl Fn(usize),
) -> io::Result<()> {
    let mut all = 0_u64;
    loop {
        from.readable().await?;
        let pipe = (all >= MANY).then(|| means.pipes.take(means.own)).flatten();
        let moved = match pipe {
            Some(pipe) => through_pipe(from, to, pipe, &passed).await?,
            None => through_memory(from, to, &passed).await?,
        };
        match moved {
            Moved::End => break,
            Moved::Some(length) => all += length,
        }
    }
    match shutdown(to.as_raw_fd(), Shutdown::Write) {
        // It is gone altogether: the other direction sees that.
        Err(nix::Error::ENOTCONN) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

enum Moved {
    End,
    Some(u64),
}

/// One read, and all of it written.
async fn through_memory(
    from: &TcpStream,
    to: &TcpStream,
    passed: &impl Fn(usize),
) -> io::Result<Moved> {
    let read = SCRATCH.with_borrow_mut(|buffer| {
        let length = match from.try_read(buffer) {
            Ok(length) => length,
            Err(error) => return unless_blocked(error).map(|()| None),
        };
        let bytes = &buffer[..length];
        let written = match to.try_write(bytes) {
            Ok(written) => written,
            Err(error) => unless_blocked(error).map(|()| 0)?,
        };
        // Kept only if the receiver is slower.
        Ok::<_, io::Error>(Some((length, bytes[written..].to_vec())))
    });
    let Some((length, rest)) = read? else {
        return Ok(Moved::Some(0));
    };
    if length == 0 {
        return Ok(Moved::End);
    }
    passed(length - rest.len());
    let mut rest = rest.as_slice();
    while !rest.is_empty() {
        to.writable().await?;
        match to.try_write(rest) {
            Ok(written) => {
                passed(written);
                rest = &rest[written..];
            }
            Err(error) => unless_blocked(error)?,
        }
    }
    Ok(Moved::Some(u64::try_from(length).unwrap_or(u64::MAX)))
}

fn unless_blocked(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    }
}

/// Through a pipe until there is nothing more to read.
async fn through_pipe(
    from: &TcpStream,
    to: &TcpStream,
    taken: Taken<'_>,
    passed: &impl Fn(usize),
) -> io::Result<Moved> {
    let Some(pipe) = &taken.pipe else {
        return Ok(Moved::Some(0));
    };
    let mut all = 0_u64;
    let moved = loop {
        let read = from.try_io(Interest::READABLE, || shift(from, &pipe.write, PIPE_BYTES));
        let length = match read {
            Ok(0) => break Moved::End,
            Ok(length) => length,
            Err(error) => {
                unless_blocked(error)?;
                break Moved::Some(all);
            }
        };
        all += u64::try_from(length).unwrap_or(0);
        let mut rest = length;
        while rest > 0 {
            match to.try_io(Interest::WRITABLE, || shift(&pipe.read, to, rest)) {
                Ok(written) => {
                    passed(written);
                    rest -= written;
                }
                Err(error) => {
                    unless_blocked(error)?;
                    to.writable().await?;
                }
            }
        }
        // Others have their turn.
        tokio::task::consume_budget().await;
    };
    taken.give_back();
    Ok(moved)
}

fn shift(
    from: impl std::os::fd::AsFd,
    to: impl std::os::fd::AsFd,
    length: usize,
) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, length, flags)?)
}
