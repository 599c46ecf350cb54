//! Process-wide settings of libgit2, and opening the main repository.
#![expect(
    unsafe_code,
    reason = "git2 marks libgit2's global options unsafe; there is no other way to set them"
)]

use std::path::Path;
use std::sync::Once;

use git2::{ConfigLevel, ErrorCode, Repository, RepositoryOpenFlags};

use super::protocol::{Failure, FailureKind};

/// Window of a mapped pack. Small, so that the address-space limit of the helper can be small.
const PACK_WINDOW_BYTES: usize = 32 * 1024 * 1024;

/// Most bytes of packs mapped at a time.
const PACK_MAPPED_BYTES_MAX: usize = 512 * 1024 * 1024;

static SETTINGS: Once = Once::new();

/// Sets what must hold before the first repository is opened. Repeatable.
pub(super) fn settle() {
    SETTINGS.call_once(|| {
        for level in [
            ConfigLevel::System,
            ConfigLevel::Global,
            ConfigLevel::XDG,
            ConfigLevel::ProgramData,
        ] {
            // SAFETY: the options are process-wide and not synchronised; `Once` runs this before
            // any other libgit2 call of this module, all of which come after `settle`.
            unsafe { git2::opts::set_search_path(level, "/dev/null") }
                .expect("libgit2 accepts any search path");
        }
        // SAFETY: as above. The paths come from the daemon's record of what the account granted,
        // so the owner of the directory decides nothing that the broker has not checked.
        unsafe { git2::opts::set_verify_owner_validation(false) }
            .expect("libgit2 knows this option since 1.5");
        // SAFETY: as above.
        unsafe { git2::opts::set_mwindow_size(PACK_WINDOW_BYTES) }
            .expect("libgit2 accepts any window size");
        // SAFETY: as above.
        unsafe { git2::opts::set_mwindow_mapped_limit(PACK_MAPPED_BYTES_MAX) }
            .expect("libgit2 accepts any limit");
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
