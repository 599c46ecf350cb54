//! D: capabilities, privileges, identities.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::attacker::Outcome;
use crate::case::{Case, Sign, bytes, case, sh, sys, then};
use crate::facts;
use crate::world::World;

/// All of C and D.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = privileges();
    cases.extend(identities());
    cases
}

pub(crate) fn numbered(id: &str, number: usize) -> String {
    format!("{id}.{number}")
}

/// The last call succeeded.
pub(crate) fn worked(_: &World, outcome: &Outcome) -> Option<String> {
    (outcome.last() == 0).then(|| outcome.detail())
}

fn privileges() -> Vec<Case> {
    let header = bytes(&[0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0]);
    let admin = bytes(&[&[0, 0, 0x20, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0][..], &[0; 12]].concat());
    let all: Vec<String> = (0..41)
        .map(|number| sys(libc::SYS_prctl, &format!("23 {number}")))
        .collect();
    vec![
        case(
            "D01",
            "hold a capability",
            sys(libc::SYS_getpid, ""),
            Sign::Look(|_, outcome| {
                let facts = facts::process(outcome.pid?);
                let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
                let held = sets
                    .iter()
                    .find(|set| facts[**set].bytes().any(|digit| digit != b'0'));
                held.map(|set| format!("{set} {}", facts[*set]))
            }),
        ),
        case(
            "D01b",
            "be without no_new_privs",
            sys(libc::SYS_getpid, ""),
            Sign::Look(|_, outcome| {
                (facts::process(outcome.pid?)["NoNewPrivs"] != "1")
                    .then(|| "it may gain rights".into())
            }),
        ),
        case(
            "D01c",
            "be without a filter",
            sys(libc::SYS_getpid, ""),
            Sign::Look(|_, outcome| {
                (facts::process(outcome.pid?)["Seccomp"] != "2").then(|| "no filter".into())
            }),
        ),
        case(
            "D01d",
            "be without a filter in another thread",
            sh(
                "python3 -c 'import threading; threading.Thread(target=lambda: print(open(\"/proc/thread-self/status\").read())).start()'",
            ),
            Sign::Look(|_, outcome| {
                (!outcome.text().contains("Seccomp:\t2")).then(|| "no filter".into())
            }),
        ),
        case(
            "D02",
            "take a capability",
            sys(libc::SYS_capset, &format!("{header} {admin}")),
            Sign::Success,
        ),
        case(
            "D02b",
            "raise an ambient one",
            then(&[
                sys(libc::SYS_capset, &format!("{header} {admin}")),
                sys(libc::SYS_prctl, "47 2 21 0 0"),
            ]),
            Sign::Success,
        ),
        case(
            "D02c",
            "have one in the bounding set, known or not",
            then(&all),
            Sign::Look(|_, outcome| outcome.results.contains(&1).then(|| "one is there".into())),
        ),
        case(
            "D02e",
            "keep capabilities",
            then(&[sys(libc::SYS_prctl, "28 0x3f"), sys(libc::SYS_prctl, "27")]),
            Sign::Look(|_, outcome| {
                (outcome.results.first() == Some(&0)).then(|| "securebits were set".into())
            }),
        ),
        case(
            "D18",
            "have its memory read by the host's core helper",
            sys(libc::SYS_prlimit64, "0 4 0 !16"),
            Sign::Look(|_, outcome| {
                let said = outcome.said.first()?;
                let limit = u64::from_le_bytes(said.get(8..16)?.try_into().ok()?);
                (limit > 1).then(|| format!("a core limit of {limit}"))
            }),
        ),
        case(
            "D20",
            "learn who owns the host's files",
            sys(libc::SYS_newfstatat, "-100 \"/usr/bin/env !144 0"),
            Sign::Look(|_, outcome| {
                let uid = u32::from_le_bytes(outcome.said.first()?.get(28..32)?.try_into().ok()?);
                (uid == 0).then(|| "root's files are told as root's".into())
            }),
        ),
        case(
            "D21",
            "become root by su",
            sh("su -c id root </dev/null"),
            Sign::Look(|_, outcome| outcome.text().contains("uid=0").then(|| outcome.text())),
        ),
        case(
            "D22",
            "learn the host's name",
            sh("uname -n"),
            Sign::Look(|_, outcome| {
                let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
                (outcome.text().trim() == own.trim()).then_some(own)
            }),
        ),
    ]
}

fn identities() -> Vec<Case> {
    let table = [
        ("D09", "setuid(0)", sys(libc::SYS_setuid, "0")),
        (
            "D09b",
            "setresuid to another id of the range",
            sys(libc::SYS_setresuid, "12 12 12"),
        ),
        (
            "D09c",
            "setresuid to nobody",
            sys(libc::SYS_setresuid, "65534 65534 65534"),
        ),
        ("D09d", "setgid(0)", sys(libc::SYS_setgid, "0")),
        ("D09e", "setgroups", sys(libc::SYS_setgroups, "1 #05000000")),
        ("D09f", "setreuid", sys(libc::SYS_setreuid, "-1 12")),
        ("D09g", "setresgid", sys(libc::SYS_setresgid, "12 12 12")),
    ];
    let mut cases: Vec<_> = table
        .into_iter()
        .map(|(id, what, calls)| case(id, what, calls, Sign::Success))
        .collect();
    cases.push(case(
        "D09h",
        "setfsuid",
        sys(libc::SYS_setfsuid, "12"),
        Sign::Facts,
    ));
    cases.push(case(
        "D09i",
        "setfsgid and make a file of root's group",
        sys(libc::SYS_setfsgid, "12"),
        Sign::Facts,
    ));
    cases.push(case(
        "D09j",
        "give a file away",
        sh("f=$(mktemp); chown 12 $f && stat -c %u $f; rm $f"),
        Sign::Look(|_, outcome| {
            outcome
                .text()
                .lines()
                .any(|line| line == "12")
                .then(|| "it belongs to another".into())
        }),
    ));
    cases
}
