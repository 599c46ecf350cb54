//! A terminal as a live stream that asciinema's player shows: it is looked at, and nothing comes back.

use std::io;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wsm_api::problem::Problem;
use wsm_api::terminal::NewTicket;
use wsm_daemon::actor::Actor;
use wsm_daemon::role::Verb;
use wsm_terminal::protocol::{Attach, Decoder, FRAME_BYTES_MAX, Frame};

use crate::Edge;
use crate::alis::{Encoder, MAGIC, SUBPROTOCOL};
use crate::extract::{Caller, Path, Query};
use crate::peer::Peer;
use crate::problem::Failure;
use crate::visitor::Visitor;

/// The terminal that is meant where none is named.
const MAIN: &str = "main";

/// Longest message of a client, which has nothing to say.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Kept for a client whose connection has no room: a message, and the pongs that it does not read.
/// The longest is a whole frame of the shim with each byte replaced by the three of U+FFFD.
const UNSENT_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// Read from the shim at once.
const READ_BYTES: usize = 64 * 1024;

/// How often a quiet client is pinged, so that a half-dead connection is noticed.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How long a client may take to hear why it is closed.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Codes with which a player does not come back.
const CLOSED_OVER: u16 = 4003;
const CLOSED_SPOKE: u16 = 4008;

/// The upgrade, or a problem when the request is not one.
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Query of `live`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveQuery {
    /// Terminal (`main`).
    terminal: Option<String>,
}

#[utoipa::path(get, path = "/v1/agents/{agent}/live",
    params(("agent" = String, Path, description = "Name or id"), LiveQuery),
    responses(
        (status = 101, description = "A WebSocket of the subprotocol `v1.alis`: asciinema's live \
            stream, one way"),
        (status = "default", body = Problem),
    ))]
/// Shows a terminal to asciinema's player.
pub(crate) async fn agent(
    State(edge): State<Edge>,
    caller: Caller,
    Path(agent): Path<String>,
    Query(query): Query<LiveQuery>,
    upgrade: Upgrade,
) -> Result<Response, Failure> {
    show(edge, caller.actor, caller.peer, agent, query, upgrade).await
}

#[utoipa::path(get, path = "/v1/live/{code}",
    params(("code" = String, Path, description = "Value of a link: players can send no header"),
        LiveQuery),
    responses(
        (status = 101, description = "As `/v1/agents/{agent}/live`"),
        (status = "default", body = Problem),
    ))]
/// The same for who has a link.
pub(crate) async fn link(
    State(edge): State<Edge>,
    visitor: Visitor,
    Path(code): Path<String>,
    Query(query): Query<LiveQuery>,
    upgrade: Upgrade,
) -> Result<Response, Failure> {
    let opened = visitor.try_link(&edge, &code).await;
    let opened = opened.map_err(Failure::hidden)?;
    let actor = edge.daemon.authenticate_link(&code, &visitor.address());
    let actor = actor.map_err(|problem| Failure::from(problem).hidden())?;
    show(edge, actor, visitor.peer, opened.id, query, upgrade).await
}

