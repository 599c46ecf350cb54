//! Running one command inside to its end: `setup`, `teardown` and exec probes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use wsm_sandbox::launch::{Command, Exit};
use wsm_terminal::protocol::{Frame, Io, Reply, Request};

use super::{FrameReader, Shim, ShimError};

/// Output kept of a command, its end: what a person reads after a failure.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// SIGKILL to exit: the kernel needs milliseconds unless the process hangs in a file system.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// SIGKILL on every Linux.
const SIGKILL: i32 = 9;

/// How a command ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// The last [`OUTPUT_BYTES_MAX`] bytes of standard output and error, as they came.
    pub tail: Vec<u8>,
    /// Bytes that came before the tail.
    pub dropped_bytes: u64,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The shim is gone or breaks the protocol.
    #[error(transparent)]
    Shim(#[from] ShimError),
    /// It could not be started.
    #[error("{what}: {}", std::io::Error::from_raw_os_error(*.errno))]
    Start {
        /// What was being done.
        what: String,
        /// errno.
        errno: i32,
    },
    /// A process of that name was started before (by a daemon that died since).
    #[error("a process named {0} was started before")]
    Exists(String),
    /// The shim does not hand out its streams.
    #[error("{0}")]
    Refused(String),
    /// It took too long and was killed.
    #[error("did not end within {:.1} s", .after.as_secs_f32())]
    TimedOut {
        /// How long it had.
        after: Duration,
        /// What it had said, its end.
        tail: Vec<u8>,
    },
}

/// The end of a stream.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(OUTPUT_BYTES_MAX);
        self.bytes.drain(..excess);
        self.dropped += excess as u64;
    }
}

/// Kills and forgets the process when the caller leaves early, so that nothing is left running.
struct Abandon {
    shim: Shim,
    process: Option<String>,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let (Some(process), Ok(runtime)) =
            (self.process.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let shim = self.shim.clone();
        runtime.spawn(async move {
            if let Err(error) = kill(&shim, &process).await {
                tracing::debug!(%error, process, "an abandoned process was not killed");
            }
            forget(&shim, &process).await;
        });
    }
}

/// Starts `command` as `process` with empty standard input, collects its output and waits for its
/// end; kills it, with its process group, after `deadline` or when the future is dropped. The shim
/// has forgotten it afterwards.
///
/// # Errors
/// It can't be started, takes too long, or the shim is gone.
pub async fn run_to_end(
    shim: &Shim,
    process: &str,
    command: Command,
    deadline: Duration,
) -> Result<Output, RunError> {
    let mut abandon = Abandon {
        shim: shim.clone(),
        process: Some(process.to_owned()),
    };
    let request = Request::Start {
        process: process.to_owned(),
        command,
        io: Io::Stream,
    };
    match shim.request(request).await? {
        Reply::Started { .. } => {}
        other => {
            abandon.process = None;
            return Err(match other {
                Reply::Exists => RunError::Exists(process.to_owned()),
                Reply::Failed { what, errno } => RunError::Start { what, errno },
                _ => ShimError::Unexpected("start").into(),
            });
        }
    }
    let mut tail = Tail::default();
    let collected = tokio::time::timeout(deadline, collect(shim, process, &mut tail)).await;
    let exit = match collected {
        Ok(exit) => exit?,
        Err(_elapsed) => {
            return Err(RunError::TimedOut {
                after: deadline,
                tail: tail.bytes.into(),
            });
        }
    };
    abandon.process = None;
    forget(shim, process).await;
    Ok(Output {
        exit,
        dropped_bytes: tail.dropped,
        tail: tail.bytes.into(),
    })
}

async fn collect(shim: &Shim, process: &str, tail: &mut Tail) -> Result<Exit, RunError> {
    let mut stream = open(shim, process).await?;
    let mut bytes = Vec::new();
    Frame::StdinEnd.encode(&mut bytes);
    // A command that ended already has its answer on the way, and the shim's end is closed.
    if let Err(error) = stream.write_all(&bytes).await {
        tracing::debug!(%error, process, "end its input");
    }
    let mut frames = FrameReader::new(stream);
    while let Some(frame) = frames.next().await? {
        match frame {
            Frame::Stdout(bytes) | Frame::Stderr(bytes) => tail.push(&bytes),
            Frame::Exited(exit) => return Ok(exit),
            Frame::Refused { reason } => return Err(RunError::Refused(reason)),
            _ => {}
        }
    }
    Err(ShimError::Closed.into())
}

async fn open(shim: &Shim, process: &str) -> Result<UnixStream, ShimError> {
    let (mut stream, _hello) = shim.raw().await?;
    let mut bytes = Vec::new();
    let process = process.to_owned();
    Frame::Open { process }.encode(&mut bytes);
    stream.write_all(&bytes).await?;
    Ok(stream)
}

/// Kills a process group and waits until the shim has seen its end.
async fn kill(shim: &Shim, process: &str) -> Result<(), ShimError> {
    let request = Request::Signal {
        process: process.to_owned(),
        signal: SIGKILL,
        group: true,
    };
    if shim.request(request).await? == Reply::NotFound {
        return Ok(());
    }
    let ended = async {
        while is_running(shim, process).await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(KILL_TIMEOUT, ended)
        .await
        .unwrap_or(Err(ShimError::TimedOut(KILL_TIMEOUT)))
}

async fn is_running(shim: &Shim, process: &str) -> Result<bool, ShimError> {
    match shim.request(Request::List).await? {
        Reply::Listed { processes } => Ok(processes
            .iter()
            .any(|known| known.process == process && known.exit.is_none())),
        _ => Err(ShimError::Unexpected("list")),
    }
}

async fn forget(shim: &Shim, process: &str) {
    let process = process.to_owned();
    if let Err(error) = shim.request(Request::Forget { process }).await {
        tracing::debug!(%error, "an ended process was not forgotten");
    }
}
