//! The driver's side of the helper.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::protocol::{
    Envelope, Failure, Line, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Request,
};

/// Creation may take this long: a checkout of a large repository on a slow disk, and `copy`.
pub const CREATE_TIME_MAX: Duration = Duration::from_secs(600);

/// Every other request may take this long; an import bounds itself to the same.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(150);

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The helper answered that it could not.
    #[error(transparent)]
    Failed(Failure),
    /// No answer in time. The helper is of no further use: drop it, which ends it.
    #[error("the git helper did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The helper ended before it answered.
    #[error("the git helper ended before it answered")]
    Gone,
    /// The helper said something that is not of the protocol.
    #[error("the git helper said something unexpected: {0}")]
    Protocol(String),
    /// The socket failed.
    #[error("failed to talk to the git helper")]
    Io(#[from] std::io::Error),
}

/// A running helper. Dropping it closes its standard input, which ends it.
#[derive(Debug)]
pub struct Helper {
    stream: BufReader<UnixStream>,
    next: u64,
    time_max: Option<Duration>,
}

impl Helper {
    /// Talks to the helper at the other end of a stream that the broker made.
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream: BufReader::new(stream),
            next: 1,
            time_max: None,
        }
    }

    /// With another bound than [`CREATE_TIME_MAX`] and [`CALL_TIME_MAX`] on every call.
    #[must_use]
    pub fn with_time_max(mut self, time_max: Duration) -> Self {
        self.time_max = Some(time_max);
        self
    }

    /// Asks, and waits for the answer. [`Reply::Failed`] comes as [`HelperError::Failed`].
    ///
    /// Not safe to cancel: drop the helper then.
    ///
    /// # Errors
    /// See [`HelperError`].
    pub async fn call(&mut self, request: Request) -> Result<Reply, HelperError> {
        self.call_with(request, |_, _, _| {}).await
    }

    /// As [`Helper::call`]; `progress` is told phase, done and total.
    ///
    /// # Errors
    /// See [`HelperError`].
    pub async fn call_with(
        &mut self,
        request: Request,
        mut progress: impl FnMut(&str, u64, u64),
    ) -> Result<Reply, HelperError> {
        let usual = match request {
            Request::CreateWorkspace(_) => CREATE_TIME_MAX,
            _ => CALL_TIME_MAX,
        };
        let act = crate::fault::act("git", &request);
        let time_max = self.time_max.unwrap_or(usual);
        let deadline = Instant::now() + time_max;
        let wanted = self.next;
        self.next += 1;
        let mut text = serde_json::to_vec(&Envelope {
            id: wanted,
            request,
        })
        .map_err(|e| HelperError::Protocol(e.to_string()))?;
        if text.len() >= REQUEST_BYTES_MAX {
            return Err(HelperError::Protocol("the request is too long".to_owned()));
        }
        text.push(b'\n');
        let late = |_| HelperError::TimedOut(time_max);
        timeout_at(deadline, self.stream.get_mut().write_all(&text))
            .await
            .map_err(late)??;
        loop {
            let late = |_| HelperError::TimedOut(time_max);
            let line = timeout_at(deadline, read_line(&mut self.stream))
                .await
                .map_err(late)??;
            match serde_json::from_slice(&line).map_err(|e| HelperError::Protocol(e.to_string()))? {
                Line::Progress {
                    id,
                    phase,
                    done,
                    total,
                } if id == wanted => progress(&phase, done, total),
                Line::Answer { id, reply } if id == wanted => {
                    act.done();
                    return match reply {
                        Reply::Failed(failure) => Err(HelperError::Failed(failure)),
                        reply => Ok(reply),
                    };
                }
                Line::Progress { id, .. } | Line::Answer { id, .. } => {
                    return Err(HelperError::Protocol(format!(
                        "an answer to {id}, not to {wanted}"
                    )));
                }
            }
        }
    }
}

async fn read_line(stream: &mut BufReader<UnixStream>) -> Result<Vec<u8>, HelperError> {
    let mut line = Vec::new();
    let bounded = REPLY_BYTES_MAX as u64 + 1;
    stream.take(bounded).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Err(HelperError::Gone),
        Some(b'\n') => Ok(line),
        Some(_) if line.len() > REPLY_BYTES_MAX => {
            Err(HelperError::Protocol("a reply is too long".to_owned()))
        }
        Some(_) => Err(HelperError::Gone),
    }
}
