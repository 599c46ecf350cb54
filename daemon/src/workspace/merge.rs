//! Bringing work back into the main checkout. Everything that can say no does so before the first
//! byte changes.

use std::collections::HashSet;
use std::path::Path;

use git2::build::CheckoutBuilder;
use git2::{
    AttrCheckFlags, Delta, Diff, ErrorCode, Index, ObjectType, Oid, Repository, RepositoryState,
    Signature, StatusOptions,
};

use super::beneath;
use super::changes::{self, Found};
use super::checkout::Progress;
use super::create::check_place;
use super::inspect;
use super::landed;
use super::libgit;
use super::obstacle::obstacle;
use super::protocol::{
    Doing, Failure, FailureKind, Identity, LISTED_MAX, Merge, MergeKind, MergeReply, Place,
    Uncommitted,
};

/// Told before the first byte changes: whoever asked and is gone by now shall find nothing changed.
const LAND: &str = "land";
/// Longest guarded file that is compared; a longer one counts as changed.
const GUARDED_BYTES_MAX: u64 = 16 << 20;

/// The main checkout, ready to take something.
struct Checkout {
    repository: Repository,
    branch: String,
    ours: Oid,
}

/// Merges the agent's branch.
pub(super) fn merge(request: &Merge, progress: &mut Progress<'_>) -> Result<MergeReply, Failure> {
    check_place(&request.place)?;
    let checkout = Checkout::open(&request.place, &request.work_tree)?;
    let repository = &checkout.repository;
    let theirs = changes::tip(repository, &request.place)?;
    let left = left_behind(&request.place, theirs)?;
    if request.uncommitted == Uncommitted::Refuse && left.count() > 0 {
        return Ok(MergeReply::Uncommitted { paths: left.paths });
    }
    let ours = checkout.ours;
    let base = checkout.base(theirs)?;
    if base == theirs {
        return Ok(MergeReply::UpToDate {
            left_behind: left.count(),
        });
    }
    let doing = || format!("merge {}", request.place.branch);
    let find = |oid| repository.find_commit(oid).doing(doing);
    let (our, their) = (find(ours)?, find(theirs)?);
    let forward = base == ours;
    let tree = if forward {
        their.tree_id()
    } else {
        let mut index = repository.merge_commits(&our, &their, None).doing(doing)?;
        if index.has_conflicts() {
            return Ok(MergeReply::Conflicts {
                paths: conflicts(&index)?,
            });
        }
        index.write_tree_to(repository).doing(doing)?
    };
    let paths = checkout.guarded(tree, &request.place, &request.guarded)?;
    if !paths.is_empty() {
        return Ok(MergeReply::Guarded { paths });
    }
    let landing = match checkout.landing(tree)? {
        Ok(landing) => landing,
        Err(paths) => return Ok(MergeReply::Dirty { paths }),
    };
    let how = match (request.squash, forward) {
        (true, _) => MergeKind::Squash,
        (false, true) => MergeKind::FastForward,
        (false, false) => MergeKind::Merge,
    };
    let to = match how {
        MergeKind::FastForward | MergeKind::Staged => theirs,
        MergeKind::Merge => commit(
            repository,
            &request.author,
            &request.message,
            tree,
            &[ours, theirs],
        )?,
        MergeKind::Squash => commit(repository, &request.author, &request.message, tree, &[ours])?,
    };
    progress(LAND, 0, landing.files);
    let message = landed::message(&request.place.branch, how, request.mark);
    checkout.land(tree, Some(to), &message)?;
    Ok(MergeReply::Done {
        into: checkout.branch.clone(),
        from: ours.into(),
        to: to.into(),
        how,
        files: landing.files,
        unfiltered: landing.unfiltered,
        left_behind: left.count(),
    })
}

