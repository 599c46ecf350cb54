//! Switching one layer off, so that the attack suite can show what it holds.
//!
//! A build with the feature `ablation` reads the layer's name from a file of the run directory when
//! it starts a sandbox. No other build knows of it: there every question here is answered `false` by
//! a constant, and the feature can't be had in a release build at all.

#[cfg(all(feature = "ablation", not(debug_assertions)))]
compile_error!("a build that can switch layers off is for tests and never released");

#[cfg(feature = "ablation")]
use std::os::fd::OwnedFd;

/// A layer of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "ablation"),
    expect(dead_code, reason = "only a test-only build reads a layer's name")
)]
pub(crate) enum Layer {
    /// The agent's user namespace: its ids are the host's own, from its range.
    User,
    /// The root that shows only what the spec names: directories of the host are there too.
    Root,
    /// What is shown read-only.
    ReadOnly,
    /// No devices and no set-id programs on what is mounted.
    NoDev,
    /// The pid namespace.
    Pid,
    /// The ipc namespace.
    Ipc,
    /// The uts namespace.
    Uts,
    /// The cgroup namespace.
    Cgroup,
    /// The network namespace.
    Network,
    /// What of /proc concerns the host.
    ProcMasks,
    /// Processes that are none of the agent's are not seen in /proc.
    HidePid,
    /// The pointer to the git directory.
    GitPin,
    /// Mounts over protected names.
    Guards,
    /// Being in a Landlock domain at all.
    Landlock,
    /// The rules of the domain about files.
    LandlockFiles,
    /// Its scopes: abstract sockets and signals.
    LandlockScopes,
    /// The filter of system calls.
    Seccomp,
    /// Having no capability.
    Capabilities,
    /// Never gaining a right by executing.
    NoNewPrivs,
    /// The limits of the control groups.
    Limits,
    /// The limits of the processes.
    RLimits,
}

/// Whether this layer is switched off in this sandbox.
#[cfg(not(feature = "ablation"))]
pub(crate) const fn off(_: Layer) -> bool {
    false
}

/// Whether the limits are switched off in the sandbox that is being started.
#[cfg(not(feature = "ablation"))]
pub(crate) const fn limits_off(_: &std::os::fd::OwnedFd) -> bool {
    false
}

/// Whether the self-test shall let the sandbox start whatever it finds.
#[cfg(not(feature = "ablation"))]
pub(crate) const fn lenient() -> bool {
    false
}

#[cfg(feature = "ablation")]
pub(crate) use wanted::{lenient, limits_off, off, read};

#[cfg(feature = "ablation")]
mod wanted {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::path::Path;
    use std::sync::OnceLock;

    use nix::fcntl::OFlag;

    use super::{Layer, OwnedFd};
    use crate::files;

    const NAMES: &[(&str, Layer)] = &[
        ("user-namespace", Layer::User),
        ("root", Layer::Root),
        ("read-only", Layer::ReadOnly),
        ("nodev", Layer::NoDev),
        ("pid-namespace", Layer::Pid),
        ("ipc-namespace", Layer::Ipc),
        ("uts-namespace", Layer::Uts),
        ("cgroup-namespace", Layer::Cgroup),
        ("network-namespace", Layer::Network),
        ("proc-masks", Layer::ProcMasks),
        ("hidepid", Layer::HidePid),
        ("git-pin", Layer::GitPin),
        ("protected-names", Layer::Guards),
        ("landlock", Layer::Landlock),
        ("landlock-files", Layer::LandlockFiles),
        ("landlock-scopes", Layer::LandlockScopes),
        ("seccomp", Layer::Seccomp),
        ("capabilities", Layer::Capabilities),
        ("no-new-privs", Layer::NoNewPrivs),
        ("limits", Layer::Limits),
        ("rlimits", Layer::RLimits),
    ];

    /// The layer, and whether the self-test still refuses.
    static WANTED: OnceLock<Option<(Layer, bool)>> = OnceLock::new();

    /// Reads what a test wants of the sandbox that this process is going to be: `LAYER [strict]`.
    pub(crate) fn read(run: &OwnedFd) {
        WANTED.get_or_init(|| wanted(run));
    }

    /// For the broker, which starts many: asked anew for each.
    pub(crate) fn limits_off(run: &OwnedFd) -> bool {
        matches!(wanted(run), Some((Layer::Limits, _)))
    }

    fn wanted(run: &OwnedFd) -> Option<(Layer, bool)> {
        let mut text = String::new();
        let file = files::open_below(run.as_fd(), Path::new("ablate"), OFlag::O_RDONLY);
        let read = file.and_then(|file| std::fs::File::from(file).read_to_string(&mut text));
        let mut words = text.split_whitespace();
        let name = words.next().filter(|_| read.is_ok());
        name.map(|name| {
            let found = NAMES.iter().find(|(known, _)| *known == name);
            (
                found.expect("a test names a layer that there is").1,
                words.next() == Some("strict"),
            )
        })
    }

    pub(crate) fn off(layer: Layer) -> bool {
        matches!(WANTED.get(), Some(Some((wanted, _))) if *wanted == layer)
    }

    pub(crate) fn lenient() -> bool {
        matches!(WANTED.get(), Some(Some((_, strict))) if !strict)
    }
}

/// The plan without the layers that are part of it.
#[cfg(feature = "ablation")]
pub(crate) fn weaken(plan: &mut crate::plan::Plan) {
    use crate::plan::{Access, Op, Owners};
    if off(Layer::GitPin) {
        plan.ops.retain(|op| {
            let pinned =
                matches!(op, Op::Bind { at, access: Access::Pin, .. } if at.ends_with(".git"));
            !pinned
        });
    }
    if off(Layer::Guards) {
        plan.ops.retain(|op| !matches!(op, Op::Guard { .. }));
    }
    if off(Layer::Root) {
        for at in ["/srv", "/root", "/opt"].map(std::path::PathBuf::from) {
            let bind = Op::Bind {
                from: at.clone(),
                at,
                access: Access::Read,
                owners: Owners::Nobody,
                optional: true,
            };
            plan.ops.insert(1, bind);
        }
    }
}
