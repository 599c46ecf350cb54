//! Frames between a shim and whoever connects to it (daemon, and through it viewers).
//!
//! A stream of frames: `u32` length (little endian, of what follows), one type byte, payload.
//! The same frame without its length is one binary WebSocket message. Unknown types are skipped,
//! so an old shim keeps working with a new daemon. Sans I/O: this file only encodes and decodes.
//!
//! A connection starts with [`Frame::Hello`] from both sides. After that it may carry requests,
//! one viewer ([`Frame::Attach`]) or one stream ([`Frame::Open`]); a viewer has its own connection.
//! Who is neither the daemon nor root shows a ticket in its hello, and may be a viewer only.

mod codec;
mod event;
mod people;
mod report;

use serde::{Deserialize, Serialize};
use wsm_sandbox::launch::{Command, Exit};

pub use self::codec::{Decoder, FrameError};
pub use self::event::{Event, Mark, QUIET_MS};
pub use self::people::{Lease, LeaseAct, Person, Presence, Record, is_name};
pub use self::report::{
    Asking, EVERYTHING, Fate, REPORT_BYTES_MAX, Report, Reported, Said, Verdict,
};

/// Version both sides must speak; what was added since is told by [`Hello::speaks`].
pub const PROTOCOL_VERSION: u32 = 1;

/// Newest additions to it that this side knows. 2: leases, presence, pictures, recordings. 3: whose
/// a process is. 4: what programs report of themselves. 5: what they would copy, and recorded input.
/// Nothing that came with one is sent to a side that does not know it, but for fields that it may skip.
pub const SPEAKS: u32 = 5;

/// Longest frame in bytes, either way.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Longest frame of a viewer: what a terminal takes at once (64 KiB), and its head.
pub const VIEWER_FRAME_BYTES_MAX: usize = 64 * 1024 + 64;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// First frame of both sides.
    Hello(Hello),
    /// Client: a request; the reply carries the same number.
    Request(u64, Request),
    /// Shim: the answer.
    Reply(u64, Reply),
    /// Shim: something happened; only after [`Request::Subscribe`].
    Event(Event),

    /// Client: become a viewer of a terminal.
    Attach(Attach),
    /// Client: bytes typed. Dropped with a [`Frame::Refused`] when the viewer is read-only or the
    /// epoch is not the lease's.
    Input {
        /// Epoch of the lease the client believes it holds; 0 if it was not told that it holds
        /// one: it gets a free one then, or its user's from another viewer.
        epoch: u64,
        /// Counts up per client; a number already seen is dropped (a resend after a reconnect).
        number: u64,
        /// What was typed.
        bytes: Vec<u8>,
    },
    /// Client: the size the viewer would like.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Client: output up to here was parsed and shown; opens credit.
    Ack {
        /// Sequence number.
        seq: u64,
    },
    /// Client: leave; the shim closes the connection.
    Detach,
    /// Client: whether the viewer is on a screen that somebody could look at.
    Visible(bool),
    /// Client: something about the lease; answered by [`Frame::Lease`] or [`Frame::Refused`].
    Ask(LeaseAct),
    /// Shim: the whole screen as of `seq`; what came before need not be known.
    Snapshot {
        /// Sequence number that the snapshot includes.
        seq: u64,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
        /// Bytes that draw it on a freshly reset terminal, history first if it was asked for.
        bytes: Vec<u8>,
    },
    /// Shim: draws the screen as of `seq` over what it drew last, to fit a viewer of another size.
    /// The next comes when this one was acknowledged.
    Picture {
        /// Sequence number that it includes.
        seq: u64,
        /// Bytes that change the viewer's terminal, the whole of it if it is the first.
        bytes: Vec<u8>,
    },
    /// Shim: who may type.
    Lease(Lease),
    /// Shim: the program would put this on the clipboard of whoever may type (OSC 52). It is the
    /// person who does, or not.
    Copy {
        /// What: tabs and newlines are its only controls.
        text: String,
    },
    /// Shim: output that starts at `seq`.
    Output {
        /// Sequence number of the first byte.
        seq: u64,
        /// Filtered output.
        bytes: Vec<u8>,
    },
    /// Shim: the terminal has this size from here on.
    Resized {
        /// Sequence number.
        seq: u64,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Shim: the process ended; the last frame of a viewer or stream.
    Exited(Exit),
    /// Shim: input or a resize was not taken.
    Refused {
        /// Why, for a person.
        reason: String,
    },

    /// Client: become the peer of a process started with [`Io::Stream`]; once per process.
    Open {
        /// Which.
        process: String,
    },
    /// Client: bytes for its standard input.
    Stdin(Vec<u8>),
    /// Client: end of its standard input.
    StdinEnd,
    /// Shim: what it wrote to standard output.
    Stdout(Vec<u8>),
    /// Shim: what it wrote to standard error.
    Stderr(Vec<u8>),

    /// Client: are you there.
    Ping,
    /// Shim: yes.
    Pong,
}

