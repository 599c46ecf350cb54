//! One attachment: draws a terminal of an agent, types into it, and survives the daemon.
//!
//! ```text
//! connect ─▶ converse ─┬─▶ ended: detached, the process ended
//!    ▲                 └─▶ lost ─▶ wait, doubled each time ─┐
//!    └──────────────────────────────────────────────────────┘
//! ```
//! Output is numbered. A new connection says up to where everything was drawn and gets the rest,
//! or a snapshot where that is gone or a notice was drawn over the screen.

use std::io;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_tungstenite::tungstenite::Message;
use wsm_api::agent::State;
use wsm_api::client::{Client, ClientError, Socket};
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::launch::Exit;
use wsm_terminal::protocol::{Attach, Frame};

use crate::failure::Failure;
use crate::keys::{DetachKey, Watch};
use crate::screen::{self, Keyboard, Screen};

/// Read from the keyboard at once: more than the kernel's line buffer holds (4 KiB).
const READ_BYTES: usize = 16 * 1024;

/// Typed while there is no connection, and kept for the next one.
const HELD_BYTES_MAX: usize = 4 * 1024;

/// Output drawn before it is acknowledged: a quarter of the 128 KiB that the shim sends unasked.
const ACK_BYTES: u64 = 32 * 1024;

/// Output collected before it is drawn, while more is there already.
const DRAW_BYTES: usize = 64 * 1024;

/// First and longest pause between two attempts to connect again.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// A restart of the daemon is over sooner than this; only a longer one is worth a notice.
const NOTICE_AFTER: Duration = Duration::from_secs(1);

/// A daemon that is away longer is not being restarted.
const RETRY_FOR: Duration = Duration::from_secs(300);

/// A daemon that takes no input for so long is as good as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) agent: String,
    pub(crate) terminal: String,
    pub(crate) read_only: bool,
    pub(crate) history_lines: u32,
    pub(crate) detach: DetachKey,
}

/// How an attachment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The user left.
    Detached {
        /// Why typed bytes were not taken, if they were not.
        refused: Option<String>,
    },
    /// The process in the terminal ended.
    Exited(Exit),
}

/// Why one connection is over.
enum Turn {
    Ended(End),
    Lost(String),
}

/// Watches until the user leaves or the process ends.
pub(crate) async fn view(client: &Client, wish: &Wish) -> Result<End, Failure> {
    // Before the terminal is touched, so that a wrong name is a plain error.
    let socket = client.attach(&wish.agent).await?;
    let mut viewer = Viewer::new(client, wish).map_err(|e| terminal_failed(&e))?;
    viewer.run(socket).await
}

fn terminal_failed(error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("use the terminal: {error}"), "")
}

struct Viewer<'a> {
    client: &'a Client,
    wish: &'a Wish,
    screen: Screen,
    keyboard: Keyboard,
    resized: Signal,
    quit: [Signal; 2],
    watch: Watch,
    /// Incarnation of the shim, and the number after the last byte that was drawn.
    drawn: Option<(u64, u64)>,
    incarnation: u64,
    acked: u64,
    /// Number of the last input.
    input: u64,
    held: Vec<u8>,
    refused: Option<String>,
    /// Whether the connection has shown anything.
    shown: bool,
}

