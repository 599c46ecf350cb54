//! How deep each case is held: which rest on one layer alone, which need a newer kernel.

/// Layers that the test-only build can switch off, one at a time, and the cases that rest on each
/// alone: with it switched off they fail. All others are `x2`: they hold with any one layer switched
/// off. `make test-ablation` checks both.
pub(crate) const ONE_WALL: &[(&str, &[&str])] = &[
    ("user-namespace", &[]),
    ("root", &[]),
    ("read-only", &[]),
    ("nodev", &[]),
    ("pid-namespace", &[]),
    ("ipc-namespace", &[]),
    ("uts-namespace", &[]),
    ("cgroup-namespace", &[]),
    ("network-namespace", &[]),
    ("proc-masks", &[]),
    ("hidepid", &[]),
    ("git-pin", &[]),
    ("landlock", &[]),
    ("landlock-files", &[]),
    ("landlock-scopes", &[]),
    ("seccomp", &[]),
    ("capabilities", &[]),
    ("no-new-privs", &[]),
    ("limits", &[]),
    ("rlimits", &[]),
];

/// Whether a case holds with any one layer switched off.
pub(crate) fn twice(id: &str) -> bool {
    !ONE_WALL.iter().any(|(_, cases)| cases.contains(&id)) && newer(id).is_none()
}

/// Cases that an older kernel than named can't hold, as docs/SECURITY.md says.
const NEWER: &[(&str, &str)] = &[
    (
        "F01s",
        "Landlock ABI 9 (Linux 7.1) refuses socket files; don't show directories with sockets",
    ),
    (
        "F01t",
        "Landlock ABI 9 (Linux 7.1) refuses socket files; don't show directories with sockets",
    ),
    (
        "F02s",
        "Landlock ABI 9 (Linux 7.1) refuses socket files; don't show directories with sockets",
    ),
];

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
