//! The pointer to the git directory: let go when the sandbox is gone, looked at while it stands.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;

use super::dirs::WORKSPACES;
use super::setup::Host;
use crate::fail::Context;
use crate::files;
use crate::pin;
use crate::protocol::{Account, Failure};
use crate::spec::{AgentId, LayerReport, LayerStatus};

impl Host {
    /// Lets the pointer of an agent be changed again.
    pub(super) fn let_pointer_go(&self, agent: &AgentId, account: &Account) -> Result<(), Failure> {
        let what = || format!("let the git pointer of {agent} go");
        match self.open_workspace(agent, account) {
            // A person moved it away, or there never was one.
            Err(_) => Ok(()),
            Ok(workspace) => pin::let_go(workspace.as_fd(), account.uid).what(what),
        }
    }

    /// At the start: the machine may have stopped while agents ran. What can't be read, or let go, is
    /// tried again when it is needed.
    pub(super) fn let_pointers_go(&self) {
        for agent in self.recorded() {
            if let (Ok(false), Ok(record)) = (self.tree.has(&agent), self.record(&agent)) {
                self.let_pointer_go(&agent, &record.account).unwrap_or(());
            }
        }
    }

    /// A line if the host may replace the pointer while the agent runs.
    pub(super) fn inspect_pointer(
        &self,
        agent: &AgentId,
        account: &Account,
    ) -> Option<LayerReport> {
        let workspace = self.open_workspace(agent, account);
        if workspace.is_ok_and(|workspace| pin::holds(workspace.as_fd())) {
            return None;
        }
        Some(LayerReport {
            layer: "git pointer".into(),
            status: LayerStatus::Reduced,
            detail: "its file system can't make it immutable: who replaces .git on the host must \
                     start the agent again"
                .into(),
        })
    }

    /// Below what is root's nothing is followed, no mount either: a person's own file system would
    /// hold the broker up.
    fn open_workspace(&self, agent: &AgentId, account: &Account) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let all = files::open_below(self.state.as_fd(), Path::new(WORKSPACES), flags)?;
        let own = Path::new(&account.uid.to_string()).join(agent.as_str());
        files::open_same_mount(all.as_fd(), &own, flags)
    }
}
