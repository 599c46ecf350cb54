//! What kind of repository it is, and what its template files say.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::changes;
use super::libgit;
use super::protocol::{
    CommittedFile, Doing, Facts, Failure, FailureKind, Identity, LISTED_MAX, Reply,
};

/// Longest committed file that is read.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// Most committed files that are read.
const FILES_MAX: usize = 64;

/// Says what kind of repository it is, or why it can't be used.
pub(super) fn inspect(git_dir: &Path, work_tree: Option<&Path>) -> Result<Facts, Failure> {
    let repository = libgit::open(git_dir, work_tree)?;
    let what = || format!("use {}", git_dir.display());
    if repository.is_bare() || work_tree.is_none() {
        return Err(Failure::new(
            FailureKind::Bare,
            what(),
            "the repository is bare: it has no working tree",
        )
        .hint("clone it, and name the clone"));
    }
    let alternates = reachable(git_dir)?;
    let head = head(&repository)?;
    let config = repository
        .config()
        .doing(|| "read the repository's configuration".into())?;
    let identity = match (
        config.get_string("user.name"),
        config.get_string("user.email"),
    ) {
        (Ok(name), Ok(email)) => Some(Identity { name, email }),
        (Ok(_) | Err(_), _) => None,
    };
    index(&repository)?;
    let found = changes::uncommitted(&repository, head.1)?;
    Ok(Facts {
        branch: head.0,
        head: head.1.into(),
        dirty: found.tracked,
        untracked: found.untracked,
        submodules: submodules(&repository, head.1)?,
        shallow: repository.is_shallow(),
        alternates,
        worktree_config: config
            .get_bool("extensions.worktreeconfig")
            .unwrap_or(false),
        identity,
    })
}

/// Refuses an index that libgit2 can't read: nothing could be merged into that checkout.
fn index(repository: &Repository) -> Result<(), Failure> {
    repository.index().map(drop).map_err(|error| {
        let what = format!("read the index of {}", repository.path().display());
        Failure::new(FailureKind::Unsupported, what, error.message())
            .hint("if it is a sparse one: `git sparse-checkout reapply --no-sparse-index`")
    })
}

/// The branch and the commit that are checked out.
pub(super) fn head(repository: &Repository) -> Result<(Option<String>, Oid), Failure> {
    let head = repository.head().map_err(|error| match error.code() {
        ErrorCode::UnbornBranch | ErrorCode::NotFound => no_commits(repository),
        _ => Failure::git("read HEAD", &error),
    })?;
    let commit = head
        .peel_to_commit()
        .doing(|| "read the commit at HEAD".into())?;
    let branch = match head.name() {
        Ok(name) => name.strip_prefix("refs/heads/").map(str::to_owned),
        Err(_) => None,
    };
    Ok((branch, commit.id()))
}

fn no_commits(repository: &Repository) -> Failure {
    Failure::new(
        FailureKind::NoCommits,
        format!("use {}", repository.path().display()),
        "the repository has no commit yet",
    )
    .hint("make one: `git add -A && git commit -m start`")
}

/// The commit that a revision names.
pub(super) fn commit(repository: &Repository, rev: &str) -> Result<Oid, Failure> {
    let found = repository
        .revparse_single(rev)
        .and_then(|o| o.peel_to_commit());
    found.map(|c| c.id()).map_err(|error| {
        if repository.is_empty().unwrap_or(false) || rev == "HEAD" && repository.head().is_err() {
            return no_commits(repository);
        }
        Failure::new(
            FailureKind::NotFound,
            format!("resolve {rev:?}"),
            error.message(),
        )
        .hint("`git branch -a` lists the branches; fetch first if it is a remote one")
    })
}

/// Paths of the submodules of a commit.
pub(super) fn submodules(repository: &Repository, head: Oid) -> Result<Vec<String>, Failure> {
    let tree = repository
        .find_commit(head)
        .and_then(|c| c.tree())
        .doing(|| format!("read {head}"))?;
    if tree.get_name(".gitmodules").is_none() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |root, entry| {
        if entry.kind() == Some(ObjectType::Commit) && paths.len() < LISTED_MAX {
            paths.push(format!(
                "{root}{}",
                String::from_utf8_lossy(entry.name_bytes())
            ));
        }
        git2::TreeWalkResult::Ok
    })
    .doing(|| "look for submodules".into())?;
    Ok(paths)
}

/// Refuses a repository whose borrowed objects the helper, and so the agent, can't reach.
pub(super) fn reachable(git_dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let found = alternates(&git_dir.join("objects"), 0);
    match found.iter().find(|path| !path.is_dir()) {
        None => Ok(found),
        Some(path) => Err(Failure::new(
            FailureKind::Unsupported,
            format!("use {}", git_dir.display()),
            format!(
                "it borrows objects from {}, which is out of reach",
                path.display()
            ),
        )
        .hint("make it whole: `git repack -ad && rm .git/objects/info/alternates`")),
    }
}

/// Object directories that this one borrows from, as deep as git goes.
fn alternates(objects: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string(objects.join("info/alternates")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let path = fs::canonicalize(objects.join(line)).unwrap_or_else(|_| objects.join(line));
        if depth < 5 {
            found.extend(alternates(&path, depth + 1));
        }
        found.push(path);
    }
    found
}

/// Reads the regular files directly below `prefix` of a commit.
pub(super) fn read_files(
    git_dir: &Path,
    rev: &str,
    prefix: &str,
    suffix: &str,
) -> Result<Reply, Failure> {
    let repository = libgit::open(git_dir, None)?;
    let oid = commit(&repository, rev)?;
    let doing = || format!("read {prefix} of {rev}");
    let root = repository
        .find_commit(oid)
        .and_then(|c| c.tree())
        .doing(doing)?;
    let mut files = Vec::new();
    let Ok(entry) = root.get_path(Path::new(prefix.trim_end_matches('/'))) else {
        return Ok(Reply::Files {
            commit: oid.into(),
            files,
        });
    };
    let Ok(tree) = repository.find_tree(entry.id()) else {
        return Ok(Reply::Files {
            commit: oid.into(),
            files,
        });
    };
    let odb = repository.odb().doing(doing)?;
    for entry in &tree {
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        let regular = matches!(entry.filemode(), 0o100_644 | 0o100_755);
        if !regular || !name.ends_with(suffix) {
            continue;
        }
        let path = format!("{}/{name}", prefix.trim_end_matches('/'));
        let large =
            |why: String| Failure::new(FailureKind::TooLarge, format!("read {path} of {rev}"), why);
        if files.len() == FILES_MAX {
            return Err(large(format!("there are more than {FILES_MAX} files")));
        }
        if odb.read_header(entry.id()).doing(doing)?.0 > FILE_BYTES_MAX {
            return Err(large(format!("it is longer than {FILE_BYTES_MAX} bytes")));
        }
        let blob = repository.find_blob(entry.id()).doing(doing)?;
        let text = std::str::from_utf8(blob.content()).map_err(|_| {
            Failure::new(
                FailureKind::Invalid,
                format!("read {path} of {rev}"),
                "it is not UTF-8",
            )
        })?;
        files.push(CommittedFile {
            path,
            text: text.to_owned(),
        });
    }
    Ok(Reply::Files {
        commit: oid.into(),
        files,
    })
}
