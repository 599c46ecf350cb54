//! What few agents ask for: guarded names, chosen programs, devices.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

use crate::plan::Expected;
use crate::spec::ProbeReport;

use super::{errno, report};

pub(super) fn run(expected: &Expected) -> Vec<ProbeReport> {
    let mut reports = Vec::new();
    for (path, hidden) in &expected.guards {
        reports.extend(guarded(path, *hidden));
    }
    reports.extend(
        expected
            .held
            .iter()
            .map(|path| mounted("protected names", path)),
    );
    for (directory, names) in &expected.programs {
        reports.push(programs(directory, names));
    }
    reports.extend(expected.devices.iter().map(|at| device(at)));
    reports
}

/// Nothing is written where the guard is missing: opened only, or made and removed.
fn guarded(path: &Path, hidden: bool) -> Vec<ProbeReport> {
    let layer = if hidden {
        "hidden names"
    } else {
        "protected names"
    };
    let shown = path.display();
    let found = match path.symlink_metadata() {
        // Below another name that appears empty.
        Err(error) if hidden && errno(&error) == Errno::ENOENT => {
            return vec![report(layer, &format!("find {shown}"), "ENOENT", true)];
        }
        Err(error) => {
            let saw = format!("{:?}", errno(&error));
            return vec![report(layer, &format!("find {shown}"), saw, false)];
        }
        Ok(found) => found,
    };
    let mut reports = vec![mounted(layer, path)];
    let made = path.join(".wsm-selftest");
    let (tried, result) = if found.is_dir() {
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&made);
        (format!("create a file in {shown}"), made)
    } else {
        (
            format!("open {shown} for writing"),
            fs::OpenOptions::new().write(true).open(path),
        )
    };
    reports.push(match result {
        Ok(_) => {
            if found.is_dir() {
                drop(fs::remove_file(&made));
            }
            report(layer, &tried, "success", false)
        }
        Err(error) => {
            let errno = errno(&error);
            let held = [Errno::EROFS, Errno::EACCES].contains(&errno);
            report(layer, &tried, format!("{errno:?}"), held)
        }
    });
    if hidden {
        let empty = if found.is_dir() {
            fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
        } else {
            let file = fs::OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path);
            file.and_then(|mut file| file.read(&mut [0; 1]))
                .is_ok_and(|read| read == 0)
        };
        let saw = if empty { "nothing" } else { "content" };
        reports.push(report(layer, &format!("read {shown}"), saw, empty));
    }
    reports
}

/// A mount point can't be renamed, removed or replaced by those who see the mount.
fn mounted(layer: &str, path: &Path) -> ProbeReport {
    let tried = format!("see whether {} is a mount point", path.display());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let blanks = path
        .display()
        .to_string()
        .replace('\\', "\\134")
        .replace(' ', "\\040");
    let held = mounts
        .lines()
        .any(|line| line.split(' ').nth(4) == Some(blanks.as_str()));
    report(
        layer,
        &tried,
        if held { "it is" } else { "it is not" },
        held,
    )
}

fn programs(directory: &Path, names: &[String]) -> ProbeReport {
    let tried = format!("list {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return report("programs", &tried, error.to_string(), false),
    };
    let other: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !names.contains(name))
        .collect();
    let saw = if other.is_empty() {
        format!("{} that were named", names.len())
    } else {
        other.join(", ")
    };
    report("programs", &tried, saw, other.is_empty())
}

fn device(path: &Path) -> ProbeReport {
    let tried = format!("find {}", path.display());
    match path.symlink_metadata() {
        Ok(found) => {
            let held = found.file_type().is_char_device();
            report("devices", &tried, "a node", held)
        }
        Err(error) => report("devices", &tried, format!("{:?}", errno(&error)), false),
    }
}
