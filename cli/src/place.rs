//! Where an instance's state, sockets and configuration lie.

use std::path::{Path, PathBuf};

use wsm_api::problem::Code;

use crate::failure::Failure;

/// An instance: the installed one, one below a directory of its own, or one on another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    own: Option<PathBuf>,
    host: Option<Host>,
}

/// Another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    /// As `--host` gave it.
    given: String,
    /// Where sockets of ours lead to those there, if they do.
    run: Option<PathBuf>,
}

impl Place {
    /// The instance below `dir`, or the installed one.
    pub(crate) fn new(dir: Option<&Path>) -> Place {
        // Absolute, so that processes with another working directory find it.
        let own = dir.map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
        Place { own, host: None }
    }

    /// The instance that `--host` names.
    pub(crate) fn there(given: &str, run: Option<&Path>) -> Place {
        let host = Host {
            given: given.to_owned(),
            run: run.map(Path::to_owned),
        };
        Place {
            own: None,
            host: Some(host),
        }
    }

    /// Whether it is on another machine.
    pub(crate) fn is_remote(&self) -> bool {
        self.host.is_some()
    }

    /// What needs files of this machine, or descriptors of its kernel, is refused for another one.
    pub(crate) fn only_here(&self, what: &str, hint: &str) -> Result<(), Failure> {
        match &self.host {
            None => Ok(()),
            Some(host) => {
                let message = format!("{what} is not possible with --host {}", host.given);
                Err(Failure::new(Code::Refused, message, hint))
            }
        }
    }

    /// Where the instance's sockets lie as seen from here, if they do.
    pub(crate) fn sockets(&self) -> Option<PathBuf> {
        match &self.host {
            Some(host) => host.run.clone(),
            None => Some(self.run()),
        }
    }

    /// Whether it lies below a directory of its own.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether `wsm VERB` alone means another one.
    pub(crate) fn is_named(&self) -> bool {
        self.is_own() || self.is_remote()
    }

    /// For people: where it is.
    pub(crate) fn told(&self) -> String {
        match &self.host {
            Some(host) => host.given.clone(),
            None => self.root().display().to_string(),
        }
    }

    /// Its directory.
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
        match (&self.host, &self.own) {
            (Some(host), _) => format!("wsm --host {}", host.given),
            (None, Some(dir)) => format!("wsm --dir {}", dir.display()),
            (None, None) => "wsm".to_owned(),
        }
    }
}
