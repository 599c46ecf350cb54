//! Looking at the host.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{self, FsType};
use nix::sys::statvfs::fstatvfs;

use crate::fail::Context;
use crate::protocol::Failure;
use crate::spawn::new_network;
use crate::{files, sys, userns};

/// Where git is looked for: what the sandbox shows, not the PATH of whoever asks.
const GIT: &str = "/usr/bin/git";

/// The first line of a file, empty if it can't be read.
pub(super) fn line(path: &str) -> String {
    text(path).lines().next().unwrap_or_default().to_owned()
}

/// A file, empty if it can't be read.
pub(super) fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Bits of the Landlock defects that this kernel has fixed.
pub(super) fn landlock_errata() -> u32 {
    ::landlock::Erratum::current().bits()
}

/// A user namespace that maps ids of the pool.
pub(super) fn make_user_namespace() -> io::Result<OwnedFd> {
    let root = files::root()?;
    let proc = files::open_plain(root.as_fd(), Path::new("/proc"), OFlag::O_PATH)?;
    let map = userns::Range::number(0).file_map(0);
    let (namespace, _holder) = userns::make(proc.as_fd(), &map, &map)?;
    Ok(namespace)
}

/// Maps a detached copy of the directory's mount; nothing is attached anywhere.
pub(super) fn idmap(directory: BorrowedFd<'_>) -> io::Result<()> {
    let namespace = make_user_namespace()?;
    let mount = sys::open_tree(directory, c"", false)?;
    sys::mount_setattr(mount.as_fd(), false, 0, Some(namespace.as_fd()))
}

/// The name of a directory's file system, as far as this list goes.
pub(super) fn file_system(directory: BorrowedFd<'_>) -> String {
    const NAMES: &[(FsType, &str)] = &[
        (statfs::EXT4_SUPER_MAGIC, "ext4"),
        (statfs::BTRFS_SUPER_MAGIC, "btrfs"),
        (statfs::XFS_SUPER_MAGIC, "xfs"),
        (statfs::TMPFS_MAGIC, "tmpfs"),
        (statfs::OVERLAYFS_SUPER_MAGIC, "overlayfs"),
        (statfs::NFS_SUPER_MAGIC, "nfs"),
        (statfs::FUSE_SUPER_MAGIC, "fuse"),
    ];
    match statfs::fstatfs(directory) {
        Ok(found) => {
            let found = found.filesystem_type();
            let known = NAMES.iter().find(|(magic, _)| *magic == found);
            known.map_or_else(
                || format!("file system {:#x}", found.0),
                |(_, name)| (*name).into(),
            )
        }
        Err(error) => format!("unknown file system ({error})"),
    }
}

/// Bytes that others than root may still write.
pub(super) fn free_bytes(directory: BorrowedFd<'_>) -> io::Result<u64> {
    let found = fstatvfs(directory)?;
    Ok(found
        .blocks_available()
        .saturating_mul(found.fragment_size()))
}

/// The most open files a process of ours may have.
pub(super) fn open_files_hard() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.1)
}

/// Opens a way out in a network namespace of its own, as agents get it.
pub(super) fn way_out() -> Result<(), Failure> {
    new_network().what(|| "make a network namespace".into())?;
    crate::network::open(&[]).map(drop)
}

/// What git says about itself, run as nobody's git: no environment, no configuration.
pub(super) fn git_version() -> io::Result<String> {
    let output = Command::new(GIT)
        .arg("--version")
        .env_clear()
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
