//! A client that has asked for a WebSocket, taken off the runtime: read and written by one thread.
//!
//! Whoever types waits for each key, and what a task costs before it reads (a driver, a queue, a
//! scheduler, all of it cold after a pause) is more than the reading. See docs/adr/0038.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade as either;
use rustls::ServerConnection;
use tokio_rustls::server::TlsStream;
use tungstenite::handshake::server::create_response_with_body;
use tungstenite::protocol::{Role, WebSocketConfig};

use crate::problem::Failure;

/// Stack of a client's thread, which does nothing but pass frames on: one decodes in a few KiB, and
/// what is never touched takes no memory. What needs the daemon runs on the runtime.
const STACK_BYTES: usize = 256 * 1024;

/// How often a connection is read in one turn of its thread. tungstenite reads until it has a whole
/// message, and a message can have fragments without end.
const READS_PER_TURN: u32 = 16;

/// A client that speaks WebSocket, as its thread has it. It never blocks.
pub(crate) type Client = tungstenite::WebSocket<Wire>;

/// A request to speak WebSocket (RFC 6455, 4.2).
#[derive(Debug)]
pub(crate) struct Upgrade {
    answer: Response,
    on: OnUpgrade,
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Upgrade, Failure> {
        let request = axum::http::Request::from_parts(parts.clone(), ());
        let answer = create_response_with_body(&request, Body::empty)
            .map_err(|error| Failure::invalid(StatusCode::BAD_REQUEST, error.to_string()))?;
        let on = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
            let why = "this connection can't become a WebSocket";
            Failure::invalid(StatusCode::UPGRADE_REQUIRED, why)
        })?;
        Ok(Upgrade { answer, on })
    }
}

impl Upgrade {
    /// Answers; the client then has a thread of its own, which runs `talk`.
    pub(crate) fn talk(
        self,
        config: WebSocketConfig,
        talk: impl FnOnce(Client) + Send + 'static,
    ) -> Response {
        tokio::spawn(async move {
            let started = match self.on.await {
                Ok(upgraded) => start(upgraded, config, talk),
                Err(error) => Err(io::Error::other(error)),
            };
            if let Err(error) = started {
                tracing::warn!(%error, "a WebSocket could not be opened");
            }
        });
        self.answer
    }
}

fn start(
    upgraded: Upgraded,
    config: WebSocketConfig,
    talk: impl FnOnce(Client) + Send + 'static,
) -> io::Result<()> {
    let (wire, read) = Wire::of(upgraded)?;
    std::thread::Builder::new()
        .name("client".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let config = Some(config);
            talk(Client::from_partially_read(
                wire,
                read,
                Role::Server,
                config,
            ));
        })?;
    Ok(())
}

/// The bytes below a WebSocket.
#[derive(Debug)]
pub(crate) struct Wire {
    way: Way,
    reads_left: u32,
}

/// How a client came.
#[derive(Debug)]
pub(crate) enum Way {
    Tcp(TcpStream),
    Tls(Box<ServerConnection>, TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Of a connection that does not block.
    pub(crate) fn new(way: Way) -> Wire {
        Wire {
            way,
            reads_left: READS_PER_TURN,
        }
    }

    /// The connection itself, and what was read of it already.
    fn of(upgraded: Upgraded) -> io::Result<(Wire, Vec<u8>)> {
        let upgraded = match upgraded.downcast::<TokioIo<tokio::net::TcpStream>>() {
            Ok(parts) => {
                let way = Way::Tcp(parts.io.into_inner().into_std()?);
                return Ok((Wire::new(way), parts.read_buf.into()));
            }
            Err(other) => other,
        };
        let upgraded = match upgraded.downcast::<TokioIo<TlsStream<tokio::net::TcpStream>>>() {
            Ok(parts) => {
                let (tcp, tls) = parts.io.into_inner().into_inner();
                let way = Way::Tls(Box::new(tls), tcp.into_std()?);
                return Ok((Wire::new(way), parts.read_buf.into()));
            }
            Err(other) => other,
        };
        match either::downcast::<TokioIo<tokio::net::UnixStream>>(upgraded) {
            Ok(parts) => {
                let way = Way::Unix(parts.io.into_inner().into_std()?);
                Ok((Wire::new(way), parts.read_buf.into()))
            }
            Err(_) => Err(io::Error::other("it came by none of the ways there are")),
        }
    }

    /// Another turn of its thread: it may be read again.
    pub(crate) fn turn(&mut self) {
        self.reads_left = READS_PER_TURN;
    }

    /// There is nothing to be had in this turn, whatever there is: poll(2) will say so.
    fn takes_a_read(reads_left: &mut u32) -> io::Result<()> {
        *reads_left = reads_left
            .checked_sub(1)
            .ok_or(io::Error::from(ErrorKind::WouldBlock))?;
        Ok(())
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Tcp(tcp) | Way::Tls(_, tcp) => tcp.as_fd(),
            Way::Unix(unix) => unix.as_fd(),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &mut self.reads_left;
        match &mut self.way {
            Way::Tcp(tcp) => Wire::takes_a_read(left).and_then(|()| tcp.read(buffer)),
            Way::Unix(unix) => Wire::takes_a_read(left).and_then(|()| unix.read(buffer)),
            Way::Tls(tls, tcp) => loop {
                match tls.reader().read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    read => return read,
                }
                Wire::takes_a_read(left)?;
                // An end without a goodbye is for the reader to judge.
                tls.read_tls(tcp)?;
                if let Err(error) = tls.process_new_packets() {
                    // The other side is told what it did, if there is room.
                    drop(tls.write_tls(tcp));
                    return Err(io::Error::other(error));
                }
            },
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (tls, tcp) = match &mut self.way {
            Way::Tcp(tcp) => return tcp.write(bytes),
            Way::Unix(unix) => return unix.write(bytes),
            Way::Tls(tls, tcp) => (tls, tcp),
        };
        let taken = loop {
            match tls.writer().write(bytes)? {
                // It keeps a bounded amount.
                0 if !bytes.is_empty() => tls.write_tls(tcp)?,
                taken => break taken,
            };
        };
        // At once as far as there is room: tungstenite does not flush the last it says.
        match tls.write_tls(tcp) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Way::Tls(tls, tcp) = &mut self.way {
            while tls.wants_write() {
                tls.write_tls(tcp)?;
            }
        }
        Ok(())
    }
}
