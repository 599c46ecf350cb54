//! What the kernel says is there: the oracle for "nothing is left behind".

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cli, wait};

/// One process, as /proc tells it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its command line, words separated by blanks.
    pub command: String,
    /// Its control groups.
    pub cgroup: String,
    /// Its parent.
    pub parent: i32,
}

/// Of `flags` in /proc/PID/stat: it is ending, has left its groups, and is no zombie yet.
const PF_EXITING: u32 = 0x4;

/// Every process that is not a zombie, nor about to be one.
#[must_use]
pub fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(process).collect()
}

/// The process `pid`; `None` when it is gone.
#[must_use]
pub fn process(pid: i32) -> Option<Process> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let mut after = stat.rsplit_once(')')?.1.split_whitespace();
    let state = after.next()?;
    let parent = after.next()?.parse().ok()?;
    let flags: u32 = after.nth(4)?.parse().ok()?;
    let command = fs::read(directory.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command)
        .replace('\0', " ")
        .trim_end()
        .to_owned();
    let cgroup = fs::read_to_string(directory.join("cgroup")).unwrap_or_default();
    (state != "Z" && flags & PF_EXITING == 0).then_some(Process {
        pid,
        command,
        cgroup,
        parent,
    })
}

/// Roots of the mounted control group hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let groups = fields.filter(|f| matches!(f.get(2), Some(&("cgroup" | "cgroup2"))));
    groups.filter_map(|f| f.get(1).map(PathBuf::from)).collect()
}

/// Control groups of an agent, in every hierarchy.
#[must_use]
pub fn cgroups_of(agent: &str) -> Vec<PathBuf> {
    let name = format!("agent-{agent}");
    hierarchies()
        .into_iter()
        .flat_map(|root| find(&root, &name, 4))
        .collect()
}

fn find(directory: &Path, name: &str, depth: u32) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
    {
        if entry.file_name() == name {
            found.push(entry.path());
        } else if depth > 0 {
            found.extend(find(&entry.path(), name, depth - 1));
        }
    }
    found
}

/// Processes of an agent: in its control groups.
#[must_use]
pub fn processes_of(agent: &str) -> Vec<Process> {
    let part = format!("/agent-{agent}/");
    processes()
        .into_iter()
        .filter(|p| format!("{}/", p.cgroup).contains(&part))
        .collect()
}

/// Pid of an agent's shim.
#[must_use]
pub fn shim_of(agent: &str) -> i32 {
    let all = processes_of(agent);
    let shim = all.iter().find(|process| process.cgroup.contains("/shim"));
    shim.unwrap_or_else(|| panic!("no shim among {all:?}")).pid
}

/// Mounts that name `directory`, in our own mount namespace and in that of every process.
#[must_use]
pub fn mounts_below(directory: &Path) -> Vec<String> {
    let directory = directory.to_string_lossy().into_owned();
    let mut namespaces = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for process in processes() {
        let Ok(namespace) = fs::read_link(format!("/proc/{}/ns/mnt", process.pid)) else {
            continue;
        };
        if !namespaces.insert(namespace) {
            continue;
        }
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid));
        for line in mounts
            .unwrap_or_default()
            .lines()
            .filter(|line| line.contains(&directory))
        {
            found.push(format!("pid {} ({}): {line}", process.pid, process.command));
        }
    }
    found
}

/// What is left of these agents of an instance, in words; empty when nothing is.
#[must_use]
pub fn leftovers(directory: &Path, agents: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    for agent in agents {
        left.extend(
            cgroups_of(agent)
                .iter()
                .map(|path| format!("cgroup {}", path.display())),
        );
        let alive = processes_of(agent);
        left.extend(
            alive
                .iter()
                .map(|p| format!("process {} of {agent}: {}", p.pid, p.command)),
        );
    }
    left.extend(
        mounts_below(directory)
            .into_iter()
            .map(|mount| format!("mount of {mount}")),
    );
    left
}

/// Kills what is left of an agent; for the end of a test that failed.
pub fn sweep(agent: &str) {
    for _ in 0..50 {
        let alive = processes_of(agent);
        for process in &alive {
            signal(process.pid, "KILL");
        }
        let mut groups: Vec<_> = cgroups_of(agent)
            .iter()
            .flat_map(|root| tree(root))
            .collect();
        groups.sort_by_key(|path| std::cmp::Reverse(path.as_os_str().len()));
        let gone = groups.iter().all(|path| fs::remove_dir(path).is_ok());
        if alive.is_empty() && gone {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn tree(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let below = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    let mut all: Vec<_> = below.flat_map(|e| tree(&e.path())).collect();
    all.push(directory.to_owned());
    all
}

/// Sends a signal by name; a process that is gone is fine.
pub fn signal(pid: i32, name: &str) {
    let mut kill = std::process::Command::new("kill");
    kill.args([&format!("-{name}"), "--", &pid.to_string()]);
    kill.stderr(std::process::Stdio::null());
    kill.status().expect("kill runs");
}

/// Unmounts a file system, which one that was killed may hold a moment longer.
///
/// # Panics
/// When it stays.
pub fn unmount(dir: &Path) {
    wait::until_true("the file system to be let go", || {
        let mut umount = Command::new("umount");
        umount.arg(dir);
        let done = cli::run(umount, b"");
        assert!(done.code == 0 || done.stderr.contains("busy"), "{done}");
        done.code == 0
    });
}
