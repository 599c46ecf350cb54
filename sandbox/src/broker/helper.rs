//! The git helper: the account's uid, a root that holds one repository, no network, Landlock.
//!
//! Its root is built like a sandbox's, so that directories below one that the account can't enter
//! (an instance below /root) are reachable for it, and nothing else is.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, execve, pipe2, setgroups, setresgid, setresuid, setsid};

use super::access;
use super::record::Grant;
use super::setup::Host;
use crate::apply::Applier;
use crate::fail::{Context, failure};
use crate::files;
use crate::landlock;
use crate::plan::{self, Access};
use crate::protocol::{Account, AgentPaths, Failure, FailureKind, HelperRights};
use crate::spawn::{enter_network, enter_root, private_mounts};
use crate::sys::{self, Fork};

/// Open files of a helper: packs, indexes and a walk of directories.
const FILES_MAX: u64 = 4096;
/// Processor time of a helper in seconds: a runaway parse ends.
const CPU_SECONDS_MAX: u64 = 600;

/// Starts a helper; gives our end of its standard input and output.
pub(super) fn start(
    host: &Host,
    grant: &Grant,
    paths: Option<&AgentPaths>,
    rights: HelperRights,
    netns: Option<&OwnedFd>,
) -> Result<OwnedFd, Failure> {
    let what = || "start the git helper".to_owned();
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, flags).what(what)?;
    let (failed, report) = pipe2(OFlag::O_CLOEXEC).what(what)?;
    match sys::fork().what(what)? {
        Fork::Child => {
            let failed = match become_helper(host, grant, paths, rights, netns, &theirs) {
                Err(failed) => failed,
                Ok(never) => match never {},
            };
            let told = serde_json::to_writer(std::fs::File::from(report), &failed);
            sys::exit_now(i32::from(told.is_err()) + 1);
        }
        Fork::Parent(_) => {}
    }
    drop((report, theirs));
    let mut text = String::new();
    std::fs::File::from(failed)
        .read_to_string(&mut text)
        .what(what)?;
    if text.is_empty() {
        return Ok(ours); // closed by exec
    }
    Err(serde_json::from_str(&text)
        .unwrap_or_else(|_| failure(FailureKind::Failed, what(), text, "")))
}

fn become_helper(
    host: &Host,
    grant: &Grant,
    paths: Option<&AgentPaths>,
    rights: HelperRights,
    netns: Option<&OwnedFd>,
    socket: &OwnedFd,
) -> Result<std::convert::Infallible, Failure> {
    let what = || "start the git helper".to_owned();
    let account = &grant.account;
    setgroups(&[]).what(what)?;
    let program = std::fs::canonicalize(&host.config.wsm_program)
        .what(|| format!("find {}", host.config.wsm_program))?;
    let home = access::passwd(account.uid).map_or_else(|| "/".to_owned(), |entry| entry.home);
    let reach = reach(grant, paths, rights);
    make_missing(account, &reach)?;
    private_mounts()?;
    let root = files::root().what(what)?;
    let stage = files::open_plain(root.as_fd(), &host.run_path, OFlag::O_PATH).what(what)?;
    let applier = Applier {
        host: root.as_fd(),
        account,
        root_id: 0,
        file_map: None,
    };
    let plan = plan::helper(&host.layout, &program, &reach, &home);
    let sources = applier.sources(&plan)?;
    let new_root = applier.apply(&plan, sources, stage.as_fd())?;
    enter_root(&new_root)?;
    enter_network(netns)?;
    limit()?;
    setsid().what(what)?;
    umask(Mode::from_bits_truncate(0o022));
    for to in [0, 1] {
        sys::dup_to(socket.as_fd(), to).what(what)?;
    }
    sys::cloexec_from(3).what(what)?;
    sys::join_session_keyring().what(what)?;
    sys::clear_bounding_set().what(what)?;
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    setresgid(gid, gid, gid).what(what)?;
    setresuid(uid, uid, uid).what(what)?;
    sys::clear_capabilities().what(what)?;
    prctl::set_no_new_privs().what(what)?;
    restrict(&reach)?;
    let text = |text: String| CString::new(text).map_err(std::io::Error::from).what(what);
    let environment = [
        // libgit2 reads the account's own configuration from here: none.
        text("HOME=/nonexistent".into())?,
        text("PATH=/usr/bin:/bin".into())?,
        text("LANG=C.UTF-8".into())?,
    ];
    let program = CString::new(plan::HELPER_PROGRAM).expect("a constant without NUL");
    execve(&program, &[c"wsm", c"git-helper"], &environment)
        .what(|| format!("run {}", host.config.wsm_program))
}

