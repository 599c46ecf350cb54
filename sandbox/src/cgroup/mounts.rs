//! Where the host's control groups are, and which of them wsm uses. Pure but for [`read`].

use std::fs;

use super::files::io_error;
use super::limits::Controller;
use super::{CgroupError, Setup};

/// The broker's unit and the delegated one beside it, where systemd starts wsm.
const BROKER_UNIT: &str = "wsm-broker.service";
const AGENTS_UNIT: &str = "wsm-agents.service";

/// Version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A hierarchy that wsm uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) version: Version,
    /// Path of the directory that `wsm-INSTANCE` is made in.
    pub(super) base: String,
    /// Controllers of ours that limit here.
    pub(super) controllers: Vec<Controller>,
    /// The freezer lies here.
    pub(super) freezes: bool,
}

/// The control groups of this host, as text files say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Mount point of the v2 tree, the controllers it has, the base path below it.
    v2: Option<(String, Vec<Controller>, String)>,
    /// Mount point, controllers (ours and `freezer`), base path below it.
    v1: Vec<(String, Vec<String>, String)>,
}

/// Reads the host's layout.
pub(super) fn read() -> Result<Layout, CgroupError> {
    let text = |path: &str| fs::read_to_string(path).map_err(io_error(|| format!("read {path}")));
    let mountinfo = text("/proc/self/mountinfo")?;
    let own = text("/proc/self/cgroup")?;
    let v2_mount = mounts(&mountinfo)
        .find(|mount| mount.1 == "cgroup2")
        .map(|mount| mount.0);
    let v2_controllers = match &v2_mount {
        Some(path) => text(&format!("{path}/cgroup.controllers"))?,
        None => String::new(),
    };
    let delegated = |mount: &str, own_path: &str| {
        let base = agents_unit(own_path)?;
        fs::metadata(format!("{mount}{base}"))
            .is_ok()
            .then_some(base)
    };
    Ok(layout(&mountinfo, &own, &v2_controllers, delegated))
}

/// Puts the layout together. `delegated` says whether the agents' unit stands below a mount, for
/// our own group there.
fn layout(
    mountinfo: &str,
    own: &str,
    v2_controllers: &str,
    delegated: impl Fn(&str, &str) -> Option<String>,
) -> Layout {
    let mut layout = Layout::default();
    for (mount, fs_type, options) in mounts(mountinfo) {
        if fs_type == "cgroup2" && layout.v2.is_none() {
            let base = own_group(own, "").and_then(|path| delegated(&mount, path));
            let has = |controller: &Controller| {
                v2_controllers
                    .split_whitespace()
                    .any(|name| name == controller.name())
            };
            let controllers = Controller::ALL.into_iter().filter(has).collect();
            layout.v2 = Some((mount, controllers, base.unwrap_or_default()));
        } else if fs_type == "cgroup" {
            let names: Vec<String> = options.split(',').map(String::from).collect();
            let first = names.iter().find(|name| own_group(own, name).is_some());
            let path = first.and_then(|name| own_group(own, name));
            let base = path.and_then(|path| delegated(&mount, path));
            layout.v1.push((mount, names, base.unwrap_or_default()));
        }
    }
    layout
}

impl Layout {
    /// The same host without its v2 tree.
    #[cfg(test)]
    pub(super) fn without_v2(self) -> Layout {
        Layout { v2: None, ..self }
    }

    pub(super) fn setup(&self) -> Setup {
        let chosen = self.chosen();
        let v1 = chosen.iter().any(|chosen| chosen.version == Version::V1);
        match (&self.v2, v1) {
            (Some(_), false) => Setup::Unified,
            (Some(_), true) => Setup::Hybrid,
            (None, true) => Setup::Legacy,
            (None, false) => Setup::None,
        }
    }