/// Stages the agent's whole work.
pub(super) fn apply(
    place: &Place,
    work_tree: &Path,
    mark: u64,
    guarded: &[String],
    progress: &mut Progress<'_>,
) -> Result<MergeReply, Failure> {
    check_place(place)?;
    let checkout = Checkout::open(place, work_tree)?;
    let repository = &checkout.repository;
    let doing = || format!("apply {}", place.branch);
    let theirs = changes::tip(repository, place)?;
    let base = checkout.base(theirs)?;
    let whole = changes::whole_tree(&changes::open(place)?.0, theirs)?;
    let tree_of = |oid| {
        repository
            .find_commit(oid)
            .and_then(|c| c.tree())
            .doing(doing)
    };
    let ours = tree_of(checkout.ours)?;
    let whole = repository.find_tree(whole).doing(doing)?;
    let mut index = repository
        .merge_trees(&tree_of(base)?, &ours, &whole, None)
        .doing(doing)?;
    if index.has_conflicts() {
        return Ok(MergeReply::Conflicts {
            paths: conflicts(&index)?,
        });
    }
    let tree = index.write_tree_to(repository).doing(doing)?;
    if tree == ours.id() {
        return Ok(MergeReply::UpToDate { left_behind: 0 });
    }
    let paths = checkout.guarded(tree, place, guarded)?;
    if !paths.is_empty() {
        return Ok(MergeReply::Guarded { paths });
    }
    let landing = match checkout.landing(tree)? {
        Ok(landing) => landing,
        Err(paths) => return Ok(MergeReply::Dirty { paths }),
    };
    progress(LAND, 0, landing.files);
    let message = landed::message(&place.branch, MergeKind::Staged, mark);
    checkout.land(tree, None, &message)?;
    Ok(MergeReply::Done {
        into: checkout.branch.clone(),
        from: checkout.ours.into(),
        to: checkout.ours.into(),
        how: MergeKind::Staged,
        files: landing.files,
        unfiltered: landing.unfiltered,
        left_behind: 0,
    })
}

/// What changes in the main checkout.
struct Landing {
    files: u64,
    unfiltered: Vec<String>,
}

impl Checkout {
    fn open(place: &Place, work_tree: &Path) -> Result<Self, Failure> {
        let repository = libgit::open(&place.git_dir, Some(work_tree))?;
        let refused = |why: String, hint: &str| {
            Failure::new(
                FailureKind::Refused,
                format!("change {}", work_tree.display()),
                why,
            )
            .hint(hint)
        };
        if repository.state() != RepositoryState::Clean {
            let why = format!("it is in the middle of something: {:?}", repository.state());
            return Err(refused(why, "finish or abort that there, then try again"));
        }
        let (branch, ours) = inspect::head(&repository)?;
        let Some(branch) = branch else {
            return Err(refused(
                format!("its HEAD is detached at {ours}"),
                "switch to a branch there: `git switch main`",
            ));
        };
        if branch == place.branch {
            return Err(refused(
                format!("it has {branch} itself checked out"),
                "switch to another branch there",
            ));
        }
        if repository.path().join("index.lock").exists() {
            return Err(Failure::new(
                FailureKind::Busy,
                format!("change {}", work_tree.display()),
                "another git works there",
            ));
        }
        Ok(Self {
            repository,
            branch,
            ours,
        })
    }

    fn base(&self, theirs: Oid) -> Result<Oid, Failure> {
        self.repository
            .merge_base(self.ours, theirs)
            .map_err(|error| {
                if error.code() == ErrorCode::NotFound {
                    return Failure::new(
                        FailureKind::Refused,
                        format!("merge into {}", self.branch),
                        "the histories have no commit in common",
                    );
                }
                Failure::git("find the merge base", &error)
            })
    }

