//! How deep each case is held: which rest on one layer alone, which need a newer kernel.

/// Layers that the test-only build can switch off, one at a time.
pub(crate) const LAYERS: [&str; 18] = [
    "user-namespace",
    "root",
    "read-only",
    "nodev",
    "pid-namespace",
    "ipc-namespace",
    "uts-namespace",
    "cgroup-namespace",
    "network-namespace",
    "landlock-files",
    "landlock-scopes",
    "seccomp",
    "capabilities",
    "no-new-privs",
    "limits",
    "rlimits",
    "proc-masks",
    "git-pin",
];

/// Cases that rest on one layer: with it switched off they fail, and with no other. All others
/// are `x2`: they hold with any one layer switched off. `make test-ablation` checks both.
pub(crate) const ONE_WALL: &[(&str, &str)] = &[];

/// Whether a case holds with any one layer switched off.
pub(crate) fn twice(id: &str) -> bool {
    !ONE_WALL.iter().any(|(case, _)| *case == id)
}

/// Cases that an older kernel than named can't hold, as docs/SECURITY.md says.
const NEWER: &[(&str, &str)] = &[];

/// What a newer kernel brings for a case that this one lets through.
pub(crate) fn newer(id: &str) -> Option<&'static str> {
    let found = NEWER.iter().find(|(case, _)| *case == id);
    found.map(|(_, what)| *what)
}

/// Why an attack does not work outside either: the kernel has no such call, no such family.
pub(crate) fn lacks(_id: &str, seen: &str) -> Option<&'static str> {
    ["ENOSYS", "EAFNOSUPPORT"]
        .iter()
        .any(|errno| seen.contains(errno))
        .then_some("this kernel was built without it")
}
