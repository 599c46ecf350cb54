//! Writing a tree out: in parallel when contents are written as committed, by libgit2 when the
//! repository wants line ends converted.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::build::CheckoutBuilder;
use git2::{Index, IndexEntry, IndexTime, Odb, Oid, Repository};

use super::check::{self, Limits};
use super::index;
use super::libgit;
use super::protocol::{Doing, Failure, FailureKind};

/// Threads beyond these wait for the disk.
const THREADS_MAX: usize = 8;

/// Fewer files than these are written before another thread has begun.
const FILES_PER_THREAD: usize = 200;

/// Progress is told once per so many files.
const PROGRESS_STEP: usize = 500;

/// Told: phase, done, total.
pub(super) type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// One file to write.
struct Item {
    path: Vec<u8>,
    oid: Oid,
    mode: u32,
}

/// Writes the tree of `commit` below `target`, an empty directory, and the index that belongs to
/// it to `index_path`. Answers the number of files.
pub(super) fn checkout(
    repository: &Repository,
    commit: Oid,
    target: &Path,
    index_path: &Path,
    progress: &mut Progress<'_>,
) -> Result<u64, Failure> {
    let tree = repository
        .find_commit(commit)
        .map(|c| c.tree_id())
        .doing(|| format!("read {commit}"))?;
    let odb = repository.odb().doing(|| "open the objects".into())?;
    let mut plan = Plan {
        items: Vec::new(),
        converts: converts(repository),
    };
    plan.walk(&odb, tree, &mut Vec::new(), 0)?;
    let total = plan.items.len() as u64;
    progress("files", 0, total);
    if plan.converts {
        by_libgit2(repository, commit, target, index_path)?;
    } else {
        make_directories(&plan.items, target)?;
        let mut entries = write_all(repository, &plan.items, target, progress)?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        index::write(index_path, &entries)?;
    }
    progress("files", total, total);
    Ok(total)
}

struct Plan {
    items: Vec<Item>,
    converts: bool,
}

impl Plan {
    fn walk(
        &mut self,
        odb: &Odb<'_>,
        tree: Oid,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Failure> {
        let limits = Limits::default();
        if depth > limits.depth_max || self.items.len() > limits.objects_max {
            return Err(Failure::new(
                FailureKind::TooLarge,
                "check the tree out",
                format!(
                    "more than {} files, or nested deeper than {}",
                    limits.objects_max, limits.depth_max
                ),
            ));
        }
        let object = odb.read(tree).map_err(|e| {
            Failure::git(format!("read the tree {tree}"), &e).hint(
                "a partial clone lacks objects: run `git fetch --refetch --no-filter` there first",
            )
        })?;
        let entries = check::tree(object.data()).map_err(|flaw| {
            Failure::new(
                FailureKind::Unsupported,
                format!("check the tree {tree} out"),
                flaw.to_string(),
            )
        })?;
        for entry in entries {
            let length = path.len();
            path.extend_from_slice(entry.name);
            if entry.is_tree() {
                path.push(b'/');
                self.walk(odb, entry.oid, path, depth + 1)?;
            } else {
                if entry.name == b".gitattributes" && !entry.is_symlink() {
                    self.converts |= attributes_convert(odb, entry.oid);
                }
                self.items.push(Item {
                    path: path.clone(),
                    oid: entry.oid,
                    mode: entry.mode,
                });
            }
            path.truncate(length);
        }
        Ok(())
    }
}

/// Whether the configuration wants other line ends than those committed.
fn converts(repository: &Repository) -> bool {
    let Ok(config) = repository.config() else {
        return false;
    };
    config.get_bool("core.autocrlf").unwrap_or(false)
        || config
            .get_string("core.eol")
            .is_ok_and(|eol| eol.eq_ignore_ascii_case("crlf"))
}

fn attributes_convert(odb: &Odb<'_>, oid: Oid) -> bool {
    let Ok(object) = odb.read(oid) else {
        return false;
    };
    let text = String::from_utf8_lossy(object.data()).into_owned();
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| {
            line.split_whitespace()
                .skip(1)
                .any(|a| a == "eol=crlf" || a == "ident" || a == "crlf")
        })
}

