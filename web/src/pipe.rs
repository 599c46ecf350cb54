//! Copies frames between a WebSocket and a shim.
//!
//! A frame is a binary message on one side and `u32` length + frame on the other. Nothing is
//! queued: each side is read only when what was read last is written, so that a slow viewer
//! meets the shim's credit and costs nothing here.

use std::io;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use wsm_api::problem::Problem;
use wsm_terminal::protocol::{FRAME_BYTES_MAX, Frame, VIEWER_FRAME_BYTES_MAX};

/// Read from the shim at once, at least.
const READ_BYTES: usize = 64 * 1024;

/// What a command is fed at once, at most.
const STDIN_BYTES: usize = 64 * 1024;

/// How often a quiet client is pinged, so that a half-dead connection is noticed.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a client may take to answer the closing handshake.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// What the client is to the shim; it may send no other frames than this role has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Watches a terminal and types.
    Viewer,
    /// Feeds one command.
    Stream,
}

impl Role {
    /// Longest frame of the client.
    pub(crate) fn frame_bytes_max(self) -> usize {
        match self {
            Role::Viewer => VIEWER_FRAME_BYTES_MAX,
            Role::Stream => FRAME_BYTES_MAX,
        }
    }

    /// Read from the client at once. tungstenite writes zeros over so much before each read: the
    /// 128 KiB that it would take are work for each key, and memory for each viewer.
    pub(crate) fn read_bytes(self) -> usize {
        match self {
            Role::Viewer => 4 * 1024,
            Role::Stream => STDIN_BYTES,
        }
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
}

/// Why the copying ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// One side did.
    Closed,
    /// The client's right to it.
    Over,
}

/// Copies until either side ends, or the right to it: `over` says so then, and why.
pub(crate) async fn run(
    socket: WebSocket,
    shim: UnixStream,
    role: Role,
    over: impl Future<Output = Problem>,
) -> End {
    let (mut sink, stream) = socket.split();
    let (read, write) = shim.into_split();
    let problem = {
        let mut down = std::pin::pin!(down(read, &mut sink));
        let mut up = std::pin::pin!(up(stream, write, role));
        let ended = tokio::select! {
            // What is over is over, whatever else there is.
            biased;
            problem = over => Err(problem),
            ended = &mut down => {
                // Closing while something of the client is unread would reset the connection, and
                // take what it has not read yet with it.
                drop(tokio::time::timeout(CLOSE_WAIT, up).await);
                Ok(ended)
            }
            ended = &mut up => Ok(ended),
        };
        match ended {
            Ok(ended) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a viewer's connection broke");
                }
                return End::Closed;
            }
            Err(problem) => problem,
        }
    };
    // A client that does not read is closed without a word.
    let told = tokio::time::timeout(CLOSE_WAIT, tell(&mut sink, role, &problem));
    if !matches!(told.await, Ok(Ok(()))) {
        tracing::debug!("a client was closed that does not read");
    }
    End::Over
}

/// Says why this is the end, as the role hears it.
async fn tell(
    client: &mut SplitSink<WebSocket, Message>,
    role: Role,
    problem: &Problem,
) -> Result<(), axum::Error> {
    let message = match role {
        Role::Viewer => {
            let reason = problem.message.clone();
            Message::Binary(Frame::Refused { reason }.encode_message().into())
        }
        Role::Stream => {
            let text = serde_json::to_string(problem).expect("a problem serializes");
            Message::Text(text.into())
        }
    };
    client.send(message).await?;
    client.close().await
}

