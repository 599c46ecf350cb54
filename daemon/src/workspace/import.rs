//! Taking the agent's commits over into the main repository.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository};

use super::branches::{self, Branches};
use super::check::Limits;
use super::create::check_place;
use super::decide::{self, Decision, Relation, Tips};
use super::index;
use super::intake::Intake;
use super::libgit;
use super::private;
use super::protocol::{Doing, Failure, FailureKind, Import, Imported, IndexState, Outcome, Place};

/// So many of our own reflog entries are looked through.
const OWN_MOVES_MAX: usize = 32;

/// Begins every reflog message of ours.
const MARK: &str = "wsm:";

struct Importing<'a> {
    repository: &'a Repository,
    place: &'a Place,
    admin: PathBuf,
    reference: String,
    /// What wsm did to the branch before, newest first.
    own: Vec<Move>,
    warnings: Vec<String>,
}

/// One line of the branch's reflog that wsm wrote.
struct Move {
    /// Nothing happened since.
    newest: bool,
    from: Oid,
    to: Oid,
}

/// Does one import within `limits`.
pub(super) fn import(request: &Import, limits: Limits) -> Result<Imported, Failure> {
    let place = &request.place;
    check_place(place)?;
    let repository = libgit::open(&place.git_dir, None)?;
    let admin = place.git_dir.join("worktrees").join(&place.admin_id);
    if !admin.is_dir() {
        return Err(Failure::new(
            FailureKind::NotFound,
            format!("take over the commits of {}", place.agent),
            format!("the worktree {} is gone", place.admin_id),
        ));
    }
    let private = branches::open(&place.private_git_dir)?;
    let found = branches::read(std::os::fd::AsFd::as_fd(&private))?;
    let reference = format!("refs/heads/{}", place.branch);
    let own = own_moves(&repository, &reference);
    let mut importing = Importing {
        repository: &repository,
        place,
        admin,
        reference,
        own,
        warnings: found.warnings.clone(),
    };
    let objects = importing.objects(&private, &found, limits)?;
    let (outcome, last) = importing.branch(request, found.tips.get(&place.branch).copied())?;
    let others = importing.others(&found, &outcome)?;
    let took = matches!(outcome, Outcome::TookOver { .. });
    let index = match last {
        Some(tip) if took || request.check_index && importing.at_own_move(tip) => {
            importing.index(request, &outcome, tip)?
        }
        Some(_) | None => IndexState::Untouched,
    };
    Ok(Imported {
        outcome,
        last: last.map(Into::into),
        agent: found.head,
        objects,
        others,
        index,
        warnings: importing.warnings,
    })
}

/// What wsm did to the branch, from its reflog, newest first. The reflog is the human's, out of the
/// agent's reach, and is written in the same step as the branch, so that a daemon that died before
/// it remembered its last import loses nothing.
fn own_moves(repository: &Repository, reference: &str) -> Vec<Move> {
    let Ok(log) = repository.reflog(reference) else {
        return Vec::new();
    };
    log.iter()
        .take(OWN_MOVES_MAX)
        .enumerate()
        .filter(|(_, entry)| {
            entry
                .message_bytes()
                .is_some_and(|m| m.starts_with(MARK.as_bytes()))
        })
        .map(|(at, entry)| Move {
            newest: at == 0,
            from: entry.id_old(),
            to: entry.id_new(),
        })
        .collect()
}

