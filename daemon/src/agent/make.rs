//! The long work of a driver: making, opening, setting up, closing, erasing. Each function only
//! acts and answers; what it means for the agent is the driver's to decide.

use tokio::net::UnixStream;
use tokio::sync::mpsc;
use wsm_api::problem::{Code, Problem};
use wsm_sandbox::client::BrokerError;
use wsm_sandbox::protocol::{
    AgentPaths, HelperRights, Reply as BrokerReply, Request as BrokerRequest,
};
use wsm_sandbox::spec::{AgentId, GrantId, INSIDE_ID, LayerStatus};
use wsm_terminal::protocol::{Event, Reply as ShimReply, Request as ShimRequest};

use super::assemble;
use super::setup;
use super::work::{self, git_problem, odd, place};
use crate::broker::{odd_reply, problem};
use crate::engine::{Engine, WSM, row};
use crate::port::{LeaseError, Leased, RANGE_DEFAULT, Want, lease};
use crate::record::{Phase, Record};
use crate::shim::Shim;
use crate::store::Change;
use crate::workspace::protocol::{
    Branches, Create, Identity, Imported, Reply as GitReply, Request as GitRequest,
};
use crate::workspace::{Helper, HelperError};

/// How often something is begun again because the broker or a helper died meanwhile.
const TRIES_MAX: u32 = 3;

/// A workspace that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) paths: AgentPaths,
    pub(super) base: String,
    /// What of `copy` was left out, and why.
    pub(super) notes: Vec<String>,
}

/// A sandbox that stands.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) shim: Shim,
    pub(super) events: mpsc::Receiver<Event>,
    /// Layers that hold less than asked for.
    pub(super) reduced: Vec<String>,
    /// What of its credentials it was built with: only those parts are of use.
    pub(super) equipped: Box<Record>,
}

/// Makes directories, branch and worktree; whatever an earlier try left is removed first.
pub(super) async fn make(engine: &Engine, record: &Record) -> Result<Made, Problem> {
    let _place = engine.making.acquire().await;
    let mut made = try_make(engine, record, record.attempts > 1).await;
    for _ in 1..TRIES_MAX {
        let Err(Trouble::BrokeOff(error)) = &made else {
            break;
        };
        tracing::warn!(agent = %record.name, %error, "the workspace is made again");
        made = try_make(engine, record, true).await;
    }
    let made = made.map_err(|trouble| match trouble {
        Trouble::BrokeOff(error) => no_answer(&error),
        Trouble::Final(problem) => problem,
    });
    if made.is_err() {
        let erase = BrokerRequest::Erase {
            agent: record.id.clone(),
        };
        if let Err(error) = engine.broker.ask(erase).await {
            tracing::warn!(agent = %record.name, %error, "erase what was half made");
        }
    }
    made
}

/// Why a workspace was not made.
enum Trouble {
    /// The helper died: it may go better the next time.
    BrokeOff(HelperError),
    Final(Problem),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        Trouble::Final(problem)
    }
}

fn no_answer(error: &HelperError) -> Problem {
    Problem::new(Code::Failed, format!("ask the git helper: {error}"), "")
}

/// `again`: something may be left of an earlier try.
async fn try_make(engine: &Engine, record: &Record, again: bool) -> Result<Made, Trouble> {
    let mut paths = prepare(engine, record).await?;
    let record = Record {
        paths: Some(paths.clone()),
        ..record.clone()
    };
    if again {
        remove_worktree(engine, &record, Branches::DeleteMerged).await?;
        let erase = BrokerRequest::Erase {
            agent: record.id.clone(),
        };
        engine.broker.ask(erase).await.map_err(|e| problem(&e))?;
        paths = prepare(engine, &record).await?;
    }
    let agent = Some(record.id.clone());
    let mut helper = helper(engine, &record.grant, agent, HelperRights::Workspace).await?;
    let files = assemble::guarded_files(&record, &engine.host)
        .map_err(|error| Problem::new(Code::Invalid, error.to_string(), ""))?;
    let create = Create {
        place: place(&record)?,
        hide: assemble::hidden(&record),
        files,
        base: record.base.clone(),
        copy: record.resolved.workspace.copy.clone(),
        source_tree: Some(record.repository.clone().into()),
        identity: Some(identity(&record)),
        inside_uid: INSIDE_ID,
        inside_gid: INSIDE_ID,
    };
    let create = GitRequest::CreateWorkspace(Box::new(create));
    let answer = helper.call(create).await.map_err(|error| match error {
        HelperError::Failed(failure) => Trouble::Final(git_problem(&failure)),
        HelperError::Gone | HelperError::Io(_) => Trouble::BrokeOff(error),
        late => Trouble::Final(no_answer(&late)),
    })?;
    match answer {
        GitReply::Workspace(created) => Ok(Made {
            notes: created.notes,
            paths,
            base: created.base.as_str().to_owned(),
        }),
        other => Err(odd(&other).into()),
    }
}

