//! Taking objects of an agent over into the main repository.
//!
//! ```text
//! agent's objects/ ──copy by descriptor──▶ staging ──parse, hash, bound──▶ list ──▶ main objects/
//!                    (loose file | pack,           (dependencies first)     (loose | one pack)
//!                     indexed anew)
//! ```
//! Nothing enters the main repository before every object was checked, and no object before those
//! that it names, so that dying at any instruction leaves a sound repository.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use git2::{Indexer, ObjectType, Odb, Oid, Repository};

use super::beneath::{self, Kind};
use super::check::{self, Flaw, Limits};
use super::libgit;
use super::protocol::{Doing, Failure, FailureKind};

/// Up to so many objects are written one by one, as git does on receiving.
const LOOSE_MAX: usize = 100;

/// Most packs in the agent's directory.
const PACKS_MAX: usize = 1000;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// One import of objects.
pub(super) struct Intake<'a> {
    repository: &'a Repository,
    main: Odb<'a>,
    staging: Staging,
    staged: Odb<'static>,
    objects: OwnedFd,
    packs: HashSet<PathBuf>,
    limits: Limits,
    begun: Instant,
    bytes: u64,
    /// What was looked at, and as what.
    seen: HashMap<Oid, ObjectType>,
    /// Checked, each after all that it names.
    new: Vec<(Oid, ObjectType)>,
}

/// A directory that goes when dropped; `git gc` clears one that a kill left, by its name.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "staging directory stays");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Commit,
    Tree { depth: usize },
    Blob { modules: bool },
}

impl Want {
    fn kind(self) -> ObjectType {
        match self {
            Self::Commit => ObjectType::Commit,
            Self::Tree { .. } => ObjectType::Tree,
            Self::Blob { .. } => ObjectType::Blob,
        }
    }
}

enum Step {
    Visit(Oid, Want),
    Leave(Oid, ObjectType),
}

