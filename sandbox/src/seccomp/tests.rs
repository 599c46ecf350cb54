//! The filter against an interpreter, against seccompiler, and against the kernel.

mod oracle;

use super::{NEWEST_KNOWN, Options, program};

const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
const NO_FAMILY: u32 = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT as u32;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NATIVE: u32 = 0xc000_003e;
const DEFAULT: Options = Options { debug: false };
const DEBUG: Options = Options { debug: true };

/// `(code, jt, jf, k)`.
type Plain = (u16, u8, u8, u32);

fn ours(options: Options) -> Vec<Plain> {
    program(&options)
        .iter()
        .map(|i| (i.code, i.jt, i.jf, i.k))
        .collect()
}

/// Runs a program over `struct seccomp_data`; fails on anything the kernel's checker would refuse.
fn run(program: &[Plain], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(arch.to_le_bytes());
    data.extend(0_u64.to_le_bytes());
    for argument in arguments {
        data.extend(argument.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let (code, jt, jf, k) = program[at];
        let offset = k as usize;
        let branch = |yes: bool| usize::from(if yes { jt } else { jf });
        at += 1;
        match code {
            0x20 => {
                accumulator = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
            }
            0x54 => accumulator &= k,
            0x05 => at += offset,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x45 => at += branch(accumulator & k != 0),
            0x06 => return k,
            _ => panic!("instruction {code:#x} at {at}"),
        }
    }
}

fn call(options: Options, number: libc::c_long, arguments: [u64; 6]) -> u32 {
    run(
        &ours(options),
        NATIVE,
        u32::try_from(number).unwrap(),
        arguments,
    )
}

#[test]
fn is_short() {
    for options in [DEFAULT, DEBUG] {
        let length = program(&options).len();
        assert!(length <= 160, "{length} instructions");
    }
}

#[test]
fn foreign_architectures_are_killed() {
    for arch in [0x4000_0003_u32, 0xc000_00b7, 0, u32::MAX] {
        assert_eq!(
            run(&ours(DEFAULT), arch, 0, [0; 6]),
            libc::SECCOMP_RET_KILL_PROCESS,
            "arch {arch:#x}"
        );
    }
}

#[test]
fn newer_and_x32_numbers_do_not_exist() {
    let program = ours(DEFAULT);
    for number in [
        NEWEST_KNOWN + 1,
        1000,
        0x4000_0000,
        0x4000_0000 | 101,
        0x8000_0000,
        u32::MAX,
    ] {
        assert_eq!(
            run(&program, NATIVE, number, [0; 6]),
            ENOSYS,
            "number {number:#x}"
        );
    }
    assert_eq!(run(&program, NATIVE, NEWEST_KNOWN, [0; 6]), ALLOW);
}

/// What the agent's tools need, whatever the arguments are.
#[test]
fn tools_are_left_alone() {
    let numbers = [
        libc::SYS_read,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_recvmsg,
        libc::SYS_accept4,
        libc::SYS_socketpair,
        libc::SYS_pidfd_open,
        libc::SYS_close_range,
        libc::SYS_landlock_restrict_self,
        libc::SYS_arch_prctl,
        libc::SYS_rseq,
        libc::SYS_membarrier,
        libc::SYS_name_to_handle_at,
        libc::SYS_inotify_init1,
        libc::SYS_mkdir,
        libc::SYS_faccessat2,
        libc::SYS_futex_waitv,
    ];
    for number in numbers {
        for argument in [0, 0o6777, u64::MAX] {
            assert_eq!(
                call(DEFAULT, number, [argument; 6]),
                ALLOW,
                "number {number}"
            );
        }
    }
}

#[test]
fn every_flag_of_a_new_namespace_is_refused() {
    let flags: [u64; 7] = [
        0x0002_0000, // NEWNS
        0x0200_0000, // NEWCGROUP
        0x0400_0000, // NEWUTS
        0x0800_0000, // NEWIPC
        0x1000_0000, // NEWUSER
        0x2000_0000, // NEWPID
        0x4000_0000, // NEWNET
    ];
    for flag in flags {
        assert_eq!(
            call(DEFAULT, libc::SYS_clone, [flag | 17, 0, 0, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            call(DEFAULT, libc::SYS_unshare, [flag, 0, 0, 0, 0, 0]),
            EPERM
        );
    }
    assert_eq!(
        call(DEFAULT, libc::SYS_unshare, [0x80, 0, 0, 0, 0, 0]),
        EPERM
    );
    // A thread of glibc, a vfork, and what unshare may still do.
    for flags in [0x003d_0f00, 0x4111, 17] {
        assert_eq!(
            call(DEFAULT, libc::SYS_clone, [flags, 0, 0, 0, 0, 0]),
            ALLOW
        );
    }
    assert_eq!(
        call(DEFAULT, libc::SYS_unshare, [0x400, 0, 0, 0, 0, 0]),
        ALLOW
    );
    assert_eq!(call(DEFAULT, libc::SYS_clone3, [0; 6]), ENOSYS);
}

/// CVE-2019-10063: the kernel ignores the upper half of these arguments, so must the filter.
#[test]
fn upper_halves_hide_nothing() {
    let upper = 0xffff_ffff_0000_0000_u64;
    for request in [0x5412, 0x541c, 0x5423] {
        assert_eq!(
            call(DEFAULT, libc::SYS_ioctl, [0, request, 0, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            call(DEFAULT, libc::SYS_ioctl, [0, upper | request, 0, 0, 0, 0]),
            EPERM
        );
    }
    assert_eq!(
        call(DEFAULT, libc::SYS_ioctl, [0, 0x5413, 0, 0, 0, 0]),
        ALLOW
    );
    for (command, verdict) in [(1024, EPERM), (upper | 1024, EPERM), (1025, ALLOW)] {
        let arguments = [3, command, 1, 0, 0, 0];
        assert_eq!(call(DEFAULT, libc::SYS_fcntl, arguments), verdict);
    }
    assert_eq!(
        call(DEFAULT, libc::SYS_socket, [upper | 40, 1, 0, 0, 0, 0]),
        NO_FAMILY
    );
    assert_eq!(
        call(DEFAULT, libc::SYS_prctl, [upper | 35, 0, 0, 0, 0, 0]),
        EPERM
    );
    assert_eq!(call(DEFAULT, libc::SYS_prctl, [15, 0, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn only_four_families_and_no_raw_sockets() {
    for family in 0..47_u64 {
        let expected = match family {
            1 | 2 | 10 | 16 => ALLOW,
            _ => NO_FAMILY,
        };
        let seen = call(DEFAULT, libc::SYS_socket, [family, 1, 0, 0, 0, 0]);
        assert_eq!(seen, expected, "family {family}");
    }
    for family in [2, 10] {
        for raw in [3, 10, 3 | 0o2_000_000, 3 | 0o4000, 10 | 0o2_004_000] {
            let seen = call(DEFAULT, libc::SYS_socket, [family, raw, 255, 0, 0, 0]);
            assert_eq!(seen, EPERM, "family {family} type {raw:#o}");
        }
        for plain in [1, 2, 1 | 0o2_004_000] {
            for protocol in 0..512 {
                let expected = match protocol {
                    0 | 1 | 6 | 17 | 58 | 262 => ALLOW,
                    _ => NO_FAMILY,
                };
                let seen = call(
                    DEFAULT,
                    libc::SYS_socket,
                    [family, plain, protocol, 0, 0, 0],
                );
                assert_eq!(seen, expected, "family {family} protocol {protocol}");
            }
        }
        for other in [0, 4, 5, 6, 7, 15] {
            let seen = call(DEFAULT, libc::SYS_socket, [family, other, 0, 0, 0, 0]);
            assert_eq!(seen, EPERM, "family {family} type {other}");
        }
    }
    for protocol in 1..24 {
        assert_eq!(
            call(DEFAULT, libc::SYS_socket, [16, 3, protocol, 0, 0, 0]),
            EPERM
        );
    }
    assert_eq!(call(DEFAULT, libc::SYS_socket, [16, 3, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn set_id_modes_are_refused_where_there_is_a_mode() {
    for bits in [0o4000_u64, 0o2000, 0o6000, 0o4755] {
        assert_eq!(call(DEFAULT, libc::SYS_chmod, [0, bits, 0, 0, 0, 0]), EPERM);
        assert_eq!(
            call(DEFAULT, libc::SYS_fchmod, [0, bits, 0, 0, 0, 0]),
            EPERM
        );
        assert_eq!(call(DEFAULT, libc::SYS_creat, [0, bits, 0, 0, 0, 0]), EPERM);
        assert_eq!(
            call(DEFAULT, libc::SYS_fchmodat, [0, 0, bits, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            call(DEFAULT, libc::SYS_fchmodat2, [0, 0, bits, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            call(DEFAULT, libc::SYS_mknod, [0, 0o100_000 | bits, 0, 0, 0, 0]),
            EPERM
        );
        assert_eq!(
            call(
                DEFAULT,
                libc::SYS_mknodat,
                [0, 0, 0o100_000 | bits, 0, 0, 0]
            ),
            EPERM
        );
        for making in [0o100_u64, 0o101, 0o20_200_001] {
            assert_eq!(
                call(DEFAULT, libc::SYS_open, [0, making, bits, 0, 0, 0]),
                EPERM
            );
            assert_eq!(
                call(DEFAULT, libc::SYS_openat, [0, 0, making, bits, 0, 0]),
                EPERM
            );
        }
        // Without O_CREAT the register holds whatever it held.
        for other in [0_u64, 2, 0o2_200_000] {
            assert_eq!(
                call(DEFAULT, libc::SYS_open, [0, other, bits, 0, 0, 0]),
                ALLOW
            );
            assert_eq!(
                call(DEFAULT, libc::SYS_openat, [0, 0, other, bits, 0, 0]),
                ALLOW
            );
        }
    }
    assert_eq!(
        call(DEFAULT, libc::SYS_chmod, [0, 0o1777, 0, 0, 0, 0]),
        ALLOW
    );
    assert_eq!(
        call(DEFAULT, libc::SYS_openat, [0, 0, 0o101, 0o666, 0, 0]),
        ALLOW
    );
    assert_eq!(call(DEFAULT, libc::SYS_openat2, [0; 6]), ENOSYS);
}

#[test]
fn the_hosts_huge_pages_are_its_own() {
    let upper = 0xffff_ffff_0000_0000_u64;
    for (flags, expected) in [
        (0x22, ALLOW),
        (0x4_0022, EPERM),
        (upper | 0x5404_0022, EPERM),
    ] {
        let map = [0, 1 << 21, 3, flags, u64::MAX, 0];
        assert_eq!(call(DEFAULT, libc::SYS_mmap, map), expected);
    }
    for (flags, expected) in [(0o1666, ALLOW), (0o5666, EPERM)] {
        let share = [7, 1 << 21, flags, 0, 0, 0];
        assert_eq!(call(DEFAULT, libc::SYS_shmget, share), expected);
    }
    for (flags, expected) in [(3, ALLOW), (4, EPERM), (7 | 21 << 26, EPERM), (8, ALLOW)] {
        let make = [0, flags, 0, 0, 0, 0];
        assert_eq!(call(DEFAULT, libc::SYS_memfd_create, make), expected);
    }
}

#[test]
fn device_nodes_are_refused() {
    for (kind, expected) in [
        (0o020_000, EPERM),
        (0o060_000, EPERM),
        (0o010_000, ALLOW),
        (0o100_000, ALLOW),
        (0o140_000, ALLOW),
        (0, ALLOW),
    ] {
        let mode = kind | 0o644;
        assert_eq!(
            call(DEFAULT, libc::SYS_mknod, [0, mode, 0, 0, 0, 0]),
            expected
        );
        assert_eq!(
            call(DEFAULT, libc::SYS_mknodat, [0, 0, mode, 0, 0, 0]),
            expected
        );
    }
}

#[test]
fn debugging_is_opt_in() {
    for number in [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
    ] {
        assert_eq!(call(DEFAULT, number, [0; 6]), EPERM);
        assert_eq!(call(DEBUG, number, [0; 6]), ALLOW);
    }
    let no_randomize = [0x004_0000, 0, 0, 0, 0, 0];
    assert_eq!(call(DEFAULT, libc::SYS_personality, no_randomize), EPERM);
    assert_eq!(call(DEBUG, libc::SYS_personality, no_randomize), ALLOW);
    for (persona, expected) in [
        (0, ALLOW),
        (0xffff_ffff, ALLOW),
        (0x040_0000, EPERM),
        (8, EPERM),
    ] {
        for options in [DEFAULT, DEBUG] {
            let seen = call(options, libc::SYS_personality, [persona, 0, 0, 0, 0, 0]);
            assert_eq!(seen, expected, "personality {persona:#x}");
        }
    }
    assert_eq!(call(DEBUG, libc::SYS_kcmp, [0; 6]), EPERM);
    assert_eq!(call(DEFAULT, libc::SYS_seccomp, [1, 8, 0, 0, 0, 0]), EPERM);
    assert_eq!(call(DEFAULT, libc::SYS_seccomp, [1, 1, 0, 0, 0, 0]), ALLOW);
}
