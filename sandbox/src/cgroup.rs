//! Control groups: limits, freeze, kill and membership, on unified, hybrid and legacy hosts.
//!
//! ```text
//! BASE/wsm-INSTANCE/agent-ID/payload/agent           the agent's command, terminals, exec
//!                           /payload/services/NAME   one per service
//!                           /shim                    the shim, with small limits of its own
//! ```
//!
//! This stands in every hierarchy that wsm uses: the v2 tree (kill, freeze, events, and the
//! controllers it has) and the v1 trees of the controllers that v2 lacks. v1 trees have leaves only
//! where those limit something; without one, processes are in `payload` there. Limits, freezing and
//! killing act on `payload`; a v2 group with children holds no processes itself.
//!
//! BASE is the delegated unit `wsm-agents.service` beside the broker's own unit where systemd
//! started the broker, and the root of the hierarchy otherwise: not the group that `wsm up` was
//! started in, because the next `wsm up` must find the agents from wherever it is started.
//! The directories are the truth about which agents exist: they outlive a killed broker.
//!
//! Everything is done relative to open directories; no name here comes from outside but agent ids,
//! service names and the instance, each checked.

mod error;
mod files;
mod life;
mod limits;
mod mounts;
mod strain;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::launch::Leaf;
use crate::spec::{AgentId, LayerReport, Limits};

pub use error::CgroupError;
use files::{io_error, make_dir, open_dir, open_writable, write_file};
pub use life::End;
use limits::{Controller, Place};
use mounts::Version;
pub use tasks::Tasks;

/// Limits of the shim: its screen models and history are bounded far below.
const SHIM_LIMITS: Limits = Limits {
    cpu_milli: None,
    memory_bytes: Some(256 << 20),
    pids: Some(64),
    disk_bytes: None,
};

/// How this host mounts its control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// One v2 tree with the controllers.
    Unified,
    /// Controllers in v1 trees, and a v2 tree that can kill and freeze.
    Hybrid,
    /// v1 trees only.
    Legacy,
    /// Nothing mounted.
    None,
}

/// The limits of one agent, after admission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentLimits {
    /// Of the whole payload.
    pub payload: Limits,
    /// Of single services, inside the former.
    pub services: BTreeMap<String, Limits>,
}

/// The part of the host's control groups that belongs to one wsm instance.
#[derive(Debug)]
pub struct Tree {
    setup: Setup,
    /// v2 first, if there is one.
    hierarchies: Vec<Hierarchy>,
}

/// `wsm-INSTANCE` in one hierarchy.
#[derive(Debug)]
struct Hierarchy {
    version: Version,
    /// Controllers of ours that limit here.
    controllers: Vec<Controller>,
    /// The freezer lies here.
    freezes: bool,
    parent: OwnedFd,
    name: String,
    dir: OwnedFd,
    /// For messages.
    path: String,
}

/// One agent's control groups, open.
#[derive(Debug)]
pub struct AgentCgroup {
    /// `agent-ID` in each hierarchy.
    dirs: Vec<AgentDir>,
    /// `payload/agent` in the v2 tree.
    v2: Option<OwnedFd>,
    reports: Vec<LayerReport>,
}

/// `agent-ID` in one hierarchy.
#[derive(Debug)]
struct AgentDir {
    version: Version,
    dir: OwnedFd,
    /// For messages.
    path: String,
}

/// What this host's control groups can do for wsm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// How they are mounted.
    pub setup: Setup,
    /// Controllers of ours that are in the v2 tree.
    pub v2: Vec<&'static str>,
    /// Those in v1 trees.
    pub v1: Vec<&'static str>,
    /// Those nowhere: such limits are reported as absent.
    pub missing: Vec<&'static str>,
}

/// Looks at the mount table.
pub fn detect() -> Result<Support, CgroupError> {
    let layout = mounts::read()?;
    let chosen = layout.chosen();
    let of = |version: Version| -> Vec<&'static str> {
        let trees = chosen.iter().filter(|tree| tree.version == version);
        trees
            .flat_map(|tree| tree.controllers.iter().map(|controller| controller.name()))
            .collect()
    };
    let (v2, v1) = (of(Version::V2), of(Version::V1));
    let names = Controller::ALL.into_iter().map(Controller::name);
    let missing = names
        .filter(|name| !v2.contains(name) && !v1.contains(name))
        .collect();
    Ok(Support {
        setup: layout.setup(),
        v2,
        v1,
        missing,
    })
}

impl Tree {
    /// Opens (and makes) `wsm-INSTANCE` in every hierarchy that wsm uses.
    pub fn open(instance: &str) -> Result<Tree, CgroupError> {
        Tree::open_in(&mounts::read()?, instance)
    }

