//! Where the processes of one agent go.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::files::{io_error, open_writable};
use super::mounts::Version;
use super::{AgentCgroup, AgentDir, CgroupError, check_name};
use crate::launch::Leaf;
use crate::spec::LayerReport;

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
        let dirs = self.dirs.iter().flatten();
        let own = dirs.map(|agent| agent.procs_fd(&group));
        own.filter_map(Result::transpose).collect()
    }

    /// `cgroup.procs` of each group that the first process of the payload has to join. It was
    /// cloned into the v2 one.
    pub fn payload_procs_fds(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let dirs = self.dirs.iter().flatten();
        let v1 = dirs.filter(|agent| agent.version == Version::V1);
        let own = v1.map(|agent| agent.procs_fd("payload"));
        own.filter_map(Result::transpose).collect()
    }

    /// `cgroup.procs` of the shim's group, in each tree that has one.
    pub fn shim_procs_fds(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let dirs = self.dirs.iter().flatten();
        let own = dirs.filter(|agent| !agent.flat);
        let own = own.map(|agent| agent.procs_fd("shim"));
        own.filter_map(Result::transpose).collect()
    }

    /// The v2 directory of the agent's own processes, for `CLONE_INTO_CGROUP`; `None` without a v2 tree.
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
    /// Where a group of the usual form is here.
    pub(super) fn inner<'a>(&self, group: &'a str) -> &'a str {
        match group.strip_prefix("payload") {
            Some(below) if self.flat => match below.trim_start_matches('/') {
                "" => ".",
                below => below,
            },
            _ => group,
        }
    }

    /// `None` for a leaf that this v1 tree does not tell from the payload.
    fn procs_fd(&self, group: &str) -> Result<Option<OwnedFd>, CgroupError> {
        let path = format!("{}/cgroup.procs", self.inner(group));
        match open_writable(self.dir.as_fd(), &path) {
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