fn by_libgit2(
    repository: &Repository,
    commit: Oid,
    target: &Path,
    index_path: &Path,
) -> Result<(), Failure> {
    let doing = || format!("check {commit} out");
    let own = libgit::open(repository.commondir(), Some(target))?;
    let mut index = Index::open(index_path).doing(doing)?;
    own.set_index(&mut index).doing(doing)?;
    let commit = own.find_commit(commit).doing(doing)?;
    let mut options = CheckoutBuilder::new();
    options.force().recreate_missing(true).update_index(true);
    own.checkout_tree(commit.as_object(), Some(&mut options))
        .doing(doing)?;
    index.write().doing(doing)
}

fn make_directories(items: &[Item], target: &Path) -> Result<(), Failure> {
    let mut last: &[u8] = b"";
    for item in items {
        let parent = match item.path.iter().rposition(|b| *b == b'/') {
            Some(slash) => &item.path[..slash],
            None => continue,
        };
        if parent != last {
            let path = target.join(std::ffi::OsStr::from_bytes(parent));
            fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
            last = parent;
        }
    }
    Ok(())
}

/// The files, and what the threads that write them share.
struct Writing<'a> {
    git_dir: &'a Path,
    items: &'a [Item],
    target: &'a Path,
    next: AtomicUsize,
}

impl Writing<'_> {
    /// Takes files until there are no more, or one fails, which stops all.
    fn work(&self, mut step: impl FnMut(usize)) -> Result<Vec<IndexEntry>, Failure> {
        let own = libgit::open(self.git_dir, None)?;
        let odb = own.odb().doing(|| "open the objects".into())?;
        let mut entries = Vec::new();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = self.items.get(at) else {
                return Ok(entries);
            };
            match write_one(&odb, item, self.target) {
                Ok(entry) => entries.push(entry),
                Err(failure) => {
                    self.next.store(self.items.len(), Ordering::Relaxed);
                    return Err(failure);
                }
            }
            step(at);
        }
    }
}

fn write_all(
    repository: &Repository,
    items: &[Item],
    target: &Path,
    progress: &mut Progress<'_>,
) -> Result<Vec<IndexEntry>, Failure> {
    let writing = Writing {
        git_dir: repository.commondir(),
        items,
        target,
        next: AtomicUsize::new(0),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors
        .min(THREADS_MAX)
        .min(items.len() / FILES_PER_THREAD + 1);
    let mut told = 0;
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|_| scope.spawn(|| writing.work(|_| {})))
            .collect();
        let mut all = writing.work(|at| {
            if at >= told + PROGRESS_STEP {
                told = at;
                progress("files", at as u64, items.len() as u64);
            }
        })?;
        for other in others {
            all.append(&mut other.join().expect("the work does not panic")?);
        }
        Ok(all)
    })
}

fn write_one(odb: &Odb<'_>, item: &Item, target: &Path) -> Result<IndexEntry, Failure> {
    let path: PathBuf = target.join(std::ffi::OsStr::from_bytes(&item.path));
    let doing = || format!("write {}", path.display());
    if item.mode == 0o160_000 {
        fs::create_dir_all(&path).doing(doing)?;
        return Ok(index_entry(
            item,
            &fs::symlink_metadata(&path).doing(doing)?,
        ));
    }
    let object = odb.read(item.oid).doing(doing)?;
    if item.mode == 0o120_000 {
        symlink(std::ffi::OsStr::from_bytes(object.data()), &path).doing(doing)?;
        return Ok(index_entry(
            item,
            &fs::symlink_metadata(&path).doing(doing)?,
        ));
    }
    let mode = if item.mode == 0o100_755 { 0o777 } else { 0o666 };
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path)
        .doing(doing)?;
    file.write_all(object.data()).doing(doing)?;
    Ok(index_entry(item, &file.metadata().doing(doing)?))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the index holds the low 32 bits, as git writes them"
)]
fn index_entry(item: &Item, meta: &fs::Metadata) -> IndexEntry {
    let time = |seconds: i64, nanoseconds: i64| IndexTime::new(seconds as i32, nanoseconds as u32);
    IndexEntry {
        ctime: time(meta.ctime(), meta.ctime_nsec()),
        mtime: time(meta.mtime(), meta.mtime_nsec()),
        dev: meta.dev() as u32,
        ino: meta.ino() as u32,
        mode: item.mode,
        uid: meta.uid(),
        gid: meta.gid(),
        file_size: if item.mode == 0o160_000 {
            0
        } else {
            meta.len() as u32
        },
        id: item.oid,
        flags: 0,
        flags_extended: 0,
        path: item.path.clone(),
    }
}
