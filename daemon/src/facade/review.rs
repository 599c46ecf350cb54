//! Bringing work back: diff, merge, apply.

use std::sync::Arc;

use wsm_api::problem::{Code, Problem};
use wsm_api::review::{Diff, FileStat, Merge, Merged};
use wsm_sandbox::protocol::HelperRights;

use super::Daemon;
use crate::actor::Actor;
use crate::agent::handle::{Handle, Message};
use crate::agent::make::{self, identity};
use crate::agent::work::{git, git_problem, odd, place};
use crate::agent::{assemble, bring};
use crate::engine::{Engine, row};
use crate::record::{Bring, Bringing, Phase, Record};
use crate::role::Verb;
use crate::store::{Row, now_ms};
use crate::workspace::HelperError;
use crate::workspace::protocol::{
    Identity, Merge as GitMerge, MergeKind, MergeReply, Reply, Request, Uncommitted, WorkState,
};

impl Daemon {
    /// What the agent changed, uncommitted work included.
    ///
    /// # Errors
    /// There is no such agent, or the repository can't be read.
    pub async fn diff(&self, actor: &Actor, agent: &str) -> Result<Diff, Problem> {
        let (_, record) = self.imported(actor, agent, Verb::Diff).await?;
        let state = state(&self.engine, &record).await?;
        let request = Request::Diff {
            place: place(&record)?,
            target: None,
            uncommitted: true,
            patch: true,
        };
        let Reply::Diff(diff) = git(&self.engine, &record, HelperRights::Read, request).await?
        else {
            return Err(Problem::new(
                Code::Failed,
                "the git helper answered something else",
                "",
            ));
        };
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let files = diff.files.into_iter().map(|file| FileStat {
            uncommitted: file.status == '?',
            path: file.path,
            added: small(file.insertions),
            removed: small(file.deletions),
        });
        Ok(Diff {
            base: diff.base.to_string(),
            commits: small(state.ahead),
            files: files.collect(),
            patch: diff.patch,
            truncated: diff.truncated,
        })
    }

    /// Brings the branch into the main checkout.
    ///
    /// # Errors
    /// Conflicts, a checkout that is in the way, uncommitted work: nothing was changed.
    pub async fn merge(&self, actor: &Actor, agent: &str, merge: Merge) -> Result<Merged, Problem> {
        let (handle, record) = self.imported(actor, agent, Verb::Merge).await?;
        let state = state(&self.engine, &record).await?;
        let title = format!("Merge {} of {}", record.branch, record.name);
        let uncommitted = if merge.leave_uncommitted {
            Uncommitted::Ignore
        } else {
            Uncommitted::Refuse
        };
        let bringing = bringing(actor, Bring::Merge);
        let request = GitMerge {
            guarded: assemble::guarded(&record),
            place: place(&record)?,
            work_tree: record.repository.clone().into(),
            squash: merge.squash,
            message: merge.message.unwrap_or(title),
            author: author(actor, &record),
            mark: bringing.since_ms,
            uncommitted,
        };
        let request = Request::Merge(Box::new(request));
        self.bring(handle, record, bringing, request, state).await
    }

    /// Stages the agent's work in the main checkout, without a commit.
    ///
    /// # Errors
    /// Conflicts, a checkout that is in the way: nothing was changed.
    pub async fn apply(&self, actor: &Actor, agent: &str) -> Result<Merged, Problem> {
        let (handle, record) = self.imported(actor, agent, Verb::Merge).await?;
        let work_tree = record.repository.clone().into();
        let state = WorkState {
            ahead: 0,
            ..state(&self.engine, &record).await?
        };
        let bringing = bringing(actor, Bring::Apply);
        let request = Request::Apply {
            guarded: assemble::guarded(&record),
            place: place(&record)?,
            work_tree,
            mark: bringing.since_ms,
        };
        self.bring(handle, record, bringing, request, state).await
    }