async fn show(
    edge: Edge,
    actor: Actor,
    peer: Peer,
    agent: String,
    query: LiveQuery,
    upgrade: Upgrade,
) -> Result<Response, Failure> {
    let ws = upgrade.map_err(|error| Failure::invalid(error.status(), error.body_text()))?;
    let ws = ws
        .read_buffer_size(MESSAGE_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .protocols([SUBPROTOCOL]);
    if ws.selected_protocol().is_none() {
        let message = format!("this speaks the WebSocket subprotocol {SUBPROTOCOL} alone");
        return Err(Failure::invalid(StatusCode::BAD_REQUEST, message));
    }
    let new = NewTicket {
        terminal: query.terminal.unwrap_or_else(|| MAIN.to_owned()),
        read_only: true,
    };
    let terminal = new.terminal.clone();
    let (shim, _hello) = edge.daemon.attach(&actor, &agent, new).await?;
    let standing = edge.daemon.standing(&actor, &agent, Verb::Watch);
    Ok(ws.on_upgrade(async move |mut socket| {
        let _place = peer;
        let why = tokio::select! {
            // What is over is over, whatever else there is.
            biased;
            problem = standing.ended() => Some((CLOSED_OVER, problem.message)),
            told = stream(&mut socket, shim, terminal) => match told {
                Ok(why) => why,
                Err(error) => {
                    tracing::debug!(%error, "a live stream broke");
                    None
                }
            },
        };
        let frame = why.map(|(code, reason)| CloseFrame {
            code,
            reason: reason.into(),
        });
        // A client that does not read is closed without a word.
        drop(tokio::time::timeout(CLOSE_WAIT, socket.send(Message::Close(frame))).await);
    }))
}

/// Passes on what the terminal shows, until it or the client ends. `Some`: why the client is closed.
async fn stream(
    socket: &mut WebSocket,
    mut shim: UnixStream,
    terminal: String,
) -> io::Result<Option<(u16, String)>> {
    let mut out = Vec::new();
    attach(terminal).encode(&mut out);
    shim.write_all(&out).await?;
    send(socket, MAGIC.to_vec()).await?;
    let began = Instant::now();
    let (mut decoder, mut encoder) = (Decoder::default(), Encoder::default());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = tokio::select! {
            // One that is killed leaves a reset where something was still to be read.
            read = shim.read(&mut buffer) => read.unwrap_or(0),
            message = socket.recv() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    let reason = "this is to be looked at: nothing is taken".to_owned();
                    return Ok(Some((CLOSED_SPOKE, reason)));
                }
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Err(error)) => return Err(io::Error::other(error)),
            },
            () = tokio::time::sleep(PING_EVERY) => {
                socket.send(Message::Ping(Bytes::new())).await.map_err(io::Error::other)?;
                continue;
            }
        };
        if read == 0 {
            // A shim outlives all but its agent.
            return Ok(Some(over()));
        }
        decoder.push(&buffer[..read]);
        while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
            let at = began.elapsed();
            let seen = match pass(&mut encoder, at, frame) {
                Passed::Nothing => continue,
                Passed::Message(message, seen) => {
                    send(socket, message).await?;
                    seen
                }
                Passed::End(messages) => {
                    for message in messages {
                        send(socket, message).await?;
                    }
                    return Ok(Some(over()));
                }
                Passed::Refused(reason) => return Ok(Some((CLOSED_OVER, reason))),
            };
            if let Some(seq) = seen {
                // It is on its way: a client that does not read holds up the next.
                out.clear();
                Frame::Ack { seq }.encode(&mut out);
                if shim.write_all(&out).await.is_err() {
                    return Ok(Some(over()));
                }
            }
        }
    }
}

fn over() -> (u16, String) {
    (CLOSED_OVER, "it has ended".to_owned())
}

fn attach(terminal: String) -> Frame {
    Frame::Attach(Attach {
        terminal,
        resume: None,
        cols: 80,
        rows: 24,
        read_only: true,
        history_lines: 0,
        tty: false,
        fit: false,
    })
}

/// What becomes of a frame.
enum Passed {
    Nothing,
    /// A message, and what was seen with it.
    Message(Vec<u8>, Option<u64>),
    End([Vec<u8>; 2]),
    Refused(String),
}

fn pass(encoder: &mut Encoder, at: Duration, frame: Frame) -> Passed {
    match frame {
        Frame::Snapshot {
            seq,
            cols,
            rows,
            bytes,
        } => Passed::Message(encoder.screen(at, (cols, rows), &bytes), Some(seq)),
        Frame::Output { seq, bytes } => match encoder.output(at, &bytes) {
            Some(message) => Passed::Message(message, Some(seq + bytes.len() as u64)),
            None => Passed::Nothing,
        },
        Frame::Resized { cols, rows, .. } => {
            Passed::Message(encoder.resized(at, (cols, rows)), None)
        }
        Frame::Exited(exit) => {
            let code = u8::try_from(exit.shell_code() & 0xff).expect("one byte after the mask");
            Passed::End([encoder.exited(at, code), encoder.end(at)])
        }
        Frame::Refused { reason } => Passed::Refused(reason),
        // Who has the keyboard is nothing to who only looks.
        _ => Passed::Nothing,
    }
}

async fn send(socket: &mut WebSocket, message: Vec<u8>) -> io::Result<()> {
    let message = Message::Binary(message.into());
    socket.send(message).await.map_err(io::Error::other)
}