/// First frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub version: u32,
    /// The shim's incarnation: sequence numbers are comparable only within one. 0 from clients.
    #[serde(default)]
    pub incarnation: u64,
    /// From a client: a ticket that the daemon got it by [`Request::Ticket`]. The shim says hello
    /// only to a good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// [`SPEAKS`] of this side; 0 is 1.
    #[serde(default)]
    pub speaks: u32,
}

impl Hello {
    /// A client's, with a ticket or without.
    #[must_use]
    pub fn client(ticket: Option<String>) -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
            incarnation: 0,
            ticket,
            speaks: SPEAKS,
        }
    }
}

/// How long a [`Request::Ticket`] is good for, once.
pub const TICKET_MS: u64 = 10_000;

/// A viewer's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Terminal (a process started with [`Io::Terminal`]), e.g. `main`.
    pub terminal: String,
    /// Incarnation and next sequence number that the viewer lacks, if it was here before.
    #[serde(default)]
    pub resume: Option<(u64, u64)>,
    /// Columns of the viewer.
    pub cols: u16,
    /// Rows of the viewer.
    pub rows: u16,
    /// Only look: input is refused and the size is not counted.
    #[serde(default)]
    pub read_only: bool,
    /// Lines of history to put before the first screen.
    #[serde(default)]
    pub history_lines: u32,
    /// The viewer's own terminal came along as a descriptor, on which the shim may draw instead of
    /// sending [`Frame::Snapshot`] and [`Frame::Output`]. It does if the descriptor can do nothing
    /// else: a pseudo-terminal, open for writing only, that does not block. See [`REDRAW`].
    #[serde(default)]
    pub tty: bool,
    /// The viewer's terminal has the size that it has: where the agent's is another, the shim
    /// draws what fits ([`Frame::Picture`]). It puts notices for the viewer on the last line too.
    #[serde(default)]
    pub fit: bool,
}

/// Brings a terminal from whatever a program left, or from the middle of a sequence, to what a
/// [`Frame::Snapshot`] expects: alternate screen, mouse reports, focus reports, bracketed paste,
/// application keys, kitty keyboard, `modifyOtherKeys`, link, charset, scroll region, origin,
/// insert, wrap, colours, cursor.
pub const RESET: &str = "\x1b\\\x1b[?1049l\x1b[?1000;1002;1003;1005;1006;1015;1016l\x1b[?1004l\x1b[?2004l\
    \x1b[?1l\x1b>\x1b[<64u\x1b[=0;1u\x1b[>4m\x1b]8;;\x1b\\\x1b(B\x0f\x1b[?5l\x1b[?6l\x1b[4l\x1b[20l\
    \x1b[r\x1b[?7h\x1b[?45l\x1b[m\x1b[0 q\x1b[?25h\x1b[?2026l";

/// What to write before a snapshot and after it: an update that is shown at once, so that nothing
/// flickers.
pub const REDRAW: (&str, &str) = ("\x1b[?2026h\x1b[H\x1b[2J", "\x1b[?2026l");

