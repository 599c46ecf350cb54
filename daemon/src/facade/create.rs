//! `wsm new`: everything is checked before anything is made.

use std::collections::{BTreeMap, BTreeSet};

use wsm_api::agent::{DryRun, NewAgent, State};
use wsm_api::name::AgentName;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::protocol::{
    Account, HelperRights, Reply as BrokerReply, Request as BrokerRequest,
};
use wsm_template::resolved::Resolved;
use wsm_template::{Resolution, Source, Sources, TrustRequest};

use super::grants::{self, Granted};
use super::view::shown_agent;
use super::{Created, Daemon, sources};
use crate::account;
use crate::actor::{Actor, Way};
use crate::agent::driver::Driver;
use crate::agent::{assemble, credentials, make, work};
use crate::engine::{Engine, row, store_problem};
use crate::record::{Inside, Phase, PortRecord, Record, SyncRecord, Wanted};
use crate::role::{Subject, Verb};
use crate::store::{Change, StoreError, now_ms};
use crate::workspace::Helper;
use crate::workspace::protocol::{Facts, Reply as GitReply, Request as GitRequest};

/// Where a repository keeps its templates.
const REPOSITORY_PREFIX: &str = ".wsm/";

/// What a workspace starts from where nothing else is said.
pub(super) const HEAD: &str = "HEAD";
/// Commits that are looked at for templates: HEAD, the one they name, and that one again.
const BASES_MAX: u32 = 3;

/// Names that are tried for an agent that was given none.
const NAMES_MAX: usize = 50;

/// First size of the terminal where nobody has one.
const SIZE_DEFAULT: (u16, u16) = (120, 40);

impl Daemon {
    /// Makes an agent, or tells what would be made.
    ///
    /// # Errors
    /// Anything of the request is not as it must be; nothing is left behind.
    pub async fn new_agent(&self, actor: &Actor, new: NewAgent) -> Result<Created, Problem> {
        self.may(actor, Verb::New, &Subject::Host)?;
        let engine = &self.engine;
        let granted = grants::repository(engine, actor, &new).await?;
        let mut helper = make::helper(engine, &granted.id, None, HelperRights::Read).await?;
        let (resolution, facts) = resolve(engine, &mut helper, &granted, &new).await?;
        // Held until it is written down, so that no other is given the name that is chosen.
        let _turn = match new.name {
            None => Some(engine.naming.lock().await),
            Some(_) => None,
        };
        let mut passed = BTreeSet::new();
        let mut record = loop {
            let resolved = resolution.resolved.clone();
            let record = record(engine, actor, &granted, &new, resolved, &facts, &passed)?;
            match branch_free(&mut helper, &record).await {
                Ok(()) => break record,
                // A branch of the human's has the name: nobody asked for just this one.
                Err(problem)
                    if problem.code == Code::Conflict
                        && new.name.is_none()
                        && passed.len() < NAMES_MAX =>
                {
                    passed.insert(record.name.to_string());
                }
                Err(problem) => return Err(problem),
            }
        };
        crate::egress::check(&engine.etc_dir, &record)?;
        record.write = grants::writable(engine, actor, &record.resolved, &new.write_grants).await?;
        if new.dry_run {
            return Ok(Created::DryRun(Box::new(dry_run(engine, &record).await?)));
        }
        let trust = match &resolution.trust {
            Some(trust) => newly_trusted(engine, &record, trust, new.trust.as_deref())?,
            None => None,
        };
        // Held until they are written down, so that nobody else is given them meanwhile.
        let held = make::lease_ports(engine, &mut record).await?;
        let ports: Vec<String> = record
            .ports
            .iter()
            .filter_map(|p| Some(format!("{} {} -> {}", p.name, p.outside?, p.inside)))
            .collect();
        let id = record.id.to_string();
        let (name, template) = (&record.name, &record.resolved.name);
        let message = format!("{name} of template {template} in {}", record.repository);
        let mut change = Change::new(row(actor, "agent.created", &id, message)).agent(&record);
        if !ports.is_empty() {
            change = change.row(row(actor, "port.leased", &id, ports.join(", ")));
        }
        if let Some(digest) = trust {
            change = change.trust(&record.owner, &record.repository, digest);
            let message = format!("trusts what {} brings", record.repository);
            change = change.row(row(actor, "trust.given", &id, message));
        }
        engine
            .store
            .commit(&change)
            .map_err(|e| store_problem(&e))?;
        drop(held);
        let handle = Driver::spawn(engine, record, None);
        Ok(Created::Agent(Box::new(shown_agent(&handle.now()))))
    }
}

