//! What few agents ask for: looked up on the host before, read back while they run, undone after.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};

use super::dirs;
use super::record::AgentRecord;
use super::setup::Host;
use crate::fail::{Context, failure};
use crate::files;
use crate::guard;
use crate::plan::{ALWAYS_THERE, Tool};
use crate::protocol::{Failure, FailureKind};
use crate::spec::{AgentId, Guard, LayerReport, LayerStatus};

/// Links from one program to the next.
const LINKS_MAX: usize = 16;
/// What every sandbox has of its own below `/dev`.
const OWN_DEVICES: [&str; 13] = [
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin", "stdout", "stderr",
    "pts", "shm",
];

impl Host {
    /// The programs that were named, and what they lead to; `None` for all.
    pub(super) fn tools(&self, names: Option<&[String]>) -> Result<Option<Vec<Tool>>, Failure> {
        let Some(names) = names else { return Ok(None) };
        let directories = &self.layout.programs;
        let mut tools = BTreeSet::new();
        let mut missing = Vec::new();
        let always = ALWAYS_THERE.iter().map(|name| (*name, true));
        let named = names.iter().map(|name| (name.as_str(), false));
        for (name, optional) in always.chain(named) {
            let before = tools.len();
            let mut found = false;
            for directory in directories {
                let at = directory.join(name);
                found |= follow(at, directories, &mut tools);
            }
            if !found && !optional && before == tools.len() {
                missing.push(name);
            }
        }
        if missing.is_empty() {
            return Ok(Some(tools.into_iter().collect()));
        }
        let shown: Vec<_> = directories
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Err(failure(
            FailureKind::Refused,
            format!("find {}", missing.join(", ")),
            format!("no such program in {}", shown.join(", ")),
            "install it on the host, or leave it out of tools.allow",
        ))
    }

    /// Lets the git pointer go, and removes what was put into the workspace for mounts over absent
    /// names.
    pub(super) fn tidy(&self, agent: &AgentId) -> Result<(), Failure> {
        let record: AgentRecord = match self.record(agent) {
            Err(missing) if missing.kind == FailureKind::NotFound => return Ok(()),
            result => result?,
        };
        self.let_pointer_go(agent, &record.account)?;
        let relative = |guard: &&Guard| !guard.path.starts_with('/');
        if !record.extras.guards.iter().any(|guard| relative(&guard)) {
            return Ok(());
        }
        let workspace = self.workspace(agent, &record);
        let what = || format!("tidy {}", workspace.display());
        let root = files::root().what(what)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let base = match files::open_plain(root.as_fd(), &workspace, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.what(what)?,
        };
        for guard in record.extras.guards.iter().filter(relative) {
            guard::remove_place(base.as_fd(), Path::new(&guard.path)).what(what)?;
        }
        Ok(())
    }

    fn workspace(&self, agent: &AgentId, record: &AgentRecord) -> PathBuf {
        let paths = dirs::paths(&self.state_path, &record.git_dir, agent, &record.account);
        PathBuf::from(paths.workspace)
    }

    /// What the kernel says of an agent's extras, and of the pointer to its git directory if that is no
    /// longer pinned.
    pub(super) fn inspect_extras(
        &self,
        agent: &AgentId,
        inside: i32,
    ) -> io::Result<Vec<LayerReport>> {
        let record = self.record(agent);
        let Ok(record) = record else {
            return Ok(Vec::new());
        };
        let mut reports = Vec::new();
        let extras = &record.extras;
        let mounts = std::fs::read_to_string(format!("/proc/{inside}/mountinfo"))?;
        let workspace = self.workspace(agent, &record);
        for (layer, hide) in [("protected names", false), ("hidden names", true)] {
            reports.extend(guarded((layer, hide), &extras.guards, &workspace, &mounts));
        }
        // Always there, so worth a line only when it is not.
        let pointer = Guard {
            path: ".git".into(),
            hide: false,
            directory: false,
        };
        let pin = guarded(("git pointer", false), &[pointer], &workspace, &mounts);
        let pin = pin.filter(|pin| pin.status != LayerStatus::Enforced);
        reports.extend(pin.or_else(|| self.inspect_pointer(agent, &record.account)));
        if let Some(tools) = extras.tools.as_deref() {
            reports.push(self.programs(tools, inside)?);
        }
        if !extras.devices.is_empty() {
            let there = |path: &&String| {
                let at = format!("/proc/{inside}/root{path}");
                std::fs::symlink_metadata(at).is_ok()
            };
            let found: Vec<_> = extras
                .devices
                .iter()
                .filter(there)
                .map(String::as_str)
                .collect();
            reports.push(LayerReport {
                layer: "devices".into(),
                status: LayerStatus::Reduced,
                detail: format!("beyond the usual: {}", found.join(", ")),
            });
        }
        if record.debug {
            reports.push(LayerReport {
                layer: "tracing".into(),
                status: LayerStatus::Reduced,
                detail: "the agent may trace its own processes (sandbox.debug)".into(),
            });
        }
        Ok(reports)
    }

