//! Ways to a daemon: its socket on this machine, or whatever a caller dials.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use super::{ClientError, Result, SOCKET_NAME};

/// `O_PATH` of Linux: the directory need not be readable, only passable.
const O_PATH: i32 = 0o10_000_000;

/// What [`Dial::dial`] and [`Dial::complaint`] promise.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to a daemon on another machine. One connection carries one request.
pub trait Dial: Debug + Send + Sync {
    /// A new connection.
    fn dial(&self) -> Promise<'_, io::Result<Connection>>;

    /// For people: the daemon's address as they gave it.
    fn address(&self) -> &str;

    /// The `Host` header.
    fn host(&self) -> &str {
        "wsm"
    }

    /// A token that says who asks.
    fn bearer(&self) -> Option<&str> {
        None
    }

    /// A directory on this machine with sockets that lead to those of the other.
    fn run_dir(&self) -> Option<&Path> {
        None
    }

    /// What the way itself has to say about a connection that broke.
    fn complaint(&self) -> Promise<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }
}

/// Bytes both ways.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a daemon, whatever lies beneath.
pub struct Connection(Box<dyn Stream>);

impl Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Over a stream.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Connection {
        Connection(Box::new(stream))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// Where the daemon is.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Its socket lies in this directory.
    Here(PathBuf),
    /// Elsewhere.
    There(Arc<dyn Dial>),
}

impl Way {
    pub(super) async fn connect(&self) -> Result<Connection> {
        let connected = match self {
            Way::Here(run) => here(run).await.map(Connection::new),
            Way::There(dial) => dial.dial().await,
        };
        connected.map_err(|source| ClientError::Unreachable {
            place: self.to_string(),
            source,
        })
    }

    pub(super) fn host(&self) -> &str {
        match self {
            Way::Here(_) => "wsm",
            Way::There(dial) => dial.host(),
        }
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        match self {
            Way::Here(_) => None,
            Way::There(dial) => dial.bearer(),
        }
    }

    pub(super) async fn complaint(&self) -> Option<String> {
        match self {
            Way::Here(_) => None,
            Way::There(dial) => dial.complaint().await,
        }
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Way::Here(run) => write!(f, "in {}", run.display()),
            Way::There(dial) => write!(f, "at {}", dial.address()),
        }
    }
}

/// Through a descriptor of the directory, whose own path may be longer than the 107 bytes of a
/// socket address.
async fn here(run: &Path) -> io::Result<UnixStream> {
    let run = std::fs::File::options()
        .read(true)
        .custom_flags(O_PATH)
        .open(run)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET_NAME}", run.as_raw_fd())).await
}