/// Reads the repository's templates from its committed base, and resolves.
async fn resolve(
    engine: &Engine,
    helper: &mut Helper,
    granted: &Granted,
    new: &NewAgent,
) -> Result<(Resolution, Facts), Problem> {
    let git_dir = std::path::PathBuf::from(&granted.git_dir);
    let work_tree = Some(granted.path.clone().into());
    let inspect = GitRequest::Inspect {
        git_dir: git_dir.clone(),
        work_tree,
    };
    let facts = match work::ask(helper, inspect).await? {
        GitReply::Inspected(facts) => facts,
        other => return Err(work::odd(&other)),
    };
    if let Some(first) = facts.alternates.first() {
        let message = format!("{} borrows objects from {}", granted.path, first.display());
        let hint = "not available yet; `git repack -a -d` and removing objects/info/alternates \
                    makes the repository whole";
        return Err(Problem::new(Code::NotAvailable, message, hint));
    }
    let mut sources = sources::host(engine).await?;
    sources.user = new
        .user_templates
        .iter()
        .map(|(file, text)| Source {
            file: file.clone(),
            text: text.clone(),
        })
        .collect();
    Ok((resolve_at(helper, &git_dir, sources, new).await?, facts))
}

/// Resolves with what the repository brings at the commit that the workspace starts from. Which
/// that is may be said by a template of the repository itself, as it is at HEAD.
async fn resolve_at(
    helper: &mut Helper,
    git_dir: &std::path::Path,
    mut sources: Sources,
    new: &NewAgent,
) -> Result<Resolution, Problem> {
    let mut rev = new.base.clone().unwrap_or_else(|| HEAD.to_owned());
    for _ in 0..BASES_MAX {
        sources.repository = brought(helper, git_dir, &rev).await?;
        let resolution = resolve_with(&sources, new).map_err(|problem| {
            if problem.code != Code::NotFound || rev == HEAD {
                return problem;
            }
            let template = &new.template;
            let message = format!("template {template:?} is not in {rev}, where it starts from");
            Problem::new(Code::NotFound, message, problem.hint)
        })?;
        let base = &resolution.resolved.workspace.base;
        if *base == rev {
            return Ok(resolution);
        }
        rev.clone_from(base);
    }
    let message = format!(
        "template {}: at the commit that it starts from, {rev}, it names yet another one",
        new.template
    );
    let hint = "say which with --base REF";
    Err(Problem::new(Code::Invalid, message, hint))
}

/// The repository's templates at a commit.
pub(super) async fn brought(
    helper: &mut Helper,
    git_dir: &std::path::Path,
    rev: &str,
) -> Result<Vec<Source>, Problem> {
    let read = GitRequest::ReadFiles {
        git_dir: git_dir.to_owned(),
        rev: rev.to_owned(),
        prefix: REPOSITORY_PREFIX.to_owned(),
        suffix: ".toml".to_owned(),
    };
    match work::ask(helper, read).await? {
        GitReply::Files { files, .. } => Ok(files
            .into_iter()
            .map(|file| Source {
                file: file.path,
                text: file.text,
            })
            .collect()),
        other => Err(work::odd(&other)),
    }
}

/// The pure part, with its errors as the API tells them.
fn resolve_with(sources: &Sources, new: &NewAgent) -> Result<Resolution, Problem> {
    let names = wsm_template::list(sources);
    if !names.iter().any(|template| template.name == new.template) {
        let names: Vec<_> = names.into_iter().map(|template| template.name).collect();
        let message = format!("there is no template {:?}", new.template);
        let hint = format!("there are {}", names.join(", "));
        return Err(Problem::new(Code::NotFound, message, hint));
    }
    let request = wsm_template::Request {
        template: new.template.clone(),
        set: new.set.clone(),
        prompt: new.prompt.clone(),
        base: new.base.clone(),
    };
    let resolution = wsm_template::resolve(sources, &request).map_err(|problems| {
        let details = problems.0.iter().map(ToString::to_string).collect();
        let message = format!("template {}: it can't be used as it is", new.template);
        Problem {
            details,
            ..Problem::new(Code::Invalid, message, "")
        }
    })?;
    Ok(resolution)
}

/// The name that was asked for, or a free one.
fn name(
    engine: &Engine,
    granted: &Granted,
    new: &NewAgent,
    resolved: &Resolved,
    passed: &BTreeSet<String>,
) -> Result<AgentName, Problem> {
    let handles = engine.handles();
    // Agents are named by their ids too: none is called by another's.
    let taken: BTreeSet<String> = handles
        .iter()
        .map(|handle| handle.now())
        .flat_map(|now| [now.record.name.to_string(), now.record.id.to_string()])
        .collect();
    let name = match &new.name {
        Some(name) => name.clone(),
        None => assemble::free_name(&granted.path, &resolved.name, |name| {
            taken.contains(name) || passed.contains(name)
        }),
    };
    if taken.contains(&name) {
        return Err(store_problem(&StoreError::NameTaken(name)));
    }
    name.parse().map_err(|e: wsm_api::name::BadName| {
        Problem::new(Code::Invalid, e.to_string(), "choose another --name")
    })
}

