//! How deep each case is held: which rest on one layer alone, which need a newer kernel.

use std::process::Command;
use std::sync::OnceLock;

use wsm_tests::cli;
use wsm_tests::instance::program;

use crate::report::Ending;

/// Layers that the test-only build can switch off, one at a time, and the cases that rest on each
/// alone: with it switched off they fail. All others are `x2`: they hold with any one layer switched
/// off. `make test-ablation` checks both.
pub(crate) const ONE_WALL: &[(&str, &[&str])] = &[
    ("user-namespace", &["C09c", "D05n", "D05o", "D20"]),
    ("root", &["A01b", "F01", "F01b", "F02", "F06", "H13"]),
    (
        "read-only",
        &["A07", "A07c", "A07d", "A07f", "A07h", "A07i"],
    ),
    ("nodev", &["A19"]),
    ("pid-namespace", &["D13", "F05b"]),
    ("ipc-namespace", &["F08", "F08b", "F08c", "F08d"]),
    ("uts-namespace", &["D22"]),
    ("cgroup-namespace", &["C19"]),
    (
        "network-namespace",
        &[
            "A11e", "C20", "F04", "G01", "G01b", "G01c", "G01d", "G02", "G02b", "G03", "G05",
            "G05b", "G05c", "G06", "G06b", "G06d", "G06e", "G06f", "G06g", "G06h", "G06i", "G06j",
            "G06k", "G07", "G07b", "G07c", "G25", "G26", "G27b", "G28", "G28b",
        ],
    ),
    ("proc-masks", &["C06", "C06.7", "C07.7", "C07.8"]),
    (
        "hidepid",
        &[
            "C01.1", "C01.3", "C01.4", "C01.6", "C02h", "C05", "C05b", "D10y", "D10z", "D16d",
            "H01c",
        ],
    ),
    ("git-pin", &["I07", "I07b", "I07c", "I07d"]),
    (
        "protected-names",
        &[
            "J02.0", "J02.1", "J02.2", "J02.3", "J02.4", "J02.5", "J02.6", "J03.7", "J03.8",
            "J03.9", "J03.10", "J03.11", "J03.12", "J03.13", "J05", "J05b", "J05c", "J05d", "J05e",
            "J05g", "J05h", "J05i", "J05j", "J05k",
        ],
    ),
    (
        "landlock",
        &[
            "A30", "A30b", "A30c", "A30d", "F05d", "F05e", "F05f", "F05g", "F05h", "F03p",
        ],
    ),
    ("landlock-files", &["A30", "A30b", "A30c", "A30d"]),
    (
        "landlock-scopes",
        &["F05d", "F05e", "F05f", "F05g", "F05h", "F03p"],
    ),
    (
        "seccomp",
        &[
            "A23b", "G03p", "G03p.0", "G03p.1", "G03p.2", "G03p.3", "G03p.4", "G03p.5", "G03p.6",
            "G03p.7", "G03p.8", "G03p.9", "G03p.10", "G03p.11", "K03", "K03b", "K03d", "A17",
            "A17b", "A17c", "A17d", "A17e", "A17f", "A17g", "A17h", "A17i", "D01c", "D01d",
            "D03b.0", "D03b.1", "D03b.2", "D03b.3", "D03b.4", "D03b.5", "D03b.6", "D03b.7",
            "D03c.4", "D03d.4", "D03u.4", "D05.7", "D05h", "D06n", "D07b", "D07g", "D07i", "D07j",
            "D07k", "D10b", "D10c", "D11", "D11b", "D13b", "E01", "E01b", "E01c", "E02", "E02b",
            "E02c", "E02d", "E02e", "E03", "E03b", "E03d", "E03e", "E03g", "E03k", "E03l", "E04h",
            "E04i", "E04j", "E04k", "E05", "E05.0q", "E05.0s", "E07.0", "E07.1", "E07.2", "E07.3",
            "E07.4", "E07.5", "E07.6", "E08", "E08b", "E08c", "E08d", "E09b", "E09c", "E09d",
            "E11", "E11b", "E12", "E12b", "E12c", "F17", "F17b",
        ],
    ),
    (
        "capabilities",
        &[
            "C06", "D01", "D02", "D02b", "D02c", "D02e", "D09", "D09b", "D09c", "D09d", "D09e",
            "D09f", "D09g", "D09h", "D09i", "D09j", "D10f", "D10h", "D10n", "J07.4",
        ],
    ),
    ("no-new-privs", &["A31", "D01b"]),
    ("limits", &["K01", "K01b", "K01c", "K02"]),
    ("rlimits", &["D18"]),
];

/// Whether a case holds with any one layer switched off.
pub(crate) fn twice(id: &str) -> bool {
    !ONE_WALL.iter().any(|(_, cases)| cases.contains(&id)) && newer(id).is_none()
}

/// Cases that a Landlock older than this ABI lets through, and what that means. What is planted is
/// one wall's mistake, so there the older kernel has no second one; ADR 7.
const NEWER: &[(u32, &[&str], &str)] = &[
    (
        9,
        &["F01s", "F01t", "F02s"],
        "Landlock ABI 9 (Linux 7.1) refuses socket files; don't show directories with sockets",
    ),
    (
        6,
        &["F05d", "F05e", "F05f", "F05g", "F05h", "F03p"],
        "scopes of Landlock ABI 6 (Linux 6.12) are the second wall; the namespaces are the first",
    ),
    (
        3,
        &["A30c"],
        "truncation is in Landlock from ABI 3 (Linux 6.2); read-only mounts are the first wall",
    ),
];

/// What a newer kernel brings for a case that this one lets through.
pub(crate) fn newer(id: &str) -> Option<&'static str> {
    let found = NEWER
        .iter()
        .find(|(abi, cases, _)| landlock_abi() < *abi && cases.contains(&id));
    found.map(|(_, _, what)| *what)
}

/// Landlock's ABI here, as `wsm doctor` tells it.
fn landlock_abi() -> u32 {
    static ABI: OnceLock<u32> = OnceLock::new();
    *ABI.get_or_init(|| {
        let mut doctor = Command::new(program("wsm"));
        doctor.args(["doctor", "--json"]);
        let told = cli::run(doctor, b"").json();
        let checks = told.as_array().expect("a list of checks").iter();
        let mut landlock = checks.filter(|check| check["name"] == "landlock");
        let found = landlock.next().and_then(|check| check["found"].as_str());
        let found = found.expect("doctor looks at Landlock");
        let abi = found.strip_prefix("ABI ").unwrap_or("0");
        let digits: String = abi.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("digits")
    })
}

/// Why an attack does not work outside either, and what that makes of the case.
pub(crate) fn lacks(id: &str, seen: &str) -> Option<(Ending, &'static str)> {
    let says = |words: &[&str]| words.iter().any(|word| seen.contains(word));
    if says(&[
        "ENOSYS",
        "EAFNOSUPPORT",
        "ENOTTY",
        "EOPNOTSUPP",
        "ENOPROTOOPT",
    ]) {
        Some((Ending::Needs, "this kernel was built without it"))
    } else if seen.starts_with("127 ") && says(&["not found"]) {
        Some((Ending::Inconclusive, "the program is not installed here"))
    } else if id == "C15" {
        Some((
            Ending::Inconclusive,
            "unified control groups have no release_agent",
        ))
    } else if ["D05q", "D05r"].contains(&id) && says(&["ENOENT"]) {
        Some((
            Ending::Inconclusive,
            "the control's is the newest or oldest one; the other of D05q and D05r is its control",
        ))
    } else {
        None
    }
}