/// Shim to client.
async fn down(
    mut shim: OwnedReadHalf,
    client: &mut SplitSink<WebSocket, Message>,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        buffer.reserve(READ_BYTES);
        let read = tokio::time::timeout(PING_EVERY, shim.read_buf(&mut buffer)).await;
        match read {
            Ok(Ok(0)) => return client.close().await.map_err(io::Error::other),
            Ok(Ok(_)) => {
                while let Some(frame) = take_frame(&mut buffer)? {
                    client
                        .feed(Message::Binary(frame))
                        .await
                        .map_err(io::Error::other)?;
                }
            }
            Ok(Err(error)) => return Err(error),
            Err(_quiet) => {
                client
                    .feed(Message::Ping(Bytes::new()))
                    .await
                    .map_err(io::Error::other)?;
            }
        }
        client.flush().await.map_err(io::Error::other)?;
    }
}

/// The first whole frame of the buffer, without its length and without a copy.
fn take_frame(buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length == 0 || length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!(
            "the shim sent a frame of {length} bytes"
        )));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(4 + length);
    Ok(Some(frame.split_off(4).freeze()))
}

/// Client to shim.
async fn up(
    mut client: SplitStream<WebSocket>,
    mut shim: OwnedWriteHalf,
    role: Role,
) -> io::Result<()> {
    let mut out = Vec::new();
    while let Some(message) = client.next().await {
        let message = match message.map_err(io::Error::other)? {
            Message::Binary(message) => message,
            Message::Close(_) => return Ok(()),
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) => continue,
        };
        let Some(frame) = Frame::decode_message(&message).map_err(io::Error::other)? else {
            continue;
        };
        if !role.may_send(&frame) {
            return Err(io::Error::other(
                "the client sent a frame that is not its to send",
            ));
        }
        out.clear();
        encode(frame, &mut out);
        if shim.write_all(&out).await.is_err() {
            // The shim has said its last word, which the client has yet to read.
            return until_closed(client).await;
        }
    }
    Ok(())
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

async fn until_closed(mut client: SplitStream<WebSocket>) -> io::Result<()> {
    while let Some(message) = client.next().await {
        if let Message::Close(_) = message.map_err(io::Error::other)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_whatever_the_pieces() {
        let frames = [Frame::Ping, Frame::Stdout(vec![7; 300]), Frame::StdinEnd];
        let mut wire = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut wire));
        for piece in [1, 3, 4, 5, 1000] {
            let mut buffer = BytesMut::new();
            let mut seen = Vec::new();
            for bytes in wire.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Some(frame) = take_frame(&mut buffer).unwrap() {
                    seen.push(Frame::decode_message(&frame).unwrap().unwrap());
                }
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn what_a_command_is_fed_comes_in_pieces() {
        let fed: Vec<u8> = (0..FRAME_BYTES_MAX - 1)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        let mut wire = Vec::new();
        encode(Frame::Stdin(fed.clone()), &mut wire);
        let (mut buffer, mut got) = (BytesMut::from(&wire[..]), Vec::new());
        while let Some(frame) = take_frame(&mut buffer).unwrap() {
            assert!(frame.len() <= STDIN_BYTES + 1);
            match Frame::decode_message(&frame).unwrap() {
                Some(Frame::Stdin(piece)) => got.extend(piece),
                other => panic!("{other:?}"),
            }
        }
        assert!(got == fed);
    }

    #[test]
    fn a_length_out_of_bounds_ends_the_connection() {
        for length in [0, FRAME_BYTES_MAX + 1, u32::MAX as usize] {
            let length = u32::try_from(length).unwrap().to_le_bytes();
            assert!(take_frame(&mut BytesMut::from(&length[..])).is_err());
        }
    }

    #[test]
    fn roles_can_not_start_or_signal_processes() {
        let start = Frame::Request(1, wsm_terminal::protocol::Request::List);
        assert!(!Role::Viewer.may_send(&start) && !Role::Stream.may_send(&start));
        assert!(Role::Viewer.may_send(&Frame::Input {
            epoch: 0,
            number: 1,
            bytes: vec![3]
        }));
        assert!(!Role::Stream.may_send(&Frame::Input {
            epoch: 0,
            number: 1,
            bytes: vec![3]
        }));
        assert!(Role::Stream.may_send(&Frame::StdinEnd));
    }
}
