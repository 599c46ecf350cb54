//! What the helper answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Failure, Identity, Oid};
#[cfg(doc)]
use super::{Import, LISTED_MAX, PATCH_BYTES_MAX};

/// The answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Facts of a repository.
    Inspected(Facts),
    /// Files of a commit.
    Files {
        /// The commit that `rev` named.
        commit: Oid,
        /// The files.
        files: Vec<CommittedFile>,
    },
    /// A branch of that name can be made.
    Free,
    /// A workspace stands.
    Workspace(Created),
    /// Commits were looked at.
    Imported(Imported),
    /// What changed.
    Diff(DiffReply),
    /// Where the work stands.
    State(WorkState),
    /// What came of a merge or an apply.
    Merge(MergeReply),
    /// What landed; `None`: the checkout's log tells of nothing.
    Landed(Option<Landed>),
    /// What was removed.
    Removed {
        /// Refs that went.
        deleted: Vec<String>,
        /// Refs that stay: no other branch holds their commits, or wsm did not make them.
        kept: Vec<String>,
    },
    /// It could not be done; what had been begun was undone.
    Failed(Failure),
}

/// Facts of a repository that decide whether and how wsm can use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The branch that is checked out, `None` when detached.
    pub branch: Option<String>,
    /// The commit that is checked out.
    pub head: Oid,
    /// Tracked files that differ from `head`.
    pub dirty: u64,
    /// Files that are neither tracked nor ignored.
    pub untracked: u64,
    /// Paths of submodules at `head`.
    pub submodules: Vec<String>,
    /// History is cut off.
    pub shallow: bool,
    /// Further object directories, absolute; the sandbox needs them readable.
    pub alternates: Vec<PathBuf>,
    /// `extensions.worktreeConfig` is set.
    pub worktree_config: bool,
    /// Who commits here by the repository's own configuration.
    pub identity: Option<Identity>,
}

/// One committed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedFile {
    /// Full path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A workspace that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The commit it starts at, to be remembered as [`Import::last`].
    pub base: Oid,
    /// `GITDIR/worktrees/ADMIN_ID`.
    pub git_admin: PathBuf,
    /// Files that were checked out.
    pub files: u64,
    /// Files that `copy` brought.
    pub copied: u64,
    /// Entries of `copy` that do not exist, or were left out and why.
    pub notes: Vec<String>,
}

/// What an import found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// What was decided and done.
    pub outcome: Outcome,
    /// The branch as it is now, to be remembered as [`Import::last`]; `None`: the human deleted it.
    pub last: Option<Oid>,
    /// The agent's own view.
    pub agent: AgentView,
    /// New objects that were checked and taken.
    pub objects: u64,
    /// The agent's other branches that moved, as full names.
    pub others: Vec<String>,
    /// The human's index.
    pub index: IndexState,
    /// What could not be taken, and why.
    pub warnings: Vec<String>,
}

/// What was done with the agent's branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Both are where they were.
    Nothing,
    /// The branch moved to the agent's commit.
    TookOver {
        /// From here.
        from: Oid,
        /// To there.
        to: Oid,
    },
    /// The human committed; the agent's view can be fast-forwarded to this.
    AgentBehind {
        /// The human's commit.
        oid: Oid,
    },
    /// Both moved apart; the agent's commits are at `refs/wsm/<agent>/heads/<branch>`.
    Diverged {
        /// Where the human is, `None` when the branch was deleted.
        human: Option<Oid>,
        /// Where the agent is.
        agent: Oid,
    },
    /// The agent has no such branch any more.
    AgentBranchGone,
}

/// What the agent has checked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentView {
    /// A branch.
    Branch {
        /// Its name.
        name: String,
    },
    /// No branch: a rebase, say.
    Detached {
        /// The commit.
        oid: Oid,
    },
    /// Neither can be read from its `HEAD`.
    Unreadable,
}

/// What became of the human's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexState {
    /// Nothing to do.
    Untouched,
    /// It shows the new commit.
    Refreshed,
    /// The human has staged something; it was left alone.
    Staged {
        /// What, at most [`LISTED_MAX`].
        paths: Vec<String>,
    },
    /// Another git holds it; try again.
    Locked,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffReply {
    /// The merge base.
    pub base: Oid,
    /// Tip of the agent's branch.
    pub tip: Oid,
    /// Number of files changed.
    pub files_changed: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Each file, at most [`LISTED_MAX`].
    pub files: Vec<FileChange>,
    /// The patch, `""` if it was not asked for.
    pub patch: String,
    /// The patch was cut at [`PATCH_BYTES_MAX`].
    pub truncated: bool,
    /// Tracked files that differ from the tip.
    pub uncommitted: u64,
    /// Files that are neither tracked nor ignored.
    pub untracked: u64,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path; for a rename the new one.
    pub path: String,
    /// `A`, `M`, `D`, `R`, `T` as git prints them, `?` for untracked.
    pub status: char,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// It is not text.
    pub binary: bool,
}

/// Where the work stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkState {
    /// Tip of the branch.
    pub tip: Oid,
    /// Commits that the target lacks.
    pub ahead: u64,
    /// Commits of the target that the branch lacks.
    pub behind: u64,
    /// The target holds every commit of the branch, or, after a squash, all its changes.
    pub merged: bool,
    /// Tracked files that differ from the tip.
    pub uncommitted: u64,
    /// Files that are neither tracked nor ignored.
    pub untracked: u64,
    /// Work that is not on the branch and that nothing outside holds: other branches, stashes … in
    /// words, at most [`LISTED_MAX`].
    pub beside: Vec<String>,
}

/// What came of a merge or an apply. Only `done` changed anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeReply {
    /// It is in.
    Done {
        /// The branch of the main checkout.
        into: String,
        /// Where it was.
        from: Oid,
        /// Where it is; the same for an apply.
        to: Oid,
        /// How.
        how: MergeKind,
        /// Files that changed.
        files: u64,
        /// Changed files with a `filter` attribute: written as committed, not through the filter.
        unfiltered: Vec<String>,
        /// Files of the workspace that are not committed and so did not come along.
        left_behind: u64,
    },
    /// Nothing to bring.
    UpToDate {
        /// Files of the workspace that are not committed.
        left_behind: u64,
    },
    /// The same lines were changed on both sides.
    Conflicts {
        /// Where.
        paths: Vec<String>,
    },
    /// Files of the main checkout would be overwritten.
    Dirty {
        /// Which.
        paths: Vec<String>,
    },
    /// Commits change names that the agent may not change.
    Guarded {
        /// Which files.
        paths: Vec<String>,
    },
    /// The workspace holds work that is not committed, and the request refuses that.
    Uncommitted {
        /// Which files.
        paths: Vec<String>,
    },
}

/// A merge or an apply as the log of the main checkout tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landed {
    /// Where `HEAD` was then.
    pub to: Oid,
    /// How it came there, in words.
    pub how: String,
}

/// How work came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeKind {
    /// The branch moved forward.
    FastForward,
    /// A commit with two parents.
    Merge,
    /// One new commit.
    Squash,
    /// Staged, not committed.
    Staged,
}
