//! Who is at the other end of the socket: peer credentials, and how many connections each may hold.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{UnixListener, UnixStream};
use wsm_daemon::account;

use crate::net::bounds::Face;

/// Connections per user at once. Each attached viewer holds one; a user with 250 agents open on
/// every screen fits, and four hostile users don't exhaust the daemon's 1,024 descriptors.
pub(crate) const CONNECTIONS_PER_UID_MAX: usize = 256;

/// Pause after a failed accept, so that a lack of descriptors does not burn the CPU.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The peer of one connection; its place is free again when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) origin: Origin,
    _place: Arc<dyn std::any::Any + Send + Sync>,
}

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The Unix socket.
    Local {
        /// Unix uid, as the kernel says.
        uid: u32,
        /// Name of the account.
        user: Arc<str>,
    },
    /// The network.
    Net {
        /// The other end: a client, or a proxy.
        address: SocketAddr,
        /// What the listener knows of it.
        face: Arc<Face>,
    },
}

impl Peer {
    /// Keeps `place` as long as anything of the connection lives.
    pub(crate) fn new(origin: Origin, place: impl Send + Sync + 'static) -> Peer {
        Peer {
            origin,
            _place: Arc::new(place),
        }
    }
}

type Counts = Arc<Mutex<HashMap<u32, usize>>>;

/// One connection of a user, counted.
#[derive(Debug)]
struct Place {
    uid: u32,
    counts: Counts,
}

impl Place {
    fn take(uid: u32, counts: &Counts) -> Option<Place> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(uid).or_default();
        if *count >= CONNECTIONS_PER_UID_MAX {
            return None;
        }
        *count += 1;
        Some(Place {
            uid,
            counts: counts.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.uid);
            }
        }
    }
}

/// The listener, with the peer in place of an address.
#[derive(Debug)]
pub(crate) struct Door {
    listener: UnixListener,
    counts: Counts,
}

impl Door {
    pub(crate) fn new(listener: UnixListener) -> Door {
        Door {
            listener,
            counts: Counts::default(),
        }
    }

    fn admit(&self, stream: &UnixStream) -> io::Result<Peer> {
        let uid = stream.peer_cred()?.uid();
        let place = Place::take(uid, &self.counts)
            .ok_or_else(|| io::Error::other(format!("too many connections of uid {uid}")))?;
        let user = account::name(uid).into();
        Ok(Peer::new(Origin::Local { uid, user }, place))
    }
}

impl Listener for Door {
    type Io = UnixStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (UnixStream, Peer) {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            match self.admit(&stream) {
                Ok(peer) => return (stream, peer),
                Err(error) => tracing::warn!(%error, "a connection was closed at once"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Peer {
        stream.remote_addr().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let counts = Counts::default();
        let mut held: Vec<_> = (0..CONNECTIONS_PER_UID_MAX)
            .map(|_| Place::take(5, &counts).expect("within the bound"))
            .collect();
        assert!(Place::take(5, &counts).is_none());
        assert!(Place::take(6, &counts).is_some());
        held.pop();
        assert!(Place::take(5, &counts).is_some());
        held.clear();
        assert!(counts.lock().unwrap().is_empty());
    }
}
