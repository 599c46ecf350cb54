//! Bytes both ways, counted, until one side ends it, nothing passes for long, or the policy changes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::agent::{Shared, shown};
use super::copy;
use crate::policy::Ask;

/// How long a tunnel may be silent: longer than any server waits for its client.
const IDLE: Duration = Duration::from_secs(3600);
/// How often that is looked at, and what passed is told.
const LOOK: Duration = Duration::from_secs(5);

/// Carries a connection that was allowed; `early` was read from the client already.
pub(super) async fn carry(
    shared: &Shared,
    ask: &Ask,
    client: TcpStream,
    early: Bytes,
    mut server: TcpStream,
) {
    let target = shown(ask);
    shared.allowed(&target);
    let count = Count::default();
    let mut told = Told::new(shared, &target, &count);
    let address = server.peer_addr().ok().map(|peer| peer.ip().to_canonical());
    let work = async {
        server.write_all(&early).await?;
        add(&count.sent, early.len());
        drop(early);
        tokio::try_join!(
            copy::one_way(&client, &server, |length| add(&count.sent, length)),
            copy::one_way(&server, &client, |length| add(&count.received, length)),
        )
    };
    let result: io::Result<()> = tokio::select! {
        done = work => done.map(drop),
        () = shared.forbidden(ask, address) => Err(io::ErrorKind::PermissionDenied.into()),
        () = told.until_idle() => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = result {
        tracing::debug!(target, %error, "a tunnel ended");
    }
}

/// Tells the agent's numbers of what passed, while it passes and when it ends, however it does.
pub(super) struct Told<'a> {
    shared: &'a Shared,
    target: &'a str,
    count: &'a Count,
    before: (u64, u64),
}

impl<'a> Told<'a> {
    pub(super) fn new(shared: &'a Shared, target: &'a str, count: &'a Count) -> Told<'a> {
        Told {
            shared,
            target,
            count,
            before: (0, 0),
        }
    }

    /// True if something passed since it was told last.
    fn tell(&mut self) -> bool {
        let (now, before) = (self.count.both(), self.before);
        self.before = now;
        if now != before {
            let (sent, received) = (now.0 - before.0, now.1 - before.1);
            self.shared.passed(self.target, sent, received);
        }
        now != before
    }

    /// Ends when nothing passed for long.
    pub(super) async fn until_idle(&mut self) {
        let mut since = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            if self.tell() {
                since = tokio::time::Instant::now();
            } else if since.elapsed() >= IDLE {
                return;
            }
        }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Bytes that passed.
#[derive(Debug, Default)]
pub(super) struct Count {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Count {
    pub(super) fn both(&self) -> (u64, u64) {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (of(&self.sent), of(&self.received))
    }
}

/// A stream to a server whose bytes are counted.
pub(super) struct Counted<S> {
    stream: S,
    count: Arc<Count>,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, count: &Arc<Count>) -> Counted<S> {
        let count = Arc::clone(count);
        Counted { stream, count }
    }
}

fn add(number: &AtomicU64, length: usize) {
    number.fetch_add(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        add(&self.count.received, buffer.filled().len() - before);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = polled {
            add(&self.count.sent, length);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
