//! From an admitted spec and the facts of the host to the list of what will be mounted where.
//!
//! Pure: nothing is opened here. [`crate::apply`] executes the operations in their order, parents
//! before what lies below them, and prints nothing; `Display` is for people.

mod etc;
pub(crate) use etc::SHOWN as SHOWN_ETC;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fail::failure;
use crate::landlock;
use crate::protocol::{Account, AgentPaths, Failure, FailureKind};
use crate::spec::{INSIDE_HOME, INSIDE_STATE, SandboxSpec};

/// Size of the root file system: a few directories and the texts of `/etc`.
const ROOT_BYTES: u64 = 4 << 20;
/// Size of `/run`, where programs put sockets and pid files.
const RUN_BYTES: u64 = 64 << 20;
/// Bound of `/tmp` and `/dev/shm` for agents without a memory limit; both count as its memory.
const TMP_BYTES: u64 = 4 << 30;
/// Files in one temporary file system: each takes about 1 KiB of kernel memory.
const TMP_FILES: u64 = 1 << 20;

/// Places that hold sockets, devices or other processes' state: never shown, whatever asks.
const NEVER_SHOWN: [&str; 7] = [
    "/proc", "/sys", "/dev", "/run", "/var/run", "/tmp", "/var/tmp",
];

/// What the host looks like, found out once when the broker starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLayout {
    /// Symlinks in `/` that lead into `/usr`: `("/bin", "usr/bin")`.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Directories and files shown read-only at their own place.
    pub shown: Vec<PathBuf>,
    /// Symlinks of `/etc` that are copied as such: `localtime`.
    pub etc_links: Vec<(PathBuf, PathBuf)>,
}

/// What the broker knows about one sandbox besides its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Who owns the files.
    pub account: Account,
    /// Where the agent's files lie.
    pub paths: AgentPaths,
    /// The main repository's common git directory.
    pub git_dir: PathBuf,
    /// Directories of the spec's grants.
    pub write: Vec<PathBuf>,
    /// The host.
    pub host: HostLayout,
}

/// One step of making the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A new file system in memory.
    Tmpfs {
        /// Where.
        at: PathBuf,
        /// Most bytes.
        bytes: u64,
        /// Most files.
        files: u64,
        /// Mode of its root.
        mode: u32,
        /// Whether device nodes work on it: `/dev` alone.
        devices: bool,
    },
    /// A directory of the root's own.
    Dir(PathBuf),
    /// A file of the root's own.
    File {
        /// Where.
        at: PathBuf,
        /// A file of the host's whose text comes first, where there is one.
        after: Option<PathBuf>,
        /// What it says.
        text: String,
    },
    /// A symlink of the root's own.
    Link {
        /// Where.
        at: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// A character device in `/dev`, made there and not taken from the host's `/dev`.
    Device {
        /// Where.
        at: PathBuf,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A new instance of the terminals.
    Terminals {
        /// Where.
        at: PathBuf,
    },
    /// Something of the host.
    Bind {
        /// Where it lies on the host.
        from: PathBuf,
        /// Where it is shown.
        at: PathBuf,
        /// Read-only or not.
        access: Access,
        /// How the owners of its files appear.
        owners: Owners,
        /// Whether a missing source is left out instead of failing.
        optional: bool,
    },
}

/// How a part of the host is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read-only, with what is mounted below it.
    Read,
    /// Writable, without what is mounted below it.
    Write,
    /// Read-only, one directory or file of the agent's own.
    Pin,
}

/// How the owners of a bind's files appear inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// As nobody.
    Nobody,
    /// The account's as the agent's, by an idmapped mount.
    Account,
}

/// The whole plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Host name inside.
    pub hostname: String,
    /// In order.
    pub ops: Vec<Op>,
    /// The Landlock rules that match the mounts.
    pub rules: landlock::Rules,
}

