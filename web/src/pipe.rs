//! Copies frames between a WebSocket and a shim, on the client's thread.
//!
//! A frame is a binary message on one side and `u32` length + frame on the other. There is no
//! queue: each side is read only when what was read last is written, so that a slow viewer
//! meets the shim's credit and costs no more than what was read for it.

use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::task::AbortHandle;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message};
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::{FRAME_BYTES_MAX, Frame, VIEWER_FRAME_BYTES_MAX};

use crate::client::Client;

#[cfg(test)]
mod tests;

/// Read from the shim at once, at most.
const READ_BYTES: usize = 64 * 1024;

/// Kept for a client whose connection has no room: more than one reading of the shim can give, and
/// the pongs that it asks for and does not read.
const UNSENT_BYTES_MAX: usize = FRAME_BYTES_MAX + 4 * READ_BYTES;

/// What a command is fed at once, at most.
const STDIN_BYTES: usize = 64 * 1024;

/// How often a quiet client is pinged, so that a half-dead connection is noticed.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a client may take to answer the closing handshake.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// How often the right is looked at where a shim that is gone can't tell of its end.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the client is to the shim; it may send no other frames than this role has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Watches a terminal and types.
    Viewer,
    /// Feeds one command.
    Stream,
}

impl Role {
    /// Bounds of the client's WebSocket. tungstenite writes zeros over its whole buffer before each
    /// read: the 128 KiB that it would take are work for each key, and memory for each viewer.
    pub(crate) fn config(self) -> WebSocketConfig {
        let (read, most) = match self {
            Role::Viewer => (4 * 1024, VIEWER_FRAME_BYTES_MAX),
            Role::Stream => (STDIN_BYTES, FRAME_BYTES_MAX),
        };
        WebSocketConfig::default()
            .read_buffer_size(read)
            .max_message_size(Some(most))
            .max_frame_size(Some(most))
            .max_write_buffer_size(UNSENT_BYTES_MAX)
    }

    fn may_send(self, frame: &Frame) -> bool {
        match self {
            Role::Viewer => matches!(
                frame,
                Frame::Attach(_)
                    | Frame::Input { .. }
                    | Frame::Resize { .. }
                    | Frame::Ack { .. }
                    | Frame::Detach
                    | Frame::Visible(_)
                    | Frame::Ask(_)
                    | Frame::Ping
            ),
            Role::Stream => matches!(frame, Frame::Stdin(_) | Frame::StdinEnd | Frame::Ping),
        }
    }

    /// Why this is the end, as the role hears it.
    fn told(self, problem: &Problem) -> Message {
        match self {
            Role::Viewer => {
                let reason = problem.message.clone();
                Message::Binary(Frame::Refused { reason }.encode_message().into())
            }
            Role::Stream => {
                let text = serde_json::to_string(problem).expect("a problem serializes");
                Message::Text(text.into())
            }
        }
    }
}

/// A connection to a shim, which the end of a right ends.
#[derive(Debug)]
pub(crate) struct Shim {
    stream: Arc<UnixStream>,
    over: Arc<OnceLock<Problem>>,
    watch: AbortHandle,
}

impl Shim {
    /// `over` completes when the right ends, with why; `last` is done when the client can be told.
    /// To be called on the runtime.
    ///
    /// # Errors
    /// The connection can't be taken off the runtime.
    pub(crate) fn new(
        stream: tokio::net::UnixStream,
        over: impl Future<Output = Problem> + Send + 'static,
        last: impl FnOnce() + Send + 'static,
    ) -> Result<Shim, Problem> {
        let stream = stream.into_std();
        let stream = Arc::new(stream.map_err(|e| {
            let why = format!("the connection to the agent's shim: {e}");
            Problem::new(Code::Failed, why, "try again")
        })?);
        let said = Arc::new(OnceLock::new());
        let (connection, say) = (stream.clone(), said.clone());
        let watch = tokio::spawn(async move {
            drop(say.set(over.await));
            // Wakes the thread; the shim has nothing to do with this client any more either way.
            drop(connection.shutdown(Shutdown::Both));
            last();
        });
        Ok(Shim {
            stream,
            over: said,
            watch: watch.abort_handle(),
        })
    }