async fn prepare(engine: &Engine, record: &Record) -> Result<AgentPaths, Problem> {
    let services = record.resolved.services.keys().cloned().collect();
    let (agent, repository) = (record.id.clone(), record.grant.clone());
    let request = BrokerRequest::Prepare {
        agent,
        repository,
        services,
    };
    match engine.broker.ask(request).await.map_err(|e| problem(&e))? {
        BrokerReply::Prepared { paths, .. } => Ok(paths),
        other => Err(odd_reply(&other)),
    }
}

/// Who is named in commits of this agent.
pub(crate) fn identity(record: &Record) -> Identity {
    let (name, email) = record.author.clone();
    Identity { name, email }
}

/// A fresh git helper.
pub(crate) async fn helper(
    engine: &Engine,
    repository: &GrantId,
    agent: Option<AgentId>,
    rights: HelperRights,
) -> Result<Helper, Problem> {
    let request = BrokerRequest::Helper {
        repository: repository.clone(),
        agent,
        rights,
    };
    let (reply, mut fds) = engine
        .broker
        .ask_with_fds(request)
        .await
        .map_err(|e| problem(&e))?;
    let (BrokerReply::Helper, Some(fd)) = (&reply, fds.pop()) else {
        return Err(odd_reply(&reply));
    };
    let stream = std::os::unix::net::UnixStream::from(fd);
    let stream = stream
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(stream));
    let failed = |e| Problem::new(Code::Failed, format!("reach the git helper: {e}"), "");
    Ok(Helper::new(stream.map_err(failed)?))
}

/// Builds the sandbox and connects to its shim.
pub(super) async fn open(engine: &Engine, record: &Record) -> Result<Opened, Problem> {
    let _place = engine.making.acquire().await;
    engine.egress.forget(record).await;
    let mut equipped = record.clone();
    engine.egress.equip(&mut equipped, true).await?;
    let record = &equipped;
    let mut asked = create(engine, record).await;
    for _ in 1..TRIES_MAX {
        let Err(BrokerError::Broken(error)) = &asked else {
            break;
        };
        tracing::warn!(agent = %record.name, %error, "the broker died; the sandbox is built again");
        asked = create(engine, record).await;
    }
    let layers = match asked.map_err(|e| problem(&e))? {
        BrokerReply::Created { layers, .. } => layers,
        other => return Err(odd_reply(&other)),
    };
    engine.egress.serve(&engine.etc_dir, record).await?;
    for (name, expose) in &record.resolved.network.expose {
        let (at, host) = (expose.at, expose.host);
        let message = format!("{name}: 127.0.0.1:{at} inside leads to {host} of the host");
        let change = Change::new(row(WSM, "egress.exposed", record.id.as_str(), message));
        engine
            .store
            .commit(&change)
            .map_err(|e| crate::engine::store_problem(&e))?;
    }
    setup::tell_visible(engine, record)?;
    let Some((shim, events)) = reconnect(engine, record).await else {
        let message = format!("reach the shim of {}", record.name);
        let hint = format!("see `wsm explain {}`", record.name);
        return Err(Problem::new(Code::Failed, message, hint));
    };
    setup::write_credentials(engine, record, &shim).await?;
    let reduced = layers
        .iter()
        .filter(|layer| layer.status != LayerStatus::Enforced);
    let reduced = reduced
        .map(|layer| format!("{} ({})", layer.layer, layer.detail))
        .collect();
    Ok(Opened {
        shim,
        events,
        reduced,
        equipped: Box::new(equipped),
    })
}

