//! Where an instance's state, sockets and configuration lie.

use std::path::{Path, PathBuf};

/// An instance: the installed one, or one below a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    own: Option<PathBuf>,
}

impl Place {
    /// The instance below `dir`, or the installed one.
    pub(crate) fn new(dir: Option<&Path>) -> Place {
        // Absolute, so that processes with another working directory find it.
        let own = dir.map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
        Place { own }
    }

    /// Whether it is not the installed one.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// For people: where it is.
    pub(crate) fn root(&self) -> &Path {
        self.own.as_deref().unwrap_or(Path::new("/var/lib/wsm"))
    }

    /// State.
    pub(crate) fn state(&self) -> PathBuf {
        self.part("state", "/var/lib/wsm")
    }

    /// Sockets.
    pub(crate) fn run(&self) -> PathBuf {
        self.part("run", "/run/wsm")
    }

    /// Configuration.
    pub(crate) fn etc(&self) -> PathBuf {
        self.part("etc", "/etc/wsm")
    }

    fn part(&self, name: &str, installed: &str) -> PathBuf {
        self.own
            .as_ref()
            .map_or_else(|| PathBuf::from(installed), |dir| dir.join(name))
    }

    /// Short text that differs between instances, for cgroup names: FNV-1a of the state's path.
    pub(crate) fn instance(&self) -> String {
        let state = self.state();
        let path = state.canonicalize().unwrap_or(state);
        let bytes = path.as_os_str().as_encoded_bytes();
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// What to type before a verb to reach this instance.
    pub(crate) fn prefix(&self) -> String {
        self.own.as_ref().map_or_else(
            || "wsm".to_owned(),
            |d| format!("wsm --dir {}", d.display()),
        )
    }
}
