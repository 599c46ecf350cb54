//! What the process itself is and holds, and what it may do to PID 1.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::spec::ProbeReport;
use crate::sys::attempt;

use super::calls::SEIZE_INIT;
use super::{Context, errno, must_fail, report};

/// PID 1, the launcher and the probing child; one more in case something is just ending.
const PROCESSES_MAX: usize = 4;

pub(super) fn run(context: &Context) -> Vec<ProbeReport> {
    let mut reports = bare(context);
    reports.extend(init());
    reports
}

/// Everything that only looks.
pub(super) fn bare(context: &Context) -> Vec<ProbeReport> {
    let mut reports = status(context);
    reports.push(descriptors(context));
    reports.push(environment());
    reports.push(processes());
    reports.push(user_namespace());
    reports.push(interfaces(context));
    reports.push(core_dumps());
    reports
}

/// The kernel's own words about this process.
fn status(context: &Context) -> Vec<ProbeReport> {
    let text = match fs::read_to_string("/proc/self/status") {
        Ok(text) => text,
        Err(error) => {
            return vec![report(
                "proc",
                "read /proc/self/status",
                error.to_string(),
                false,
            )];
        }
    };
    let field = |name: &str| -> String {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map_or_else(
            || "missing".into(),
            |value| value.split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    let mut reports = Vec::new();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = field(set);
        let held = !value.is_empty() && value.bytes().all(|byte| byte == b'0');
        reports.push(report("capabilities", set, value, held));
    }
    let id = context.uid;
    let same = format!("{id} {id} {id} {id}");
    for (layer, name, wanted) in [
        ("no_new_privs", "NoNewPrivs", "1".to_owned()),
        ("seccomp", "Seccomp", "2".to_owned()),
        ("user namespace", "Uid", same.clone()),
        ("user namespace", "Gid", same),
    ] {
        let value = field(name);
        let held = value == wanted;
        reports.push(report(layer, name, value, held));
    }
    let groups = field("Groups");
    let held = groups.is_empty() || groups == id.to_string();
    reports.push(report("user namespace", "Groups", groups, held));
    reports
}

/// PID 1 is not to be touched: its memory, files, environment, and life are wsm's.
fn init() -> Vec<ProbeReport> {
    const LAYER: &str = "pid 1";
    let refused = [Errno::EPERM, Errno::EACCES, Errno::ENOENT, Errno::ESRCH];
    let number = |result: io::Result<()>| result.map_err(|error| errno(&error));
    vec![
        must_fail(
            LAYER,
            "signal it",
            kill(Pid::from_raw(1), None),
            &[Errno::EPERM],
        ),
        must_fail(LAYER, "ptrace(SEIZE)", attempt(&SEIZE_INIT), &refused),
        must_fail(
            LAYER,
            "open its mem",
            number(fs::File::open("/proc/1/mem").map(drop)),
            &refused,
        ),
        must_fail(
            LAYER,
            "read its environ",
            number(fs::read("/proc/1/environ").map(drop)),
            &refused,
        ),
        must_fail(
            LAYER,
            "follow its root",
            number(fs::read_dir("/proc/1/root/").map(drop)),
            &refused,
        ),
        must_fail(
            LAYER,
            "follow its exe",
            number(fs::read_link("/proc/1/exe").map(drop)),
            &refused,
        ),
        must_fail(
            LAYER,
            "list its descriptors",
            number(fs::read_dir("/proc/1/fd").map(drop)),
            &refused,
        ),
    ]
}

/// Nothing inherited: a directory descriptor of the host would be a way out.
fn descriptors(context: &Context) -> ProbeReport {
    let tried = "list the open descriptors";
    let listed: io::Result<Vec<i32>> = fs::read_dir("/proc/self/fd").map(|entries| {
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).collect()
    });
    let mut open = match listed {
        Ok(open) => open,
        Err(error) => return report("descriptors", tried, error.to_string(), false),
    };
    // The listing's own descriptor is closed by now.
    open.retain(|fd| fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok());
    let unexpected: Vec<String> = open
        .iter()
        .filter(|fd| **fd > 2 && !context.fds.contains(fd))
        .map(|fd| {
            let target = fs::read_link(format!("/proc/self/fd/{fd}"));
            format!(
                "{fd} ({})",
                target.map_or_else(|_| "?".into(), |to| to.display().to_string())
            )
        })
        .collect();
    let saw = if unexpected.is_empty() {
        "only expected ones".into()
    } else {
        unexpected.join(", ")
    };
    report("descriptors", tried, saw, unexpected.is_empty())
}

fn environment() -> ProbeReport {
    let count = std::env::vars_os().count();
    report(
        "environment",
        "count inherited variables",
        count.to_string(),
        count == 0,
    )
}

fn processes() -> ProbeReport {
    let tried = "count visible processes";
    match fs::read_dir("/proc") {
        Ok(entries) => {
            let pids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let count = pids
                .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
                .count();
            report(
                "pid namespace",
                tried,
                count.to_string(),
                count <= PROCESSES_MAX,
            )
        }
        Err(error) => report("pid namespace", tried, error.to_string(), false),
    }
}

/// In the host's own namespace the map is the identity over all ids.
fn user_namespace() -> ProbeReport {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let fields: Vec<&str> = map.split_whitespace().collect();
    let held = fields.len() >= 3 && fields[1] != "0";
    report("user namespace", "read uid_map", fields.join(" "), held)
}

fn interfaces(context: &Context) -> ProbeReport {
    let tried = "list network interfaces";
    match fs::read_to_string("/proc/self/net/dev") {
        Ok(text) => {
            // Two lines of headings.
            let rows = text.lines().skip(2);
            let names: Vec<&str> = rows
                .filter_map(|row| Some(row.split_once(':')?.0.trim()))
                .collect();
            let held = names
                .iter()
                .all(|name| context.interfaces.iter().any(|known| known == name));
            report("network namespace", tried, names.join(", "), held)
        }
        Err(error) => report("network namespace", tried, error.to_string(), false),
    }
}

/// A core limit of 0 is ignored where the host pipes core dumps; 1 is not, and both are small.
fn core_dumps() -> ProbeReport {
    let tried = "read the core dump limit";
    match getrlimit(Resource::RLIMIT_CORE) {
        Ok((_, hard)) => report("rlimits", tried, hard.to_string(), hard <= 1),
        Err(error) => report("rlimits", tried, format!("{error:?}"), false),
    }
}
