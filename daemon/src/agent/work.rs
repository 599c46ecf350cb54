//! The agent's commits: taken over soon after they are made, and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use wsm_api::agent::State;
use wsm_api::problem::{Code, Problem};
use wsm_terminal::protocol::Request;

use super::assemble;
use super::driver::{Driver, problem_text};
use super::forward;
use super::handle::{Answer, Message};
use super::outside;
use crate::engine::{Engine, WSM, row};
use crate::record::{Phase, Record};
use crate::shim::run_to_end;
use crate::workspace::HelperError;
use crate::workspace::protocol::{Failure, FailureKind, Request as GitRequest};
use crate::workspace::protocol::{Import, Imported, IndexState, Oid, Outcome, Place, Reply};
use wsm_sandbox::launch::{Exit, Leaf};
use wsm_sandbox::protocol::HelperRights;

/// A commit writes several files; looking after this pause sees them all.
const SETTLE: Duration = Duration::from_millis(80);

/// How often it is looked although nothing was said: a watch can be lost, never the work.
const POLL: Duration = Duration::from_secs(20);

/// Each import is a process outside of the agent's limits and maybe a row in the journal, and the
/// agent says when there is something to import: so many at once are taken over as they come …
const BURST: u32 = 20;
/// … and then one in this time.
const PAUSE: Duration = Duration::from_secs(2);

/// Another git holds the index: try again.
const LOCKED_PAUSE: Duration = Duration::from_secs(1);

/// How long git inside may take to fast-forward the agent's view.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(30);

/// What is known of the take-over.
#[derive(Debug, Default)]
pub(super) struct Work {
    due: Option<Instant>,
    job: Option<JoinHandle<Result<Imported, Problem>>>,
    /// Who waits for the next import, and who for the one that runs.
    waiting: Vec<Answer<()>>,
    served: Vec<Answer<()>>,
    check_index: bool,
    /// The agent's view is being moved.
    forwarding: bool,
    /// The commit made outside that was told last.
    ahead: Option<Oid>,
    /// Follows the branch as others move it.
    outside: Option<JoinHandle<()>>,
    pace: Pace,
}

/// How often the agent may cause an import: [`BURST`] at once, one in [`PAUSE`] in the long run.
#[derive(Debug, Default)]
struct Pace {
    /// When all that was used is given back.
    full: Option<Instant>,
}

impl Pace {
    /// When the next one may begin, if not at once.
    fn earliest(&self) -> Option<Instant> {
        self.full?.checked_sub(PAUSE * (BURST - 1))
    }

    fn used(&mut self, now: Instant) {
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + PAUSE);
    }
}

impl Work {
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| self.job.is_none())?;
        Some(
            self.pace
                .earliest()
                .map_or(due, |earliest| due.max(earliest)),
        )
    }

    /// Gives the running import to whoever closes the sandbox.
    pub(super) fn abandon(&mut self) -> Option<JoinHandle<Result<Imported, Problem>>> {
        self.due = None;
        if let Some(outside) = self.outside.take() {
            outside.abort();
        }
        self.job.take()
    }
}

pub(super) async fn next_import(work: &mut Work) -> Result<Imported, Problem> {
    let Some(job) = &mut work.job else {
        return std::future::pending().await;
    };
    let done = job.await;
    work.job = None;
    done.unwrap_or_else(|e| Err(Problem::new(Code::Failed, format!("take over: {e}"), "")))
}

impl Driver {
    /// Has the launcher watch the private git directory.
    pub(super) async fn watch_work(&mut self) {
        let (Some(shim), Some(paths)) = (&self.shim, &self.record.paths) else {
            return;
        };
        let below = |name: &str| format!("{}/{name}", paths.git_admin);
        let directories = vec![
            paths.git_admin.clone(),
            below("logs"),
            below("refs/heads"),
            below("refs/heads/wsm"),
        ];
        if let Err(error) = shim.request(Request::Watch { directories }).await {
            tracing::warn!(agent = %self.record.name, %error, "watch for commits; polling instead");
        }
        self.work.check_index = true;
        self.work.due = Some(Instant::now() + SETTLE);
        let engine = Arc::clone(&self.engine);
        let following = outside::follow(engine, self.record.clone(), self.to_self.clone());
        if let Some(before) = self.work.outside.replace(tokio::spawn(following)) {
            before.abort();
        }
    }

    /// Something moved, inside or outside: looks soon. An import that moved the branch is followed by
    /// one that finds nothing; to tell its own move from a person's at the same time would be a guess.
    pub(super) fn work_changed(&mut self) {
        let soon = Instant::now() + SETTLE;
        self.work.due = Some(self.work.due.map_or(soon, |due| due.min(soon)));
    }