/// Makes the plan. Refuses what can't be shown where it is asked for.
///
/// # Errors
/// A path of the spec or of the repository lies where the sandbox has something of its own.
pub fn plan(spec: &SandboxSpec, facts: &Facts) -> Result<Plan, Failure> {
    let tmp_bytes = spec.limits.memory_bytes.unwrap_or(TMP_BYTES).min(TMP_BYTES);
    let mut ops = vec![tmpfs("/", ROOT_BYTES, 4096, 0o755)];
    ops.extend(facts.host.links.iter().map(|(at, to)| link(at, to)));
    ops.extend(facts.host.shown.iter().map(|path| shown(path)));
    ops.extend(etc::ops(spec, &facts.host));
    ops.push(tmpfs("/tmp", tmp_bytes, TMP_FILES, 0o1777));
    ops.push(tmpfs("/run", RUN_BYTES, 65_536, 0o1777));
    ops.extend(devices(tmp_bytes));
    ops.extend([
        Op::Dir("/proc".into()),
        Op::Dir("/var/lib".into()),
        link(Path::new("/var/run"), Path::new("../run")),
    ]);
    let mut binds = own_binds(facts);
    for path in &spec.read {
        let path = PathBuf::from(path);
        check_shown(&path)?;
        if !facts.host.shown.iter().any(|shown| path.starts_with(shown)) {
            binds.push(bind(&path, &path, Access::Read, Owners::Account));
        }
    }
    for path in &facts.write {
        check_shown(path)?;
        binds.push(bind(path, path, Access::Write, Owners::Account));
    }
    // Parents before children: what lies deeper is mounted onto what lies above it.
    binds.sort_by_key(|(at, _)| at.components().count());
    let mut rules = rules(facts, &binds);
    let var_tmp = Path::new("/var/tmp");
    if binds.iter().any(|(at, _)| at.starts_with(var_tmp)) {
        ops.push(tmpfs("/var/tmp", tmp_bytes, TMP_FILES, 0o1777));
        rules.write.push(var_tmp.to_owned());
    } else {
        ops.push(link(var_tmp, Path::new("../tmp")));
    }
    check_places(&ops, &binds)?;
    ops.extend(binds.into_iter().map(|(_, op)| op));
    Ok(Plan {
        hostname: spec.hostname.clone(),
        ops,
        rules,
    })
}

/// The workspace, both views of git, home and services' state.
fn own_binds(facts: &Facts) -> Vec<(PathBuf, Op)> {
    let paths = &facts.paths;
    let workspace = Path::new(&paths.workspace);
    let objects = facts.git_dir.join("objects");
    let pointer = workspace.join(".git");
    let own = Owners::Account;
    vec![
        bind(
            Path::new(&paths.home),
            Path::new(INSIDE_HOME),
            Access::Write,
            own,
        ),
        bind(
            Path::new(&paths.state),
            Path::new(INSIDE_STATE),
            Access::Write,
            own,
        ),
        bind(workspace, workspace, Access::Write, own),
        // The pointer to the git directory: the agent can't put another one in its place.
        bind(&pointer, &pointer, Access::Pin, own),
        bind(&objects, &objects, Access::Pin, own),
        bind(
            Path::new(&paths.git_private),
            Path::new(&paths.git_admin),
            Access::Write,
            own,
        ),
    ]
}

fn bind(from: &Path, at: &Path, access: Access, owners: Owners) -> (PathBuf, Op) {
    let (from, at) = (from.to_owned(), at.to_owned());
    (
        at.clone(),
        Op::Bind {
            from,
            at,
            access,
            owners,
            optional: false,
        },
    )
}

fn shown(path: &Path) -> Op {
    Op::Bind {
        from: path.to_owned(),
        at: path.to_owned(),
        access: Access::Read,
        owners: Owners::Nobody,
        optional: true,
    }
}

fn link(at: &Path, to: &Path) -> Op {
    Op::Link {
        at: at.to_owned(),
        to: to.to_owned(),
    }
}

fn tmpfs(at: &str, bytes: u64, files: u64, mode: u32) -> Op {
    Op::Tmpfs {
        at: at.into(),
        bytes,
        files,
        mode,
        devices: false,
    }
}

/// A minimal `/dev`. Its nodes are made, so no name of the host's `/dev` is ever followed.
fn devices(shm_bytes: u64) -> Vec<Op> {
    let root = PathBuf::from("/dev");
    let mut ops = vec![Op::Tmpfs {
        at: root,
        bytes: 65_536,
        files: 64,
        mode: 0o755,
        devices: true,
    }];
    let nodes = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
    ];
    ops.extend(
        nodes
            .into_iter()
            .chain([("tty", 5, 0)])
            .map(|(name, major, minor)| Op::Device {
                at: Path::new("/dev").join(name),
                major,
                minor,
            }),
    );
    let links = [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ];
    ops.extend(links.map(|(at, to)| link(Path::new(at), Path::new(to))));
    ops.push(Op::Terminals {
        at: "/dev/pts".into(),
    });
    ops.push(tmpfs("/dev/shm", shm_bytes, TMP_FILES, 0o1777));
    ops
}

/// A path that may be shown: absolute, plain, and not where sockets and devices live.
fn check_shown(path: &Path) -> Result<(), Failure> {
    let plain = path.is_absolute()
        && path
            .components()
            .skip(1)
            .all(|part| matches!(part, std::path::Component::Normal(_)));
    let refused = NEVER_SHOWN.iter().any(|never| path.starts_with(never));
    if plain && !refused && path != Path::new("/") {
        return Ok(());
    }
    Err(failure(
        FailureKind::Refused,
        format!("show {}", path.display()),
        "the sandbox shows nothing of /, /proc, /sys, /dev, /run and /tmp of the host",
        "name a directory elsewhere, by its real absolute path",
    ))
}

