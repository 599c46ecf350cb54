//! From an admitted spec and the facts of the host to the list of what will be mounted where.
//!
//! Pure: nothing is opened here. [`crate::apply`] executes the operations in their order, parents
//! before what lies below them, and prints nothing; `Display` is for people.

mod etc;
mod guards;
mod helper;
mod programs;
mod reports;
mod words;
pub(crate) use etc::SHOWN as SHOWN_ETC;
pub(crate) use helper::{HELPER_PROGRAM, helper};
pub(crate) use programs::ALWAYS_THERE;
#[cfg(test)]
mod tests;

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
    /// Real directories that programs are looked up in, in this order.
    #[serde(default)]
    pub programs: Vec<PathBuf>,
    /// The program that reports for programs inside.
    #[serde(default)]
    pub hook: PathBuf,
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
    /// The host; the same for all, and therefore in no order.
    #[serde(skip)]
    pub host: HostLayout,
    /// The programs that the spec names, and what they lead to; `None` for all of the host's.
    #[serde(default)]
    pub tools: Option<Vec<Tool>>,
    /// The devices that the spec names: path, major and minor number.
    #[serde(default)]
    pub devices: Vec<(PathBuf, u32, u32)>,
}

/// A program of the host at its own place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tool {
    /// Where.
    pub at: PathBuf,
    /// Where it leads, if it is a symlink.
    pub link: Option<PathBuf>,
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
    /// The certificates of the same, as Java reads them.
    KeyStore {
        /// Where.
        at: PathBuf,
        /// A file of the host's with certificates (PEM), where there is one.
        after: PathBuf,
        /// Another one.
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
    /// Makes a new file system read-only, once everything is in it.
    Close(PathBuf),
    /// Mounts a writable directory onto itself, so that it can't be renamed away with what is guarded
    /// below it. One that is absent is made.
    Hold {
        /// Where, inside and on the host.
        at: PathBuf,
        /// The bind that it lies in.
        base: PathBuf,
    },
    /// Mounts something read-only over a name.
    Guard {
        /// Where, inside and on the host.
        at: PathBuf,
        /// The bind that it lies in.
        base: PathBuf,
        /// Whether it is something empty, also where the name is present.
        hide: bool,
        /// Whether it appears as a directory where it is absent.
        directory: bool,
        /// Whether it may be absent: then a place is made on the host, which git does not see.
        absent: bool,
        /// Whether the account's files are below `base` by right, or by being readable.
        owned: bool,
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
    /// What the self-test shall find of what few ask for.
    pub expected: Expected,
}

/// What of the extras the self-test looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Guarded names, and whether they are hidden.
    pub guards: Vec<(PathBuf, bool)>,
    /// Directories that are held.
    pub held: Vec<PathBuf>,
    /// Directories of programs, and the names in them.
    pub programs: Vec<(PathBuf, Vec<String>)>,
    /// Device nodes.
    pub devices: Vec<PathBuf>,
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
    let mut expected = Expected::default();
    if let Some(tools) = &facts.tools {
        ops.extend(programs::ops(&facts.host.programs, tools, &mut expected));
    }
    ops.extend(etc::ops(spec, &facts.host));
    ops.extend(reports::ops(&spec.extras, &facts.host));
    ops.push(tmpfs("/tmp", tmp_bytes, TMP_FILES, 0o1777));
    ops.push(tmpfs("/run", RUN_BYTES, 65_536, 0o1777));
    ops.extend(devices(tmp_bytes));
    for (at, major, minor) in facts.devices.clone() {
        expected.devices.push(at.clone());
        ops.push(Op::Device { at, major, minor });
    }
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
    binds.extend(guards::ops(spec, facts, &mut expected)?);
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
        expected,
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
    let shown = facts.host.shown.iter();
    let mut rules = landlock::Rules {
        read: shown
            .filter(|path| !path.starts_with("/etc"))
            .cloned()
            .collect(),
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