    pub(super) fn work_due(&mut self, now: Instant) {
        if self.work.due().is_some_and(|due| due <= now) {
            self.work.pace.used(now);
            self.begin_import();
        }
    }

    fn begin_import(&mut self) {
        self.work.due = None;
        let waiting = std::mem::take(&mut self.work.waiting);
        self.work.served.extend(waiting);
        if self.record.paths.is_none() || self.record.phase < Phase::Setup {
            return self.answer_imports(&Ok(()));
        }
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        let check_index = std::mem::take(&mut self.work.check_index);
        self.work.job = Some(tokio::spawn(async move {
            import(&engine, &record, check_index).await
        }));
    }

    /// Takes over now, for somebody who waits.
    pub(super) fn import_for(&mut self, reply: Answer<()>) {
        self.work.waiting.push(reply);
        // A running one may have looked already: another follows it.
        if self.work.job.is_none() {
            self.begin_import();
        }
    }

    /// Answers everybody who waits for an import: of the one that runs, if any, and the next.
    pub(super) fn answer_imports(&mut self, result: &Result<(), Problem>) {
        self.answer_served(result);
        for reply in self.work.waiting.drain(..) {
            drop(reply.send(result.clone()));
        }
    }

    fn answer_served(&mut self, result: &Result<(), Problem>) {
        for reply in self.work.served.drain(..) {
            drop(reply.send(result.clone()));
        }
    }

    pub(super) fn on_imported(&mut self, done: Result<Imported, Problem>) {
        let result = match done {
            Ok(imported) => {
                self.take_in(imported);
                Ok(())
            }
            Err(problem) => {
                let text = problem_text(&problem);
                if self.record.sync.problem != text {
                    self.record.sync.problem.clone_from(&text);
                    self.commit(row(WSM, "work.problem", self.record.id.as_str(), text));
                }
                Err(problem)
            }
        };
        self.answer_served(&result);
        if !self.work.waiting.is_empty() {
            return self.begin_import();
        }
        if self.shim.is_some() && self.work.due.is_none() {
            self.work.due = Some(Instant::now() + POLL);
        }
    }

    /// Records what an import found; moves the agent's view where the human was ahead.
    pub(super) fn take_in(&mut self, imported: Imported) {
        let before = self.record.sync.clone();
        if let Some(last) = &imported.last {
            self.record.sync.head = last.as_str().to_owned();
        }
        self.record.sync.problem = imported.warnings.join("; ");
        self.record.sync.diverged = matches!(imported.outcome, Outcome::Diverged { .. });
        if imported.index == IndexState::Locked {
            self.work.check_index = true;
            self.work.due = Some(Instant::now() + LOCKED_PAUSE);
        }
        let (verb, message) = match &imported.outcome {
            Outcome::TookOver { to, .. } => (
                "work.imported",
                format!("{} is at {}", self.record.branch, short(to)),
            ),
            Outcome::AgentBehind { oid } => {
                let new = self.work.ahead.as_ref() != Some(oid);
                self.forward_agent(oid, new);
                if new || before != self.record.sync {
                    self.work.ahead = Some(oid.clone());
                    let message = format!("the branch is at {}, made outside", short(oid));
                    let id = self.record.id.as_str();
                    self.commit(row(WSM, "work.outside", id, message));
                }
                return;
            }
            Outcome::Diverged { agent, .. } => (
                "work.diverged",
                format!(
                    "{} moved inside and outside; the agent's commits are at refs/wsm/{}/ ({})",
                    self.record.branch,
                    self.record.name,
                    short(agent)
                ),
            ),
            Outcome::AgentBranchGone => (
                "work.problem",
                "the agent deleted its branch; what was taken over is kept".into(),
            ),
            Outcome::Nothing => ("work.problem", self.record.sync.problem.clone()),
        };
        if before != self.record.sync {
            self.commit(row(WSM, verb, self.record.id.as_str(), message));
        }
    }

    /// Runs git inside: the agent's view is its own, nothing on the host writes it. It may take
    /// long, and nobody waits for it: `tell` whether its outcome is a row.
    fn forward_agent(&mut self, oid: &Oid, tell: bool) {
        let (Some(shim), Some(sender)) = (self.shim.clone(), self.sender()) else {
            return;
        };
        if self.record.state == State::Paused || self.work.forwarding {
            // Frozen: it would only time out. The next look comes again.
            return;
        }
        let branch = self.record.branch.as_str();
        let argv = ["/bin/sh", "-c", forward::LINE, "sh", oid.as_str(), branch]
            .map(str::to_owned)
            .to_vec();
        let made = assemble::command(&self.record, &self.engine.host, argv, Leaf::Agent);
        let Ok(command) = made else { return };
        self.work.forwarding = true;
        let short = short(oid).to_owned();
        tokio::spawn(async move {
            let process = format!("git/{}", crate::store::now_ms());
            let ran = run_to_end(&shim, &process, command, FORWARD_TIMEOUT).await;
            let moved = ran.is_ok_and(|output| output.exit == Exit::Code(0));
            let said = if moved {
                "follows"
            } else {
                "does not follow (it has staged changes or is on another branch)"
            };
            let said = tell.then(|| format!("the agent {said} the commit {short} made outside"));
            drop(sender.send(Message::Forwarded { said }).await);
        });
    }