fn record(
    engine: &Engine,
    actor: &Actor,
    granted: &Granted,
    new: &NewAgent,
    resolved: Resolved,
    facts: &Facts,
    passed: &BTreeSet<String>,
) -> Result<Record, Problem> {
    let random = |e| Problem::new(Code::Failed, format!("get random numbers: {e}"), "");
    let id = assemble::new_id().map_err(random)?;
    let credentials = credentials::placeholders(&resolved).map_err(random)?;
    let name = name(engine, granted, new, &resolved, passed)?;
    let ports = resolved.ports.iter().map(|(name, port)| PortRecord {
        name: name.clone(),
        inside: port.inside,
        outside: None,
    });
    let author = match (&new.author, &facts.identity) {
        (Some(author), _) => (author.name.clone(), author.email.clone()),
        (None, Some(own)) => (own.name.clone(), own.email.clone()),
        (None, None) => (
            actor.user.clone(),
            format!("{}@{}", actor.user, engine.host.hostname),
        ),
    };
    let mut record = Record {
        id,
        name,
        owner: actor.user.clone(),
        owner_uid: granted.account.uid,
        account: account_name(actor, &granted.account),
        grant: granted.id.clone(),
        write: Vec::new(),
        repository: granted.path.clone(),
        git_dir: granted.git_dir.clone(),
        branch: resolved.workspace.branch.clone(),
        base: resolved.workspace.base.clone(),
        paths: None,
        ports: ports.collect(),
        resolved,
        state: State::Creating,
        reason: "asked for".to_owned(),
        since_ms: now_ms(),
        phase: Phase::Recorded,
        wanted: Wanted::Running,
        ending: None,
        bringing: None,
        run: 0,
        boot_id: engine.boot_id.clone(),
        created_ms: now_ms(),
        trashed_ms: None,
        attempts: 0,
        author,
        size: new.size.unwrap_or(SIZE_DEFAULT),
        sync: SyncRecord::default(),
        credentials,
        inside: Inside::default(),
        authority: None,
        offer: None,
        logins_due: false,
        heard: Default::default(),
        initialized: BTreeSet::new(),
        services: BTreeMap::new(),
    };
    let vars = assemble::vars(&record, &engine.host);
    let raw = wsm_template::Quoting::Raw;
    record.branch = wsm_template::expand(&record.branch, &vars, raw)
        .map_err(|e| Problem::new(Code::Invalid, format!("workspace.branch: {e}"), ""))?;
    Ok(record)
}

/// The account is the caller's own, whose name is known, or the one that an admin gave the caller.
fn account_name(actor: &Actor, account: &Account) -> String {
    match actor.way {
        Way::Local { uid } if uid == account.uid => actor.user.clone(),
        _ => account::name(account.uid),
    }
}

/// The digest, if this request is the one that gives the trust; `None` if it was given before.
fn newly_trusted<'a>(
    engine: &Engine,
    record: &Record,
    trust: &'a TrustRequest,
    given: Option<&str>,
) -> Result<Option<&'a str>, Problem> {
    let known = engine
        .store
        .trusts(&record.owner, &record.repository, &trust.digest);
    if known.map_err(|e| store_problem(&e))? {
        return Ok(None);
    }
    if given == Some(&trust.digest) {
        return Ok(Some(&trust.digest));
    }
    let message = format!(
        "the repository {} brings what wsm would run",
        record.repository
    );
    // The last line is for the client, which sends the digest back as `trust`.
    let mut details = trust.what.clone();
    details.push(format!("digest {}", trust.digest));
    Err(Problem {
        details,
        ..Problem::new(Code::Untrusted, message, "")
    })
}

/// A branch that can't be made is told before anything is.
async fn branch_free(helper: &mut Helper, record: &Record) -> Result<(), Problem> {
    let request = GitRequest::BranchFree {
        git_dir: record.git_dir.clone().into(),
        branch: record.branch.clone(),
    };
    match work::ask(helper, request).await? {
        GitReply::Free => Ok(()),
        other => Err(work::odd(&other)),
    }
}

async fn dry_run(engine: &Engine, record: &Record) -> Result<DryRun, Problem> {
    let spec = Box::new(assemble::spec(record));
    let json = |e: serde_json::Error| Problem::new(Code::Failed, e.to_string(), "");
    let shown = serde_json::to_string_pretty(&spec).map_err(json)?;
    let asked = engine.broker.ask(BrokerRequest::Plan { spec }).await;
    let plan = match asked.map_err(|e| crate::broker::problem(&e))? {
        BrokerReply::Planned { steps } => credentials::planned(record, steps),
        other => return Err(crate::broker::odd_reply(&other)),
    };
    let resolved = serde_json::to_string_pretty(&record.resolved).map_err(json)?;
    Ok(DryRun {
        resolved,
        spec: shown,
        plan,
    })
}
