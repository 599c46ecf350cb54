//! The index of the human's view: made at creation, moved on when commits were taken over.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexTime, Oid, Repository};

use super::protocol::{Doing, Failure, IndexState, LISTED_MAX};

/// `index.lock`, held so that no other git writes the index meanwhile.
struct Lock {
    path: PathBuf,
    held: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.held
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "index lock stays");
        }
    }
}

/// Makes the index show `new`, if it shows one of `before`, which is what wsm wrote; otherwise the
/// human has staged something, and it stays.
pub(super) fn refresh(
    repository: &Repository,
    admin: &Path,
    before: &[Oid],
    new: Oid,
) -> Result<IndexState, Failure> {
    let path = admin.join("index");
    let doing = || format!("refresh {}", path.display());
    let lock_path = admin.join("index.lock");
    let mut copy = match File::create_new(&lock_path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(IndexState::Locked),
        Err(e) => return Err(Failure::io(doing(), &e)),
    };
    let mut lock = Lock {
        path: lock_path,
        held: true,
    };
    let mut current = File::open(&path).doing(doing)?;
    let written = current.metadata().doing(doing)?;
    io::copy(&mut current, &mut copy).doing(doing)?;
    let mut index = Index::open(&lock.path).doing(doing)?;
    if staged(repository, &index, new)?.is_empty() {
        return Ok(IndexState::Untouched);
    }
    let mut shown = Vec::new();
    for oid in before {
        let paths = staged(repository, &index, *oid)?;
        if paths.is_empty() {
            return advance(repository, &mut index, &mut lock, &written, new, &path);
        }
        if shown.is_empty() {
            shown = paths;
        }
    }
    Ok(IndexState::Staged { paths: shown })
}

fn advance(
    repository: &Repository,
    index: &mut Index,
    lock: &mut Lock,
    written: &fs::Metadata,
    new: Oid,
    path: &Path,
) -> Result<IndexState, Failure> {
    let doing = || format!("refresh {}", path.display());
    let tree = repository
        .find_commit(new)
        .and_then(|c| c.tree())
        .doing(doing)?;
    index.read_tree(&tree).doing(doing)?;
    // An entry as new as the index was "racily clean": git would compare contents. The index is
    // about to look newer, so the entry has to say "compare" itself, as git does.
    let racy: Vec<IndexEntry> = index
        .iter()
        .filter(|e| {
            let time = (
                i64::from(e.mtime.seconds()),
                i64::from(e.mtime.nanoseconds()),
            );
            time.0 != 0 && time >= (written.mtime(), written.mtime_nsec())
        })
        .collect();
    for mut entry in racy {
        entry.mtime = IndexTime::new(0, 0);
        entry.file_size = 0;
        index.add(&entry).doing(doing)?;
    }
    index.write().doing(doing)?;
    fs::rename(&lock.path, path).doing(doing)?;
    lock.held = false;
    Ok(IndexState::Refreshed)
}

/// Paths where the index differs from a commit.
fn staged(repository: &Repository, index: &Index, oid: Oid) -> Result<Vec<String>, Failure> {
    let doing = || format!("compare the index with {oid}");
    if index.has_conflicts() {
        return Ok(vec!["(unmerged entries)".to_owned()]);
    }
    let tree = repository
        .find_commit(oid)
        .and_then(|c| c.tree())
        .doing(doing)?;
    let diff = repository
        .diff_tree_to_index(Some(&tree), Some(index), None)
        .doing(doing)?;
    Ok(diff
        .deltas()
        .take(LISTED_MAX)
        .filter_map(|delta| delta.new_file().path().or(delta.old_file().path()))
        .map(|path| path.to_string_lossy().into_owned())
        .collect())
}

/// Writes a new index; the entries come sorted.
pub(super) fn write(path: &Path, entries: &[IndexEntry]) -> Result<(), Failure> {
    let doing = || format!("write {}", path.display());
    let mut index = Index::open(path).doing(doing)?;
    for entry in entries {
        index.add(entry).doing(doing)?;
    }
    index.write().doing(doing)
}

/// All entries of an index, as if their files belonged to these ids.
pub(super) fn entries_as(path: &Path, uid: u32, gid: u32) -> Result<Vec<IndexEntry>, Failure> {
    let index = Index::open(path).doing(|| format!("read {}", path.display()))?;
    let owned = |mut entry: IndexEntry| {
        entry.uid = uid;
        entry.gid = gid;
        entry
    };
    Ok(index.iter().map(owned).collect())
}