impl<'a> Viewer<'a> {
    fn new(client: &'a Client, wish: &'a Wish) -> io::Result<Viewer<'a>> {
        let keyboard = Keyboard::open()?;
        let resized = signal(SignalKind::window_change())?;
        let quit = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        let title = format!("{} · detach: {}", wish.agent, wish.detach);
        let screen = Screen::enter(&title)?;
        Ok(Viewer {
            client,
            wish,
            screen,
            keyboard,
            resized,
            quit,
            watch: Watch::new(wish.detach),
            drawn: None,
            incarnation: 0,
            acked: 0,
            input: 0,
            held: Vec::new(),
            refused: None,
            shown: false,
        })
    }

    async fn run(&mut self, socket: Socket) -> Result<End, Failure> {
        let mut next = Some(socket);
        let mut lost_at = Instant::now();
        let mut pause = RETRY_FIRST;
        loop {
            let why = match next.take() {
                Some(socket) => match self.converse(socket).await {
                    Ok(Turn::Ended(end)) => return Ok(end),
                    Ok(Turn::Lost(why)) => why,
                    Err(error) => return Err(terminal_failed(&error)),
                },
                None => "the daemon is away".to_owned(),
            };
            if std::mem::take(&mut self.shown) {
                (lost_at, pause) = (Instant::now(), RETRY_FIRST);
            }
            if lost_at.elapsed() > RETRY_FOR {
                return Err(ClientError::Broken(why).into());
            }
            if lost_at.elapsed() > NOTICE_AFTER {
                let text = format!("wsm: {why}; trying again ({} leaves)", self.wish.detach);
                self.screen.notice(&text).map_err(|e| terminal_failed(&e))?;
                self.drawn = None;
            }
            if let Some(end) = self.rest(pause).await.map_err(|e| terminal_failed(&e))? {
                return Ok(end);
            }
            pause = (pause * 2).min(RETRY_LONGEST);
            next = match self.client.attach(&self.wish.agent).await {
                Ok(socket) => Some(socket),
                Err(ClientError::Problem(problem)) if self.is_final(&problem).await => {
                    return Err(problem.into());
                }
                Err(_) => None,
            };
        }
    }

    /// Waits, but hears the detach key; keeps what is typed.
    async fn rest(&mut self, pause: Duration) -> io::Result<Option<End>> {
        let until = tokio::time::Instant::now() + pause;
        let mut buffer = [0; READ_BYTES];
        loop {
            tokio::select! {
                read = self.keyboard.read(&mut buffer) => {
                    let typed = &buffer[..read?];
                    let end = self.watch.find(typed);
                    if typed.is_empty() || end.is_some() {
                        return Ok(Some(self.detached()));
                    }
                    if self.held.len() + typed.len() <= HELD_BYTES_MAX {
                        self.held.extend_from_slice(typed);
                    }
                }
                () = quit(&mut self.quit) => return Ok(Some(self.detached())),
                () = tokio::time::sleep_until(until) => return Ok(None),
            }
        }
    }

    /// Whether asking again can't help. A daemon that has just started says "conflict" about an
    /// agent that it has not found again yet; what the agent's state was tells the difference.
    async fn is_final(&self, problem: &Problem) -> bool {
        match problem.code {
            Code::Invalid
            | Code::Refused
            | Code::Untrusted
            | Code::Ungranted
            | Code::NotFound
            | Code::NotAvailable => true,
            Code::TimedOut | Code::Failed => false,
            Code::Conflict => match self.client.agent(&self.wish.agent).await {
                Ok(agent) => !is_alive(agent.state),
                Err(_) => false,
            },
        }
    }

    fn detached(&self) -> End {
        End::Detached {
            refused: self.refused.clone(),
        }
    }

    /// Uses one connection until it or the attachment ends. An error is the terminal's.
    async fn converse(&mut self, mut socket: Socket) -> io::Result<Turn> {
        let (cols, rows) = screen::size();
        let attach = Frame::Attach(Attach {
            terminal: self.wish.terminal.clone(),
            resume: self.drawn,
            cols,
            rows,
            read_only: self.wish.read_only,
            history_lines: self.wish.history_lines,
        });
        if let Err(why) = send(&mut socket, &attach).await {
            return Ok(Turn::Lost(why));
        }
        let held = std::mem::take(&mut self.held);
        if !held.is_empty()
            && let Err(why) = self.typed(&mut socket, held).await
        {
            return Ok(Turn::Lost(why));
        }
        let mut buffer = [0; READ_BYTES];
        loop {
            let sent = tokio::select! {
                biased;
                read = self.keyboard.read(&mut buffer) => {
                    let typed = &buffer[..read?];
                    let end = self.watch.find(typed);
                    let kept = typed[..end.unwrap_or(typed.len())].to_vec();
                    let leaves = end.is_some() || typed.is_empty();
                    let sent = self.typed(&mut socket, kept).await;
                    if leaves {
                        // The shim notices a closed connection as well.
                        drop(send(&mut socket, &Frame::Detach).await);
                        return Ok(Turn::Ended(self.detached()));
                    }
                    sent
                }
                () = quit(&mut self.quit) => return Ok(Turn::Ended(self.detached())),
                _ = self.resized.recv() => {
                    let (cols, rows) = screen::size();
                    send(&mut socket, &Frame::Resize { cols, rows }).await
                }
                message = socket.next() => match self.show(&mut socket, message)? {
                    Some(turn) => return Ok(turn),
                    None => self.ack(&mut socket).await,
                },
            };
            if let Err(why) = sent {
                return Ok(Turn::Lost(why));
            }
        }
    }

    async fn typed(&mut self, socket: &mut Socket, bytes: Vec<u8>) -> Result<(), String> {
        if bytes.is_empty() || self.wish.read_only {
            return Ok(());
        }
        self.input += 1;
        send(
            socket,
            &Frame::Input {
                epoch: 0,
                number: self.input,
                bytes,
            },
        )
        .await
    }

    async fn ack(&mut self, socket: &mut Socket) -> Result<(), String> {
        match self.drawn {
            Some((_, seq)) if seq.wrapping_sub(self.acked) >= ACK_BYTES => {
                self.acked = seq;
                send(socket, &Frame::Ack { seq }).await
            }
            _ => Ok(()),
        }
    }

    /// Draws a message and those that are there already; one write for as much as possible.
    fn show(
        &mut self,
        socket: &mut Socket,
        first: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> io::Result<Option<Turn>> {
        let mut out = Vec::new();
        let mut next = first;
        let turn = loop {
            let message = match next {
                Some(Ok(message)) => message,
                Some(Err(error)) => break Some(Turn::Lost(error.to_string())),
                None => break Some(Turn::Lost("the connection was closed".to_owned())),
            };
            if let Some(turn) = self.take(&message, &mut out)? {
                break Some(turn);
            }
            if out.len() >= DRAW_BYTES {
                break None;
            }
            match socket.next().now_or_never() {
                Some(message) => next = message,
                None => break None,
            }
        };
        self.screen.write(&out)?;
        Ok(turn)
    }

    /// Handles one message; output is appended to `out`.
    fn take(&mut self, message: &Message, out: &mut Vec<u8>) -> io::Result<Option<Turn>> {
        let Message::Binary(message) = message else {
            return Ok(None);
        };
        let frame = match Frame::decode_message(message) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(Turn::Lost(error.to_string()))),
        };
        match frame {
            Frame::Hello(hello) => {
                self.incarnation = hello.incarnation;
                // The number of an earlier incarnation says nothing in this one.
                self.drawn = self.drawn.filter(|(old, _)| *old == hello.incarnation);
            }
            Frame::Snapshot { seq, bytes, .. } => {
                out.clear();
                self.screen.draw(&bytes)?;
                self.seen(seq);
                // A snapshot opens the whole credit again.
                self.acked = seq.wrapping_sub(ACK_BYTES);
            }
            Frame::Output { seq, bytes } => {
                // A resume may repeat what was drawn.
                let done = self.drawn.map_or(0, |(_, drawn)| drawn.saturating_sub(seq));
                let skip = usize::try_from(done).unwrap_or(usize::MAX).min(bytes.len());
                out.extend_from_slice(&bytes[skip..]);
                self.seen(seq + bytes.len() as u64);
            }
            Frame::Refused { reason } => {
                out.push(0x07);
                self.refused = Some(reason);
            }
            Frame::Exited(exit) => return Ok(Some(Turn::Ended(End::Exited(exit)))),
            // The shim's size is drawn by what it sends; the rest is not for viewers.
            _ => {}
        }
        Ok(None)
    }

    fn seen(&mut self, seq: u64) {
        let seq = self.drawn.map_or(seq, |(_, drawn)| drawn.max(seq));
        self.drawn = Some((self.incarnation, seq));
        self.shown = true;
    }
}

/// Whether there are, or will be, terminals in this state.
fn is_alive(state: State) -> bool {
    match state {
        State::Creating
        | State::SettingUp
        | State::Starting
        | State::Working
        | State::Blocked
        | State::Idle
        | State::Paused => true,
        State::Stopping | State::Stopped | State::Failed | State::Lost => false,
    }
}

async fn quit([one, other]: &mut [Signal; 2]) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

async fn send(socket: &mut Socket, frame: &Frame) -> Result<(), String> {
    let message = Message::Binary(frame.encode_message().into());
    match tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the daemon takes no input".to_owned()),
    }
}
