//! Maps of file owners that were made once: a user namespace that shows one account's files as those
//! of one range's agent. It holds nothing but these two numbers, so that the next agent of the
//! account whose range it is may use it too; making it takes as long as a tenth of a sandbox.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::lease::{self, Lease};
use crate::protocol::Account;
use crate::userns::Range;

/// Most that are kept: each is some kilobytes of the kernel's.
const MAPS_MAX: usize = 64;
/// Most that are tried for one agent, because they may be in use.
const TRIES_MAX: usize = 8;

/// The maps, the one that was used last at the end.
#[derive(Debug, Default)]
pub(super) struct FileMaps(VecDeque<FileMap>);

#[derive(Debug)]
struct FileMap {
    range: Range,
    owner: (u32, u32),
    namespace: OwnedFd,
}

impl FileMaps {
    /// Leases a range that has a map for this account already.
    pub(super) fn lease(&mut self, account: &Account) -> Option<(Lease, &OwnedFd)> {
        let owner = (account.uid, account.gid);
        let fits = |(at, map): (usize, &FileMap)| (map.owner == owner).then_some(at);
        let fitting: Vec<usize> = self.0.iter().enumerate().filter_map(fits).collect();
        let (at, lease) = fitting.into_iter().take(TRIES_MAX).find_map(|at| {
            let lease = lease::take_again(self.0[at].range).ok()??;
            Some((at, lease))
        })?;
        let map = self.0.remove(at)?;
        self.0.push_back(map);
        self.0.back().map(|map| (lease, &map.namespace))
    }

    /// Keeps one that a spawner made.
    pub(super) fn keep(&mut self, range: Range, account: &Account, namespace: OwnedFd) {
        let owner = (account.uid, account.gid);
        let known = |map: &FileMap| map.range == range && map.owner == owner;
        if self.0.iter().any(known) {
            return;
        }
        if self.0.len() >= MAPS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(FileMap {
            range,
            owner,
            namespace,
        });
    }
}
