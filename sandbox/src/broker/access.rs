//! Who may ask for what, and what a Unix account may reach.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag};
use nix::unistd::{AccessFlags, Gid, Uid, faccessat, pipe2, setgroups, setresgid, setresuid};

use super::setup::Host;
use crate::fail::failure;
use crate::protocol::{Account, Failure, FailureKind, Request};
use crate::sys::{self, Fork};

/// A user at the other end of a connection, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Host {
    /// The daemon, or root, who could do everything anyway.
    pub(super) fn is_daemon(&self, peer: Peer) -> bool {
        peer.uid == self.config.daemon_uid || peer.uid == 0
    }

    /// Everybody may grant what is their own; all else is the daemon's.
    pub(super) fn may(&self, peer: Peer, request: &Request) -> Result<(), Failure> {
        match request {
            Request::Grant { .. } => Ok(()),
            // Not even the daemon: it could speak for egress, and see what agents send.
            Request::Egress { .. } if peer.uid == self.config.egress_uid || peer.uid == 0 => Ok(()),
            Request::Egress { .. } => Err(failure(
                FailureKind::Refused,
                "ask the broker",
                format!("uid {} is not that of wsm egress", peer.uid),
                "",
            )),
            _ if self.is_daemon(peer) => Ok(()),
            _ => Err(failure(
                FailureKind::Refused,
                "ask the broker",
                format!("uid {} may only grant directories", peer.uid),
                "use the `wsm` command, which asks the daemon",
            )),
        }
    }
}

/// One line of `/etc/passwd`, read without NSS: the broker loads no foreign code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passwd {
    pub(super) name: String,
    pub(super) home: String,
}

/// Looks a uid up in `/etc/passwd`.
pub(super) fn passwd(uid: u32) -> Option<Passwd> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd_in(&text, uid)
}

fn passwd_in(text: &str, uid: u32) -> Option<Passwd> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _, _, home, _] = fields.as_slice() else {
            return None;
        };
        let found = id.parse() == Ok(uid);
        found.then(|| Passwd {
            name: (*name).to_owned(),
            home: (*home).to_owned(),
        })
    })
}

fn groups_in(text: &str, name: &str) -> Vec<Gid> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, gid, members] = fields.as_slice() else {
                return None;
            };
            members
                .split(',')
                .any(|member| member == name)
                .then(|| gid.parse().ok())?
        })
        .map(Gid::from_raw)
        .collect()
}

/// Checks as the account itself that it may read, write and enter a directory.
pub(super) fn check_writable(account: &Account, dir: &OwnedFd) -> io::Result<bool> {
    let name = passwd(account.uid).map(|entry| entry.name);
    let groups = name.map_or_else(Vec::new, |name| {
        let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
        groups_in(&text, &name)
    });
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    let child = match sys::fork()? {
        Fork::Child => sys::exit_now(try_as(account, &groups, dir, &write)),
        Fork::Parent(child) => child,
    };
    drop(write);
    let mut answer = [0];
    let length = std::fs::File::from(read).read(&mut answer)?;
    nix::sys::wait::waitpid(child, None)?;
    Ok(length == 1 && answer == [b'y'])
}

fn try_as(account: &Account, groups: &[Gid], dir: &OwnedFd, answer: &OwnedFd) -> i32 {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let allowed = setgroups(groups)
        .and_then(|()| setresgid(gid, gid, gid))
        .and_then(|()| setresuid(uid, uid, uid))
        .and_then(|()| {
            let rights = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
            faccessat(dir.as_fd(), Path::new("."), rights, AtFlags::empty())
        });
    let word: &[u8] = if allowed.is_ok() { b"y" } else { b"n" };
    i32::from(nix::unistd::write(answer, word).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_plain_files() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\nbad:x\n";
        assert_eq!(
            passwd_in(passwd, 1000),
            Some(Passwd {
                name: "ann".into(),
                home: "/home/ann".into()
            })
        );
        assert_eq!(passwd_in(passwd, 1001), None);
        let groups = "root:x:0:\ndocker:x:998:bob,ann\nsudo:x:27:annabel\nbad\n";
        assert_eq!(groups_in(groups, "ann"), vec![Gid::from_raw(998)]);
    }
}