    /// Goes on to its last row although whoever asked may be gone.
    async fn bring(
        &self,
        handle: Handle,
        record: Record,
        bringing: Bringing,
        request: Request,
        state: WorkState,
    ) -> Result<Merged, Problem> {
        let engine = Arc::clone(&self.engine);
        let work = async move {
            let begun = bringing.clone();
            handle
                .ask(|reply| Message::Bring {
                    bringing: begun,
                    reply,
                })
                .await?;
            let (brought, row) = brought(&engine, &record, &bringing, request, &state).await;
            handle.ask(|reply| Message::Brought { row, reply }).await?;
            brought
        };
        tokio::spawn(work).await.unwrap_or_else(|e| {
            let message = format!("wsm's own work broke off: {e}");
            Err(Problem::new(Code::Failed, message, "see the daemon's log"))
        })
    }

    /// The record, after the newest commits were taken over.
    async fn imported(
        &self,
        actor: &Actor,
        agent: &str,
        verb: Verb,
    ) -> Result<(Handle, Record), Problem> {
        let handle = self.find(actor, agent, verb)?;
        if handle.now().record.phase < Phase::Setup {
            let message = format!("{agent} has no workspace yet");
            let hint = format!("see `wsm explain {agent}`");
            return Err(Problem::new(Code::Conflict, message, hint));
        }
        handle.ask(|reply| Message::Import { reply }).await?;
        let record = Record::clone(&handle.now().record);
        Ok((handle, record))
    }
}

fn bringing(actor: &Actor, how: Bring) -> Bringing {
    let who = actor.who();
    Bringing {
        actor: who.user,
        via: who.via,
        address: who.address,
        how,
        since_ms: now_ms(),
    }
}

/// Brings it, and the row that tells what came of it.
async fn brought(
    engine: &Engine,
    record: &Record,
    bringing: &Bringing,
    request: Request,
    state: &WorkState,
) -> (Result<Merged, Problem>, Row) {
    let agent = Some(record.id.clone());
    let answer = match make::helper(engine, &record.grant, agent, HelperRights::Merge).await {
        Ok(mut helper) => helper.call(request).await,
        Err(problem) => {
            return (
                Err(problem.clone()),
                not_brought(record, bringing, &problem),
            );
        }
    };
    let brought = match answer {
        Ok(Reply::Merge(reply)) => merged(reply, record, state),
        Ok(other) => Err(odd(&other)),
        Err(HelperError::Failed(failure)) => Err(git_problem(&failure)),
        Err(error) => {
            let row = bring::look(engine, record, bringing).await;
            let message = format!("ask the git helper: {error}: {}", row.message);
            return (Err(Problem::new(Code::Failed, message, "")), row);
        }
    };
    let row = match &brought {
        Ok(merged) if merged.how == "nothing" => {
            let nothing = Problem::new(Code::Conflict, "there is nothing to bring", "");
            not_brought(record, bringing, &nothing)
        }
        Ok(merged) => {
            let message = format!(
                "{} into {}: {}, {} files, {}",
                record.branch, merged.into, merged.how, merged.files, merged.commit
            );
            let verb = bringing.how.verbs().1;
            row(bringing.who(), verb, record.id.as_str(), message)
        }
        Err(problem) => not_brought(record, bringing, problem),
    };
    (brought, row)
}

fn not_brought(record: &Record, bringing: &Bringing, why: &Problem) -> Row {
    let id = record.id.as_str();
    row(bringing.who(), bring::NOT_BROUGHT, id, &*why.message)
}

fn merged(reply: MergeReply, record: &Record, state: &WorkState) -> Result<Merged, Problem> {
    match reply {
        MergeReply::Done {
            into,
            to,
            how,
            files,
            left_behind,
            unfiltered,
            ..
        } => Ok(Merged {
            left: left(state, left_behind, &unfiltered),
            into,
            commit: if how == MergeKind::Staged {
                String::new()
            } else {
                to.to_string()
            },
            commits: u32::try_from(state.ahead).unwrap_or(u32::MAX),
            files: u32::try_from(files).unwrap_or(u32::MAX),
            how: match how {
                MergeKind::FastForward => "fast-forward",
                MergeKind::Merge => "merge",
                MergeKind::Squash => "squash",
                MergeKind::Staged => "staged",
            }
            .to_owned(),
        }),
        MergeReply::UpToDate { left_behind } => Ok(Merged {
            left: left(state, left_behind, &[]),
            into: String::new(),
            commit: String::new(),
            commits: 0,
            files: 0,
            how: "nothing".to_owned(),
        }),
        hindrance => Err(hindered(hindrance, record, state)),
    }
}