/// What a helper sees of the account's files, and what of it is writable.
fn reach(
    grant: &Grant,
    paths: Option<&AgentPaths>,
    rights: HelperRights,
) -> Vec<(PathBuf, Access)> {
    let tree = PathBuf::from(&grant.directory.path);
    let git = PathBuf::from(grant.git_dir.as_ref().map_or("", |identity| &identity.path));
    let (imports, works, merges) = match rights {
        HelperRights::Read => (Access::Pin, Access::Pin, Access::Pin),
        HelperRights::Import => (Access::Write, Access::Pin, Access::Pin),
        HelperRights::Workspace => (Access::Write, Access::Write, Access::Pin),
        HelperRights::Merge => (Access::Write, Access::Pin, Access::Write),
    };
    let mut reach = vec![(tree, merges)];
    if rights != HelperRights::Read && rights != HelperRights::Merge {
        reach.push((git.clone(), merges));
        for part in ["objects", "refs", "logs", "worktrees"] {
            reach.push((git.join(part), imports));
        }
    } else {
        reach.push((git, merges));
    }
    if let Some(paths) = paths {
        reach.push((PathBuf::from(&paths.workspace), works));
        reach.push((PathBuf::from(&paths.git_private), works));
    }
    reach.sort_by_key(|(path, _)| path.components().count());
    reach
}

/// Makes the parts of a git directory that git makes only when it needs them, as the account.
fn make_missing(account: &Account, reach: &[(PathBuf, Access)]) -> Result<(), Failure> {
    let root = files::root().what(|| "open /".into())?;
    let wanted = reach.iter().filter(|(path, access)| {
        *access == Access::Write && (path.ends_with("logs") || path.ends_with("worktrees"))
    });
    for (path, _) in wanted {
        let what = || format!("make {}", path.display());
        let below = path
            .strip_prefix("/")
            .map_err(std::io::Error::other)
            .what(what)?;
        files::make_dirs(root.as_fd(), below, 0o755, (account.uid, account.gid)).what(what)?;
    }
    Ok(())
}

fn limit() -> Result<(), Failure> {
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 1),
        (Resource::RLIMIT_NOFILE, FILES_MAX),
        (Resource::RLIMIT_CPU, CPU_SECONDS_MAX),
    ] {
        let what = || format!("set {resource:?}");
        let (_, hard) = getrlimit(resource).what(what)?;
        let most = most.min(hard);
        setrlimit(resource, most, most).what(what)?;
    }
    Ok(())
}

/// The second wall behind the mounts.
fn restrict(reach: &[(PathBuf, Access)]) -> Result<(), Failure> {
    let open = |path: &Path| {
        nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            .what(|| format!("open {}", path.display()))
    };
    let root = open(Path::new("/"))?;
    let mut write = vec![open(Path::new("/dev"))?];
    for (path, _) in reach.iter().filter(|(_, access)| *access == Access::Write) {
        write.push(open(path)?);
    }
    let write: Vec<_> = write.iter().map(AsFd::as_fd).collect();
    landlock::restrict_helper(&[root.as_fd()], &write).map_err(|error| {
        failure(
            FailureKind::Unsupported,
            "confine the git helper",
            error.to_string(),
            "",
        )
    })?;
    Ok(())
}
