//! What the driver asks the git helper, and what it answers.
//!
//! One JSON document per line, either way. The helper answers requests in order; before the answer
//! of a long one come any number of progress lines. Every request names the git directory and the
//! trees itself, as the daemon recorded them.

mod failure;
mod reply;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(in crate::workspace) use failure::Doing;
pub use failure::{Failure, FailureKind};
pub use reply::{
    AgentView, CommittedFile, Created, DiffReply, Facts, FileChange, Imported, IndexState, Landed,
    MergeKind, MergeReply, Outcome, Reply, WorkState,
};

/// Longest request line in bytes.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Longest reply line in bytes: a patch and its list of files fit with room to spare.
pub const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most entries of any list in a reply; what is beyond is only counted.
pub const LISTED_MAX: usize = 1000;

/// Longest patch text in a reply in bytes.
pub const PATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The name of a git object, 40 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(String);

impl Oid {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::workspace) fn git(&self) -> git2::Oid {
        git2::Oid::from_str(&self.0).expect("the digits were checked when this was made")
    }
}

impl From<git2::Oid> for Oid {
    fn from(oid: git2::Oid) -> Self {
        Self(oid.to_string())
    }
}

impl TryFrom<String> for Oid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 40 && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is not the name of a git object"))
        }
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request with the number that its answer carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Counts up.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// One line of the helper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Line {
    /// Work goes on.
    Progress {
        /// Of which request.
        id: u64,
        /// What is being done, e.g. `files`.
        phase: String,
        /// How much is done.
        done: u64,
        /// Of how much; 0 when unknown.
        total: u64,
    },
    /// The end of a request.
    Answer {
        /// Of which request.
        id: u64,
        /// What came of it.
        reply: Reply,
    },
}

/// Where an agent's workspace lies. All paths are absolute and were recorded by the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The common git directory of the main repository.
    pub git_dir: PathBuf,
    /// Name below `git_dir/worktrees/`: `wsm-` and `[a-z0-9-]`.
    pub admin_id: String,
    /// The working tree of the agent.
    pub workspace: PathBuf,
    /// The agent's own git directory.
    pub private_git_dir: PathBuf,
    /// The agent's name: its other branches go to `refs/wsm/<agent>/heads/`.
    pub agent: String,
    /// The branch, without `refs/heads/`.
    pub branch: String,
}

/// Who is named in a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// The closed set of things the helper does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What kind of repository is it? Answer: [`Reply::Inspected`].
    Inspect {
        /// The common git directory.
        git_dir: PathBuf,
        /// The tree of the main checkout.
        work_tree: Option<PathBuf>,
    },
    /// The committed regular files directly below `prefix`. Answer: [`Reply::Files`].
    ReadFiles {
        /// The common git directory.
        git_dir: PathBuf,
        /// Any revision.
        rev: String,
        /// A directory, e.g. `.wsm/`.
        prefix: String,
        /// Only names that end so, e.g. `.toml`.
        suffix: String,
    },
    /// May a branch of this name be made? Answer: [`Reply::Free`].
    BranchFree {
        /// The common git directory.
        git_dir: PathBuf,
        /// Without `refs/heads/`.
        branch: String,
    },
    /// Make a workspace, all or nothing. Answer: [`Reply::Workspace`].
    CreateWorkspace(Box<Create>),
    /// Take the agent's commits over. Answer: [`Reply::Imported`].
    Import(Box<Import>),
    /// What the agent changed. Answer: [`Reply::Diff`].
    Diff {
        /// Whose.
        place: Place,
        /// Compare with the merge base with this revision; `None`: the main checkout's `HEAD`.
        target: Option<String>,
        /// Also what is not committed, untracked files included.
        uncommitted: bool,
        /// Also the patch, not the numbers alone.
        patch: bool,
    },
    /// Where the work stands. Answer: [`Reply::State`].
    State {
        /// Whose.
        place: Place,
        /// Compare with this revision; `None`: the main checkout's `HEAD`.
        target: Option<String>,
    },
    /// Bring the branch into the main checkout. Answer: [`Reply::Merge`].
    Merge(Box<Merge>),
    /// Stage the agent's work, uncommitted work included, in the main checkout, without a commit.
    /// Answer: [`Reply::Merge`].
    Apply {
        /// Whose.
        place: Place,
        /// The tree of the main checkout.
        work_tree: PathBuf,
        /// As [`Merge::mark`].
        mark: u64,
        /// As in [`Merge::guarded`].
        #[serde(default)]
        guarded: Vec<String>,
    },
    /// Is the merge or apply of this mark in the main checkout? Waits until no helper is at it any
    /// more. Answer: [`Reply::Landed`].
    Landed {
        /// Whose.
        place: Place,
        /// Which.
        mark: u64,
    },
    /// Forget the worktree, and its branch where nothing is lost by it. The tree itself stays.
    /// Repeatable. A branch that `git gc` packed can only be deleted by a helper that may write the
    /// git directory itself. Answer: [`Reply::Removed`].
    RemoveWorkspace {
        /// Whose.
        place: Place,
        /// What may go.
        branches: Branches,
    },
}

/// What becomes of the branches of a removed workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branches {
    /// Those go whose commits another branch holds, or whose changes the main checkout's branch has.
    DeleteMerged,
    /// All go, merged or not.
    DeleteAll,
}

/// A workspace to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Where. `workspace` and `private_git_dir` may exist as empty directories.
    pub place: Place,
    /// The revision to start at.
    pub base: String,
    /// Ignored files and directories to copy from the main checkout, relative, beneath only.
    pub copy: Vec<String>,
    /// Names below the workspace that the agent shall not read: refused if they are committed.
    #[serde(default)]
    pub hide: Vec<String>,
    /// Files that only this side can write, since the agent may not: path below the workspace, and
    /// content.
    #[serde(default)]
    pub files: Vec<(String, String)>,
    /// The main checkout that `copy` is taken from.
    pub source_tree: Option<PathBuf>,
    /// Written to the agent's configuration where the repository's own names nobody.
    pub identity: Option<Identity>,
    /// Uid of the files as the agent sees them.
    pub inside_uid: u32,
    /// Gid of the files as the agent sees them.
    pub inside_gid: u32,
}

/// Commits to be taken over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Whose.
    pub place: Place,
    /// The value of the branch that the last import (or the creation) answered.
    pub last: Option<Oid>,
    /// Look at the human's index even if no commit came: after a restart, or when the last answer
    /// said [`IndexState::Locked`].
    pub check_index: bool,
}

/// A branch to be merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// Whose.
    pub place: Place,
    /// The tree of the main checkout.
    pub work_tree: PathBuf,
    /// Names that the agent may not change: what comes at one of them, or below, must be what stands
    /// in the workspace.
    #[serde(default)]
    pub guarded: Vec<String>,
    /// One commit without the agent's history.
    pub squash: bool,
    /// Message of the merge or squash commit.
    pub message: String,
    /// Author of that commit.
    pub author: Identity,
    /// A number of its own, by which the log of the main checkout knows it.
    pub mark: u64,
    /// What to do if the workspace holds work that is not committed.
    pub uncommitted: Uncommitted,
}

/// What to do about work that is not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uncommitted {
    /// Do nothing and say what there is.
    Refuse,
    /// Merge the commits alone.
    Ignore,
}
