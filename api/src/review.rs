//! Bringing work back: diff, merge, apply.

use serde::{Deserialize, Serialize};

/// `diff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diff {
    /// Commit compared with.
    pub base: String,
    /// Commits that the agent is ahead of it.
    pub commits: u32,
    /// Files with changes, uncommitted ones included.
    pub files: Vec<FileStat>,
    /// Unified patch, uncommitted work included.
    pub patch: String,
    /// Whether the patch was cut at its bound.
    pub truncated: bool,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileStat {
    /// Path.
    pub path: String,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
    /// Whether part of it is not committed.
    pub uncommitted: bool,
}

/// `merge`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// One commit instead of all.
    #[serde(default)]
    pub squash: bool,
    /// Message of a merge or squash commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Merge the commits although there is uncommitted work, which stays where it is.
    #[serde(default)]
    pub leave_uncommitted: bool,
}

/// What `merge` or `apply` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Merged {
    /// Branch of the main checkout that it went into.
    pub into: String,
    /// Commit that it stands at now; `""` for `apply`.
    pub commit: String,
    /// Commits brought in.
    pub commits: u32,
    /// Files changed.
    pub files: u32,
    /// How: `fast-forward`, `merge`, `squash`, `staged`, `nothing`.
    pub how: String,
    /// Work of the agent that did not come along, in words; `""` if all of it did.
    pub left: String,
}