    fn is_over(&self) -> bool {
        self.over.get().is_some()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.watch.abort();
        // The watch holds the connection until the runtime gets to it.
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// What a client says first; `None`: nothing in time.
pub(crate) fn first_message(client: &mut Client, patience: Duration) -> Option<Message> {
    let until = Instant::now() + patience;
    loop {
        let left = until.checked_duration_since(Instant::now())?;
        client.get_mut().turn();
        match client.read() {
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(message) => return Some(message),
            Err(error) => {
                blocked(Err(error)).ok()?;
                let mut fds = [PollFd::new(client.get_ref(), PollFlags::IN)];
                match poll(&mut fds, Some(&timespec(left))) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(_) => return None,
                }
            }
        }
    }
}

/// Copies until either side ends, or the right to it. `hello` is what the client is told first.
pub(crate) fn run(client: Client, shim: &Shim, role: Role, hello: Option<Message>) {
    if let Err(error) = Copying::new(client, shim, role).all(hello) {
        tracing::debug!(%error, "a client's connection broke");
    }
}

/// Both directions, and how far each is.
struct Copying<'a> {
    client: Client,
    /// It may have something. One reading of its connection can be more than one message.
    client_has: bool,
    /// Its connection is shut; what came before is still to be read.
    client_gone: bool,
    /// Something for it waits for room.
    unsent: bool,
    shim: &'a Shim,
    shim_has: bool,
    shim_gone: bool,
    /// What is read of the shim, and the frame of it that is not whole yet.
    read: Vec<u8>,
    down: Vec<u8>,
    /// For the shim, and how much of that it has.
    up: Vec<u8>,
    written: usize,
    /// The client is told no more, but for what is `unsent`.
    mute: bool,
    /// The shim takes no more. The client has yet to read what it said last.
    deaf: bool,
    /// When the client must have closed.
    closes: Option<Instant>,
    role: Role,
}

impl<'a> Copying<'a> {
    fn new(client: Client, shim: &'a Shim, role: Role) -> Copying<'a> {
        Copying {
            client,
            client_has: true,
            client_gone: false,
            unsent: false,
            shim,
            shim_has: false,
            shim_gone: false,
            read: Vec::with_capacity(READ_BYTES),
            down: Vec::new(),
            up: Vec::new(),
            written: 0,
            mute: false,
            deaf: false,
            closes: None,
            role,
        }
    }

    fn all(&mut self, hello: Option<Message>) -> Result<(), Error> {
        self.say(hello)?;
        loop {
            let quiet = self.wait()?;
            if let Err(error) = self.down(quiet) {
                // What the client sent before it went is still taken.
                tracing::debug!(%error, "a client is told no more");
                (self.mute, self.unsent) = (true, false);
            }
            // Who still has something to read may take its time, but not when the right has ended.
            if self.mute && (!self.unsent || self.shim.is_over()) {
                self.closes.get_or_insert(Instant::now() + CLOSE_WAIT);
            }
            if !self.up()? || self.closes.is_some_and(|at| at <= Instant::now()) {
                return Ok(());
            }
        }
    }

    /// Until there is something to do; whether nobody said anything for long.
    fn wait(&mut self) -> io::Result<bool> {
        let takes = self.written == self.up.len();
        let timeout = if self.client_has && takes {
            Duration::ZERO
        } else if let Some(at) = self.closes {
            at.saturating_duration_since(Instant::now())
        } else if self.shim_gone {
            LOOK_EVERY
        } else {
            PING_EVERY
        };
        let client = flags(takes && !self.client_has, self.unsent);
        let shim = flags(!self.unsent && !self.mute, !takes);
        // poll(2) tells of a connection that is shut whether that is asked or not, over and over.
        let begin = usize::from(self.client_gone && client.is_empty());
        let end = 2 - usize::from(self.shim_gone && shim.is_empty());
        let mut fds = [
            PollFd::new(self.client.get_ref(), client),
            PollFd::new(&*self.shim.stream, shim),
        ];
        let woken = match poll(&mut fds[begin..end], Some(&timespec(timeout))) {
            Err(Errno::INTR) => return Ok(false),
            woken => woken?,
        };
        let [client, shim] = fds.map(|fd| fd.revents());
        self.client_has |= client.intersects(READABLE);
        self.client_gone |= client.intersects(GONE);
        self.shim_has |= shim.intersects(READABLE);
        self.shim_gone |= shim.intersects(GONE);
        Ok(woken == 0 && timeout == PING_EVERY)
    }

    /// Shim to client.
    fn down(&mut self, quiet: bool) -> Result<(), Error> {
        if self.unsent {
            // The first makes room for a pong that there was none for, the second sends it.
            self.unsent = blocked(self.client.flush())? || blocked(self.client.flush())?;
        }
        if self.mute {
            return Ok(());
        }
        if self.shim.is_over() {
            return self.goodbye();
        }
        if quiet && !self.unsent {
            self.say([Message::Ping(Bytes::new())])?;
        }
        if self.unsent || !std::mem::take(&mut self.shim_has) {
            return Ok(());
        }
        self.read.clear();
        match rustix::io::read(&*self.shim.stream, spare_capacity(&mut self.read)) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            // One that is killed leaves a reset where something was still to be read.
            Ok(0) | Err(_) => self.goodbye(),
            Ok(_) => self.pass(),
        }
    }

