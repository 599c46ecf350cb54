//! Judging what was found: pure, with the fix for each miss.

use std::io;
use std::os::fd::OwnedFd;

use crate::cgroup::{CgroupError, Setup, Support};
use crate::landlock::{ABI_FULL, describe};
use crate::protocol::{Failure, HostCheck};
use crate::userns::{RANGE_BASE, RANGE_IDS, RANGES};

/// Idmapped mounts, Landlock and `close_range`: nothing works without.
const KERNEL_MIN: (u32, u32) = (5, 13);
/// `cgroup.kill`, and Landlock with truncation.
const KERNEL_GOOD: (u32, u32) = (6, 2);
/// Fixed defects of Landlock that matter here: signals (2) and disconnected directories (4).
const ERRATA_WANTED: u32 = 0b110;
/// Below this a checkout and its packages soon fill the disk.
const FREE_BYTES_GOOD: u64 = 5 << 30;
const FREE_BYTES_MIN: u64 = 256 << 20;
/// What the launcher sets for agents.
const FILES_GOOD: u64 = 65_536;
/// One dev server watches a tree of this size.
const WATCHES_GOOD: u64 = 65_536;
const INSTANCES_GOOD: u64 = 128;

fn good(name: &str, found: impl Into<String>) -> HostCheck {
    HostCheck {
        name: name.into(),
        ok: true,
        fatal: false,
        found: found.into(),
        fix: String::new(),
    }
}

/// Agents run, with less.
fn poor(name: &str, found: impl Into<String>, fix: &str) -> HostCheck {
    HostCheck {
        ok: false,
        fix: fix.into(),
        ..good(name, found)
    }
}

/// Agents do not run.
fn fatal(name: &str, found: impl Into<String>, fix: &str) -> HostCheck {
    HostCheck {
        fatal: true,
        ..poor(name, found, fix)
    }
}

pub(super) fn kernel(release: &str) -> HostCheck {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => {
            return fatal(
                "kernel",
                format!("version {release:?}"),
                "run Linux 6.1 or newer",
            );
        }
    };
    let found = format!("Linux {release}");
    if version < KERNEL_MIN {
        fatal(
            "kernel",
            found,
            "run Linux 6.1 or newer; older ones are not tested",
        )
    } else if version < KERNEL_GOOD {
        poor(
            "kernel",
            found,
            "run Linux 6.2 or newer for Landlock's hold on truncation",
        )
    } else {
        good("kernel", found)
    }
}

pub(super) fn landlock(abi: u32, errata: u32) -> HostCheck {
    let found = describe(abi);
    let name = "landlock";
    if abi == 0 {
        let fix = "build the kernel with CONFIG_SECURITY_LANDLOCK and boot with lsm=landlock,… ; \
                   without it only templates with sandbox.landlock = \"best-effort\" start";
        return fatal(name, found, fix);
    }
    if abi < ABI_FULL {
        return poor(
            name,
            found,
            "run Linux 6.12 or newer for all that wsm relies on of Landlock",
        );
    }
    if errata & ERRATA_WANTED == ERRATA_WANTED {
        good(name, found)
    } else {
        let found = format!("{found}; fixed defects {errata:#x}");
        poor(
            name,
            found,
            "update the kernel: known defects of Landlock are not fixed in it",
        )
    }
}

pub(super) fn seccomp(actions: &str) -> HostCheck {
    let has = |action: &str| {
        actions
            .split_whitespace()
            .any(|candidate| candidate == action)
    };
    if has("kill_process") && has("errno") {
        good("seccomp", "filters with kill_process and errno")
    } else {
        let found = format!("actions {actions:?}");
        fatal(
            "seccomp",
            found,
            "build the kernel with CONFIG_SECCOMP_FILTER",
        )
    }
}

pub(super) fn user_namespaces(most: &str, made: io::Result<OwnedFd>) -> HostCheck {
    match made {
        Ok(_) => good("user namespaces", format!("one was made; at most {most}")),
        Err(error) => fatal(
            "user namespaces",
            format!("making one failed: {error}; user.max_user_namespaces is {most}"),
            "sysctl user.max_user_namespaces=15000, and build the kernel with CONFIG_USER_NS",
        ),
    }
}

