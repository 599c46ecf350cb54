//! The client of one agent's shim: requests, events, and raw connections for viewers and streams.
//!
//! One connection carries every request of the driver, told apart by number. A task of its own
//! writes and another reads, so a request that is dropped half-way leaves no half frame behind.
//! Viewers and streams get connections of their own ([`raw`]), as the protocol asks.

mod run;

#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::{
    Event, FRAME_BYTES_MAX, Frame, FrameError, Hello, PROTOCOL_VERSION, Reply, Request,
};

pub(crate) use run::kill;
pub use run::{OUTPUT_BYTES_MAX, Output, RunError, run_to_end};
pub use wire::FrameReader;

/// A request is answered within this time: the shim never waits for a process, so a longer silence
/// means that it hangs or is frozen.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// From which [`Shim::speaks`] on what people type can be recorded.
pub const INPUTS: u32 = 5;
/// From which [`Shim::speaks`] on there are leases, presence and recordings.
pub const LEASES: u32 = 2;

/// From which on there are reports.
pub const REPORTS: u32 = 4;

/// Connecting and both hellos.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Events kept for a subscriber that is busy. One agent has a handful of processes, and most kinds
/// are limited to ten a second each; more than this means that listing again is cheaper.
pub const EVENTS_MAX: usize = 256;

/// Requests that may wait for the socket. The driver has few at once; the rest is back-pressure.
const WRITES_MAX: usize = 32;

/// Why a request to a shim failed.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// Nobody listens there.
    #[error("connect to the shim at {name}")]
    Connect {
        /// Name of its socket.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It speaks another version.
    #[error("the shim speaks version {theirs} of the protocol, this daemon {PROTOCOL_VERSION}")]
    Version {
        /// Its version.
        theirs: u32,
    },
    /// It sent something that is not the protocol.
    #[error("read from the shim")]
    Frame(#[from] FrameError),
    /// It sent another frame than the one that is due.
    #[error("the shim answered out of order ({0})")]
    Unexpected(&'static str),
    /// The connection broke.
    #[error("talk to the shim")]
    Io(#[from] io::Error),
    /// It is gone.
    #[error("the shim has closed the connection")]
    Closed,
    /// It did not answer in time.
    #[error("the shim did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The request does not fit into a frame.
    #[error("a request of {0} bytes is longer than the {FRAME_BYTES_MAX} that a shim takes")]
    TooLong(usize),
}

/// A connection to a shim; cheap to clone, closed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Shim {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    writes: mpsc::Sender<Vec<u8>>,
    number: AtomicU64,
    incarnation: u64,
    speaks: u32,
    directory: File,
    name: String,
    tasks: [AbortHandle; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the requests and the reading task both touch. The lock is held for map operations only.
#[derive(Debug)]
struct Shared {
    pending: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
    subscriber: Mutex<Option<mpsc::Sender<Event>>>,
    closed: watch::Sender<bool>,
}

impl Shared {
    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Reply>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriber(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Event>>> {
        self.subscriber
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.closed.send_replace(true);
        self.pending().clear();
        *self.subscriber() = None;
    }

    fn event(&self, event: Event) {
        let mut subscriber = self.subscriber();
        if let Some(sender) = subscriber.as_ref()
            && !offer(sender, event)
        {
            *subscriber = None;
        }
    }
}

/// Puts an event into a bounded queue whose last place is kept for [`Event::Missed`]: whoever reads
/// it lists again, which covers all that was dropped behind it. `false`: nobody listens any more.
fn offer(sender: &mpsc::Sender<Event>, event: Event) -> bool {
    let event = match sender.capacity() {
        0 => return !sender.is_closed(),
        1 => Event::Missed,
        _ => event,
    };
    !matches!(
        sender.try_send(event),
        Err(mpsc::error::TrySendError::Closed(_))
    )
}

/// Forgets a request whose caller is gone.
struct Awaited<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.shared.pending().remove(&self.number);
    }
}

impl Shim {
    /// Connects to the socket `name` in `directory` (by descriptor: the path limit is 107 bytes)
    /// and exchanges hellos.
    ///
    /// # Errors
    /// Nobody listens there, or it speaks another version.
    pub async fn connect(directory: &File, name: &str) -> Result<Shim, ShimError> {
        let (stream, hello) = raw(directory, name, None).await?;
        let (read, write) = stream.into_split();
        let (writes, queue) = mpsc::channel(WRITES_MAX);
        let shared = Arc::new(Shared {
            pending: Mutex::new(HashMap::new()),
            subscriber: Mutex::new(None),
            closed: watch::Sender::new(false),
        });
        let reader = tokio::spawn(read_all(FrameReader::new(read), Arc::clone(&shared)));
        let writer = tokio::spawn(write_all(write, queue, Arc::clone(&shared)));
        let inner = Inner {
            shared,
            writes,
            number: AtomicU64::new(1),
            incarnation: hello.incarnation,
            speaks: hello.speaks.max(1),
            directory: directory.try_clone()?,
            name: name.to_owned(),
            tasks: [reader.abort_handle(), writer.abort_handle()],
        };
        Ok(Shim {
            inner: Arc::new(inner),
        })
    }

    /// Which incarnation of the shim this is: sequence numbers compare only within one.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.inner.incarnation
    }

    /// Newest additions to the protocol that it knows; it may be older than this daemon.
    #[must_use]
    pub fn speaks(&self) -> u32 {
        self.inner.speaks
    }

    /// Asks, and waits for the answer at most [`REQUEST_TIMEOUT`]. Dropping the future is safe; the
    /// shim may have taken the request all the same.
    ///
    /// # Errors
    /// The connection is gone or the answer late. A refusal by the shim is a [`Reply`].
    pub async fn request(&self, request: Request) -> Result<Reply, ShimError> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request))
            .await
            .unwrap_or(Err(ShimError::TimedOut(REQUEST_TIMEOUT)))
    }

    async fn exchange(&self, request: Request) -> Result<Reply, ShimError> {
        let act = crate::fault::act("shim", &request);
        let shared = &*self.inner.shared;
        let number = self.inner.number.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::new();
        Frame::Request(number, request).encode(&mut bytes);
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(ShimError::TooLong(bytes.len()));
        }
        let (sender, receiver) = oneshot::channel();
        shared.pending().insert(number, sender);
        let _awaited = Awaited { shared, number };
        // Looked at after the insertion: `close` empties the map after it has said so.
        if *shared.closed.borrow() {
            return Err(ShimError::Closed);
        }
        let sent = self.inner.writes.send(bytes).await;
        sent.map_err(|_| ShimError::Closed)?;
        let reply = receiver.await.map_err(|_| ShimError::Closed);
        act.done();
        reply
    }

    /// Events from now on. The queue holds [`EVENTS_MAX`]; [`Event::Missed`] stands where some were
    /// dropped, and the queue ends with the connection. A later subscriber replaces this one.
    ///
    /// # Errors
    /// As for [`Shim::request`].
    pub async fn subscribe(&self) -> Result<mpsc::Receiver<Event>, ShimError> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        *self.inner.shared.subscriber() = Some(sender);
        if *self.inner.shared.closed.borrow() {
            return Err(ShimError::Closed);
        }
        match self.request(Request::Subscribe).await? {
            Reply::Done => Ok(receiver),
            _ => Err(ShimError::Unexpected("subscribe")),
        }
    }

    /// Returns when the connection is gone: the shim died, or broke the protocol.
    pub async fn closed(&self) {
        let mut closed = self.inner.shared.closed.subscribe();
        // An error would mean that the sender is gone, and we hold it.
        let _gone = closed.wait_for(|closed| *closed).await;
    }

    /// A connection of its own to the same shim, for a viewer or a stream.
    ///
    /// # Errors
    /// As for [`raw`].
    pub async fn raw(&self) -> Result<(UnixStream, Hello), ShimError> {
        raw(&self.inner.directory, &self.inner.name, None).await
    }

    /// The same for somebody: the shim holds it to the ticket.
    ///
    /// # Errors
    /// As for [`raw`].
    pub async fn raw_with(&self, ticket: String) -> Result<(UnixStream, Hello), ShimError> {
        raw(&self.inner.directory, &self.inner.name, Some(ticket)).await
    }
}

