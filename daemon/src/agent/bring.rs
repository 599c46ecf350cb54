//! A merge or an apply, from the row that it begins to the row that tells its end, whatever ends
//! meanwhile: the log of the main checkout knows what the daemon did not live to write.

use std::time::Duration;

use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::HelperRights;

use super::driver::Driver;
use super::work::{ask, odd, place};
use crate::engine::{Engine, row};
use crate::record::{Bring, Bringing, Record};
use crate::store::Row;
use crate::workspace::protocol::{Landed, Reply, Request};

/// How long it is waited for a helper that is still at it.
const LOOK_MAX: Duration = Duration::from_secs(20);

/// The end of a merge or an apply that changed nothing, or of which nothing is known.
pub(crate) const NOT_BROUGHT: &str = "work.not-brought";

impl Bring {
    /// Verbs of the rows that begin and end it.
    pub(crate) fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Bring::Merge => ("work.merging", "work.merged"),
            Bring::Apply => ("work.applying", "work.applied"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Bring::Merge => "a merge",
            Bring::Apply => "an apply",
        }
    }
}

impl Driver {
    /// Writes down that it begins; one at a time.
    pub(super) fn begin_bring(&mut self, bringing: Bringing) -> Result<(), Problem> {
        if let Some(other) = &self.record.bringing {
            let message = format!(
                "{} of {} is under way already, asked for by {}",
                other.how.word(),
                self.record.name,
                other.actor
            );
            return Err(Problem::new(Code::Conflict, message, "try again"));
        }
        let before = self.record.clone();
        let message = format!("{} into {}", self.record.branch, self.record.repository);
        let id = self.record.id.as_str();
        let told = row(bringing.who(), bringing.how.verbs().0, id, message);
        self.record.bringing = Some(bringing);
        self.try_commit(before, told)
    }

    /// Tells its end.
    pub(super) fn end_bring(&mut self, row: Row) {
        self.record.bringing = None;
        self.commit(row);
    }

    /// Tells the end of one that an earlier daemon began.
    pub(super) async fn settle_bring(&mut self) {
        if let Some(bringing) = self.record.bringing.clone() {
            let row = look(&self.engine, &self.record, &bringing).await;
            self.end_bring(row);
        }
    }
}

/// What became of one whose helper gave no answer.
pub(crate) async fn look(engine: &Engine, record: &Record, bringing: &Bringing) -> Row {
    let what = bringing.how.word();
    let repository = &record.repository;
    let (verb, message) = match landed(engine, record, bringing).await {
        Ok(Some(landed)) => (
            bringing.how.verbs().1,
            format!(
                "{} into {repository}: {}, {} (wsm was interrupted; the log there tells it)",
                record.branch,
                landed.how,
                landed.to.as_str()
            ),
        ),
        Ok(None) => (
            NOT_BROUGHT,
            format!("{what} was interrupted; the log of {repository} knows nothing of it"),
        ),
        Err(problem) => (
            NOT_BROUGHT,
            format!("{what} was interrupted; what came of it can't be told: {problem}"),
        ),
    };
    row(bringing.who(), verb, record.id.as_str(), message)
}

async fn landed(
    engine: &Engine,
    record: &Record,
    bringing: &Bringing,
) -> Result<Option<Landed>, Problem> {
    let agent = Some(record.id.clone());
    let helper = super::make::helper(engine, &record.grant, agent, HelperRights::Read).await?;
    let mut helper = helper.with_time_max(LOOK_MAX);
    let request = Request::Landed {
        place: place(record)?,
        mark: bringing.since_ms,
    };
    match ask(&mut helper, request).await? {
        Reply::Landed(landed) => Ok(landed),
        other => Err(odd(&other)),
    }
}
