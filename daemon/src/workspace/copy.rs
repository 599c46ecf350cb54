//! Copying ignored files of the main checkout into a workspace: beneath only, links as links,
//! blocks shared where the file system can (`copy_file_range` does that by itself).

use std::ffi::OsStr;
use std::fs::FileTimes;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::readlinkat;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;

use super::beneath::{self, Kind};
use super::protocol::{Doing, Failure, FailureKind};

/// Most files and directories of one creation: several `node_modules`.
const ENTRIES_MAX: u64 = 1_000_000;

/// Most bytes of one creation.
const BYTES_MAX: u64 = 16 << 30;

/// Directories in directories.
const DEPTH_MAX: usize = 128;

/// A copy from one tree to another.
pub(super) struct Copying {
    source: OwnedFd,
    target: OwnedFd,
    entries: u64,
    bytes: u64,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

impl Copying {
    /// Between two trees.
    pub(super) fn new(source: &Path, target: &Path) -> Result<Self, Failure> {
        Ok(Self {
            source: beneath::root(source).doing(|| format!("open {}", source.display()))?,
            target: beneath::root(target).doing(|| format!("open {}", target.display()))?,
            entries: 0,
            bytes: 0,
            notes: Vec::new(),
        })
    }

    /// How many files and links came.
    pub(super) fn copied(&self) -> u64 {
        self.entries
    }

    /// Copies one entry, a file, a link or a directory with all below. What exists in the target
    /// stays as it is.
    pub(super) fn entry(&mut self, entry: &str) -> Result<(), Failure> {
        let path = relative(entry)?;
        match beneath::kind(&self.source, &path) {
            Ok(kind) => {
                if let Some(parent) = path.parent() {
                    self.parents(parent)?;
                }
                self.one(&path, kind, 0)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.notes
                    .push(format!("{entry}: does not exist in the source checkout"));
                Ok(())
            }
            Err(e) => Err(Failure::io(format!("copy {entry}"), &e)),
        }
    }

    fn parents(&self, parent: &Path) -> Result<(), Failure> {
        let mut path = PathBuf::new();
        for part in parent.components() {
            path.push(part);
            // Every directory on the way has to be one in the source, not a link.
            beneath::directory(&self.source, &path).doing(|| format!("open {}", path.display()))?;
            self.make_directory(&path)?;
        }
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> Result<(), Failure> {
        let (at, name) = self.place(path)?;
        match mkdirat(&at, name, Mode::from_bits_truncate(0o777)) {
            Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
            Err(e) => Err(Failure::io(format!("make {}", path.display()), &e.into())),
        }
    }

    /// The directory of `path` in the target, and the last part.
    fn place<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), Failure> {
        let name = path.file_name().expect("paths were checked to have a name");
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        let at = match parent {
            Some(parent) => beneath::directory(&self.target, parent),
            None => self.target.try_clone(),
        };
        Ok((
            at.doing(|| format!("open the place of {}", path.display()))?,
            name,
        ))
    }

