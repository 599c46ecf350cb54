//! Carrying connections from a leased host port to a port inside.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::SocketSource;

/// Connections of one port at a time. Each has two descriptors and two buffers here; a page with
/// hot reload uses about ten. More wait in the kernel's backlog.
pub const CONNECTIONS_MAX: usize = 256;

/// Buffer of one direction.
const COPY_BYTES: usize = 16 * 1024;

/// Pause after a failed accept: without descriptors, every try fails at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running forward. Dropping it closes the port and every connection through it, soon; before
/// the port is leased again, await [`Forward::close`].
#[derive(Debug)]
pub struct Forward {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Forward {
    /// Accepts on `listeners` (of [`super::Leased`]) and connects each to `inside`; at most
    /// `connections_max` at a time.
    ///
    /// # Errors
    /// The runtime can't take the listeners.
    pub fn spawn(
        listeners: Vec<StdListener>,
        inside: u16,
        sockets: &SocketSource,
        connections_max: usize,
    ) -> io::Result<Forward> {
        let places = Arc::new(Semaphore::new(connections_max));
        let listeners: Vec<TcpListener> = listeners
            .into_iter()
            .map(TcpListener::from_std)
            .collect::<io::Result<_>>()?;
        let spawn = |listener| {
            let accepting = accept_all(listener, inside, sockets.clone(), Arc::clone(&places));
            tokio::spawn(accepting)
        };
        Ok(Forward {
            tasks: listeners.into_iter().map(spawn).collect(),
        })
    }

    /// Gives the port back before it returns, and ends every connection.
    pub async fn close(mut self) {
        for task in &mut self.tasks {
            task.abort();
            // The only error is that it was cancelled, which is what was asked for.
            let _cancelled = task.await;
        }
    }
}

/// Its connections live in its own set, so that they end with it.
async fn accept_all(
    listener: TcpListener,
    inside: u16,
    sockets: SocketSource,
    places: Arc<Semaphore>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let sockets = sockets.clone();
                connections.spawn(async move {
                    carry(client, inside, &sockets).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, inside, "a connection to a leased port was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Copies both ways until both sides have ended; the end of one side is passed on by itself.
async fn carry(mut client: TcpStream, inside: u16, sockets: &SocketSource) {
    let mut server = match sockets.connect(inside).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%error, inside, "nothing answers inside");
            return reset(&client);
        }
    };
    let copied = async {
        client.set_nodelay(true)?;
        tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, COPY_BYTES, COPY_BYTES)
            .await
    };
    if let Err(error) = copied.await {
        tracing::debug!(%error, inside, "a forwarded connection broke");
        reset(&client);
        reset(&server);
    }
}

/// Lets the peer see a reset instead of an end: nothing was said, or not all of it.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection ends instead of being reset");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::super::source::tests::local;
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    struct Scene {
        inside: TcpListener,
        outside: std::net::SocketAddr,
        forward: Forward,
    }

    async fn scene(connections_max: usize) -> Scene {
        let inside = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = inside.local_addr().expect("bound").port();
        let listener = StdListener::bind("127.0.0.1:0").expect("loopback");
        listener.set_nonblocking(true).expect("a socket");
        let outside = listener.local_addr().expect("bound");
        let (sockets, _) = local(true);
        let forward =
            Forward::spawn(vec![listener], port, &sockets, connections_max).expect("a runtime");
        Scene {
            inside,
            outside,
            forward,
        }
    }

    #[tokio::test]
    async fn carries_both_ways_and_passes_half_closes_on() {
        let scene = scene(4).await;
        let mut client = TcpStream::connect(scene.outside).await.expect("leased");
        let (mut server, _) = timeout(DEADLINE, scene.inside.accept())
            .await
            .expect("in time")
            .expect("connected");
        let sent = vec![7; 300_000];
        let (mut read, mut write) = client.split();
        let upload = async {
            write.write_all(&sent).await.expect("open");
            write.shutdown().await.expect("open");
        };
        let mut received = Vec::new();
        let (_, count) = tokio::join!(upload, server.read_to_end(&mut received));
        assert_eq!(count.expect("ended"), sent.len());
        server
            .write_all(b"after your end")
            .await
            .expect("half open");
        drop(server);
        let mut answer = String::new();
        read.read_to_string(&mut answer).await.expect("ended");
        assert_eq!(answer, "after your end");
    }

    #[tokio::test]
    async fn nothing_inside_resets_at_once() {
        let scene = scene(4).await;
        drop(scene.inside);
        let mut client = TcpStream::connect(scene.outside).await.expect("leased");
        let mut byte = [0];
        let read = timeout(DEADLINE, client.read(&mut byte))
            .await
            .expect("in time");
        assert_eq!(
            read.expect_err("reset").kind(),
            io::ErrorKind::ConnectionReset
        );
    }

    #[tokio::test]
    async fn connections_are_bounded_and_the_rest_waits() {
        let scene = scene(1).await;
        let first = TcpStream::connect(scene.outside).await.expect("leased");
        let (server, _) = scene.inside.accept().await.expect("connected");
        let mut second = TcpStream::connect(scene.outside)
            .await
            .expect("in the backlog");
        second.write_all(b"x").await.expect("in the backlog");
        let early = timeout(Duration::from_millis(100), scene.inside.accept()).await;
        assert!(early.is_err(), "only one at a time");
        drop((first, server));
        timeout(DEADLINE, scene.inside.accept())
            .await
            .expect("in time")
            .expect("the second has its turn");
    }

    #[tokio::test]
    async fn closing_it_gives_the_port_back_at_once() {
        for _ in 0..20 {
            let scene = scene(4).await;
            let _client = TcpStream::connect(scene.outside).await.expect("leased");
            scene.inside.accept().await.expect("connected");
            scene.forward.close().await;
            StdListener::bind(scene.outside).expect("free again");
        }
    }

    #[tokio::test]
    async fn dropping_it_closes_the_port_and_its_connections() {
        let scene = scene(4).await;
        let mut client = TcpStream::connect(scene.outside).await.expect("leased");
        let (mut server, _) = scene.inside.accept().await.expect("connected");
        drop(scene.forward);
        let mut byte = [0];
        for stream in [&mut client, &mut server] {
            let read = timeout(DEADLINE, stream.read(&mut byte))
                .await
                .expect("in time");
            assert!(matches!(read, Ok(0) | Err(_)));
        }
        TcpStream::connect(scene.outside)
            .await
            .expect_err("the port is given back");
    }
}