impl<'a> Intake<'a> {
    /// Begins an import from `objects`, the agent's object directory.
    pub(super) fn new(
        repository: &'a Repository,
        objects: OwnedFd,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let name = format!(
            "tmp_objdir-wsm-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let path = repository.commondir().join("objects").join(name);
        fs::create_dir_all(path.join("pack")).doing(|| format!("make {}", path.display()))?;
        let staging = Staging(path);
        let staged = Odb::new().doing(|| "open the staged objects".into())?;
        let text = staging.0.to_str().ok_or_else(|| {
            Failure::new(
                FailureKind::Unsupported,
                "open the repository",
                "its path is not UTF-8",
            )
        })?;
        staged
            .add_disk_alternate(text)
            .doing(|| "open the staged objects".into())?;
        let main = repository.odb().doing(|| "open the objects".into())?;
        Ok(Self {
            repository,
            main,
            staging,
            staged,
            objects,
            packs: HashSet::new(),
            limits,
            begun: Instant::now(),
            bytes: 0,
            seen: HashMap::new(),
            new: Vec::new(),
        })
    }

    /// Checks the commit and everything it reaches that the main repository lacks.
    pub(super) fn collect(&mut self, tip: Oid) -> Result<(), Failure> {
        let kept = self.new.len();
        let mut steps = vec![Step::Visit(tip, Want::Commit)];
        while let Some(step) = steps.pop() {
            let outcome = match step {
                Step::Leave(oid, kind) => {
                    self.new.push((oid, kind));
                    Ok(())
                }
                Step::Visit(oid, want) => self.visit(oid, want, &mut steps),
            };
            if let Err(failure) = outcome {
                // What this tip began is not complete: forget it, other tips may still be good.
                for (oid, _) in self.new.drain(kept..) {
                    self.seen.remove(&oid);
                }
                for step in steps {
                    if let Step::Leave(oid, _) = step {
                        self.seen.remove(&oid);
                    }
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    fn visit(&mut self, oid: Oid, want: Want, steps: &mut Vec<Step>) -> Result<(), Failure> {
        if let Some(known) = self.known(oid)? {
            return same_kind(oid, known, want.kind());
        }
        if self.seen.len() >= self.limits.objects_max {
            return Err(large(format!(
                "more than {} new objects",
                self.limits.objects_max
            )));
        }
        if self.begun.elapsed() > self.limits.time_max {
            return Err(large(format!(
                "longer than {} s",
                self.limits.time_max.as_secs()
            )));
        }
        let size = self.header(oid, want)?;
        self.count(size as u64)?;
        let object = self
            .staged
            .read(oid)
            .map_err(|e| hostile(oid, e.message()))?;
        let data = object.data();
        let flaw = |flaw: Flaw| hostile(oid, &flaw.to_string());
        let kind = match want {
            Want::Commit => {
                let links = check::commit(data).map_err(flaw)?;
                steps.push(Step::Leave(oid, ObjectType::Commit));
                steps.push(Step::Visit(links.tree, Want::Tree { depth: 0 }));
                steps.extend(
                    links
                        .parents
                        .into_iter()
                        .map(|p| Step::Visit(p, Want::Commit)),
                );
                None
            }
            Want::Tree { depth } => {
                if depth > self.limits.depth_max {
                    return Err(hostile(oid, "is nested too deeply"));
                }
                steps.push(Step::Leave(oid, ObjectType::Tree));
                for entry in check::tree(data).map_err(flaw)? {
                    if entry.is_submodule() {
                        continue;
                    }
                    let want = if entry.is_tree() {
                        Want::Tree { depth: depth + 1 }
                    } else {
                        Want::Blob {
                            modules: check::is_modules_file(entry.name),
                        }
                    };
                    steps.push(Step::Visit(entry.oid, want));
                }
                None
            }
            Want::Blob { modules } => {
                if modules {
                    check::modules(data).map_err(flaw)?;
                }
                Some(ObjectType::Blob)
            }
        };
        drop(object);
        self.seen.insert(oid, want.kind());
        if let Some(kind) = kind {
            self.new.push((oid, kind));
        }
        Ok(())
    }

    /// What an object is that needs no look any more: it was seen, or the main repository holds it
    /// and so all that it names.
    fn known(&self, oid: Oid) -> Result<Option<ObjectType>, Failure> {
        if let Some(kind) = self.seen.get(&oid) {
            return Ok(Some(*kind));
        }
        if !self.main.exists(oid) {
            return Ok(None);
        }
        let (_, kind) = self.main.read_header(oid).doing(|| format!("read {oid}"))?;
        Ok(Some(kind))
    }

    /// Stages the object, and says how long it claims to be, which reading then enforces.
    fn header(&mut self, oid: Oid, want: Want) -> Result<usize, Failure> {
        let found = match self.staged.read_header(oid) {
            Ok(found) => found,
            Err(_) => {
                if !self.stage_loose(oid)? {
                    self.stage_packs()?;
                }
                self.staged.read_header(oid).map_err(|_| {
                    Failure::new(
                        FailureKind::Busy,
                        format!("take {oid} over"),
                        "neither repository holds it",
                    )
                })?
            }
        };
        same_kind(oid, found.1, want.kind())?;
        let bytes_max = match want {
            Want::Commit | Want::Tree { .. } => self.limits.node_bytes_max,
            Want::Blob { .. } => self.limits.blob_bytes_max,
        };
        if found.0 > bytes_max {
            return Err(large(format!(
                "{oid} has {} bytes, and {bytes_max} are allowed",
                found.0
            )));
        }
        Ok(found.0)
    }

    fn count(&mut self, bytes: u64) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.total_bytes_max {
            return Err(large(format!(
                "more than {} bytes",
                self.limits.total_bytes_max
            )));
        }
        Ok(())
    }

    fn stage_loose(&mut self, oid: Oid) -> Result<bool, Failure> {
        let digits = oid.to_string();
        let name = Path::new(&digits[..2]).join(&digits[2..]);
        let (file, bytes) = match beneath::regular(&self.objects, &name) {
            Ok(opened) => opened,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(hostile(oid, &e.to_string())),
        };
        // zlib never makes anything longer by more than a small part.
        let bytes_max = self.limits.blob_bytes_max as u64 * 11 / 10;
        if bytes > bytes_max {
            return Err(large(format!("the file of {oid} has {bytes} bytes")));
        }
        self.count(bytes)?;
        let target = self.staging.0.join(&name);
        let parent = target.parent().expect("the name has two parts");
        fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))?;
        let mut copy = File::create_new(&target).doing(|| format!("make {}", target.display()))?;
        io::copy(&mut file.take(bytes_max), &mut copy).doing(|| format!("copy {oid}"))?;
        Ok(true)
    }

    /// Stages the packs that came since the last look. Their indexes are made anew, so that no
    /// index of the agent is ever read.
    fn stage_packs(&mut self) -> Result<(), Failure> {
        let directory = match beneath::directory(&self.objects, Path::new("pack")) {
            Ok(directory) => directory,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(bad_pack(Path::new("pack"), &e.to_string())),
        };
        let names = beneath::list(
            directory
                .as_fd()
                .try_clone_to_owned()
                .doing(|| "list packs".into())?,
            PACKS_MAX * 4,
        )
        .map_err(|e| bad_pack(Path::new("pack"), &e.to_string()))?;
        for (name, kind) in names {
            let name = PathBuf::from(name);
            let wanted = kind == Kind::File && name.extension().is_some_and(|e| e == "pack");
            if !wanted || !self.packs.insert(name.clone()) {
                continue;
            }
            match beneath::regular(&directory, &name) {
                Ok((file, bytes)) => self.index_pack(&name, file, bytes)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(bad_pack(&name, &e.to_string())),
            }
        }
        self.staged.refresh().doing(|| "look for packs".into())
    }

    fn index_pack(&mut self, name: &Path, file: File, bytes: u64) -> Result<(), Failure> {
        self.count(bytes)?;
        let target = self.staging.0.join("pack");
        let mut indexer = Indexer::new(Some(&self.main), &target, 0o600, false)
            .doing(|| "begin to index a pack".into())?;
        let mut file = file.take(bytes);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file
                .read(&mut buffer)
                .map_err(|e| bad_pack(name, &e.to_string()))?;
            if read == 0 {
                break;
            }
            if self.begun.elapsed() > self.limits.time_max {
                return Err(large(format!(
                    "longer than {} s",
                    self.limits.time_max.as_secs()
                )));
            }
            indexer
                .write_all(&buffer[..read])
                .map_err(|e| bad_pack(name, &e.to_string()))?;
        }
        indexer.commit().map_err(|e| bad_pack(name, e.message()))?;
        Ok(())
    }

    /// Writes what was collected. Answers how many objects that were.
    pub(super) fn commit(self) -> Result<u64, Failure> {
        let count = self.new.len();
        if count <= LOOSE_MAX {
            for (oid, kind) in &self.new {
                let object = self
                    .staged
                    .read(*oid)
                    .doing(|| format!("read {oid} again"))?;
                self.main
                    .write(*kind, object.data())
                    .doing(|| format!("write {oid}"))?;
            }
        } else {
            self.write_pack()?;
        }
        Ok(count as u64)
    }

    fn write_pack(&self) -> Result<(), Failure> {
        let doing = || "write the pack of the new commits".to_owned();
        // A second handle, so that the first never sees the staged objects as its own.
        let second = libgit::open(self.repository.commondir(), None)?;
        let text = self.staging.0.to_str().expect("checked when it was made");
        second
            .odb()
            .and_then(|odb| odb.add_disk_alternate(text))
            .doing(doing)?;
        let mut pack = second.packbuilder().doing(doing)?;
        for (oid, _) in &self.new {
            pack.insert_object(*oid, None).doing(doing)?;
        }
        let target = self.repository.commondir().join("objects/pack");
        pack.write(&target, 0o444).doing(doing)?;
        self.main.refresh().doing(doing)
    }
}

/// The same object may not be a file here and a directory there.
fn same_kind(oid: Oid, found: ObjectType, wanted: ObjectType) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(hostile(oid, &format!("is a {found} and not a {wanted}")))
}

fn hostile(oid: Oid, why: &str) -> Failure {
    Failure::new(FailureKind::Hostile, format!("take {oid} over"), why)
        .hint("look at the agent's branch with `wsm shell`; its files stay as they are")
}

fn bad_pack(name: &Path, why: &str) -> Failure {
    Failure::new(
        FailureKind::Hostile,
        format!("read the agent's {}", name.display()),
        why,
    )
}

fn large(why: String) -> Failure {
    Failure::new(FailureKind::TooLarge, "take the agent's commits over", why)
}
