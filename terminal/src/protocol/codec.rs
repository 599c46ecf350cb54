//! Frames as bytes.

use serde::Serialize;

use super::{FRAME_BYTES_MAX, Frame, VIEWER_FRAME_BYTES_MAX};

/// What a [`Decoder`] without anything in it may keep of what it grew to.
const KEPT_BYTES: usize = 256 * 1024;

/// A frame that can't be read. The connection ends; nothing else does.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`], or than this peer's may be, or empty.
    #[error(
        "frame of {0} bytes (none may be empty, nor longer than {FRAME_BYTES_MAX}, a viewer's {VIEWER_FRAME_BYTES_MAX})"
    )]
    Length(usize),
    /// The payload is not what the type says.
    #[error("malformed frame of type {0:#04x}")]
    Malformed(u8),
}

const HELLO: u8 = 0x01;
const REQUEST: u8 = 0x02;
const REPLY: u8 = 0x03;
const EVENT: u8 = 0x04;
const ATTACH: u8 = 0x10;
const INPUT: u8 = 0x11;
const RESIZE: u8 = 0x12;
const ACK: u8 = 0x13;
const DETACH: u8 = 0x14;
const VISIBLE: u8 = 0x15;
const ASK: u8 = 0x16;
const SNAPSHOT: u8 = 0x20;
const OUTPUT: u8 = 0x21;
const RESIZED: u8 = 0x22;
const EXITED: u8 = 0x23;
const REFUSED: u8 = 0x24;
const PICTURE: u8 = 0x25;
const LEASE: u8 = 0x26;
const COPY: u8 = 0x27;
const OPEN: u8 = 0x30;
const STDIN: u8 = 0x31;
const STDIN_END: u8 = 0x32;
const STDOUT: u8 = 0x33;
const STDERR: u8 = 0x34;
const PING: u8 = 0x40;
const PONG: u8 = 0x41;

impl Frame {
    /// The frame without its length: a WebSocket message.
    #[must_use]
    pub fn encode_message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// The frame with its length, appended to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.encode_into(out);
        let length = u32::try_from(out.len() - start - 4).expect("frames are far below 4 GiB");
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Hello(hello) => json(out, HELLO, hello),
            Frame::Request(number, request) => numbered(out, REQUEST, *number, request),
            Frame::Reply(number, reply) => numbered(out, REPLY, *number, reply),
            Frame::Event(event) => json(out, EVENT, event),
            Frame::Attach(attach) => json(out, ATTACH, attach),
            Frame::Input {
                epoch,
                number,
                bytes,
            } => {
                raw(
                    out,
                    INPUT,
                    &[&epoch.to_le_bytes(), &number.to_le_bytes(), bytes],
                );
            }
            Frame::Resize { cols, rows } => {
                raw(out, RESIZE, &[&cols.to_le_bytes(), &rows.to_le_bytes()]);
            }
            Frame::Ack { seq } => raw(out, ACK, &[&seq.to_le_bytes()]),
            Frame::Detach => raw(out, DETACH, &[]),
            Frame::Visible(visible) => raw(out, VISIBLE, &[&[u8::from(*visible)]]),
            Frame::Ask(act) => json(out, ASK, act),
            Frame::Picture { seq, bytes } => raw(out, PICTURE, &[&seq.to_le_bytes(), bytes]),
            Frame::Lease(lease) => json(out, LEASE, lease),
            Frame::Copy { text } => raw(out, COPY, &[text.as_bytes()]),
            Frame::Snapshot {
                seq,
                cols,
                rows,
                bytes,
            } => {
                let (cols, rows) = (cols.to_le_bytes(), rows.to_le_bytes());
                raw(out, SNAPSHOT, &[&seq.to_le_bytes(), &cols, &rows, bytes]);
            }
            Frame::Output { seq, bytes } => raw(out, OUTPUT, &[&seq.to_le_bytes(), bytes]),
            Frame::Resized { seq, cols, rows } => {
                let (cols, rows) = (cols.to_le_bytes(), rows.to_le_bytes());
                raw(out, RESIZED, &[&seq.to_le_bytes(), &cols, &rows]);
            }
            Frame::Exited(exit) => json(out, EXITED, exit),
            Frame::Refused { reason } => raw(out, REFUSED, &[reason.as_bytes()]),
            Frame::Open { process } => raw(out, OPEN, &[process.as_bytes()]),
            Frame::Stdin(bytes) => raw(out, STDIN, &[bytes]),
            Frame::StdinEnd => raw(out, STDIN_END, &[]),
            Frame::Stdout(bytes) => raw(out, STDOUT, &[bytes]),
            Frame::Stderr(bytes) => raw(out, STDERR, &[bytes]),
            Frame::Ping => raw(out, PING, &[]),
            Frame::Pong => raw(out, PONG, &[]),
        }
    }

    /// Reads a frame without its length. `Ok(None)`: a type this version does not know; skip it.
    ///
    /// # Errors
    /// The payload is not what the type says, or its length is out of bounds.
    pub fn decode_message(message: &[u8]) -> Result<Option<Frame>, FrameError> {
        let Some((&kind, rest)) = message.split_first() else {
            return Err(FrameError::Length(0));
        };
        if message.len() > FRAME_BYTES_MAX {
            return Err(FrameError::Length(message.len()));
        }
        decode_payload(kind, rest).ok_or(FrameError::Malformed(kind))
    }
}