    /// The hierarchies that wsm uses, v2 first: each controller where the host has it, the freezer
    /// only where there is no v2 tree.
    pub(super) fn chosen(&self) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        let mut open: Vec<Controller> = Controller::ALL.into();
        if let Some((mount, controllers, base)) = &self.v2 {
            open.retain(|controller| !controllers.contains(controller));
            chosen.push(Chosen {
                version: Version::V2,
                base: format!("{mount}{base}"),
                controllers: controllers.clone(),
                freezes: true,
            });
        }
        for (mount, names, base) in &self.v1 {
            let here = |controller: &Controller| names.iter().any(|n| n == controller.name());
            let controllers: Vec<Controller> = open.iter().copied().filter(here).collect();
            open.retain(|controller| !controllers.contains(controller));
            let freezes = self.v2.is_none() && names.iter().any(|name| name == "freezer");
            if freezes || !controllers.is_empty() {
                let base = format!("{mount}{base}");
                chosen.push(Chosen {
                    version: Version::V1,
                    base,
                    controllers,
                    freezes,
                });
            }
        }
        chosen
    }
}

/// Mount point, type and super block options of every control group mount.
fn mounts(mountinfo: &str) -> impl Iterator<Item = (String, &str, &str)> {
    mountinfo.lines().filter_map(|line| {
        let (mount, fs) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut fs = fs.split(' ');
        let (fs_type, _, options) = (fs.next()?, fs.next()?, fs.next()?);
        // Octal escapes stand for blanks; nobody mounts control groups there.
        let ours = fs_type.starts_with("cgroup") && !point.contains('\\');
        ours.then(|| (point.to_owned(), fs_type, options))
    })
}

/// Our own group in the hierarchy of a controller (`""` for v2).
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        names
            .split(',')
            .any(|name| name == controller)
            .then_some(path)
    })
}

/// The path of the agents' unit, if `own` is the broker's unit.
fn agents_unit(own: &str) -> Option<String> {
    let parent = own.strip_suffix(BROKER_UNIT)?;
    Some(format!("{parent}{AGENTS_UNIT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        16 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    fn summary(layout: &Layout) -> Vec<(String, usize, bool)> {
        let chosen = layout.chosen().into_iter();
        chosen
            .map(|c| (c.base, c.controllers.len(), c.freezes))
            .collect()
    }

    #[test]
    fn unified() {
        let layout = layout(
            V2,
            "0::/user.slice\n",
            "cpuset cpu io memory pids",
            |_, _| None,
        );
        assert_eq!(layout.setup(), Setup::Unified);
        assert_eq!(summary(&layout), [("/sys/fs/cgroup".into(), 3, true)]);
    }

    #[test]
    fn hybrid_takes_controllers_from_v1_and_the_rest_from_v2() {
        let layout = layout(HYBRID, "4:memory:/x\n0::/\n", "hugetlb", |_, _| None);
        assert_eq!(layout.setup(), Setup::Hybrid);
        assert_eq!(
            summary(&layout),
            [
                ("/sys/fs/cgroup/unified".into(), 0, true),
                ("/sys/fs/cgroup/memory".into(), 1, false),
                ("/sys/fs/cgroup/cpu,cpuacct".into(), 1, false),
                ("/sys/fs/cgroup/pids".into(), 1, false),
            ]
        );
    }

    #[test]
    fn a_controller_is_used_once_where_v2_has_it() {
        let layout = layout(HYBRID, "", "memory", |_, _| None);
        assert_eq!(layout.setup(), Setup::Hybrid);
        let memory = |c: &Chosen| c.controllers.contains(&Controller::Memory);
        let places: Vec<Chosen> = layout.chosen().into_iter().filter(memory).collect();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].version, Version::V2);
    }

    #[test]
    fn legacy_freezes_by_the_freezer() {
        let v1 = HYBRID.rsplit_once('\n').unwrap().0;
        let layout = layout(v1, "", "", |_, _| None);
        assert_eq!(layout.setup(), Setup::Legacy);
        let freezers = layout.chosen().into_iter().filter(|c| c.freezes).count();
        assert_eq!((layout.chosen().len(), freezers), (4, 1));
    }

    #[test]
    fn nothing_mounted() {
        assert_eq!(layout("", "", "", |_, _| None).setup(), Setup::None);
    }

    #[test]
    fn agents_live_in_the_delegated_unit_beside_the_broker() {
        let own = "0::/system.slice/wsm-broker.service\n";
        let layout = layout(V2, own, "memory", |_, own| agents_unit(own));
        assert_eq!(
            layout.chosen()[0].base,
            "/sys/fs/cgroup/system.slice/wsm-agents.service"
        );
        assert_eq!(agents_unit("/user.slice/session-1.scope"), None);
    }
}