/// Why nothing was brought.
fn hindered(reply: MergeReply, record: &Record, state: &WorkState) -> Problem {
    let (name, branch) = (&record.name, &record.branch);
    let (message, hint, paths) = match reply {
        MergeReply::Conflicts { paths } => (
            format!("{name} conflicts with the main checkout; nothing was changed"),
            format!(
                "have the agent rebase its branch, or run `git merge {}`",
                branch
            ),
            paths,
        ),
        MergeReply::Dirty { paths } => (
            "the main checkout has changes in the same files; nothing was changed".to_owned(),
            format!(
                "commit or stash them, then try again; for files that a sparse checkout leaves \
                 out: `git merge {}` there",
                branch
            ),
            paths,
        ),
        MergeReply::Guarded { paths } => (
            format!("{name} changed what its template protects or hides; nothing was changed"),
            format!(
                "look at it with `wsm diff {name}`; if you want it, run `git merge {}`",
                branch
            ),
            paths,
        ),
        MergeReply::Uncommitted { paths } => (
            format!("{name} has work that is not committed; nothing was changed"),
            format!(
                "commit it on {} inside, or `wsm apply {name}` to stage all of it, or merge the \
                 commits alone with --leave-uncommitted{}",
                branch,
                also(state)
            ),
            paths,
        ),
        MergeReply::Done { .. } | MergeReply::UpToDate { .. } => {
            return odd(&Reply::Merge(reply));
        }
    };
    Problem {
        details: paths,
        ..Problem::new(Code::Conflict, message, hint)
    }
}

/// What a merge did not bring, in words.
fn left(state: &WorkState, files: u64, unfiltered: &[String]) -> String {
    let mut parts = Vec::new();
    if files > 0 {
        parts.push(format!("{} not committed", counted(files, "file")));
    }
    parts.extend(state.beside.iter().cloned());
    if let Some(first) = unfiltered.first() {
        let count = counted(unfiltered.len() as u64, "file");
        // wsm runs no filter of a repository: its programs are the repository's to choose.
        parts.push(format!(
            "the filter of {count} ({first} …), written as committed (Git LFS: `git lfs checkout`)"
        ));
    }
    parts.join(", ")
}

/// What else it has, for the end of a hint.
fn also(state: &WorkState) -> String {
    match state.beside.as_slice() {
        [] => String::new(),
        beside => format!("; not on that branch: {}", beside.join(", ")),
    }
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn author(actor: &Actor, record: &Record) -> Identity {
    if actor.user == record.owner {
        return identity(record);
    }
    Identity {
        name: actor.user.clone(),
        email: record.author.1.clone(),
    }
}

async fn state(engine: &Engine, record: &Record) -> Result<WorkState, Problem> {
    let request = Request::State {
        place: place(record)?,
        target: None,
    };
    match git(engine, record, HelperRights::Read, request).await? {
        Reply::State(state) => Ok(state),
        other => Err(odd(&other)),
    }
}

/// Work that the main checkout does not hold, in words; `""` if there is none.
pub(super) async fn unmerged(engine: &Engine, record: &Record) -> Result<String, Problem> {
    if record.paths.is_none() || record.phase < Phase::Setup {
        return Ok(String::new());
    }
    let state = state(engine, record).await?;
    let mut parts = Vec::new();
    if !state.merged {
        parts.push(counted(state.ahead, "unmerged commit"));
    }
    if state.uncommitted > 0 {
        parts.push(counted(state.uncommitted, "changed file"));
    }
    if state.untracked > 0 {
        parts.push(counted(state.untracked, "new file"));
    }
    parts.extend(state.beside);
    Ok(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_along_is_told() {
        let tip = "1".repeat(40).try_into().expect("a name");
        let state = WorkState {
            tip,
            ahead: 1,
            behind: 0,
            merged: false,
            uncommitted: 0,
            untracked: 0,
            beside: vec!["branch feature".to_owned()],
        };
        let told = left(&state, 2, &["big.bin".to_owned()]);
        for part in ["2 files not committed", "branch feature", "1 file (big.bin"] {
            assert!(told.contains(part), "{told}");
        }
        let nothing = WorkState {
            beside: Vec::new(),
            ..state
        };
        assert_eq!(left(&nothing, 0, &[]), "");
    }
}