    /// What `tree` changes.
    fn changes(&self, tree: Oid) -> Result<Diff<'_>, Failure> {
        let doing = || format!("compare {} with its new tree", self.branch);
        let repository = &self.repository;
        let old = repository
            .find_commit(self.ours)
            .and_then(|c| c.tree())
            .doing(doing)?;
        let new = repository.find_tree(tree).doing(doing)?;
        repository
            .diff_tree_to_tree(Some(&old), Some(&new), None)
            .doing(doing)
    }

    /// What would change at guarded names to anything else than stands in the workspace, where the
    /// agent can't change it. Names that differ in case alone are the same: they are on other hosts.
    fn guarded(&self, tree: Oid, place: &Place, names: &[String]) -> Result<Vec<String>, Failure> {
        let names: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
        let mut found = Vec::new();
        if names.is_empty() {
            return Ok(found);
        }
        for delta in self.changes(tree)?.deltas() {
            let Some(path) = delta.new_file().path().or(delta.old_file().path()) else {
                continue;
            };
            let lower = path.to_string_lossy().to_lowercase();
            // A link where a directory above a guarded name was leads that name elsewhere.
            let goes = delta.status() == Delta::Deleted;
            let concerns = |name: &String| {
                Path::new(&lower).starts_with(name) || !goes && Path::new(name).starts_with(&lower)
            };
            if !names.iter().any(concerns) {
                continue;
            }
            let stands = beneath::root(&place.workspace)
                .and_then(|workspace| beneath::read(workspace, path, GUARDED_BYTES_MAX));
            let stands = match stands {
                Ok(Some(bytes)) => Oid::hash_object(ObjectType::Blob, &bytes).ok(),
                _ => None,
            };
            if stands != Some(delta.new_file().id()) && found.len() < LISTED_MAX {
                found.push(path.to_string_lossy().into_owned());
            }
        }
        Ok(found)
    }

    /// What would change; `Err` names the files of the human that would be overwritten.
    fn landing(&self, tree: Oid) -> Result<Result<Landing, Vec<String>>, Failure> {
        let doing = || format!("look at the checkout of {}", self.branch);
        let repository = &self.repository;
        let diff = self.changes(tree)?;
        let mut options = StatusOptions::new();
        options.include_untracked(false).exclude_submodules(true);
        let statuses = repository.statuses(Some(&mut options)).doing(doing)?;
        let touched: HashSet<Vec<u8>> = statuses
            .iter()
            .map(|entry| entry.path_bytes().to_vec())
            .collect();
        let work = repository.workdir().expect("it was opened with one");
        let index = repository.index().doing(doing)?;
        let mut dirty = Vec::new();
        let mut landing = Landing {
            files: 0,
            unfiltered: Vec::new(),
        };
        for delta in diff.deltas() {
            let Some(path) = delta.new_file().path().or(delta.old_file().path()) else {
                continue;
            };
            let text = path.to_string_lossy().into_owned();
            let obstacle = match delta.status() {
                Delta::Added => {
                    obstacle(work, &index, path).doing(|| format!("look what stands at {text}"))?
                }
                _ => None,
            };
            if touched.contains(path.as_os_str().as_encoded_bytes()) {
                dirty.push(text);
            } else if let Some(obstacle) = obstacle {
                dirty.push(obstacle.to_string_lossy().into_owned());
            } else {
                landing.files += 1;
                let filter = repository.get_attr(path, "filter", AttrCheckFlags::FILE_THEN_INDEX);
                if matches!(filter, Ok(Some(_))) && landing.unfiltered.len() < LISTED_MAX {
                    landing.unfiltered.push(text);
                }
            }
        }
        dirty.dedup();
        dirty.truncate(LISTED_MAX);
        Ok(if dirty.is_empty() {
            Ok(landing)
        } else {
            Err(dirty)
        })
    }

    /// Changes tree and index, and moves the branch, which is locked meanwhile. Its log tells of it.
    fn land(&self, tree: Oid, to: Option<Oid>, message: &str) -> Result<(), Failure> {
        let doing = || format!("change the checkout of {}", self.branch);
        let reference = format!("refs/heads/{}", self.branch);
        let mut transaction = self.repository.transaction().doing(doing)?;
        transaction.lock_ref(&reference).doing(doing)?;
        if self.repository.refname_to_id(&reference).doing(doing)? != self.ours {
            return Err(Failure::new(
                FailureKind::Busy,
                doing(),
                "the branch moved meanwhile",
            ));
        }
        let tree = self.repository.find_object(tree, None).doing(doing)?;
        let mut options = CheckoutBuilder::new();
        options.safe().overwrite_ignored(false);
        self.repository
            .checkout_tree(&tree, Some(&mut options))
            .map_err(|error| {
                if error.code() == ErrorCode::Conflict {
                    return Failure::new(FailureKind::Refused, doing(), error.message())
                        .hint("commit, stash or remove the files in the way, then try again");
                }
                Failure::git(doing(), &error)
            })?;
        match to {
            Some(oid) => transaction
                .set_target(&reference, oid, None, message)
                .doing(doing)?,
            None => landed::tell(self.repository.path(), self.ours, message)?,
        }
        transaction.commit().doing(doing)
    }
}

/// What the workspace holds beside the branch; nothing if the tree is gone.
fn left_behind(place: &Place, tip: Oid) -> Result<Found, Failure> {
    if !place.workspace.is_dir() {
        return Ok(Found::default());
    }
    changes::uncommitted(&changes::open(place)?.0, tip)
}

fn conflicts(index: &Index) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    for conflict in index.conflicts().doing(|| "list the conflicts".into())? {
        let conflict = conflict.doing(|| "list the conflicts".into())?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        if let Some(entry) = entry.filter(|_| paths.len() < LISTED_MAX) {
            paths.push(String::from_utf8_lossy(&entry.path).into_owned());
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn commit(
    repository: &Repository,
    author: &Identity,
    message: &str,
    tree: Oid,
    parents: &[Oid],
) -> Result<Oid, Failure> {
    let doing = || "write the commit".to_owned();
    let who = Signature::now(&author.name, &author.email).doing(doing)?;
    let tree = repository.find_tree(tree).doing(doing)?;
    let parents = parents
        .iter()
        .map(|oid| repository.find_commit(*oid).doing(doing))
        .collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<_> = parents.iter().collect();
    let mut message = message.trim_end().to_owned();
    message.push('\n');
    repository
        .commit(None, &who, &who, &message, &tree, &parents)
        .doing(doing)
}
