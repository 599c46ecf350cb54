//! Process-wide settings of libgit2, and opening the main repository.

use std::path::Path;
use std::sync::Once;

use git2::{ErrorCode, Repository, RepositoryOpenFlags};

use super::protocol::{Failure, FailureKind};

static SETTINGS: Once = Once::new();

/// Sets what must hold before the first repository is opened. Repeatable. No configuration but
/// the repository's own is read because the broker starts the helper where no other is: in a root
/// of its own, with a home that does not exist.
pub(super) fn settle() {
    SETTINGS.call_once(|| {
        git2::opts::strict_object_creation(true);
        git2::opts::strict_hash_verification(true);
    });
}

/// libgit2 has no code of its own for what it can't read.
fn unsupported(message: &str) -> bool {
    [
        "unknown object format",
        "unsupported extension",
        "unsupported repository version",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// Opens the main repository by exactly this git directory; `work_tree` is used as its tree,
/// whatever the repository itself says.
pub(super) fn open(git_dir: &Path, work_tree: Option<&Path>) -> Result<Repository, Failure> {
    settle();
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    let none: [&Path; 0] = [];
    let repository = Repository::open_ext(git_dir, flags, none).map_err(|error| {
        let unreadable = std::fs::read_dir(git_dir)
            .err()
            .filter(|e| e.kind() == std::io::ErrorKind::PermissionDenied);
        match (unreadable, error.code()) {
            (Some(denied), _) => Failure::new(
                FailureKind::Unreadable,
                format!("open {}", git_dir.display()),
                denied.to_string(),
            )
            .hint("run wsm as a user who may read the repository"),
            (None, ErrorCode::NotFound) => Failure::new(
                FailureKind::NotARepository,
                format!("open {}", git_dir.display()),
                "it is not a git repository",
            )
            .hint("run `git init` there, or name another directory"),
            (None, _) if unsupported(error.message()) => Failure::new(
                FailureKind::Unsupported,
                format!("open {}", git_dir.display()),
                error.message(),
            )
            .hint("wsm reads SHA-1 repositories with ordinary refs; convert it, or use a clone"),
            (None, _) => Failure::git(format!("open {}", git_dir.display()), &error),
        }
    })?;
    if let Some(tree) = work_tree {
        repository
            .set_workdir(tree, false)
            .map_err(|e| Failure::git(format!("use the tree {}", tree.display()), &e))?;
    }
    Ok(repository)
}
