//! Bringing work back: diff, merge, apply.

use wsm_api::problem::{Code, Problem};
use wsm_api::review::{Diff, FileStat, Merge, Merged};
use wsm_sandbox::protocol::HelperRights;

use super::{Actor, Daemon};
use crate::agent::assemble;
use crate::agent::handle::{Handle, Message};
use crate::agent::make::identity;
use crate::agent::work::{git, odd, place};
use crate::engine::{Engine, row};
use crate::record::{Phase, Record};
use crate::role::Right;
use crate::workspace::protocol::{
    Identity, Merge as GitMerge, MergeKind, MergeReply, Reply, Request, Uncommitted, WorkState,
};

impl Daemon {
    /// What the agent changed, uncommitted work included.
    ///
    /// # Errors
    /// There is no such agent, or the repository can't be read.
    pub async fn diff(&self, actor: &Actor, agent: &str) -> Result<Diff, Problem> {
        let (_, record) = self.imported(actor, agent, Right::View).await?;
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
        let (handle, record) = self.imported(actor, agent, Right::Drive).await?;
        let commits = state(&self.engine, &record).await?.ahead;
        let title = format!("Merge {} of {}", record.branch, record.name);
        let uncommitted = if merge.leave_uncommitted {
            Uncommitted::Ignore
        } else {
            Uncommitted::Refuse
        };
        let request = GitMerge {
            guarded: assemble::guarded(&record),
            place: place(&record)?,
            work_tree: record.repository.clone().into(),
            squash: merge.squash,
            message: merge.message.unwrap_or(title),
            author: author(actor, &record),
            uncommitted,
        };
        let request = Request::Merge(Box::new(request));
        let reply = git(&self.engine, &record, HelperRights::Merge, request).await?;
        brought(&handle, actor, &record, "work.merged", reply, commits).await
    }

    /// Stages the agent's work in the main checkout, without a commit.
    ///
    /// # Errors
    /// Conflicts, a checkout that is in the way: nothing was changed.
    pub async fn apply(&self, actor: &Actor, agent: &str) -> Result<Merged, Problem> {
        let (handle, record) = self.imported(actor, agent, Right::Drive).await?;
        let work_tree = record.repository.clone().into();
        let request = Request::Apply {
            guarded: assemble::guarded(&record),
            place: place(&record)?,
            work_tree,
        };
        let reply = git(&self.engine, &record, HelperRights::Merge, request).await?;
        brought(&handle, actor, &record, "work.applied", reply, 0).await
    }

    /// The record, after the newest commits were taken over.
    async fn imported(
        &self,
        actor: &Actor,
        agent: &str,
        right: Right,
    ) -> Result<(Handle, Record), Problem> {
        let handle = self.find(actor, agent, right)?;
        if handle.now().record.phase < Phase::Setup {
            let message = format!("{agent} has no workspace yet");
            return Err(Problem::new(Code::Conflict, message, "see `wsm explain`"));
        }
        handle.ask(|reply| Message::Import { reply }).await?;
        let record = Record::clone(&handle.now().record);
        Ok((handle, record))
    }
}

/// Has the agent's driver tell what was brought, now or when there is room to write it: it is done.
async fn brought(
    handle: &Handle,
    actor: &Actor,
    record: &Record,
    verb: &'static str,
    reply: Reply,
    commits: u64,
) -> Result<Merged, Problem> {
    let Reply::Merge(reply) = reply else {
        return Err(odd(&reply));
    };
    let merged = merged(reply, record, commits)?;
    if merged.how != "nothing" {
        let message = format!(
            "{} into {}: {}, {} files, {}",
            record.branch, merged.into, merged.how, merged.files, merged.commit
        );
        let row = row(&actor.user, verb, record.id.as_str(), message);
        handle.ask(|reply| Message::Note { row, reply }).await?;
    }
    Ok(merged)
}

fn merged(reply: MergeReply, record: &Record, commits: u64) -> Result<Merged, Problem> {
    let name = &record.name;
    let refused = |message: String, hint: String, paths: Vec<String>| Problem {
        details: paths,
        ..Problem::new(Code::Conflict, message, hint)
    };
    match reply {
        MergeReply::Done {
            into,
            to,
            how,
            files,
            left_behind,
            ..
        } => Ok(Merged {
            left: left(record, left_behind),
            into,
            commit: if how == MergeKind::Staged {
                String::new()
            } else {
                to.to_string()
            },
            commits: u32::try_from(commits).unwrap_or(u32::MAX),
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
            left: left(record, left_behind),
            into: String::new(),
            commit: String::new(),
            commits: 0,
            files: 0,
            how: "nothing".to_owned(),
        }),
        MergeReply::Conflicts { paths } => Err(refused(
            format!("{name} conflicts with the main checkout; nothing was changed"),
            format!(
                "have the agent rebase its branch, or run `git merge {}`",
                record.branch
            ),
            paths,
        )),
        MergeReply::Dirty { paths } => Err(refused(
            "the main checkout has changes in the same files; nothing was changed".to_owned(),
            "commit or stash them, then try again".to_owned(),
            paths,
        )),
        MergeReply::Guarded { paths } => Err(refused(
            format!("{name} changed what its template protects or hides; nothing was changed"),
            format!(
                "look at it with `wsm diff {name}`; if you want it, run `git merge {}`",
                record.branch
            ),
            paths,
        )),
        MergeReply::Uncommitted { paths } => Err(refused(
            format!("{name} has work that is not committed; nothing was changed"),
            format!(
                "commit it inside, or `wsm apply {name}` to stage all of it, or merge the commits \
                 alone with --leave-uncommitted"
            ),
            paths,
        )),
    }
}

/// What a merge did not bring, in words.
fn left(record: &Record, files: u64) -> String {
    let mut parts = Vec::new();
    if files > 0 {
        parts.push(format!("{} not committed", counted(files, "file")));
    }
    if record.sync.diverged {
        parts.push(format!(
            "commits that went apart from the branch, at refs/wsm/{}/",
            record.name
        ));
    }
    parts.join(", ")
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
    if record.sync.diverged {
        parts.push("commits that went apart from the branch".to_owned());
    }
    Ok(parts.join(", "))
}
