//! Letting wsm use a repository: the CLI passes the broker open descriptors, as the user.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wsm_api::problem::{Code, Problem};
use wsm_sandbox::client::{Broker, BrokerError};
use wsm_sandbox::protocol::{Account, Failure, FailureKind, Purpose, Reply, Request};

/// `wsm up` starts a broker that died again within two seconds.
const RESTART_TIME_MAX: Duration = Duration::from_secs(3);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A granted repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The grant's id.
    pub(crate) id: String,
    /// The account that granted it: this one.
    pub(crate) account: Account,
    /// The working tree.
    pub(crate) path: String,
}

/// Grants the repository that `start` lies in to the wsm whose sockets lie in `run_dir`.
pub(crate) fn grant_repository(run_dir: &Path, start: &Path) -> Result<Granted, Problem> {
    let (tree, git_dir) = find(start)?;
    let tree_fd = open(&tree)?;
    let git_fd = open(&git_dir)?;
    let run = File::open(run_dir).map_err(|e| unreachable(run_dir, &e.to_string()))?;
    match ask(
        &run,
        Purpose::Repository,
        &[tree_fd.as_fd(), git_fd.as_fd()],
    ) {
        Ok((
            Reply::Granted {
                grant,
                account,
                path,
                ..
            },
            _,
        )) => Ok(Granted {
            id: grant.0,
            account,
            path,
        }),
        Ok((reply, _)) => Err(Problem::new(
            Code::Failed,
            format!("the broker answered {reply:?}"),
            "",
        )),
        Err(BrokerError::Failed(failure)) => Err(refused(&failure)),
        Err(other) => Err(unreachable(run_dir, &other.to_string())),
    }
}

/// Grants a directory that a template writes to.
pub(crate) fn grant_directory(run_dir: &Path, directory: &Path) -> Result<String, Problem> {
    let fd = open(directory)?;
    let run = File::open(run_dir).map_err(|e| unreachable(run_dir, &e.to_string()))?;
    let purpose = Purpose::Directory;
    match ask(&run, purpose, &[fd.as_fd()]) {
        Ok((Reply::Granted { grant, .. }, _)) => Ok(grant.0),
        Ok((reply, _)) => {
            let message = format!("the broker answered {reply:?}");
            Err(Problem::new(Code::Failed, message, ""))
        }
        Err(BrokerError::Failed(failure)) => Err(refused(&failure)),
        Err(other) => Err(unreachable(run_dir, &other.to_string())),
    }
}

/// Asks for a grant; a broker that is being started again is waited for. Asking twice gives the same.
fn ask(
    run: &File,
    purpose: Purpose,
    fds: &[BorrowedFd<'_>],
) -> Result<(Reply, Vec<OwnedFd>), BrokerError> {
    let begun = Instant::now();
    loop {
        let answer =
            Broker::connect(run).and_then(|broker| broker.call(Request::Grant { purpose }, fds));
        let again = match &answer {
            Err(BrokerError::Unreachable(e)) => e.kind() == ErrorKind::ConnectionRefused,
            Err(BrokerError::Broken(_)) => true,
            Err(BrokerError::Failed(_)) | Ok(_) => false,
        };
        if !again || begun.elapsed() > RESTART_TIME_MAX {
            return answer;
        }
        std::thread::sleep(RETRY_PAUSE);
    }
}

fn refused(failure: &Failure) -> Problem {
    let code = match failure.kind {
        FailureKind::Invalid => Code::Invalid,
        FailureKind::Refused => Code::Refused,
        FailureKind::NotFound => Code::NotFound,
        _ => Code::Failed,
    };
    Problem::new(
        code,
        format!("{}: {}", failure.what, failure.why),
        failure.hint.clone(),
    )
}

fn unreachable(run_dir: &Path, why: &str) -> Problem {
    Problem::new(
        Code::Failed,
        format!("no wsm answers in {}: {why}", run_dir.display()),
        "start it with `wsm up` (and the same --dir)",
    )
}

/// The working tree and the common git directory of the repository around `start`.
fn find(start: &Path) -> Result<(PathBuf, PathBuf), Problem> {
    let start = start.canonicalize().map_err(|e| {
        bad(
            format!("{}: {e}", start.display()),
            "give the path of a git repository",
        )
    })?;
    for dir in start.ancestors() {
        if dir.file_name().is_some_and(|name| name == ".git") && dir.is_dir() {
            continue;
        }
        let dot_git = dir.join(".git");
        if dot_git.is_dir() {
            return Ok((dir.to_owned(), dot_git));
        }
        if dot_git.is_file() {
            return Err(elsewhere(dir, &dot_git));
        }
        if dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir() {
            return Err(bad(
                format!("{} is a bare repository", dir.display()),
                "workspaces need a checkout to come back to: clone it, and run this in the clone",
            ));
        }
    }
    Err(bad(
        format!("{} is not in a git repository", start.display()),
        "run this in a repository, or make one: git init && git commit",
    ))
}

/// A checkout whose `.git` is a file that names its git directory.
fn elsewhere(dir: &Path, dot_git: &Path) -> Problem {
    let text = std::fs::read_to_string(dot_git).unwrap_or_default();
    let git_dir = text.trim().trim_start_matches("gitdir: ");
    let dir = dir.display();
    if git_dir.contains("/worktrees/") {
        let hint = "run this in the main checkout of the repository";
        return bad(format!("{dir} is a linked worktree"), hint);
    }
    bad(
        format!("{dir} has its git directory elsewhere ({git_dir}), as a submodule has"),
        "not available yet: clone it, and run this in the clone",
    )
}

fn bad(message: String, hint: &str) -> Problem {
    Problem::new(Code::Invalid, message, hint)
}

fn open(path: &Path) -> Result<File, Problem> {
    File::open(path).map_err(|e| {
        Problem::new(
            Code::Refused,
            format!("open {}: {e}", path.display()),
            "the repository must be readable for you",
        )
    })
}
