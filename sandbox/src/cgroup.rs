//! Control groups: limits, freeze, kill and membership, on unified, hybrid and legacy hosts.
//!
//! ```text
//! BASE/wsm-INSTANCE/agent-ID/payload/agent           the agent's command, terminals, exec
//!                           /payload/services/NAME   one per service
//!                           /shim                    the shim
//! BASE/wsm-INSTANCE/agent-ID/services/NAME           in a v1 tree that only limits
//! ```
//!
//! The first form stands in the tree that freezes and kills: the v2 one (with the controllers it
//! has), or the v1 freezer where there is none. The v1 trees of the controllers that v2 lacks limit
//! and do nothing else, and each group costs time at every start: there `agent-ID` is the payload, it
//! exists only where something is limited (or is to have its share of the CPU), and shims stay in
//! `wsm-INSTANCE`, where the zygote put itself. Limits, freezing and killing act on the payload; a v2
//! group that has controllers and children holds no processes itself. Where it has no controllers,
//! the agent's own processes are in `payload`, and there is no `payload/agent`.
//!
//! BASE is the delegated unit `wsm-agents.service` beside the broker's own unit where systemd
//! started the broker, and the root of the hierarchy otherwise: not the group that `wsm up` was
//! started in, because the next `wsm up` must find the agents from wherever it is started.
//! The directories are the truth about which agents exist: they outlive a killed broker.
//!
//! Everything is done relative to open directories; no name here comes from outside but agent ids,
//! service names and the instance, each checked.

mod agent;
mod error;
mod files;
mod life;
mod limits;
mod mounts;
mod strain;
mod tasks;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::spec::{AgentId, LayerReport, Limits};

pub use error::CgroupError;
use files::{io_error, make_dir, open_dir, write_file};
pub use life::End;
use limits::{Controller, Place};
use mounts::Version;
pub use tasks::Tasks;

/// What is limited, frozen and killed.
const PAYLOAD: &str = "payload";
/// Limits of the shim, where it has a group that limits. Everywhere it limits itself as well.
const SHIM_LIMITS: Limits = Limits {
    cpu_milli: None,
    memory_bytes: Some(SHIM_MEMORY_BYTES),
    pids: Some(SHIM_TASKS),
    disk_bytes: None,
};
/// Bytes: screen models and history are bounded far below.
pub(crate) const SHIM_MEMORY_BYTES: u64 = 256 << 20;
/// Tasks: a shim starts none.
pub(crate) const SHIM_TASKS: u32 = 64;

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The one that freezes and kills first: it knows every agent.
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
    /// `agent-ID` in each hierarchy; `None` where it needs no group.
    dirs: Vec<Option<AgentDir>>,
    /// `payload/agent` in the v2 tree, or what stands for it.
    v2: Option<OwnedFd>,
    reports: Vec<LayerReport>,
}

/// `agent-ID` in one hierarchy.
#[derive(Debug)]
struct AgentDir {
    version: Version,
    flat: bool,
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
        hierarchies.sort_by_key(Hierarchy::is_flat);
        Ok(Tree { setup, hierarchies })
    }

    /// Moves the calling process to where the shims that it is to fork stay: joining a group takes
    /// milliseconds, once.
    pub fn join_as_zygote(&self) -> Result<(), CgroupError> {
        for hierarchy in self.hierarchies.iter().filter(|tree| tree.is_flat()) {
            let joined = write_file(hierarchy.dir.as_fd(), "cgroup.procs", "0");
            joined.map_err(io_error(|| format!("join {}", hierarchy.path)))?;
        }
        Ok(())
    }

    /// How this host mounts its control groups.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// Makes the agent's groups and sets the limits. Directories that stand already are used again.
    /// On error nothing is left.
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
            let flat = hierarchy.is_flat();
            let Some(dir) = hierarchy.agent(id)? else {
                if !flat {
                    return Err(CgroupError::NoSuchAgent(id.clone()));
                }
                dirs.push(None);
                continue;
            };
            let path = hierarchy.agent_path(id);
            if hierarchy.version == Version::V2 {
                let name = hierarchy.agent_leaf();
                let leaf = open_dir(dir.as_fd(), name);
                v2 = Some(leaf.map_err(io_error(|| format!("open {path}/{name}")))?);
            }
            dirs.push(Some(AgentDir {
                version: hierarchy.version,
                flat,
                dir,
                path,
            }));
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
            let payload = ("payload".to_owned(), &limits.payload, String::new());
            let shim = ("shim".to_owned(), &SHIM_LIMITS, " of the shim".to_owned());
            let mut trees = self.hierarchies.iter().filter(|tree| !tree.is_flat());
            let shim = trees
                .any(|tree| tree.controllers.contains(&controller))
                .then_some(shim);
            for (group, own, whose) in std::iter::once(payload).chain(shim).chain(services) {
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
        let agent = agent.as_ref()?;
        let dir = open_dir(agent.dir.as_fd(), agent.inner(group)).ok()?;
        Some(Place {
            version: hierarchy.version,
            dir,
        })
    }
}

impl Hierarchy {
    /// Whether this tree only limits.
    fn is_flat(&self) -> bool {
        self.version == Version::V1 && !self.freezes
    }

    /// Where the agent's own processes are, beside services. Each group costs time at every start.
    fn agent_leaf(&self) -> &'static str {
        if self.controllers.is_empty() {
            PAYLOAD
        } else {
            "payload/agent"
        }
    }

    /// The groups to make below (and with) `agent-ID`, parents first.
    fn groups(&self, limits: &AgentLimits) -> Vec<String> {
        let flat = self.is_flat();
        let limited = |own: &Limits| {
            let mut controllers = self.controllers.iter();
            controllers.any(|controller| controller.wanted(own).is_some())
        };
        let services = limits.services.iter();
        let services: Vec<&String> = services
            .filter(|(_, own)| self.version == Version::V2 || limited(own))
            .map(|(name, _)| name)
            .collect();
        let shared = self.controllers.contains(&Controller::Cpu);
        if flat && !shared && services.is_empty() && !limited(&limits.payload) {
            return Vec::new();
        }
        let mut groups = vec![String::new()];
        if !flat {
            groups.extend([PAYLOAD.into(), "shim".into()]);
        }
        let leaf = self.agent_leaf();
        if self.version == Version::V2 && leaf != PAYLOAD {
            groups.push(leaf.into());
        }
        let inside = if flat { "services" } else { "payload/services" };
        if !services.is_empty() {
            groups.push(inside.into());
        }
        groups.extend(services.into_iter().map(|name| format!("{inside}/{name}")));
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