    /// Passes on the frames that are whole.
    fn pass(&mut self) -> Result<(), Error> {
        self.down.extend_from_slice(&self.read);
        let mut passed = 0;
        while let Some(frame) = first_frame(&self.down[passed..])? {
            passed += 4 + frame.len();
            let message = Message::Binary(Bytes::copy_from_slice(frame));
            blocked(self.client.write(message))?;
        }
        self.down.drain(..passed);
        if self.down.is_empty() {
            self.down.shrink_to(READ_BYTES);
        }
        self.say(None)
    }

    /// The shim has ended, or the right: the client hears which, and what it sends is nothing any
    /// more. Closing while something of it is unread would reset the connection, and take what it
    /// has not read yet with it.
    fn goodbye(&mut self) -> Result<(), Error> {
        self.mute = true;
        let told = self.shim.over.get().map(|problem| {
            self.deaf = true;
            self.role.told(problem)
        });
        self.say(told.into_iter().chain([Message::Close(None)]))
    }

    /// Writes to the client, and keeps what there is no room for.
    fn say(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), Error> {
        for message in messages {
            blocked(self.client.write(message))?;
        }
        self.unsent = blocked(self.client.flush())?;
        Ok(())
    }

    /// Client to shim, one message; `false`: the client has said goodbye.
    fn up(&mut self) -> Result<bool, Error> {
        self.write_up();
        if !self.client_has || self.written < self.up.len() {
            return Ok(true);
        }
        self.client.get_mut().turn();
        let message = match self.client.read() {
            Ok(Message::Binary(message)) => message,
            Ok(Message::Ping(_)) => {
                self.unsent |= blocked(self.client.flush())?;
                return Ok(true);
            }
            Ok(Message::Close(_)) => {
                drop(self.client.flush());
                return Ok(false);
            }
            Ok(_) => return Ok(true),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(false),
            Err(error) => {
                self.client_has = !blocked(Err(error))?;
                return Ok(true);
            }
        };
        let frame = Frame::decode_message(&message).map_err(io::Error::other)?;
        let Some(frame) = frame else {
            return Ok(true);
        };
        if !self.role.may_send(&frame) {
            let why = "the client sent a frame that is not its to send";
            return Err(Error::Io(io::Error::other(why)));
        }
        encode(frame, &mut self.up);
        self.write_up();
        Ok(true)
    }

    fn write_up(&mut self) {
        while self.written < self.up.len() && !self.deaf {
            match (&*self.shim.stream).write(&self.up[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.deaf = true,
            }
        }
        self.up.clear();
        self.written = 0;
    }
}

const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR);
const READABLE: PollFlags = PollFlags::IN.union(GONE);

fn flags(read: bool, write: bool) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, read);
    flags.set(PollFlags::OUT, write);
    flags
}

fn timespec(time: Duration) -> Timespec {
    Timespec::try_from(time).expect("a minute at most")
}

/// Whether it was not done for want of room, or of something to read.
fn blocked(done: Result<(), Error>) -> Result<bool, Error> {
    match done {
        Ok(()) => Ok(false),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// The first whole frame of what was read, without its length.
fn first_frame(read: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some((head, rest)) = read.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length == 0 || length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!(
            "the shim sent a frame of {length} bytes"
        )));
    }
    Ok(rest.get(..length))
}

/// What a command is fed comes to the shim in pieces that it need not keep much of.
fn encode(frame: Frame, out: &mut Vec<u8>) {
    match frame {
        Frame::Stdin(bytes) if bytes.len() > STDIN_BYTES => {
            let pieces = bytes.chunks(STDIN_BYTES);
            pieces.for_each(|piece| Frame::Stdin(piece.to_vec()).encode(out));
        }
        frame => frame.encode(out),
    }
}