/// `None`: malformed. `Some(None)`: of a type that is not known.
fn decode_payload(kind: u8, rest: &[u8]) -> Option<Option<Frame>> {
    let frame = match kind {
        HELLO => Frame::Hello(serde_json::from_slice(rest).ok()?),
        REQUEST => Frame::Request(
            u64_at(rest, 0)?,
            serde_json::from_slice(rest.get(8..)?).ok()?,
        ),
        REPLY => Frame::Reply(
            u64_at(rest, 0)?,
            serde_json::from_slice(rest.get(8..)?).ok()?,
        ),
        EVENT => Frame::Event(serde_json::from_slice(rest).ok()?),
        ATTACH => Frame::Attach(serde_json::from_slice(rest).ok()?),
        INPUT => Frame::Input {
            epoch: u64_at(rest, 0)?,
            number: u64_at(rest, 8)?,
            bytes: rest.get(16..)?.to_vec(),
        },
        RESIZE => Frame::Resize {
            cols: u16_at(rest, 0)?,
            rows: u16_at(rest, 2)?,
        },
        ACK => Frame::Ack {
            seq: u64_at(rest, 0)?,
        },
        DETACH => Frame::Detach,
        VISIBLE => Frame::Visible(*rest.first()? != 0),
        ASK => Frame::Ask(serde_json::from_slice(rest).ok()?),
        PICTURE => Frame::Picture {
            seq: u64_at(rest, 0)?,
            bytes: rest.get(8..)?.to_vec(),
        },
        LEASE => Frame::Lease(serde_json::from_slice(rest).ok()?),
        COPY => Frame::Copy {
            text: String::from_utf8(rest.to_vec()).ok()?,
        },
        SNAPSHOT => Frame::Snapshot {
            seq: u64_at(rest, 0)?,
            cols: u16_at(rest, 8)?,
            rows: u16_at(rest, 10)?,
            bytes: rest.get(12..)?.to_vec(),
        },
        OUTPUT => Frame::Output {
            seq: u64_at(rest, 0)?,
            bytes: rest.get(8..)?.to_vec(),
        },
        RESIZED => Frame::Resized {
            seq: u64_at(rest, 0)?,
            cols: u16_at(rest, 8)?,
            rows: u16_at(rest, 10)?,
        },
        EXITED => Frame::Exited(serde_json::from_slice(rest).ok()?),
        REFUSED => Frame::Refused {
            reason: String::from_utf8(rest.to_vec()).ok()?,
        },
        OPEN => Frame::Open {
            process: String::from_utf8(rest.to_vec()).ok()?,
        },
        STDIN => Frame::Stdin(rest.to_vec()),
        STDIN_END => Frame::StdinEnd,
        STDOUT => Frame::Stdout(rest.to_vec()),
        STDERR => Frame::Stderr(rest.to_vec()),
        PING => Frame::Ping,
        PONG => Frame::Pong,
        _ => return Some(None),
    };
    Some(Some(frame))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn raw(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.push(kind);
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn json(out: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    out.push(kind);
    serde_json::to_writer(out, value).expect("our own types serialize, and a Vec takes all");
}

fn numbered(out: &mut Vec<u8>, kind: u8, number: u64, value: &impl Serialize) {
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
    serde_json::to_writer(out, value).expect("our own types serialize, and a Vec takes all");
}

/// Takes frames out of a byte stream, whatever its pieces.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    most: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            buffer: Vec::new(),
            start: 0,
            most: FRAME_BYTES_MAX,
        }
    }
}

impl Decoder {
    /// From now on a frame of more bytes is an error as soon as its length is known.
    pub fn narrow(&mut self, most: usize) {
        self.most = most;
    }

    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moves less than was taken out since.
        if self.start >= self.pending() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that were added and not taken out.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next whole frame, if there is one; unknown types are skipped.
    ///
    /// # Errors
    /// The stream is broken; close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let pending = &self.buffer[self.start..];
            let Some(head) = pending.first_chunk::<4>() else {
                if pending.is_empty() {
                    self.buffer.clear();
                    self.buffer.shrink_to(KEPT_BYTES);
                    self.start = 0;
                }
                return Ok(None);
            };
            let length = u32::from_le_bytes(*head) as usize;
            if length == 0 || length > self.most {
                return Err(FrameError::Length(length));
            }
            let Some(message) = pending.get(4..4 + length) else {
                return Ok(None);
            };
            let frame = Frame::decode_message(message)?;
            self.start += 4 + length;
            if let Some(frame) = frame {
                return Ok(Some(frame));
            }
        }
    }
}
