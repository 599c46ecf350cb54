//! Connecting to a shim and taking frames off a stream.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wsm_terminal::protocol::{
    Decoder, FRAME_BYTES_MAX, Frame, FrameError, Hello, PROTOCOL_VERSION,
};

use super::ShimError;

/// Bytes read at once: a full pipe's worth.
const READ_BYTES: usize = 64 * 1024;

/// Pause before another try while the shim's backlog is full; it accepts within a loop turn.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// Takes frames off a byte stream.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    decoder: Decoder,
    buffer: Box<[u8]>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> FrameReader<R> {
        FrameReader {
            stream,
            decoder: Decoder::default(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// The next frame, `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The stream broke, or what it carries is not the protocol.
    pub async fn next(&mut self) -> Result<Option<Frame>, ShimError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            let read = match self.stream.read(&mut self.buffer).await {
                Ok(0) => return Ok(None),
                Ok(read) => read,
                // A killed shim with unread input resets; that is an end like any other.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            self.decoder.push(&self.buffer[..read]);
        }
    }
}

/// Connects and exchanges hellos.
pub(super) async fn greet(
    directory: &File,
    name: &str,
    ticket: Option<String>,
) -> Result<(UnixStream, Hello), ShimError> {
    let mut stream = connect(directory, name)
        .await
        .map_err(|source| ShimError::Connect {
            name: name.to_owned(),
            source,
        })?;
    let mut bytes = Vec::new();
    Frame::Hello(Hello::client(ticket)).encode(&mut bytes);
    stream.write_all(&bytes).await?;
    let hello = read_hello(&mut stream).await?;
    if hello.version == PROTOCOL_VERSION {
        Ok((stream, hello))
    } else {
        Err(ShimError::Version {
            theirs: hello.version,
        })
    }
}

async fn connect(directory: &File, name: &str) -> io::Result<UnixStream> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    loop {
        match UnixStream::connect(&path).await {
            // A non-blocking connect says so when the backlog is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(BACKLOG_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Reads exactly one frame, so that the rest stays in the socket for whoever takes it over.
async fn read_hello(stream: &mut UnixStream) -> Result<Hello, ShimError> {
    let ended = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ShimError::Closed,
        _ => ShimError::Io(error),
    };
    let length = stream.read_u32_le().await.map_err(ended)? as usize;
    if length == 0 || length > FRAME_BYTES_MAX {
        return Err(FrameError::Length(length).into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.map_err(ended)?;
    match Frame::decode_message(&message)? {
        Some(Frame::Hello(hello)) => Ok(hello),
        _ => Err(ShimError::Unexpected("hello")),
    }
}
