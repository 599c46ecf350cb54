//! What this host can enforce: the broker's half of `wsm doctor`.
//!
//! Each check looks at the thing itself (makes a user namespace, maps a mount) rather than at a
//! version, where it can; judging what was found is pure.

mod judge;
mod look;

use std::os::fd::BorrowedFd;

use crate::protocol::HostCheck;

/// Looks at kernel, control groups, limits and git. `state` is the state directory, whose file
/// system will hold the workspaces.
#[must_use]
pub fn checks(state: BorrowedFd<'_>) -> Vec<HostCheck> {
    vec![
        judge::kernel(&look::line("/proc/sys/kernel/osrelease")),
        judge::landlock(crate::sys::landlock_abi(), look::landlock_errata()),
        judge::seccomp(&look::line("/proc/sys/kernel/seccomp/actions_avail")),
        judge::user_namespaces(
            &look::line("/proc/sys/user/max_user_namespaces"),
            look::make_user_namespace(),
        ),
        judge::control_groups(crate::cgroup::detect()),
        judge::idmapped_mounts(&look::file_system(state), look::idmap(state)),
        judge::free_space(look::free_bytes(state)),
        judge::core_pattern(&look::line("/proc/sys/kernel/core_pattern")),
        judge::open_files(look::open_files_hard()),
        judge::inotify(
            &look::line("/proc/sys/fs/inotify/max_user_watches"),
            &look::line("/proc/sys/fs/inotify/max_user_instances"),
        ),
        judge::uid_ranges(&look::text("/etc/subuid")),
        judge::git(look::git_version()),
        // Last: it leaves the network of whoever looks, a worker that ends with its answer.
        judge::egress(look::way_out()),
    ]
}