/// Refuses binds whose mount point would have to be made in a directory of the host.
fn check_places(ops: &[Op], binds: &[(PathBuf, Op)]) -> Result<(), Failure> {
    let mut hosts: Vec<(&Path, &Path)> = Vec::new();
    for op in ops {
        if let Op::Bind { from, at, .. } = op {
            hosts.push((from, at));
        }
    }
    for (at, op) in binds {
        let Op::Bind { from, .. } = op else { continue };
        if let Some((host_from, host)) = hosts.iter().find(|(_, host)| at.starts_with(host)) {
            // What stands at its own place in something shown at its own place is there already
            // (the workspace's `.git`) and needs no mount point.
            let stands = from == at && host_from == host && *host != at.as_path();
            if !stands {
                return Err(failure(
                    FailureKind::Refused,
                    format!("show {}", at.display()),
                    format!(
                        "it lies below {}, which the sandbox shows as a whole",
                        host.display()
                    ),
                    "move the repository or the directory elsewhere",
                ));
            }
        }
        hosts.push((from, at));
    }
    Ok(())
}

/// The second wall: the same places as the mounts, with the same rights.
fn rules(facts: &Facts, binds: &[(PathBuf, Op)]) -> landlock::Rules {
    let mut rules = landlock::Rules {
        read: facts.host.shown.clone(),
        write: ["/tmp", "/run", "/dev/shm"].map(PathBuf::from).to_vec(),
        devices: vec!["/dev".into()],
        list: vec!["/".into()],
        optional: facts.host.shown.clone(),
    };
    rules.read.push("/etc".into());
    // Programs write to files of their own process: comm, oom_score_adj, coredump_filter.
    rules.write.push("/proc".into());
    for (at, op) in binds {
        let Op::Bind { access, .. } = op else {
            continue;
        };
        match access {
            Access::Write => rules.write.push(at.clone()),
            Access::Read | Access::Pin => rules.read.push(at.clone()),
        }
    }
    rules
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in &self.ops {
            writeln!(f, "{op}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Tmpfs {
                at, bytes, mode, ..
            } => {
                write!(
                    f,
                    "tmpfs     {} ({} KiB, mode {mode:o})",
                    at.display(),
                    bytes >> 10
                )
            }
            Op::Dir(at) => write!(f, "directory {}", at.display()),
            Op::File { at, text, .. } => {
                write!(f, "file      {} ({} bytes)", at.display(), text.len())
            }
            Op::Link { at, to } => write!(f, "link      {} -> {}", at.display(), to.display()),
            Op::Device { at, major, minor } => {
                write!(f, "device    {} ({major}:{minor})", at.display())
            }
            Op::Terminals { at } => write!(f, "devpts    {}", at.display()),
            Op::Bind {
                from,
                at,
                access,
                owners,
                ..
            } => {
                let how = match access {
                    Access::Read => "read",
                    Access::Write => "write",
                    Access::Pin => "pin",
                };
                let owner = match owners {
                    Owners::Nobody => "nobody's",
                    Owners::Account => "the agent's",
                };
                write!(f, "{how:9} {} ({owner})", at.display())?;
                if from == at {
                    Ok(())
                } else {
                    write!(f, " from {}", from.display())
                }
            }
        }
    }
}

/// Where a git helper finds its program.
pub(crate) const HELPER_PROGRAM: &str = "/wsm";

/// The plan of a git helper's root: the host's programs, and the directories it works on at their
/// own places with their own owners.
pub(crate) fn helper(
    host: &HostLayout,
    program: &Path,
    reach: &[(PathBuf, Access)],
    home: &str,
) -> Plan {
    let mut ops = vec![tmpfs("/", ROOT_BYTES, 4096, 0o755)];
    ops.extend(host.links.iter().map(|(at, to)| link(at, to)));
    ops.extend(host.shown.iter().map(|path| shown(path)));
    ops.extend(devices(RUN_BYTES));
    ops.push(tmpfs("/tmp", RUN_BYTES, 65_536, 0o1777));
    ops.push(Op::Bind {
        from: program.to_owned(),
        at: HELPER_PROGRAM.into(),
        access: Access::Read,
        owners: Owners::Nobody,
        optional: false,
    });
    for (path, access) in reach {
        let (_, op) = bind(path, path, *access, Owners::Account);
        ops.push(op);
    }
    // The author's name; a link to elsewhere is left out.
    for name in [".gitconfig", ".config/git/config"] {
        let path = Path::new(home).join(name);
        let seen = reach.iter().any(|(reached, _)| path.starts_with(reached));
        let plain = path.canonicalize().is_ok_and(|real| real == path) && path.is_file();
        if plain && !seen {
            ops.push(shown(&path));
        }
    }
    Plan {
        hostname: String::new(),
        ops,
        rules: landlock::Rules::default(),
    }
}