/// Has the sandbox built, from nothing: something of an earlier run may be left if the machine, the
/// daemon or the broker died.
async fn create(engine: &Engine, record: &Record) -> Result<BrokerReply, BrokerError> {
    let delete = BrokerRequest::Delete {
        agent: record.id.clone(),
    };
    engine.broker.ask(delete).await?;
    let spec = Box::new(assemble::spec(record));
    engine.broker.ask(BrokerRequest::Create { spec }).await
}

/// Connects to a shim that lives; `None` if none does.
pub(super) async fn reconnect(
    engine: &Engine,
    record: &Record,
) -> Option<(Shim, mpsc::Receiver<Event>)> {
    let name = socket_name(&record.id);
    let connected = async {
        let shim = Shim::connect(&engine.run_dir, &name).await?;
        let events = shim.subscribe().await?;
        Ok::<_, crate::shim::ShimError>((shim, events))
    };
    match connected.await {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::debug!(agent = %record.name, %error, "connect to the shim");
            None
        }
    }
}

/// The shim's socket in the run directory.
pub(crate) fn socket_name(agent: &AgentId) -> String {
    format!("{}{agent}.sock", wsm_sandbox::protocol::SHIM_SOCKET_PREFIX)
}

/// Lines of history kept with a last screen.
const KEPT_LINES: u32 = 500;

/// Keeps what the command's terminal shows: whoever asks later why it ended reads it there.
pub(super) async fn keep_screen(engine: &Engine, record: &Record, shim: &Shim) {
    let request = ShimRequest::Capture {
        terminal: super::run::MAIN.to_owned(),
        history_lines: KEPT_LINES,
        styled: false,
    };
    let Ok(ShimReply::Captured { text, .. }) = shim.request(request).await else {
        return;
    };
    if let Err(error) = tokio::fs::write(engine.screen_file(&record.id), text).await {
        tracing::warn!(agent = %record.name, %error, "keep the last screen");
    }
}

/// Takes the commits over a last time, then the sandbox down.
pub(super) async fn close(
    engine: &Engine,
    record: &Record,
) -> (Result<(), Problem>, Option<Imported>) {
    let imported = if record.phase >= Phase::Setup {
        match work::import(engine, record, true).await {
            Ok(imported) => Some(imported),
            Err(problem) => {
                tracing::warn!(agent = %record.name, %problem, "take over before the stop");
                None
            }
        }
    } else {
        None
    };
    let delete = BrokerRequest::Delete {
        agent: record.id.clone(),
    };
    engine.egress.forget(record).await;
    let deleted = engine
        .broker
        .ask(delete)
        .await
        .map(|_| ())
        .map_err(|e| problem(&e));
    (deleted, imported)
}

/// Runs `teardown`, then removes worktree, branches and files for good.
/// Second: what of it did not succeed, which does not stop a removal that was asked for.
pub(super) async fn erase(engine: &Engine, record: &Record) -> (Result<(), Problem>, Vec<Problem>) {
    // It may never have had one.
    drop(tokio::fs::remove_file(engine.screen_file(&record.id)).await);
    let mut failed = Vec::new();
    if record.phase == Phase::Made && !record.resolved.workspace.teardown.is_empty() {
        failed = tear_down(engine, record).await;
    }
    let erased = erase_files(engine, record, &mut failed).await;
    // At the end: `teardown` may have gone out.
    engine.egress.erase(record).await;
    (erased, failed)
}

async fn erase_files(
    engine: &Engine,
    record: &Record,
    failed: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let delete = BrokerRequest::Delete {
        agent: record.id.clone(),
    };
    engine.broker.ask(delete).await.map_err(|e| problem(&e))?;
    // Half made, its paths are not written down yet; asking for them again gives the same.
    let half_made = record.paths.is_none() && record.attempts > 0;
    let paths = if half_made {
        prepare(engine, record).await.ok()
    } else {
        record.paths.clone()
    };
    if let Some(paths) = paths {
        let tree = paths.workspace.clone();
        let paths = Some(paths);
        let record = &Record {
            paths,
            ..record.clone()
        };
        let removed = remove_worktree(engine, record, Branches::DeleteAll).await;
        if let Err(problem) = removed {
            // The repository may be gone; its files here are removed all the same.
            let message = format!(
                "forget the worktree and branch in {}: {}",
                record.repository, problem.message
            );
            let hint = format!("should it come back: `git worktree remove -ff {tree}` there");
            failed.push(Problem::new(problem.code, message, hint));
        }
    }
    let erase = BrokerRequest::Erase {
        agent: record.id.clone(),
    };
    engine
        .broker
        .ask(erase)
        .await
        .map(|_| ())
        .map_err(|e| problem(&e))
}

