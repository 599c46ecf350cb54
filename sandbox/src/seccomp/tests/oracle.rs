//! The filter against the same list, compiled by seccompiler.

use std::collections::BTreeMap;
use std::convert::TryInto;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::super::NEWEST_KNOWN;
use super::{ALLOW, DEFAULT, NATIVE, Plain, ours, run};

/// The list once more, written down independently, compiled by seccompiler.
fn oracle(action: libc::c_int, rules: Vec<(libc::c_long, Vec<SeccompRule>)>) -> Vec<Plain> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(action.cast_unsigned()),
        TargetArch::x86_64,
    );
    let compiled: BpfProgram = filter.unwrap().try_into().unwrap();
    compiled.iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect()
}

fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> SeccompRule {
    let condition =
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).unwrap();
    SeccompRule::new(vec![condition]).unwrap()
}

fn eperm_oracle() -> Vec<Plain> {
    let always = [
        101, 103, 134, 153, 154, 155, 156, 159, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171,
        172, 173, 174, 175, 176, 177, 178, 179, 180, 212, 227, 246, 248, 249, 250, 256, 279, 298,
        300, 304, 305, 308, 310, 311, 312, 313, 320, 321, 438, 443,
    ];
    let mut rules: Vec<(libc::c_long, Vec<SeccompRule>)> =
        always.into_iter().map(|number| (number, vec![])).collect();
    let any_of = |argument: u8, mask: u64| -> Vec<SeccompRule> {
        (0..32)
            .filter(|bit| mask & (1 << bit) != 0)
            .map(|bit| when(argument, SeccompCmpOp::MaskedEq(1 << bit), 1 << bit))
            .collect()
    };
    rules.push((libc::SYS_clone, any_of(0, 0x7e02_0000)));
    rules.push((libc::SYS_unshare, any_of(0, 0x7e02_0080)));
    rules.push((libc::SYS_chmod, any_of(1, 0o6000)));
    rules.push((libc::SYS_fchmod, any_of(1, 0o6000)));
    rules.push((libc::SYS_creat, any_of(1, 0o6000)));
    rules.push((libc::SYS_fchmodat, any_of(2, 0o6000)));
    rules.push((libc::SYS_fchmodat2, any_of(2, 0o6000)));
    rules.push((libc::SYS_seccomp, any_of(1, 8)));
    rules.push((libc::SYS_mmap, any_of(3, 0x4_0000)));
    rules.push((libc::SYS_shmget, any_of(2, 0o4000)));
    rules.push((libc::SYS_memfd_create, any_of(1, 4)));
    rules.push((libc::SYS_prctl, vec![when(0, SeccompCmpOp::Eq, 35)]));
    let requests = [0x5412, 0x541c, 0x5423].map(|r| when(1, SeccompCmpOp::Eq, r));
    rules.push((libc::SYS_ioctl, requests.to_vec()));
    rules.push((libc::SYS_fcntl, vec![when(1, SeccompCmpOp::Eq, 1024)]));
    let devices = |argument| {
        let mut rules = any_of(argument, 0o6000);
        rules.extend(
            [0o020_000, 0o060_000].map(|t| when(argument, SeccompCmpOp::MaskedEq(0o170_000), t)),
        );
        rules
    };
    rules.push((libc::SYS_mknod, devices(1)));
    rules.push((libc::SYS_mknodat, devices(2)));
    oracle(libc::EPERM, rules)
}

#[test]
fn agrees_with_seccompiler() {
    let enosys = [
        323, 425, 426, 427, 428, 429, 430, 431, 432, 433, 435, 437, 442, 457, 458, 467,
    ];
    let enosys = oracle(
        libc::ENOSYS,
        enosys.into_iter().map(|n| (n, vec![])).collect(),
    );
    let (ours, eperm) = (ours(DEFAULT), eperm_oracle());
    // These answer with several errno values or need two arguments; tested above.
    let inexpressible = [
        libc::SYS_socket,
        libc::SYS_personality,
        libc::SYS_open,
        libc::SYS_openat,
    ];
    let values = [
        0,
        1,
        2,
        8,
        16,
        17,
        35,
        0x80,
        0o644,
        0o2755,
        0o4755,
        1024,
        0o20_000,
        0o60_777,
        0o100_644,
        0o140_000,
        4,
        0o4000,
        0x4_0022,
        0x5412,
        0x5423,
        0x1000_0011,
        0x4000_0000,
        0xffff_ffff_0000_0000,
        u64::MAX,
    ];
    for number in 0..=NEWEST_KNOWN {
        if inexpressible.contains(&libc::c_long::from(number)) {
            continue;
        }
        for first in values {
            for second in values {
                let arguments = [first, second, second, first, 0, 0];
                let expected = match run(&enosys, NATIVE, number, arguments) {
                    ALLOW => run(&eperm, NATIVE, number, arguments),
                    other => other,
                };
                let seen = run(&ours, NATIVE, number, arguments);
                assert_eq!(seen, expected, "number {number} arguments {arguments:x?}");
            }
        }
    }
}