    fn open_in(layout: &mounts::Layout, instance: &str) -> Result<Tree, CgroupError> {
        check_name(instance)?;
        let setup = layout.setup();
        let mut hierarchies = Vec::new();
        for mount in layout.chosen() {
            let parent = open_dir_path(&mount.base)?;
            let name = format!("wsm-{instance}");
            let path = format!("{}/{name}", mount.base);
            if mount.version == Version::V2 {
                enable(parent.as_fd(), &mount.controllers);
            }
            make_dir(parent.as_fd(), &name).map_err(io_error(|| format!("make {path}")))?;
            let dir =
                open_dir(parent.as_fd(), &name).map_err(io_error(|| format!("open {path}")))?;
            if mount.version == Version::V2 {
                enable(dir.as_fd(), &mount.controllers);
            }
            hierarchies.push(Hierarchy {
                version: mount.version,
                controllers: mount.controllers,
                freezes: mount.freezes,
                parent,
                name,
                dir,
                path,
            });
        }
        if hierarchies.is_empty() {
            return Err(CgroupError::NotMounted);
        }
        Ok(Tree { setup, hierarchies })
    }

    /// How this host mounts its control groups.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// Makes `agent-ID/{payload/{agent,services/NAME},shim}` everywhere and sets the limits.
    /// Directories that stand already are used again. On error nothing is left.
    pub fn create(&self, id: &AgentId, limits: &AgentLimits) -> Result<AgentCgroup, CgroupError> {
        for name in limits.services.keys() {
            check_name(name)?;
        }
        let made = self
            .make_dirs(id, limits)
            .and_then(|()| self.open_agent(id));
        match made {
            Ok(mut agent) => {
                agent.reports = self.set_limits(&agent, limits);
                Ok(agent)
            }
            Err(error) => {
                // The first error is the one to tell; what stays is found by `list`.
                drop(self.remove(id));
                Err(error)
            }
        }
    }

    /// Opens the control groups of an agent that [`Tree::create`] made earlier.
    pub fn open_agent(&self, id: &AgentId) -> Result<AgentCgroup, CgroupError> {
        let mut dirs = Vec::new();
        let mut v2 = None;
        for hierarchy in &self.hierarchies {
            let dir = hierarchy
                .agent(id)?
                .ok_or_else(|| CgroupError::NoSuchAgent(id.clone()))?;
            let path = hierarchy.agent_path(id);
            if hierarchy.version == Version::V2 {
                let leaf = open_dir(dir.as_fd(), "payload/agent");
                v2 = Some(leaf.map_err(io_error(|| format!("open {path}/payload/agent")))?);
            }
            dirs.push(AgentDir {
                version: hierarchy.version,
                dir,
                path,
            });
        }
        Ok(AgentCgroup {
            dirs,
            v2,
            reports: Vec::new(),
        })
    }

    /// The limits as the kernel has them now.
    pub fn inspect(&self, id: &AgentId) -> Result<Vec<LayerReport>, CgroupError> {
        let agent = self.open_agent(id)?;
        let mut reports = Vec::new();
        for controller in Controller::ALL {
            reports.extend(limits::read_back(
                controller,
                self.place(&agent, controller, "payload"),
            ));
        }
        reports.push(limits::disk());
        Ok(reports)
    }

    fn make_dirs(&self, id: &AgentId, limits: &AgentLimits) -> Result<(), CgroupError> {
        for hierarchy in &self.hierarchies {
            for group in hierarchy.groups(limits) {
                let path = if group.is_empty() {
                    format!("agent-{id}")
                } else {
                    format!("agent-{id}/{group}")
                };
                let what = || format!("make {}/{path}", hierarchy.path);
                make_dir(hierarchy.dir.as_fd(), &path).map_err(io_error(what))?;
                let holds_groups = ["", "payload", "payload/services"].contains(&group.as_str());
                if !hierarchy.controllers.is_empty()
                    && hierarchy.version == Version::V2
                    && holds_groups
                {
                    let dir = open_dir(hierarchy.dir.as_fd(), &path).map_err(io_error(what))?;
                    enable(dir.as_fd(), &hierarchy.controllers);
                }
            }
        }
        Ok(())
    }

    fn set_limits(&self, agent: &AgentCgroup, limits: &AgentLimits) -> Vec<LayerReport> {
        let mut reports = Vec::new();
        for controller in Controller::ALL {
            let services = limits.services.iter().map(|(name, own)| {
                let group = format!("payload/services/{name}");
                (group, own, format!(" of service {name}"))
            });
            let all = [
                ("payload".to_owned(), &limits.payload, String::new()),
                ("shim".to_owned(), &SHIM_LIMITS, " of the shim".to_owned()),
            ];
            for (group, own, whose) in all.into_iter().chain(services) {
                if controller.wanted(own).is_some() {
                    let place = self.place(agent, controller, &group);
                    reports.extend(limits::set(controller, place, own, &whose));
                }
            }
        }
        let all = std::iter::once(&limits.payload).chain(limits.services.values());
        if all.into_iter().any(|limits| limits.disk_bytes.is_some()) {
            reports.push(limits::disk());
        }
        reports
    }

