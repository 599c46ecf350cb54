//! The daemon's side of the broker: one short connection per request, off the async threads.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wsm_api::problem::{Code, Problem};
use wsm_sandbox::client::{Broker as Connection, BrokerError};
use wsm_sandbox::protocol::{Failure, FailureKind, Reply, Request};

use crate::fault;

/// How long a broker that is being started again is waited for: `wsm up` and systemd start it
/// within a second, more often only when something is wrong.
const RESTART_TIME_MAX: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Knows where the broker listens; cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    run_dir: Arc<File>,
}

impl Broker {
    /// The broker whose socket lies in `run_dir`.
    #[must_use]
    pub fn new(run_dir: Arc<File>) -> Broker {
        Broker { run_dir }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The broker is gone or said no.
    pub async fn ask(&self, request: Request) -> Result<Reply, BrokerError> {
        self.ask_with_fds(request).await.map(|(reply, _)| reply)
    }

    /// As [`Broker::ask`], with the descriptors that came along. A broker that is being started
    /// again is waited for; every request but `Create` may be repeated and is.
    ///
    /// # Errors
    /// The broker stays gone, or said no.
    pub async fn ask_with_fds(
        &self,
        request: Request,
    ) -> Result<(Reply, Vec<OwnedFd>), BrokerError> {
        let repeatable = !matches!(request, Request::Create { .. });
        let begun = Instant::now();
        loop {
            let answer = self.ask_once(request.clone()).await;
            let again = match &answer {
                Err(BrokerError::Unreachable(_)) => true,
                Err(BrokerError::Broken(_)) => repeatable,
                Err(BrokerError::Failed(_)) | Ok(_) => false,
            };
            if !again || begun.elapsed() > RESTART_TIME_MAX {
                return answer;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Whether it answers now.
    pub async fn answers(&self) -> bool {
        self.ask_once(Request::List).await.is_ok()
    }

    async fn ask_once(&self, request: Request) -> Result<(Reply, Vec<OwnedFd>), BrokerError> {
        let run_dir = Arc::clone(&self.run_dir);
        let call = move || {
            let act = fault::act("broker", &request);
            let answer = Connection::connect(&run_dir)?.call(request, &[]);
            act.done();
            answer
        };
        match tokio::task::spawn_blocking(call).await {
            Ok(answer) => answer,
            Err(panic) => Err(BrokerError::Broken(std::io::Error::other(panic))),
        }
    }
}

/// An unexpected kind of answer.
#[must_use]
pub(crate) fn odd_reply(reply: &Reply) -> Problem {
    let kind = format!("{reply:?}");
    let kind = kind.split([' ', '(', '{']).next().unwrap_or_default();
    Problem::new(
        Code::Failed,
        format!("the broker answered something else than asked ({kind})"),
        "broker and daemon may be of different versions: restart wsm",
    )
}

/// As the API tells it.
#[must_use]
pub(crate) fn problem(error: &BrokerError) -> Problem {
    match error {
        BrokerError::Failed(failure) => from_failure(failure),
        other => Problem::new(
            Code::Failed,
            other.to_string(),
            "see whether the broker runs: `wsm status`, and the output of `wsm up`",
        ),
    }
}

fn from_failure(failure: &Failure) -> Problem {
    let code = match failure.kind {
        FailureKind::Invalid => Code::Invalid,
        FailureKind::Refused => Code::Refused,
        FailureKind::NotFound => Code::NotFound,
        FailureKind::Exists => Code::Conflict,
        FailureKind::Unsupported | FailureKind::Failed => Code::Failed,
    };
    Problem::new(
        code,
        format!("{}: {}", failure.what, failure.why),
        failure.hint.clone(),
    )
}