    pub(super) fn on_forwarded(&mut self, said: Option<String>) {
        self.work.forwarding = false;
        if let Some(said) = said {
            self.commit(row(WSM, "work.forwarded", self.record.id.as_str(), said));
        }
    }
}

fn short(oid: &Oid) -> &str {
    oid.as_str().get(..10).unwrap_or_default()
}

/// Where the record's workspace lies, for the git helper.
///
/// # Errors
/// It has none yet.
pub(crate) fn place(record: &Record) -> Result<Place, Problem> {
    let Some(paths) = &record.paths else {
        let message = format!("{} has no workspace yet", record.name);
        let hint = format!("see `wsm explain {}`", record.name);
        return Err(Problem::new(Code::Conflict, message, hint));
    };
    Ok(Place {
        git_dir: record.git_dir.clone().into(),
        admin_id: admin_id(record),
        workspace: paths.workspace.clone().into(),
        private_git_dir: paths.git_private.clone().into(),
        agent: record.name.to_string(),
        branch: record.branch.clone(),
    })
}

/// Name of the worktree's administrative directory.
pub(crate) fn admin_id(record: &Record) -> String {
    format!("wsm-{}", record.id)
}

/// Asks a fresh git helper one thing.
pub(crate) async fn git(
    engine: &Engine,
    record: &Record,
    rights: HelperRights,
    request: GitRequest,
) -> Result<Reply, Problem> {
    let agent = Some(record.id.clone());
    let mut helper = super::make::helper(engine, &record.grant, agent, rights).await?;
    ask(&mut helper, request).await
}

/// Asks a git helper.
pub(crate) async fn ask(
    helper: &mut crate::workspace::Helper,
    request: GitRequest,
) -> Result<Reply, Problem> {
    match helper.call(request).await {
        Ok(reply) => Ok(reply),
        Err(HelperError::Failed(failure)) => Err(git_problem(&failure)),
        Err(e) => Err(Problem::new(
            Code::Failed,
            format!("ask the git helper: {e}"),
            "",
        )),
    }
}

/// As the API tells it.
pub(crate) fn git_problem(failure: &Failure) -> Problem {
    let code = match failure.kind {
        FailureKind::Invalid
        | FailureKind::NotARepository
        | FailureKind::Bare
        | FailureKind::NoCommits
        | FailureKind::Unsupported => Code::Invalid,
        FailureKind::Unreadable => Code::Refused,
        FailureKind::NotFound => Code::NotFound,
        FailureKind::Exists | FailureKind::Refused | FailureKind::Busy => Code::Conflict,
        FailureKind::Hostile | FailureKind::TooLarge | FailureKind::Failed => Code::Failed,
    };
    Problem::new(
        code,
        format!("{}: {}", failure.what, failure.why),
        failure.hint.clone(),
    )
}

/// One import.
pub(super) async fn import(
    engine: &Engine,
    record: &Record,
    check_index: bool,
) -> Result<Imported, Problem> {
    let last = Oid::try_from(record.sync.head.clone()).ok();
    let request = Import {
        place: place(record)?,
        last,
        check_index,
    };
    let request = GitRequest::Import(Box::new(request));
    match git(engine, record, HelperRights::Import, request).await? {
        Reply::Imported(imported) => Ok(imported),
        other => Err(odd(&other)),
    }
}

/// An unexpected kind of answer.
pub(crate) fn odd(reply: &Reply) -> Problem {
    let text = format!("{reply:?}");
    let kind = text.split([' ', '(', '{']).next().unwrap_or_default();
    Problem::new(
        Code::Failed,
        format!("the git helper answered something else ({kind})"),
        "",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_never_rests_is_served_at_a_pace() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut now = start;
        let mut served = 0;
        // As if something were always due.
        while now < start + PAUSE * 100 {
            now = pace.earliest().map_or(now, |earliest| earliest.max(now));
            pace.used(now);
            served += 1;
        }
        assert!((BURST + 99..=BURST + 101).contains(&served), "{served}");
        // After a rest the next ones are served at once again.
        let rested = now + PAUSE * BURST;
        for _ in 0..BURST {
            assert!(pace.earliest().is_none_or(|earliest| earliest <= rested));
            pace.used(rested);
        }
        assert!(pace.earliest().is_some_and(|earliest| earliest > rested));
    }
}