    /// The group below `agent-ID` where a controller limits; `None` without that controller.
    fn place(&self, agent: &AgentCgroup, controller: Controller, group: &str) -> Option<Place> {
        let hierarchies = self.hierarchies.iter().zip(&agent.dirs);
        let (hierarchy, agent) = hierarchies
            .into_iter()
            .find(|(hierarchy, _)| hierarchy.controllers.contains(&controller))?;
        let dir = open_dir(agent.dir.as_fd(), group).ok()?;
        Some(Place {
            version: hierarchy.version,
            dir,
        })
    }
}

impl Hierarchy {
    /// The groups to make below (and with) `agent-ID`, parents first. A v1 tree gets leaves only
    /// where they limit something, because each group costs time at every start, and there
    /// processes may live in inner groups.
    fn groups(&self, limits: &AgentLimits) -> Vec<String> {
        let mut groups: Vec<String> = vec![String::new(), "payload".into(), "shim".into()];
        let limited = |own: &Limits| {
            self.controllers
                .iter()
                .any(|controller| controller.wanted(own).is_some())
        };
        let services: Vec<&String> = match self.version {
            Version::V2 => limits.services.keys().collect(),
            Version::V1 => {
                let own = limits.services.iter().filter(|(_, own)| limited(own));
                own.map(|(name, _)| name).collect()
            }
        };
        if self.version == Version::V2 {
            groups.push("payload/agent".into());
        }
        if !services.is_empty() {
            groups.push("payload/services".into());
        }
        groups.extend(
            services
                .into_iter()
                .map(|name| format!("payload/services/{name}")),
        );
        groups
    }

    /// The agent's directory, if it has one here.
    fn agent(&self, id: &AgentId) -> Result<Option<OwnedFd>, CgroupError> {
        match open_dir(self.dir.as_fd(), &format!("agent-{id}")) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(|| format!("open {}", self.agent_path(id)))(error)),
        }
    }

    fn agent_path(&self, id: &AgentId) -> String {
        format!("{}/agent-{id}", self.path)
    }
}

impl AgentCgroup {
    /// `cgroup.procs` of each group that a process of the agent's own leaf has to join for another
    /// leaf: write "0" to each. May be written after the writer dropped all rights: the opener's
    /// count. A join takes milliseconds, so none is listed where both leaves are one group.
    pub fn leaf_procs_fds(&self, leaf: &Leaf) -> Result<Vec<OwnedFd>, CgroupError> {
        let Leaf::Service(name) = leaf else {
            return Ok(Vec::new());
        };
        check_name(name)?;
        let group = format!("payload/services/{name}");
        let own = self.dirs.iter().map(|agent| agent.procs_fd(&group));
        own.filter_map(Result::transpose).collect()
    }

    /// `cgroup.procs` of each group that the first process of the payload has to join. It was
    /// cloned into the v2 one.
    pub fn payload_procs_fds(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let v1 = self
            .dirs
            .iter()
            .filter(|agent| agent.version == Version::V1);
        let own = v1.map(|agent| agent.procs_fd("payload"));
        own.filter_map(Result::transpose).collect()
    }

    /// `cgroup.procs` of the shim's group in every hierarchy.
    pub fn shim_procs_fds(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let own = self.dirs.iter().map(|agent| agent.procs_fd("shim"));
        own.filter_map(Result::transpose).collect()
    }

    /// The v2 directory of `payload/agent`, for `CLONE_INTO_CGROUP`; `None` without a v2 tree.
    #[must_use]
    pub fn v2_dir_fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(AsFd::as_fd)
    }

    /// What became of each limit that was asked for, read back from the kernel.
    /// Empty for an agent that was opened and not created.
    #[must_use]
    pub fn reports(&self) -> &[LayerReport] {
        &self.reports
    }
}

impl AgentDir {
    /// `None` for a leaf that this v1 tree does not tell from the payload.
    fn procs_fd(&self, group: &str) -> Result<Option<OwnedFd>, CgroupError> {
        match open_writable(self.dir.as_fd(), &format!("{group}/cgroup.procs")) {
            Err(error)
                if self.version == Version::V1
                    && group.starts_with("payload/")
                    && error.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            opened => opened.map(Some).map_err(io_error(|| {
                format!("open {}/{group}/cgroup.procs", self.path)
            })),
        }
    }
}

/// Turns controllers on for the children of a v2 group. A controller that can't be turned on makes
/// its limits absent, which is reported where they are set; so errors end here.
fn enable(dir: BorrowedFd<'_>, controllers: &[Controller]) {
    for controller in controllers {
        drop(write_file(
            dir,
            "cgroup.subtree_control",
            &format!("+{}", controller.name()),
        ));
    }
}

fn open_dir_path(path: &str) -> Result<OwnedFd, CgroupError> {
    std::fs::File::open(path)
        .map(OwnedFd::from)
        .map_err(io_error(|| format!("open {path}")))
}

/// Names become directories: no slash, no dot, bounded.
fn check_name(name: &str) -> Result<(), CgroupError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=40).contains(&name.len()) && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(CgroupError::BadName(name.into()))
    }
}