impl Importing<'_> {
    /// Takes the objects of every tip that is new. A bad tip of the agent's own branch is an
    /// error, of another branch a warning.
    fn objects(
        &mut self,
        private: &std::os::fd::OwnedFd,
        found: &Branches,
        limits: Limits,
    ) -> Result<u64, Failure> {
        let odb = self.repository.odb().doing(|| "open the objects".into())?;
        if found.tips.values().all(|tip| odb.exists(*tip)) {
            return Ok(0);
        }
        let mut intake = Intake::new(self.repository, branches::objects(private)?, limits)?;
        if let Some(tip) = found.tips.get(&self.place.branch) {
            intake.collect(*tip)?;
        }
        for (name, tip) in &found.tips {
            if *name != self.place.branch
                && let Err(failure) = intake.collect(*tip)
            {
                self.warnings.push(format!("branch {name}: {failure}"));
            }
        }
        intake.commit()
    }

    fn branch(
        &mut self,
        request: &Import,
        agent: Option<Oid>,
    ) -> Result<(Outcome, Option<Oid>), Failure> {
        let human = self.read(&self.reference)?;
        // Our own newest entry wins over the record, which may be older.
        let recorded = request.last.as_ref().map(|oid| oid.git());
        let last = human.filter(|human| self.at_own_move(*human)).or(recorded);
        let Some(agent) = agent else {
            return Ok((Outcome::AgentBranchGone, last));
        };
        self.must_be_commit(agent)?;
        let tips = Tips { human, last, agent };
        let aside = self.aside(&self.place.branch);
        match decide::decide(tips, |human, agent| self.relation(human, agent))? {
            Decision::Nothing => {
                self.forget(&aside)?;
                Ok((Outcome::Nothing, human))
            }
            Decision::TakeOver => {
                let from = human.expect("take over needs a branch");
                self.advance(from, agent)?;
                self.forget(&aside)?;
                Ok((
                    Outcome::TookOver {
                        from: from.into(),
                        to: agent.into(),
                    },
                    Some(agent),
                ))
            }
            Decision::AgentBehind => {
                let human = human.expect("the agent is behind a branch");
                self.forget(&aside)?;
                // Not the human's commit: until the agent has it, what the agent commits on its old
                // tip must not be taken for a rewriting of its own history.
                Ok((Outcome::AgentBehind { oid: human.into() }, last))
            }
            Decision::Diverged => {
                self.put(&aside, agent)?;
                let outcome = Outcome::Diverged {
                    human: human.map(Into::into),
                    agent: agent.into(),
                };
                // What wsm wrote last stays what it is, so that the next import sees it again.
                Ok((outcome, last))
            }
        }
    }

    fn must_be_commit(&self, tip: Oid) -> Result<(), Failure> {
        self.repository
            .find_commit(tip)
            .map(|_| ())
            .map_err(|error| {
                Failure::new(
                    FailureKind::Hostile,
                    format!("take {tip} over"),
                    error.message(),
                )
            })
    }

    /// Whether the last thing that happened to the branch was that wsm moved it to `human`.
    fn at_own_move(&self, human: Oid) -> bool {
        self.own.first().is_some_and(|m| m.newest && m.to == human)
    }

    fn relation(&self, human: Oid, agent: Oid) -> Result<Relation, Failure> {
        let descends = |commit, ancestor| {
            self.repository
                .graph_descendant_of(commit, ancestor)
                .doing(|| format!("compare {commit} with {ancestor}"))
        };
        if descends(agent, human)? {
            return Ok(Relation::AgentBuiltOnHuman);
        }
        if descends(human, agent)? {
            return Ok(Relation::HumanBuiltOnAgent);
        }
        Ok(Relation::Apart)
    }

    fn read(&self, reference: &str) -> Result<Option<Oid>, Failure> {
        match self.repository.refname_to_id(reference) {
            Ok(oid) => Ok(Some(oid)),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Failure::git(format!("read {reference}"), &e)),
        }
    }

    /// Moves the branch if it is still at `from`, with a line in its reflog and that of the
    /// worktree's `HEAD`.
    fn advance(&self, from: Oid, to: Oid) -> Result<(), Failure> {
        let message = format!("{MARK} commits of agent {}", self.place.agent);
        self.repository
            .reference_matching(&self.reference, to, true, from, &message)
            .doing(|| format!("move {} to {to}", self.reference))?;
        if !self.on_branch() {
            return Ok(());
        }
        let logs = self.admin.join("logs");
        let line = private::log_line(Some(from), to, &None, &message);
        std::fs::create_dir_all(&logs)
            .and_then(|()| {
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .custom_flags(nix::libc::O_NOFOLLOW)
                    .open(logs.join("HEAD"))?
                    .write_all(line.as_bytes())
            })
            .doing(|| format!("write the log of {}", self.admin.display()))
    }

    /// Whether the human's view has the agent's branch checked out.
    fn on_branch(&self) -> bool {
        std::fs::read_to_string(self.admin.join("HEAD"))
            .is_ok_and(|text| text.trim_end() == format!("ref: {}", self.reference))
    }

    fn aside(&self, branch: &str) -> String {
        format!("refs/wsm/{}/heads/{branch}", self.place.agent)
    }

    fn put(&self, reference: &str, oid: Oid) -> Result<bool, Failure> {
        if self.read(reference)? == Some(oid) {
            return Ok(false);
        }
        self.repository
            .reference(
                reference,
                oid,
                true,
                &format!("{MARK} commits of agent {}", self.place.agent),
            )
            .doing(|| format!("write {reference}"))?;
        Ok(true)
    }

    /// Deletes a ref. One that `git gc` packed can't be deleted with the rights of an import, which
    /// must not keep the commits from coming over: it stays until the workspace is removed.
    fn forget(&mut self, reference: &str) -> Result<(), Failure> {
        match self.repository.find_reference(reference) {
            Ok(mut found) => {
                if let Err(error) = found.delete() {
                    self.warnings
                        .push(format!("{reference} stays: {}", error.message()));
                }
                Ok(())
            }
            Err(e) if e.code() == ErrorCode::NotFound => Ok(()),
            Err(e) => Err(Failure::git(format!("read {reference}"), &e)),
        }
    }

    /// Mirrors the agent's other branches; those that it deleted go first, because their names may
    /// now be directories.
    fn others(&mut self, found: &Branches, outcome: &Outcome) -> Result<Vec<String>, Failure> {
        let prefix = self.aside("");
        let names: Vec<String> = self
            .repository
            .references_glob(&format!("{prefix}*"))
            .doing(|| "list the agent's branches".into())?
            .names()
            .flatten()
            .map(str::to_owned)
            .collect();
        let apart = matches!(outcome, Outcome::Diverged { .. });
        for name in names {
            let branch = name.strip_prefix(&prefix).unwrap_or_default();
            let own = branch == self.place.branch && (apart || !found.tips.contains_key(branch));
            if !own && (branch == self.place.branch || !found.tips.contains_key(branch)) {
                self.forget(&name)?;
            }
        }
        let mut moved = Vec::new();
        for (branch, tip) in &found.tips {
            if *branch == self.place.branch || self.repository.find_commit(*tip).is_err() {
                continue;
            }
            let name = self.aside(branch);
            match self.put(&name, *tip) {
                Ok(true) => moved.push(name),
                Ok(false) => {}
                Err(failure) => self.warnings.push(format!("branch {branch}: {failure}")),
            }
        }
        Ok(moved)
    }

    fn index(
        &mut self,
        request: &Import,
        outcome: &Outcome,
        tip: Oid,
    ) -> Result<IndexState, Failure> {
        if !self.on_branch() {
            return Ok(IndexState::Untouched);
        }
        // What the index showed before wsm moved the branch, now or earlier: the commit that the
        // branch came from.
        let mut before = Vec::new();
        if let Outcome::TookOver { from, .. } = outcome {
            before.push(from.git());
        }
        before.extend(request.last.iter().map(|oid| oid.git()));
        before.extend(self.own.iter().flat_map(|m| [m.to, m.from]));
        let mut seen = HashSet::new();
        before.retain(|oid| seen.insert(*oid));
        before.retain(|oid| self.repository.find_commit(*oid).is_ok());
        match index::refresh(self.repository, Path::new(&self.admin), &before, tip) {
            Ok(state) => Ok(state),
            Err(failure) => {
                // The commits are in; an index that can't be read must not hide that.
                self.warnings.push(failure.to_string());
                Ok(IndexState::Untouched)
            }
        }
    }
}