    fn one(&mut self, path: &Path, kind: Kind, depth: usize) -> Result<(), Failure> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX || depth > DEPTH_MAX {
            return Err(too_large(
                path,
                &format!("more than {ENTRIES_MAX} entries, or deeper than {DEPTH_MAX}"),
            ));
        }
        match kind {
            Kind::Directory => {
                self.make_directory(path)?;
                let source = beneath::directory(&self.source, path)
                    .doing(|| format!("open {}", path.display()))?;
                let target = beneath::directory(&self.target, path)
                    .doing(|| format!("open the copy of {}", path.display()))?;
                self.directory(&source, &target, path, depth)
            }
            Kind::File | Kind::Symlink => {
                let (at, name) = self.place(path)?;
                let source = match path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    Some(parent) => beneath::directory(&self.source, parent),
                    None => self.source.try_clone(),
                }
                .doing(|| format!("open {}", path.display()))?;
                self.leaf(&source, &at, name, path, kind)
            }
            Kind::Other => {
                self.notes.push(format!(
                    "{}: neither file, link nor directory",
                    path.display()
                ));
                Ok(())
            }
        }
    }

    fn directory(
        &mut self,
        source: &OwnedFd,
        target: &OwnedFd,
        path: &Path,
        depth: usize,
    ) -> Result<(), Failure> {
        let doing = || format!("copy {}", path.display());
        if depth > DEPTH_MAX {
            return Err(too_large(path, &format!("deeper than {DEPTH_MAX}")));
        }
        let listing = beneath::directory(source, Path::new(".")).doing(doing)?;
        for (name, kind) in
            beneath::list(listing, usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX))
                .doing(doing)?
        {
            let below = path.join(&name);
            if kind != Kind::Directory {
                self.entries += 1;
            }
            if self.entries > ENTRIES_MAX {
                return Err(too_large(path, &format!("more than {ENTRIES_MAX} entries")));
            }
            match kind {
                Kind::Directory => {
                    match mkdirat(target, name.as_os_str(), Mode::from_bits_truncate(0o777)) {
                        Ok(()) | Err(nix::Error::EEXIST) => {}
                        Err(e) => return Err(Failure::io(doing(), &e.into())),
                    }
                    let from = beneath::directory(source, Path::new(&name)).doing(doing)?;
                    let to = beneath::directory(target, Path::new(&name)).doing(doing)?;
                    self.directory(&from, &to, &below, depth + 1)?;
                }
                Kind::File | Kind::Symlink => self.leaf(source, target, &name, &below, kind)?,
                Kind::Other => self.notes.push(format!(
                    "{}: neither file, link nor directory",
                    below.display()
                )),
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        source: &OwnedFd,
        target: &OwnedFd,
        name: &OsStr,
        path: &Path,
        kind: Kind,
    ) -> Result<(), Failure> {
        let doing = || format!("copy {}", path.display());
        if kind == Kind::Symlink {
            let text = readlinkat(source, name).doing(doing)?;
            return match symlinkat(text.as_os_str(), target.as_fd(), name) {
                Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
                Err(e) => Err(Failure::io(doing(), &e.into())),
            };
        }
        let (mut from, bytes) = beneath::regular(source, Path::new(name)).doing(doing)?;
        self.bytes += bytes;
        if self.bytes > BYTES_MAX {
            return Err(too_large(path, &format!("more than {BYTES_MAX} bytes")));
        }
        let meta = from.metadata().doing(doing)?;
        let mode = meta.permissions().mode() & 0o777;
        let mut to = match beneath::create(target, Path::new(name), mode) {
            Ok(file) => file,
            // Committed files win: `copy` is for what git does not bring.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(e) => return Err(Failure::io(doing(), &e)),
        };
        io::copy(&mut from, &mut to).doing(doing)?;
        if let Ok(time) = meta.modified() {
            to.set_times(FileTimes::new().set_modified(time))
                .doing(doing)?;
        }
        Ok(())
    }
}

/// A relative path without `..`, whose parts are not `.git`.
fn relative(entry: &str) -> Result<PathBuf, Failure> {
    let refused = |why: &str| {
        Err(
            Failure::new(FailureKind::Invalid, format!("copy {entry:?}"), why)
                .hint("name files of the checkout, relative to its top"),
        )
    };
    let mut path = PathBuf::new();
    for part in Path::new(entry).components() {
        match part {
            Component::Normal(name)
                if super::check::dangerous(name.as_encoded_bytes()).is_some() =>
            {
                return refused("it names a git directory");
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return refused("it leaves the checkout");
            }
        }
    }
    if path.as_os_str().is_empty() {
        return refused("it names nothing");
    }
    Ok(path)
}

fn too_large(path: &Path, why: &str) -> Failure {
    Failure::new(
        FailureKind::TooLarge,
        format!("copy {}", path.display()),
        why,
    )
    .hint("name fewer files in the template's `copy`")
}
