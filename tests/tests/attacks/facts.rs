//! The oracle: what the kernel says on the host about the attacker and about the machine.
//!
//! Every case is judged by all of it: whatever a case was after, nothing of this may have changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Instant, SystemTime};

/// Named facts.
pub(crate) type Facts = BTreeMap<String, String>;

/// Of /proc/PID/status.
const STATUS: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "TracerPid",
];

const NAMESPACES: [&str; 10] = [
    "user",
    "mnt",
    "pid",
    "pid_for_children",
    "net",
    "ipc",
    "uts",
    "cgroup",
    "time",
    "time_for_children",
];

/// Fields of /proc/PID/stat from 1: niceness, real-time priority, policy.
const STAT: [(usize, &str); 3] = [(19, "nice"), (40, "rt priority"), (41, "policy")];

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| why.to_string())
}

/// What a process is: rights, namespaces, mounts, root.
pub(crate) fn process(pid: i32) -> Facts {
    let mut facts = Facts::new();
    let proc = format!("/proc/{pid}");
    let status = text(format!("{proc}/status"));
    for name in STATUS {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        facts.insert(name.into(), line.unwrap_or("-").trim().to_owned());
    }
    for name in NAMESPACES {
        let link = fs::read_link(format!("{proc}/ns/{name}"));
        let link = link.map_or_else(|_| "-".into(), |to| to.display().to_string());
        facts.insert(format!("namespace {name}"), link);
    }
    // Without the numbers of the mounts and of their peers, which differ between namespaces.
    let mounts = text(format!("{proc}/mountinfo"));
    let plain = mounts.lines().map(|line| {
        let words = line.split(' ').skip(2);
        words
            .filter(|word| !word.contains(':') || word.contains('/'))
            .collect::<Vec<_>>()
            .join(" ")
    });
    facts.insert("mounts".into(), plain.collect::<Vec<_>>().join("\n"));
    let root = fs::metadata(format!("{proc}/root"));
    facts.insert(
        "root".into(),
        root.map_or_else(|_| "-".into(), |at| format!("{}:{}", at.dev(), at.ino())),
    );
    for name in ["personality", "oom_score_adj", "timerslack_ns", "cgroup"] {
        facts.insert(
            name.into(),
            text(format!("{proc}/{name}")).trim().to_owned(),
        );
    }
    let stat = text(format!("{proc}/stat"));
    let after: Vec<_> = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    for (field, name) in STAT {
        facts.insert(
            name.into(),
            after.get(field - 3).copied().unwrap_or("-").to_owned(),
        );
    }
    facts
}

/// Descriptors of a process above standard error, by what they are; its own answer is left out.
pub(crate) fn descriptors(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = numbers.filter(|number| (3..900).contains(number));
    let mut found: Vec<_> = ours
        .filter_map(|number| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok())
        .map(|to| to.display().to_string())
        .collect();
    found.sort();
    found
}

/// The fact that the host's own controls may change: asking for a socket family loads its module.
pub(crate) const MODULES: &str = "modules";

/// Names of the kernel's modules; how often each is used changes all the time.
pub(crate) fn modules() -> String {
    let text = text("/proc/modules");
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.join(" ")
}

/// When the clocks were read first.
#[derive(Debug)]
pub(crate) struct Clock(SystemTime, Instant);

impl Clock {
    pub(crate) fn now() -> Clock {
        Clock(SystemTime::now(), Instant::now())
    }

    /// Whether somebody set the time.
    fn was_set(&self) -> bool {
        let told = self.0.elapsed().unwrap_or_default();
        told.abs_diff(self.1.elapsed()).as_millis() > 500
    }
}

/// What the machine is.
pub(crate) fn machine(clock: &Clock) -> Facts {
    let mut facts = Facts::new();
    for name in [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/fs/protected_symlinks",
        "/proc/swaps",
    ] {
        facts.insert(name.into(), text(name));
    }
    facts.insert(MODULES.into(), modules());
    let interfaces = text("/proc/net/dev");
    let names: Vec<_> = interfaces
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let names: Vec<_> = names.iter().map(|(name, _)| name.trim()).collect();
    facts.insert("interfaces".into(), names.join(" "));
    facts.insert("clock set".into(), clock.was_set().to_string());
    facts
}

/// A file or directory: what it is, who owns it, what it says or what is in it.
pub(crate) fn file(path: &Path) -> String {
    let Ok(at) = fs::symlink_metadata(path) else {
        return "absent".into();
    };
    let content = if at.is_dir() {
        let names = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.join(" ")
    } else if at.is_file() {
        text(path)
    } else {
        String::new()
    };
    let (mode, uid, gid, links) = (at.mode(), at.uid(), at.gid(), at.nlink());
    let links = if at.is_dir() { 0 } else { links };
    format!("{mode:o} {uid}:{gid} {links} {} {content}", at.mtime())
}

/// What differs, in words.
pub(crate) fn differences(before: &Facts, after: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for (name, was) in before {
        let is = after.get(name).map_or("-", String::as_str);
        if was != is {
            let short = |text: &str| {
                text.chars()
                    .filter(|c| !c.is_control())
                    .take(60)
                    .collect::<String>()
            };
            let (was, is) = if name == "mounts" {
                (String::new(), "changed".into())
            } else {
                (short(was), short(is))
            };
            found.push(format!("{name}: {was} -> {is}"));
        }
    }
    found
}

/// Outside every case has mounts and a host name of its own anyway.
pub(crate) fn own(place: &str, mut facts: Facts) -> Facts {
    if matches!(place, "host" | "apart") {
        facts.remove("namespace mnt");
        facts.remove("namespace uts");
    }
    facts
}