    /// Counts what is in the directories of programs.
    fn programs(&self, tools: &[String], inside: i32) -> io::Result<LayerReport> {
        let mut names = BTreeSet::new();
        for directory in &self.layout.programs {
            let at = format!("/proc/{inside}/root{}", directory.display());
            for entry in std::fs::read_dir(at)? {
                names.insert(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        let wanted = self.tools(Some(tools)).ok().flatten().unwrap_or_default();
        let known = |name: &&String| {
            let same = |tool: &Tool| tool.at.file_name().is_some_and(|at| at == name.as_str());
            wanted.iter().any(same)
        };
        let others: Vec<_> = names.iter().filter(|name| !known(name)).cloned().collect();
        let (status, detail) = if others.is_empty() {
            let detail = format!("{} names in PATH, no others", names.len());
            (LayerStatus::Enforced, detail)
        } else {
            let detail = format!("not asked for: {}", others.join(", "));
            (LayerStatus::Reduced, detail)
        };
        Ok(LayerReport {
            layer: "programs".into(),
            status,
            detail,
        })
    }
}

/// One line for all names of a kind: a name over which nothing is mounted any more was replaced on the
/// host, by a person or by the host's git.
fn guarded(
    (layer, hide): (&str, bool),
    all: &[Guard],
    workspace: &Path,
    mounts: &str,
) -> Option<LayerReport> {
    let guards = all.iter().filter(|guard| guard.hide == hide);
    let mut at: Vec<PathBuf> = guards.map(|guard| workspace.join(&guard.path)).collect();
    at.sort();
    if at.is_empty() {
        return None;
    }
    let mounted = |path: &Path| {
        mounts.lines().any(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let (Some(place), Some(options)) = (fields.get(4), fields.get(5)) else {
                return false;
            };
            let read_only = options.split(',').any(|option| option == "ro");
            read_only && unescaped(place) == path.as_os_str().to_string_lossy()
        })
    };
    // What lies below another guarded name is guarded with it.
    let names: Vec<PathBuf> = all
        .iter()
        .map(|guard| workspace.join(&guard.path))
        .collect();
    let above = |at: &Path| {
        let mut above = names.iter().filter(|name| at.starts_with(name));
        above.any(|name| mounted(name))
    };
    let lost: Vec<String> = at
        .iter()
        .filter(|at| !above(at))
        .map(|path| path.display().to_string())
        .collect();
    let (status, detail) = if lost.is_empty() {
        (
            LayerStatus::Enforced,
            format!("{} read-only mounts", at.len()),
        )
    } else {
        let why = "replaced on the host since the start; restart the agent";
        (LayerStatus::Reduced, format!("{}: {why}", lost.join(", ")))
    };
    Some(LayerReport {
        layer: layer.into(),
        status,
        detail,
    })
}

/// mountinfo writes blanks as octal numbers.
fn unescaped(text: &str) -> String {
    let pairs = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Adds a program, and through symlinks what it leads to as far as that lies in these directories.
/// Whether there is one.
fn follow(at: PathBuf, directories: &[PathBuf], tools: &mut BTreeSet<Tool>) -> bool {
    let mut at = at;
    let mut found = false;
    for _ in 0..LINKS_MAX {
        let Ok(metadata) = at.symlink_metadata() else {
            return found;
        };
        let link = std::fs::read_link(&at).ok();
        let inside = at
            .parent()
            .is_some_and(|dir| directories.iter().any(|d| d == dir));
        if inside && (link.is_some() || metadata.is_file()) {
            found = true;
            let link = link.clone();
            tools.insert(Tool {
                at: at.clone(),
                link,
            });
        }
        let (Some(link), Some(parent)) = (link, at.parent()) else {
            return found;
        };
        at = real_parent(&parent.join(link));
    }
    found
}

/// The path with the directory's links resolved, but not its own: `/bin/x` is `/usr/bin/x`.
fn real_parent(path: &Path) -> PathBuf {
    let plain = path.components().all(|part| part != Component::ParentDir);
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ if plain => path.to_owned(),
        _ => PathBuf::new(),
    }
}

/// The numbers of device nodes of the host, which the ceiling lets through.
pub(super) fn devices(paths: &[String]) -> Result<Vec<(PathBuf, u32, u32)>, Failure> {
    let mut devices = Vec::new();
    for path in paths {
        let what = || format!("find the device {path}");
        let own = path
            .strip_prefix("/dev/")
            .and_then(|rest| rest.split('/').next());
        if own.is_some_and(|own| OWN_DEVICES.contains(&own)) {
            let why = "every sandbox has one of its own";
            return Err(failure(FailureKind::Refused, what(), why, "leave it out"));
        }
        let root = files::root().what(what)?;
        let node = files::open_plain(root.as_fd(), Path::new(path), OFlag::O_PATH).what(what)?;
        let stat = files::stat(node.as_fd()).what(what)?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFCHR {
            let why = "it is no character device";
            return Err(failure(FailureKind::Refused, what(), why, "leave it out"));
        }
        let number = |number: u64| u32::try_from(number).map_err(io::Error::other).what(what);
        let device = (number(major(stat.st_rdev))?, number(minor(stat.st_rdev))?);
        devices.push((PathBuf::from(path), device.0, device.1));
    }
    Ok(devices)
}
