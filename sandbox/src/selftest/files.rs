//! What the file system shows, and what may be written.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::spec::ProbeReport;

use super::{Context, errno, must_fail, report};

const ROOT: &str = "root file system";
const PROC: &str = "proc";

/// Where only the host may write.
const READ_ONLY_DIRECTORIES: &[&str] = &["/", "/usr", "/etc", "/dev"];
/// Opened for writing, never written.
const READ_ONLY_FILES: &[&str] = &[
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/drop_caches",
    "/proc/pressure/memory",
];
/// Opened for reading: the memory of the machine and the keys of everybody.
const UNREADABLE_FILES: &[&str] = &["/proc/kcore", "/proc/kmsg", "/etc/shadow"];

pub(super) fn run(context: &Context) -> Vec<ProbeReport> {
    let mut reports: Vec<ProbeReport> = READ_ONLY_DIRECTORIES.iter().map(|d| make_in(d)).collect();
    reports.extend(READ_ONLY_FILES.iter().map(|path| open_for_writing(path)));
    reports.extend(UNREADABLE_FILES.iter().map(|path| open_for_reading(path)));
    reports.push(absent(ROOT, Path::new("/sys/kernel")));
    reports.push(absent(ROOT, Path::new("/sys/fs/cgroup")));
    reports.extend(context.canaries.iter().map(|path| absent(ROOT, path)));
    reports.extend(in_tmp());
    reports.extend(landlock(context));
    reports
}

/// A new file in a directory that must be read-only.
fn make_in(directory: &str) -> ProbeReport {
    let path = Path::new(directory).join(format!(".wsm-selftest-{}", std::process::id()));
    let tried = format!("create a file in {directory}");
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => {
            drop(file);
            let undone = if fs::remove_file(&path).is_ok() {
                "removed"
            } else {
                "left there"
            };
            report(ROOT, &tried, format!("success, {undone}"), false)
        }
        Err(error) => refused(ROOT, &tried, &error),
    }
}

fn open_for_writing(path: &str) -> ProbeReport {
    let tried = format!("open {path} for writing");
    must_not_open(&tried, OpenOptions::new().write(true).open(path))
}

fn open_for_reading(path: &str) -> ProbeReport {
    let tried = format!("read {path}");
    // A mask is an empty file or the null device: it opens, and holds nothing.
    match fs::metadata(path).and_then(|_| read_some(path)) {
        Ok(0) => report(PROC, &tried, "empty", true),
        Ok(_) => report(PROC, &tried, "content", false),
        Err(error) => refused(PROC, &tried, &error),
    }
}

fn read_some(path: &str) -> io::Result<usize> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    file.read(&mut [0; 1])
}

fn must_not_open(tried: &str, result: io::Result<File>) -> ProbeReport {
    match result {
        // What stands before the file, so that nothing written arrives.
        Ok(file) if is_null_device(&file) => report(PROC, tried, "the null device", true),
        Ok(_) => report(PROC, tried, "success", false),
        Err(error) => refused(PROC, tried, &error),
    }
}

fn is_null_device(file: &File) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    file.metadata()
        .is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == makedev(1, 3))
}

/// Refused by mode, by mount or by not being there: all three hold.
fn refused(layer: &str, tried: &str, error: &io::Error) -> ProbeReport {
    let errno = errno(error);
    let held = [Errno::EACCES, Errno::EPERM, Errno::EROFS, Errno::ENOENT].contains(&errno);
    report(layer, tried, format!("{errno:?}"), held)
}

fn absent(layer: &str, path: &Path) -> ProbeReport {
    let tried = format!("find {}", path.display());
    let expected = [Errno::ENOENT, Errno::ENOTDIR];
    let found = path.symlink_metadata().map_err(|error| errno(&error));
    must_fail(layer, &tried, found, &expected)
}

/// `/tmp` is writable (or nothing works), but holds neither set-user-id programs nor devices.
fn in_tmp() -> Vec<ProbeReport> {
    let path = format!("/tmp/.wsm-selftest-{}", std::process::id());
    let mut reports = Vec::new();
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    let saw = made
        .as_ref()
        .map_or_else(|error| format!("{:?}", errno(error)), |_| "success".into());
    reports.push(report(ROOT, "create a file in /tmp", saw, made.is_ok()));
    if made.is_ok() {
        for mode in [0o4755, 0o2755] {
            let changed = fs::set_permissions(&path, Permissions::from_mode(mode));
            let changed = changed.map_err(|error| errno(&error));
            let tried = format!("chmod {mode:o} a file in /tmp");
            reports.push(must_fail("seccomp", &tried, changed, &[Errno::EPERM]));
        }
        drop(fs::remove_file(&path));
    }
    let node = format!("{path}-node");
    let device = makedev(1, 3);
    let made = mknod(
        node.as_str(),
        SFlag::S_IFCHR,
        Mode::from_bits_truncate(0o600),
        device,
    );
    if made.is_ok() {
        drop(fs::remove_file(&node));
    }
    reports.push(must_fail(
        "seccomp",
        "mknod a device in /tmp",
        made,
        &[Errno::EPERM],
    ));
    reports
}

fn landlock(context: &Context) -> Vec<ProbeReport> {
    let mut reports = Vec::new();
    if !context.landlock {
        return reports;
    }
    if let Some(path) = &context.unruled {
        let tried = format!("read {}, which no rule names", path.display());
        let opened = File::open(path).map_err(|error| errno(&error));
        reports.push(must_fail("landlock", &tried, opened, &[Errno::EACCES]));
    }
    if let Some(name) = &context.abstract_name {
        let connected = SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixStream::connect_addr(&address))
            .map_err(|error| errno(&error));
        let tried = "connect to an abstract socket outside";
        reports.push(must_fail("landlock", tried, connected, &[Errno::EPERM]));
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a kernel with `CONFIG_MAGIC_SYSRQ` has a file there to be hidden; hosts differ.
    #[test]
    fn a_file_behind_the_null_device_is_held() {
        let writable = |path: &str| {
            let opened = OpenOptions::new().write(true).open(path);
            must_not_open("open it", opened).held
        };
        assert!(writable("/dev/null"));
        assert!(!writable("/dev/zero"));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!writable(file.path().to_str().unwrap()));
    }
}
