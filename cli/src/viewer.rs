//! One attachment: draws a terminal of an agent, types into it, and survives the daemon.
//!
//! ```text
//! connect ─▶ converse ─┬─▶ ended: detached, the process ended
//!    ▲                 └─▶ lost ─▶ wait, doubled each time ─┐
//!    └──────────────────────────────────────────────────────┘
//! ```
//! On the same machine the connection goes straight to the shim, by a ticket from the daemon, which
//! may then end and start as it likes. Output is numbered. A new connection says up to where
//! everything was drawn and gets the rest, or a snapshot where that is gone; and one behind the rest
//! where a notice was drawn over the screen.

mod canvas;
mod direct;
mod held;
mod picture;
mod quitter;
mod relayed;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use wsm_api::agent::State;
use wsm_api::client::{Client, ClientError, Socket};
use wsm_api::problem::{Code, Problem};
use wsm_api::terminal::NewTicket;
use wsm_sandbox::launch::Exit;

use self::picture::Picture;
use crate::failure::Failure;
use crate::keys::DetachKey;
use crate::render::clean;
use crate::screen::Keyboard;

/// Read from the keyboard at once: more than the kernel's line buffer holds (4 KiB).
const READ_BYTES: usize = 16 * 1024;

/// Output collected before it is drawn, while more is there already.
const DRAW_BYTES: usize = 64 * 1024;

/// First and longest pause between two attempts to connect again.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// A restart of the daemon is over sooner than this; only a longer one is worth a notice.
const NOTICE_AFTER: Duration = Duration::from_secs(1);

/// A daemon of this machine that is away longer is not being restarted. Networks come back: who
/// attached over one leaves by the key.
const RETRY_FOR: Duration = Duration::from_secs(300);

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
#[derive(Debug)]
enum Turn {
    Ended(End),
    Lost(String),
}

/// One connection.
#[derive(Debug)]
enum Link {
    Direct(direct::Link),
    Relayed(Box<Socket>),
}

/// What came of another try.
#[derive(Debug)]
enum Again {
    Left(End),
    Tried(Result<Link, ClientError>),
}

/// Watches until the user leaves or the process ends.
pub(crate) async fn view(client: &Client, wish: &Wish) -> Result<End, Failure> {
    // Before the terminal is touched, so that a wrong name is a plain error.
    let link = connect(client, wish).await?;
    let mut viewer = Viewer {
        client,
        wish,
        signals: Signals::catch().map_err(|e| terminal_failed(&e))?,
    };
    quitter::start().map_err(|e| terminal_failed(&e))?;
    let picture = Picture::enter(wish).map_err(|e| terminal_failed(&e))?;
    viewer.run(link, picture).await
}

async fn connect(client: &Client, wish: &Wish) -> Result<Link, ClientError> {
    let new = NewTicket {
        terminal: wish.terminal.clone(),
        read_only: wish.read_only,
    };
    let Some(run) = client.run_dir() else {
        return Ok(Link::Relayed(Box::new(
            client.attach(&wish.agent, &new).await?,
        )));
    };
    let link = match client.ticket(&wish.agent, &new).await {
        Ok(ticket) => direct::Link::connect(run, &ticket).ok(),
        Err(ClientError::Problem(problem)) if problem.code == Code::NotAvailable => None,
        Err(error) => return Err(error),
    };
    match link {
        Some(link) => Ok(Link::Direct(link)),
        // Out of reach, full, or none for this: the daemon has a way in.
        None => Ok(Link::Relayed(Box::new(
            client.attach(&wish.agent, &new).await?,
        ))),
    }
}

fn terminal_failed(error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("use the terminal: {error}"), "")
}

struct Viewer<'a> {
    client: &'a Client,
    wish: &'a Wish,
    signals: Signals,
}

