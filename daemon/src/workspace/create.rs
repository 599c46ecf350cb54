//! Making a workspace: branch, administrative directory, tree, private git directory; all or
//! nothing.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::beneath;
use super::branches;
use super::checkout::{self, Progress};
use super::copy::Copying;
use super::inspect;
use super::libgit;
use super::private::{self, vacant};
use super::protocol::{Create, Created, Doing, Failure, FailureKind, Place};

/// What was made so far, undone in reverse order unless everything went well.
struct Undo<'a> {
    repository: &'a Repository,
    steps: Vec<Step>,
}

enum Step {
    /// A directory that was not there.
    Directory(PathBuf),
    /// A directory that was there, empty.
    Contents(PathBuf),
    /// A branch.
    Branch(String, Oid),
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        for step in self.steps.drain(..).rev() {
            let undone = match &step {
                Step::Directory(path) => fs::remove_dir_all(path),
                Step::Contents(path) => clear(path),
                Step::Branch(name, oid) => delete_branch(self.repository, name, *oid),
            };
            if let Err(error) = undone {
                tracing::warn!(%error, "a part of the failed workspace stays");
            }
        }
    }
}

fn clear(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn delete_branch(repository: &Repository, name: &str, oid: Oid) -> std::io::Result<()> {
    let mut reference = repository
        .find_reference(name)
        .map_err(std::io::Error::other)?;
    if reference.target() == Some(oid) {
        reference.delete().map_err(std::io::Error::other)?;
    }
    Ok(())
}

/// Makes the workspace.
pub(super) fn create(create: &Create, progress: &mut Progress<'_>) -> Result<Created, Failure> {
    let place = &create.place;
    check_place(place)?;
    let repository = libgit::open(&place.git_dir, None)?;
    inspect::reachable(&place.git_dir)?;
    let base = inspect::commit(&repository, &create.base)?;
    check_hidden(&repository, base, &create.hide)?;
    let reference = format!("refs/heads/{}", place.branch);
    branch_free(&repository, &place.branch)?;
    let mut undo = Undo {
        repository: &repository,
        steps: Vec::new(),
    };

    repository
        .reference(
            &reference,
            base,
            false,
            &format!("wsm: created for agent {}", place.agent),
        )
        .doing(|| format!("create the branch {}", place.branch))?;
    undo.steps.push(Step::Branch(reference, base));

    let admin = administrative(place, &mut undo)?;
    for path in [&place.workspace, &place.private_git_dir] {
        make(path, &mut undo)?;
    }
    put_pointer(place, &admin)?;
    let index = admin.join("index");
    let files = checkout::checkout(&repository, base, &place.workspace, &index, progress)?;
    private::write(&repository, create, base, &index)?;
    let (copied, notes) = copy(create, progress)?;
    write_files(&create.place.workspace, &create.files)?;
    undo.steps.clear();
    Ok(Created {
        base: base.into(),
        git_admin: admin,
        files,
        copied,
        notes,
    })
}

/// Refuses to hide what the agent could read from the objects.
fn check_hidden(repository: &Repository, base: Oid, hide: &[String]) -> Result<(), Failure> {
    let committed = |path: &&String| {
        let tree = repository.find_commit(base).and_then(|found| found.tree());
        tree.is_ok_and(|tree| tree.get_path(Path::new(path)).is_ok())
    };
    match hide.iter().find(committed) {
        None => Ok(()),
        Some(path) => Err(Failure::new(
            FailureKind::Refused,
            format!("hide {path}"),
            "it is committed: whoever has the repository's objects reads it there",
        )
        .hint("take it out of filesystem.hide, or out of the repository and its history")),
    }
}

/// Writes files, and directories above them, never through a link.
fn write_files(workspace: &Path, files: &[(String, String)]) -> Result<(), Failure> {
    for (path, text) in files {
        let doing = || format!("write {path}");
        let mut at = beneath::root(workspace).doing(doing)?;
        let path = Path::new(path);
        for part in path.parent().into_iter().flat_map(Path::components) {
            let part = Path::new(part.as_os_str());
            match mkdirat(&at, part, Mode::from_bits_truncate(0o777)) {
                Ok(()) | Err(nix::Error::EEXIST) => {}
                Err(errno) => return Err(Failure::io(doing(), &errno.into())),
            }
            at = beneath::directory(&at, part).doing(doing)?;
        }
        let name = path.file_name().map_or(Path::new(""), Path::new);
        match unlinkat(&at, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => {}
            Err(errno) => return Err(Failure::io(doing(), &errno.into())),
        }
        let mut file = beneath::create(&at, name, 0o666).doing(doing)?;
        file.write_all(text.as_bytes()).doing(doing)?;
    }
    Ok(())
}

fn copy(create: &Create, progress: &mut Progress<'_>) -> Result<(u64, Vec<String>), Failure> {
    if create.copy.is_empty() {
        return Ok((0, Vec::new()));
    }
    let source = create.source_tree.as_deref().ok_or_else(|| {
        Failure::new(
            FailureKind::Invalid,
            "copy files of the checkout",
            "the repository has no checkout",
        )
    })?;
    let mut copying = Copying::new(source, &create.place.workspace)?;
    for (done, entry) in create.copy.iter().enumerate() {
        progress("copy", done as u64, create.copy.len() as u64);
        copying.entry(entry)?;
    }
    Ok((copying.copied(), std::mem::take(&mut copying.notes)))
}

/// The directory that makes it a worktree of the main repository.
fn administrative(place: &Place, undo: &mut Undo<'_>) -> Result<PathBuf, Failure> {
    let worktrees = place.git_dir.join("worktrees");
    match fs::create_dir(&worktrees) {
        Ok(()) => undo.steps.push(Step::Directory(worktrees.clone())),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(Failure::io(format!("make {}", worktrees.display()), &e)),
    }
    let admin = worktrees.join(&place.admin_id);
    fs::create_dir(&admin).doing(|| format!("make {}", admin.display()))?;
    undo.steps.push(Step::Directory(admin.clone()));
    let mut back = place.workspace.join(".git").into_os_string();
    back.push("\n");
    let files: [(&str, &[u8]); 4] = [
        ("gitdir", back.as_bytes()),
        ("commondir", b"../..\n"),
        (
            "HEAD",
            &format!("ref: refs/heads/{}\n", place.branch).into_bytes(),
        ),
        (
            "locked",
            &format!(
                "it belongs to the wsm agent {}; `wsm rm` removes it\n",
                place.agent
            )
            .into_bytes(),
        ),
    ];
    for (name, data) in files {
        let path = admin.join(name);
        fs::write(&path, data).doing(|| format!("write {}", path.display()))?;
    }
    Ok(admin)
}

fn make(path: &Path, undo: &mut Undo<'_>) -> Result<(), Failure> {
    if vacant(path)? {
        undo.steps.push(Step::Contents(path.to_owned()));
        return Ok(());
    }
    fs::create_dir(path).doing(|| format!("make {}", path.display()))?;
    undo.steps.push(Step::Directory(path.to_owned()));
    Ok(())
}

fn put_pointer(place: &Place, admin: &Path) -> Result<(), Failure> {
    let path = place.workspace.join(".git");
    let mut text = b"gitdir: ".to_vec();
    text.extend_from_slice(admin.as_os_str().as_bytes());
    text.push(b'\n');
    fs::write(&path, text).doing(|| format!("write {}", path.display()))
}

/// Whether a branch of this name can be made, before anything is.
pub(super) fn is_branch_free(git_dir: &Path, branch: &str) -> Result<(), Failure> {
    if !branches::valid(branch) {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("create the branch {branch}"),
            "git does not take this name",
        )
        .hint("see `git check-ref-format`"));
    }
    branch_free(&libgit::open(git_dir, None)?, branch)
}