pub(super) fn control_groups(support: Result<Support, CgroupError>) -> HostCheck {
    const NAME: &str = "control groups";
    const UNIFIED: &str = "boot with systemd.unified_cgroup_hierarchy=1 for the v2 tree";
    let support = match support {
        Ok(support) => support,
        Err(error) => return fatal(NAME, error.to_string(), UNIFIED),
    };
    let list = |names: &[&str]| {
        if names.is_empty() {
            "none".into()
        } else {
            names.join(", ")
        }
    };
    let setup = match support.setup {
        Setup::Unified => "unified",
        Setup::Hybrid => "hybrid",
        Setup::Legacy => "legacy",
        Setup::None => return fatal(NAME, "none are mounted", UNIFIED),
    };
    let found = format!(
        "{setup}; v2: {}; v1: {}",
        list(&support.v2),
        list(&support.v1)
    );
    if !support.missing.is_empty() {
        let found = format!("{found}; missing: {}", list(&support.missing));
        return poor(
            NAME,
            found,
            "enable these controllers, or their limits are not enforced",
        );
    }
    match support.setup {
        Setup::Unified => good(NAME, found),
        // Kill and freeze are there; what is lost is said by each agent's memory layer.
        Setup::Hybrid => good(NAME, format!("{found}; no group out-of-memory kill")),
        Setup::Legacy | Setup::None => poor(NAME, found, UNIFIED),
    }
}

pub(super) fn idmapped_mounts(file_system: &str, tried: io::Result<()>) -> HostCheck {
    match tried {
        Ok(()) => good(
            "idmapped mounts",
            format!("{file_system} of the state directory can"),
        ),
        Err(error) => fatal(
            "idmapped mounts",
            format!("{file_system} of the state directory can not: {error}"),
            "put the state directory on ext4, xfs, btrfs or tmpfs",
        ),
    }
}

pub(super) fn free_space(bytes: io::Result<u64>) -> HostCheck {
    const NAME: &str = "free space";
    const FIX: &str = "free some, or move the state directory; `wsm prune` removes old agents";
    match bytes {
        Ok(bytes) => {
            let found = format!("{} MiB for workspaces", bytes >> 20);
            match bytes {
                FREE_BYTES_GOOD.. => good(NAME, found),
                FREE_BYTES_MIN.. => poor(NAME, found, FIX),
                _ => fatal(NAME, found, FIX),
            }
        }
        Err(error) => poor(NAME, format!("unknown: {error}"), ""),
    }
}

pub(super) fn core_pattern(pattern: &str) -> HostCheck {
    if pattern.starts_with('|') {
        poor(
            "core dumps",
            format!("core_pattern is {pattern:?}: a program of the host's root gets them"),
            "agents set a limit that keeps theirs from it; sysctl kernel.core_pattern=core makes sure",
        )
    } else {
        good("core dumps", format!("core_pattern is {pattern:?}"))
    }
}

pub(super) fn open_files(hard: io::Result<u64>) -> HostCheck {
    const NAME: &str = "open files";
    match hard {
        Ok(hard) if hard >= FILES_GOOD => good(NAME, format!("at most {hard} per process")),
        Ok(hard) => poor(
            NAME,
            format!("at most {hard} per process"),
            "raise the hard limit to 65536: LimitNOFILE= in the unit, or ulimit -Hn before `wsm up`",
        ),
        Err(error) => poor(NAME, format!("unknown: {error}"), ""),
    }
}

pub(super) fn inotify(watches: &str, instances: &str) -> HostCheck {
    let number = |text: &str| text.trim().parse::<u64>().unwrap_or(0);
    let found = format!("{watches} watches and {instances} instances per user");
    if number(watches) >= WATCHES_GOOD && number(instances) >= INSTANCES_GOOD {
        good("inotify", found)
    } else {
        let fix = "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024";
        poor("inotify", found, fix)
    }
}

/// Ids that somebody else hands out too would make two owners of one file.
pub(super) fn uid_ranges(subuid: &str) -> HostCheck {
    let first = u64::from(RANGE_BASE);
    let end = first + u64::from(RANGES) * u64::from(RANGE_IDS);
    let overlap = subuid.lines().find(|line| {
        let mut fields = line.split(':').skip(1).map(str::parse::<u64>);
        match (fields.next(), fields.next()) {
            (Some(Ok(start)), Some(Ok(count))) => {
                start < end && start.saturating_add(count) > first
            }
            _ => false,
        }
    });
    match overlap {
        None => good("uid ranges", format!("{first} to {} are free", end - 1)),
        Some(line) => poor(
            "uid ranges",
            format!("/etc/subuid gives out ids of wsm's range: {line:?}"),
            "move that line's range below 1879048192",
        ),
    }
}