impl Viewer<'_> {
    async fn run(&mut self, first: Link, mut picture: Picture) -> Result<End, Failure> {
        let mut next = Some(first);
        let mut lost_at = Instant::now();
        let mut pause = RETRY_FIRST;
        let mut why = "the daemon is away".to_owned();
        loop {
            if let Some(link) = next.take() {
                let (back, turn) = self
                    .converse(link, picture)
                    .await
                    .map_err(|e| terminal_failed(&e))?;
                picture = back;
                match turn {
                    Turn::Ended(end) => return Ok(end),
                    Turn::Lost(lost) => {
                        picture.lost();
                        why = lost;
                    }
                }
            }
            if picture.has_shown() {
                (lost_at, pause) = (Instant::now(), RETRY_FIRST);
            }
            if lost_at.elapsed() > RETRY_FOR && self.client.run_dir().is_some() {
                return Err(ClientError::Broken(why).into());
            }
            if lost_at.elapsed() > NOTICE_AFTER {
                picture.notice(&why).map_err(|e| terminal_failed(&e))?;
            }
            let rested = self.rest(&mut picture, pause).await;
            if let Some(end) = rested.map_err(|e| terminal_failed(&e))? {
                return Ok(end);
            }
            pause = (pause * 2).min(RETRY_LONGEST);
            let again = self.again(&mut picture).await;
            next = match again.map_err(|e| terminal_failed(&e))? {
                Again::Left(end) => return Ok(end),
                Again::Tried(Ok(link)) => Some(link),
                Again::Tried(Err(ClientError::Problem(problem)))
                    if self.is_final(&problem).await =>
                {
                    return Err(problem.into());
                }
                Again::Tried(Err(error)) => {
                    why = clean(&error.to_string());
                    None
                }
            };
        }
    }

    /// Tries to connect, which takes its time over a network, and hears the detach key meanwhile.
    async fn again(&mut self, picture: &mut Picture) -> io::Result<Again> {
        let (client, wish) = (self.client, self.wish);
        tokio::select! {
            link = connect(client, wish) => Ok(Again::Tried(link)),
            end = self.hear(picture) => Ok(Again::Left(end?)),
        }
    }

    /// Uses one connection until it or the attachment ends. An error is the terminal's.
    async fn converse(&mut self, link: Link, mut picture: Picture) -> io::Result<(Picture, Turn)> {
        let link = match link {
            Link::Direct(link) => link,
            Link::Relayed(socket) => {
                let turn = relayed::converse(*socket, &mut picture, &mut self.signals).await?;
                return Ok((picture, turn));
            }
        };
        let (mut tell, told) = UnixStream::pair()?;
        let mut conversation = tokio::task::spawn_blocking(move || {
            let turn = link.converse(&mut picture, &told)?;
            Ok((picture, turn))
        });
        loop {
            let signal = tokio::select! {
                ended = &mut conversation => {
                    return ended.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
                }
                told = self.signals.next() => match told {
                    Told::Quit => direct::QUIT,
                    Told::Resized => direct::RESIZED,
                },
            };
            // One that is just ending does not listen.
            drop(tell.write(&[signal]));
        }
    }

    /// Waits, but hears the detach key; keeps what is typed.
    async fn rest(&mut self, picture: &mut Picture, pause: Duration) -> io::Result<Option<End>> {
        tokio::select! {
            end = self.hear(picture) => Ok(Some(end?)),
            () = tokio::time::sleep(pause) => Ok(None),
        }
    }

    /// Hears keys and signals until the user leaves.
    async fn hear(&mut self, picture: &mut Picture) -> io::Result<End> {
        let mut keyboard = Keyboard::open()?;
        let mut buffer = [0; READ_BYTES];
        loop {
            tokio::select! {
                read = keyboard.read(&mut buffer) => {
                    if picture.hold(&buffer[..read?]) {
                        return Ok(picture.detached());
                    }
                }
                told = self.signals.next() => if told == Told::Quit {
                    return Ok(picture.detached());
                },
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
            | Code::Unknown
            | Code::NotFound
            | Code::NotAvailable => true,
            Code::TimedOut | Code::Failed => false,
            Code::Conflict => match self.client.agent(&self.wish.agent).await {
                Ok(agent) => !is_alive(agent.state),
                Err(_) => false,
            },
        }
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

/// What the user's terminal and the system tell this process.
#[derive(Debug)]
struct Signals {
    resized: Signal,
    quit: Quit,
}

/// What they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Resized,
    Quit,
}

impl Signals {
    fn catch() -> io::Result<Signals> {
        Ok(Signals {
            resized: signal(SignalKind::window_change())?,
            quit: Quit::catch()?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.resized.recv() => Told::Resized,
            () = self.quit.asked() => Told::Quit,
        }
    }
}

/// The signals that ask a process to end.
#[derive(Debug)]
struct Quit([Signal; 4]);

impl Quit {
    fn catch() -> io::Result<Quit> {
        Ok(Quit([
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            // Keys send none of these two to a raw terminal, but another process may.
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
        ]))
    }

    async fn asked(&mut self) {
        let [term, hup, int, quit] = &mut self.0;
        tokio::select! {
            _ = term.recv() => {}
            _ = hup.recv() => {}
            _ = int.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