/// Connects, exchanges hellos, and hands over the stream with the shim's hello. Nothing that came
/// after the hello was read.
///
/// # Errors
/// Nobody listens there, or it speaks another version.
pub async fn raw(
    directory: &File,
    name: &str,
    ticket: Option<String>,
) -> Result<(UnixStream, Hello), ShimError> {
    tokio::time::timeout(CONNECT_TIMEOUT, wire::greet(directory, name, ticket))
        .await
        .unwrap_or(Err(ShimError::TimedOut(CONNECT_TIMEOUT)))
}

async fn read_all(mut frames: FrameReader<OwnedReadHalf>, shared: Arc<Shared>) {
    loop {
        match frames.next().await {
            Ok(Some(Frame::Reply(number, reply))) => {
                let waiting = shared.pending().remove(&number);
                if let Some(waiting) = waiting {
                    // The caller may have left in this instant: nobody wants the answer then.
                    let _unwanted = waiting.send(reply);
                }
            }
            Ok(Some(Frame::Event(event))) => shared.event(event),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "the connection to a shim broke");
                break;
            }
        }
    }
    shared.close();
}

async fn write_all(
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Vec<u8>>,
    shared: Arc<Shared>,
) {
    while let Some(bytes) = queue.recv().await {
        if write.write_all(&bytes).await.is_err() {
            break;
        }
    }
    shared.close();
}

/// What a person is told of it.
pub(crate) fn shim_problem(error: &ShimError) -> Problem {
    Problem::new(
        Code::Failed,
        format!("reach the shim: {error}"),
        "see `wsm explain`",
    )
}

/// The same of an answer that is none.
pub(crate) fn odd(reply: &Reply) -> Problem {
    Problem::new(
        Code::Failed,
        format!("the shim answered something else: {reply:?}"),
        "",
    )
}