/// What may be asked of a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Start a process. A name that exists is [`Reply::Exists`], so that a daemon that crashed in
    /// between can't start it twice.
    Start {
        /// Its name: `main#3`, `service/db#1`, `exec/17`; any text of at most 80 bytes.
        process: String,
        /// What.
        command: Command,
        /// How its streams are kept.
        io: Io,
        /// Who runs it: it ends when they lose the right to ([`Request::Expel`]). `None`: wsm
        /// itself, or a terminal, which is everybody's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<Person>,
    },
    /// Signal a process or its group.
    Signal {
        /// Which.
        process: String,
        /// Signal number.
        signal: i32,
        /// The whole process group.
        group: bool,
    },
    /// Type into a terminal without being a viewer.
    Send {
        /// Terminal.
        terminal: String,
        /// Bytes.
        bytes: Vec<u8>,
        /// Who does: refused while somebody else has the keyboard. `None`: wsm itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<Person>,
    },
    /// Everything the shim knows of.
    List,
    /// Forget an ended process, its screen and its output.
    Forget {
        /// Which.
        process: String,
    },
    /// The screen of a terminal.
    Capture {
        /// Terminal.
        terminal: String,
        /// Lines of history before the screen.
        history_lines: u32,
        /// Keep colours and attributes as SGR, or plain text.
        styled: bool,
    },
    /// Last lines of a process started with [`Io::Log`], as bytes.
    Log {
        /// Which.
        process: String,
        /// Byte offset to start at; `None` for the last `lines` lines.
        from: Option<u64>,
        /// How many lines.
        lines: u32,
    },
    /// Watch directories inside (replaces the last set); answers come as [`Event::Changed`].
    Watch {
        /// Absolute paths inside.
        directories: Vec<String>,
    },
    /// Say [`Event`]s on this connection from now on.
    Subscribe,
    /// Let somebody in, once and within [`TICKET_MS`], to be a viewer of this terminal.
    Ticket {
        /// Terminal; it need not exist yet.
        terminal: String,
        /// They may only look.
        read_only: bool,
        /// Who they are.
        #[serde(default)]
        person: Person,
        /// They dispose of the agent: others can't take all places.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        owner: bool,
    },
    /// Somebody has no right to be here any more: their viewers are closed, their tickets and their
    /// lease are void, the processes that they run are hung up.
    Expel {
        /// The user.
        user: String,
        /// They may look on: only who may type is closed, and what they run.
        looks: bool,
    },
    /// Who looks, and who may type: in one terminal or in all.
    Who {
        /// Terminal.
        terminal: Option<String>,
    },
    /// Change who may type.
    Lease {
        /// Terminal.
        terminal: String,
        /// How.
        act: LeaseAct,
        /// Who wants it.
        person: Person,
        /// They may dispose of what others hold.
        #[serde(default)]
        over: bool,
    },
    /// From now on what people type is recorded, too; or no more.
    RecordInput {
        /// It is.
        on: bool,
    },
    /// What was reported after this number, and which questions are open.
    Reports {
        /// Number of the last report that is known.
        after: u64,
    },
    /// Answer the question that came with this report.
    Decide {
        /// Its number.
        report: u64,
        /// How; `None`: not at all, the agent asks in its own way.
        verdict: Option<Verdict>,
    },
}

/// How a process's streams are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Io {
    /// A terminal of this name; a new process may take over the name of an ended one, the screen
    /// and its numbers go on.
    Terminal {
        /// Terminal name: `main`, `shell-1`.
        terminal: String,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
        /// What it shows is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<Record>,
    },
    /// Standard output and error go to the service's bounded log; standard input is empty.
    Log {
        /// Log file, as named to the broker.
        service: String,
    },
    /// A client streams standard input, output and error ([`Frame::Open`]); until then output
    /// waits in a bounded buffer.
    Stream,
}

/// Answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// It runs.
    Started {
        /// Pid inside.
        pid: i32,
    },
    /// A process of that name was started before.
    Exists,
    /// No process or terminal of that name.
    NotFound,
    /// It could not be done.
    Failed {
        /// What was being done.
        what: String,
        /// errno, 0 for none.
        errno: i32,
    },
    /// Processes.
    Listed {
        /// Each.
        processes: Vec<Process>,
    },
    /// A screen as text, lines ending in `\n`.
    Captured {
        /// The text.
        text: String,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
        /// Sequence number.
        seq: u64,
        /// Cursor, 0-based column and row of the screen.
        cursor: (u16, u16),
        /// The window title that the program set, sanitised.
        title: String,
    },
    /// Part of a log.
    Log {
        /// Offset of the first byte.
        from: u64,
        /// The bytes.
        bytes: Vec<u8>,
        /// Offset after the last byte: ask from here next.
        next: u64,
    },
    /// Whoever says hello with this is let in.
    Ticket {
        /// 128 random bits in hexadecimal.
        ticket: String,
    },
    /// Who looks.
    Who {
        /// Each viewer.
        viewers: Vec<Presence>,
        /// Who may type, by terminal.
        leases: Vec<(String, Lease)>,
        /// Who runs a process, each once.
        #[serde(default)]
        runners: Vec<Person>,
    },
    /// Who may type now.
    Lease {
        /// As it is now.
        lease: Lease,
    },
    /// What was reported.
    Reports {
        /// In order. The oldest may be gone.
        reports: Vec<Reported>,
        /// Questions by the numbers of their reports. What is not named waits here no more.
        open: Vec<(u64, Fate)>,
        /// There is more: ask again from the last one.
        more: bool,
    },
    /// Refused, in words for people.
    Refused {
        /// Why.
        reason: String,
    },
}

/// One process the shim knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its name.
    pub process: String,
    /// Its terminal, if it has one.
    pub terminal: Option<String>,
    /// Pid inside.
    pub pid: i32,
    /// How it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// When it was started, milliseconds since the epoch.
    pub started_ms: u64,
    /// When it last wrote something.
    pub output_ms: Option<u64>,
    /// Bytes written so far.
    pub output_bytes: u64,
}
