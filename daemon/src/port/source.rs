//! Sockets made in an agent's network namespace.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;

/// Sockets asked for at once: a browser opens six connections to a page, and a question to the
/// broker costs more than an idle socket.
const CACHE_MAX: u8 = 8;

/// The broker answers in a millisecond; longer than this, and it is gone.
const REFILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A program that listens accepts at once; only a full backlog makes this wait.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Refilled = Pin<Box<dyn Future<Output = io::Result<Vec<OwnedFd>>> + Send>>;

/// Unconnected sockets of one namespace; cheap to clone.
///
/// They keep the namespace alive and reach it wherever it goes: drop the source when its sandbox
/// ends, and make a new one for the next.
#[derive(Clone)]
pub struct SocketSource {
    inner: Arc<Inner>,
}

struct Inner {
    refill: Box<dyn Fn(u8) -> Refilled + Send + Sync>,
    cache: Mutex<Vec<OwnedFd>>,
}

impl fmt::Debug for SocketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketSource").finish_non_exhaustive()
    }
}

impl SocketSource {
    /// Takes sockets from `refill`, which is asked for a number of them. They may be of IPv6,
    /// which reaches both families, or of IPv4 where the host has no other.
    pub fn new<R, F>(refill: R) -> SocketSource
    where
        R: Fn(u8) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Vec<OwnedFd>>> + Send + 'static,
    {
        SocketSource {
            inner: Arc::new(Inner {
                refill: Box::new(move |count| Box::pin(refill(count))),
                cache: Mutex::new(Vec::new()),
            }),
        }
    }

    /// One socket, unconnected and non-blocking.
    ///
    /// # Errors
    /// The cache is empty and the broker does not give more.
    pub async fn take(&self) -> io::Result<TcpSocket> {
        let mut cache = self.inner.cache.lock().await;
        if cache.is_empty() {
            let refill = (self.inner.refill)(CACHE_MAX);
            *cache = tokio::time::timeout(REFILL_TIMEOUT, refill).await??;
        }
        let socket = cache.pop();
        drop(cache);
        let socket = socket.ok_or_else(|| io::Error::other("the broker gave no socket"))?;
        // A socket of any state may travel as a stream; nothing is read or written before connect.
        let socket = StdStream::from(socket);
        socket.set_nonblocking(true)?;
        Ok(TcpSocket::from_std_stream(socket))
    }

    /// Connects to a port inside: 127.0.0.1 first, then ::1.
    ///
    /// # Errors
    /// Nothing listens there, nothing accepts, or there is no socket.
    pub async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let connect = async {
            let socket = self.take().await?;
            if socket.local_addr()?.is_ipv4() {
                return socket.connect((Ipv4Addr::LOCALHOST, port).into()).await;
            }
            let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
            match socket.connect(SocketAddr::from((mapped, port))).await {
                Ok(stream) => Ok(stream),
                Err(_refused) => {
                    let socket = self.take().await?;
                    socket.connect((Ipv6Addr::LOCALHOST, port).into()).await
                }
            }
        };
        let stream: TcpStream = tokio::time::timeout(CONNECT_TIMEOUT, connect).await??;
        // Keystrokes and hot reloads are small writes.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Sockets of our own namespace, and how often they were asked for.
    pub(crate) fn local(v6: bool) -> (SocketSource, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let source = SocketSource::new(move |count| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                let make = |_| {
                    let socket = if v6 {
                        TcpSocket::new_v6()
                    } else {
                        TcpSocket::new_v4()
                    }?;
                    socket.as_fd().try_clone_to_owned()
                };
                (0..count).map(make).collect()
            }
        });
        (source, asked)
    }

    /// [`local`] without the count.
    pub(crate) fn local_sockets() -> SocketSource {
        local(true).0
    }

    #[tokio::test]
    async fn reaches_both_families_and_asks_once_for_many() {
        for (v6, address) in [
            (false, "127.0.0.1:0"),
            (true, "127.0.0.1:0"),
            (true, "[::1]:0"),
        ] {
            let (source, asked) = local(v6);
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .expect("loopback");
            let port = listener.local_addr().expect("bound").port();
            for _ in 0..4 {
                source.connect(port).await.expect("someone listens");
            }
            assert_eq!(asked.load(Ordering::Relaxed), 1, "{address}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        for v6 in [false, true] {
            let error = local(v6).0.connect(port).await.expect_err("nobody listens");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn a_broker_without_sockets_is_an_error() {
        let source = SocketSource::new(|_| async { Ok(Vec::new()) });
        let error = source.take().await.expect_err("none");
        assert_eq!(error.to_string(), "the broker gave no socket");
    }
}