pub(super) fn egress(opened: Result<(), Failure>) -> HostCheck {
    match opened {
        Ok(()) => good("egress", "agents can be let out by tproxy"),
        Err(failed) => poor(
            "egress",
            failed.to_string(),
            "load nft_tproxy; without it only templates without network start",
        ),
    }
}

pub(super) fn git(version: io::Result<String>) -> HostCheck {
    match version {
        Ok(version) if version.starts_with("git version") => good("git", version),
        Ok(other) => poor("git", format!("/usr/bin/git says {other:?}"), "install git"),
        Err(error) => poor(
            "git",
            format!("/usr/bin/git: {error}"),
            "install git: agents use it inside; wsm itself does not",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(check: &HostCheck) -> (bool, bool) {
        (check.ok, check.fatal)
    }

    const GOOD: (bool, bool) = (true, false);
    const POOR: (bool, bool) = (false, false);
    const FATAL: (bool, bool) = (false, true);

    #[test]
    fn every_miss_has_a_fix() {
        let misses = [
            kernel("4.19.0"),
            kernel("5.15.0-91-generic"),
            kernel("x"),
            landlock(0, 0),
            landlock(2, 0),
            landlock(5, 0),
            landlock(7, 0b001),
            seccomp("log allow"),
            user_namespaces("0", Err(io::ErrorKind::PermissionDenied.into())),
            control_groups(Err(CgroupError::NotMounted)),
            idmapped_mounts("nfs", Err(io::ErrorKind::InvalidInput.into())),
            free_space(Ok(1 << 20)),
            core_pattern("|/usr/share/apport/apport"),
            open_files(Ok(1024)),
            inotify("8192", "128"),
            uid_ranges("alice:1879048192:65536"),
            git(Err(io::ErrorKind::NotFound.into())),
        ];
        for check in misses {
            assert!(!check.ok && !check.fix.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn versions_at_their_limits() {
        assert_eq!(words(&kernel("5.12.19")), FATAL);
        assert_eq!(words(&kernel("5.13.0")), POOR);
        assert_eq!(words(&kernel("6.1.0-18-amd64")), POOR);
        assert_eq!(words(&kernel("6.2")), GOOD);
        assert_eq!(words(&landlock(2, 0b111)), POOR);
        assert_eq!(words(&landlock(3, 0b111)), POOR);
        assert_eq!(words(&landlock(6, 0b111)), GOOD);
        assert_eq!(words(&free_space(Ok(FREE_BYTES_MIN))), POOR);
        assert_eq!(words(&free_space(Ok(FREE_BYTES_GOOD))), GOOD);
        assert_eq!(words(&open_files(Ok(65_535))), POOR);
        assert_eq!(words(&open_files(Ok(65_536))), GOOD);
    }

    #[test]
    fn controllers_that_are_nowhere_are_named() {
        let support = Support {
            setup: Setup::Unified,
            v2: vec!["cpu"],
            v1: vec![],
            missing: vec!["memory", "pids"],
        };
        let check = control_groups(Ok(support));
        assert_eq!(words(&check), POOR);
        assert_eq!(
            check.found,
            "unified; v2: cpu; v1: none; missing: memory, pids"
        );
    }

    #[test]
    fn foreign_ranges_are_found_at_the_edges() {
        assert_eq!(words(&uid_ranges("a:100000:65536\nb:1879048191:1\n")), GOOD);
        assert_eq!(words(&uid_ranges("b:1879048191:2\n")), POOR);
        assert_eq!(words(&uid_ranges("b:2147483648:65536\nnonsense\n")), GOOD);
        assert_eq!(words(&uid_ranges("b:2147483647:1")), POOR);
    }

    /// This host runs wsm's tests, so it must run agents.
    #[test]
    fn this_host_is_fit() {
        use std::os::fd::AsFd;
        let dir = tempfile::tempdir().unwrap();
        let state = std::fs::File::open(dir.path()).unwrap();
        let checks = crate::host::checks(state.as_fd());
        let unfit: Vec<&HostCheck> = checks.iter().filter(|check| check.fatal).collect();
        assert!(unfit.is_empty(), "{unfit:#?}");
        assert_eq!(checks.len(), 13);
        for check in &checks {
            println!("{:5} {:16} {}", check.ok, check.name, check.found);
        }
    }
}
