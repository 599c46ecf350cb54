//! Through the daemon: frames as messages of a WebSocket. For when the shim's socket is out of reach.

use std::io;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use wsm_api::client::Socket;
use wsm_terminal::protocol::Frame;

use super::picture::Picture;
use super::{DRAW_BYTES, READ_BYTES, Signals, Told, Turn};
use crate::screen::Keyboard;

/// A daemon that takes no input for so long is as good as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection says next.
type Next = Option<Result<Message, tokio_tungstenite::tungstenite::Error>>;

/// Uses the connection until it or the attachment ends. An error is the terminal's.
pub(super) async fn converse(
    mut socket: Socket,
    picture: &mut Picture,
    signals: &mut Signals,
) -> io::Result<Turn> {
    let mut keyboard = Keyboard::open()?;
    for frame in picture.begin(false) {
        if let Err(why) = send(&mut socket, &frame).await {
            return Ok(Turn::Lost(why));
        }
    }
    let mut buffer = [0; READ_BYTES];
    loop {
        let frames = tokio::select! {
            biased;
            read = keyboard.read(&mut buffer) => {
                let typed = picture.typed(&buffer[..read?]);
                if typed.leaves {
                    for frame in typed.frames.iter().chain([&Frame::Detach]) {
                        // The shim notices a closed connection as well.
                        drop(send(&mut socket, frame).await);
                    }
                    return Ok(Turn::Ended(picture.detached()));
                }
                typed.frames
            }
            told = signals.next() => match told {
                Told::Quit => return Ok(Turn::Ended(picture.detached())),
                Told::Resized => picture.resized().into_iter().collect(),
            },
            message = socket.next() => match show(&mut socket, message, picture)? {
                Some(turn) => return Ok(turn),
                None => picture.due()?,
            },
        };
        for frame in frames {
            if let Err(why) = send(&mut socket, &frame).await {
                return Ok(Turn::Lost(why));
            }
        }
    }
}

/// Draws a message and those that are there already; one write for as much as possible.
fn show(socket: &mut Socket, first: Next, picture: &mut Picture) -> io::Result<Option<Turn>> {
    let mut out = Vec::new();
    let mut next = first;
    let turn = loop {
        let message = match next {
            Some(Ok(message)) => message,
            Some(Err(error)) => break Some(Turn::Lost(error.to_string())),
            None => break Some(Turn::Lost("the connection was closed".to_owned())),
        };
        if let Message::Binary(message) = &message {
            match Frame::decode_message(message) {
                Ok(Some(frame)) => match picture.take(frame, &mut out)? {
                    None => {}
                    turn => break turn,
                },
                Ok(None) => {}
                Err(error) => break Some(Turn::Lost(error.to_string())),
            }
        }
        if out.len() >= DRAW_BYTES {
            break None;
        }
        match socket.next().now_or_never() {
            Some(message) => next = message,
            None => break None,
        }
    };
    picture.draw(&out)?;
    Ok(turn)
}

async fn send(socket: &mut Socket, frame: &Frame) -> Result<(), String> {
    let message = Message::Binary(frame.encode_message().into());
    match tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the daemon takes no input".to_owned()),
    }
}