/// Refuses a name that is taken, or that is a directory of another branch or the reverse.
fn branch_free(repository: &Repository, branch: &str) -> Result<(), Failure> {
    let taken = |name: &str, why: &str| {
        Err(Failure::new(
            FailureKind::Exists,
            format!("create the branch {branch}"),
            format!("{name} {why}"),
        )
        .hint("give the agent another name, or rename that branch"))
    };
    if repository
        .find_reference(&format!("refs/heads/{branch}"))
        .is_ok()
    {
        return taken(branch, "exists already");
    }
    for (at, _) in branch.match_indices('/') {
        let prefix = &branch[..at];
        if repository
            .find_reference(&format!("refs/heads/{prefix}"))
            .is_ok()
        {
            return taken(prefix, "is a branch, so no branch can lie below it");
        }
    }
    let mut below = repository
        .references_glob(&format!("refs/heads/{branch}/*"))
        .doing(|| "list the branches".into())?;
    match below.names().flatten().next() {
        Some(name) => taken(name, "lies below it"),
        None => Ok(()),
    }
}

/// Refuses what the daemon would never write down.
pub(super) fn check_place(place: &Place) -> Result<(), Failure> {
    let bad = |what: &str, value: &dyn std::fmt::Debug| {
        Err(Failure::new(
            FailureKind::Invalid,
            "use the workspace",
            format!("{what} is {value:?}"),
        ))
    };
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 100
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !plain(&place.admin_id) || !place.admin_id.starts_with("wsm-") {
        return bad("the id", &place.admin_id);
    }
    if !plain(&place.agent) {
        return bad("the agent", &place.agent);
    }
    if !branches::valid(&place.branch) {
        return bad("the branch", &place.branch);
    }
    for path in [&place.git_dir, &place.workspace, &place.private_git_dir] {
        let text = path.as_os_str().as_bytes();
        if !path.is_absolute() || text.contains(&b'\n') {
            return bad("a path", path);
        }
    }
    Ok(())
}