/// Runs each line of `teardown`, in a sandbox of its own. What failed of it.
async fn tear_down(engine: &Engine, record: &Record) -> Vec<Problem> {
    let opened = match open(engine, record).await {
        Ok(opened) => opened,
        Err(problem) => return vec![problem],
    };
    let mut failed = Vec::new();
    for (number, line) in record.resolved.workspace.teardown.iter().enumerate() {
        let ran =
            super::setup::run_line(engine, record, super::setup::Lines::Teardown, number, line)
                .await;
        failed.extend(ran.err());
    }
    drop(opened);
    failed
}

/// Forgets the worktree and its branches. With the rights of a merge: a branch that `git gc` has
/// packed is removed from `packed-refs`, which only those may write.
async fn remove_worktree(
    engine: &Engine,
    record: &Record,
    branches: Branches,
) -> Result<(), Problem> {
    let place = place(record)?;
    let remove = GitRequest::RemoveWorkspace { place, branches };
    let rights = HelperRights::Merge;
    let removed = work::git(engine, record, rights, remove.clone()).await;
    if removed.is_ok() {
        return Ok(());
    }
    // Its tree may be gone, which nothing of this needs.
    let mut helper = helper(engine, &record.grant, None, rights).await?;
    work::ask(&mut helper, remove).await.map(|_| ())
}

/// Leases a host port for every published port that has none; writes them into the record, which
/// the caller commits while it still holds them.
pub(crate) async fn lease_ports(
    engine: &Engine,
    record: &mut Record,
) -> Result<Vec<Leased>, Problem> {
    let _turn = engine.leasing.lock().await;
    let taken = taken_by_others(engine, record)?;
    let missing = record.ports.iter().filter(|port| port.outside.is_none());
    let published = |name: &str| record.resolved.ports.get(name).is_some_and(|p| p.publish);
    let wants: Vec<Want> = missing
        .filter(|port| published(&port.name))
        .map(|port| want(record, &port.name, None))
        .collect();
    let leased = lease(&RANGE_DEFAULT, &taken, &wants).map_err(|e| lease_problem(&e))?;
    write_down(record, &leased);
    Ok(leased)
}

/// Listens on the record's ports. One that a stranger took meanwhile is leased anew (`true`).
pub(super) async fn hold_ports(
    engine: &Engine,
    record: &mut Record,
) -> Result<(Vec<Leased>, bool), Problem> {
    let _turn = engine.leasing.lock().await;
    let taken = taken_by_others(engine, record)?;
    let mut held = Vec::new();
    let mut moved = false;
    let ports: Vec<_> = record
        .ports
        .iter()
        .filter_map(|p| Some((p.name.clone(), p.outside?)))
        .collect();
    for (name, outside) in ports {
        let wanted = want(record, &name, Some(outside));
        let leased = match lease(&RANGE_DEFAULT, &taken, &[wanted]) {
            Err(LeaseError::Conflict { .. }) => {
                moved = true;
                lease(&RANGE_DEFAULT, &taken, &[want(record, &name, None)])
            }
            other => other,
        };
        held.extend(leased.map_err(|e| lease_problem(&e))?);
    }
    write_down(record, &held);
    Ok((held, moved))
}

fn taken_by_others(
    engine: &Engine,
    record: &Record,
) -> Result<std::collections::BTreeSet<u16>, Problem> {
    let own = |port: &u16| record.ports.iter().any(|own| own.outside == Some(*port));
    let leased = engine
        .store
        .leased_ports()
        .map_err(|e| crate::engine::store_problem(&e))?;
    Ok(leased.into_iter().filter(|port| !own(port)).collect())
}

fn want(record: &Record, port: &str, preferred: Option<u16>) -> Want {
    Want {
        agent: record.name.to_string(),
        port: port.to_owned(),
        preferred,
    }
}

fn write_down(record: &mut Record, leased: &[Leased]) {
    for lease in leased {
        if let Some(port) = record.ports.iter_mut().find(|port| port.name == lease.name) {
            port.outside = Some(lease.port);
        }
    }
}

fn lease_problem(error: &LeaseError) -> Problem {
    Problem::new(Code::Conflict, error.to_string(), "")
}
