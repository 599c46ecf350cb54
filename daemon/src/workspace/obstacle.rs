//! What of the human's stands where a new file shall come, and is in no commit: libgit2 would take
//! it away (a directory with ignored files, where a link shall be), or break off half way.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::Index;

/// The first such thing, relative to the tree.
pub(super) fn obstacle(work: &Path, index: &Index, path: &Path) -> io::Result<Option<PathBuf>> {
    let tracked = |path: &Path| index.get_path(path, 0).is_some();
    let mut at = PathBuf::new();
    for part in path.components() {
        at.push(part);
        match fs::symlink_metadata(work.join(&at)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
            Ok(meta) if meta.is_dir() => {}
            // What is tracked is in a commit, or was found to be changed before.
            Ok(_) => return Ok((!tracked(&at)).then_some(at)),
        }
    }
    within(work, path, &tracked)
}

/// In a directory that a file shall replace.
fn within(
    work: &Path,
    directory: &Path,
    tracked: &dyn Fn(&Path) -> bool,
) -> io::Result<Option<PathBuf>> {
    let mut empty = true;
    for entry in fs::read_dir(work.join(directory))? {
        let entry = entry?;
        empty = false;
        let name = entry.file_name();
        let path = directory.join(&name);
        if name == OsStr::new(".git") {
            return Ok(Some(path));
        }
        if entry.file_type()?.is_dir() {
            if let Some(found) = within(work, &path, tracked)? {
                return Ok(Some(found));
            }
        } else if !tracked(&path) {
            return Ok(Some(path));
        }
    }
    Ok(empty.then(|| directory.to_owned()))
}
