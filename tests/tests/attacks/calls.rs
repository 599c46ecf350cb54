//! E: system calls that no agent needs.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::case::{Case, Control, Sign, case, python, sys, then};
use crate::world::World;

/// All of E.
pub(crate) fn cases(_world: &World) -> Vec<Case> {
    let mut cases = reached();
    cases.extend(sockets());
    cases.extend(numbers());
    cases.extend(bounded());
    cases
}

/// Calls in a form that does no harm where they are let through.
fn reached() -> Vec<Case> {
    let table = [
        (
            "E01",
            "io_uring_setup",
            sys(libc::SYS_io_uring_setup, "4 @120"),
        ),
        (
            "E01b",
            "io_uring_enter",
            sys(libc::SYS_io_uring_enter, "-1 0 0 0 0 0"),
        ),
        (
            "E01c",
            "io_uring_register",
            sys(libc::SYS_io_uring_register, "-1 0 0 0"),
        ),
        ("E02", "keyctl", sys(libc::SYS_keyctl, "0 -3 1")),
        (
            "E02b",
            "add_key",
            sys(libc::SYS_add_key, "\"user \"x \"y 1 -2"),
        ),
        (
            "E02c",
            "request_key",
            sys(libc::SYS_request_key, "1 1 0 -3"),
        ),
        (
            "E02d",
            "keep a key for its user",
            sys(libc::SYS_keyctl, "0 -4 1"),
        ),
        ("E02e", "join another session", sys(libc::SYS_keyctl, "1 0")),
        ("E03", "bpf", sys(libc::SYS_bpf, "0 1 8")),
        (
            "E03b",
            "perf_event_open",
            sys(libc::SYS_perf_event_open, "1 0 -1 -1 0"),
        ),
        ("E03c", "userfaultfd", sys(libc::SYS_userfaultfd, "0")),
        ("E03d", "kcmp", sys(libc::SYS_kcmp, "$pid $pid 0 0 1")),
        ("E03e", "modify_ldt", sys(libc::SYS_modify_ldt, "0 @64 64")),
        ("E03f", "fanotify_init", sys(libc::SYS_fanotify_init, "0 0")),
        (
            "E03g",
            "quotactl_fd",
            sys(libc::SYS_quotactl_fd, "-1 0x800002 0 0"),
        ),
        (
            "E03h",
            "lookup_dcookie",
            sys(libc::SYS_lookup_dcookie, "0 1 1"),
        ),
        ("E03i", "uselib", sys(libc::SYS_uselib, "1")),
        ("E03j", "nfsservctl", sys(libc::SYS_nfsservctl, "0 1 1")),
        ("E03k", "clone3", sys(libc::SYS_clone3, "1 0")),
        ("E03l", "openat2", sys(libc::SYS_openat2, "-100 1 1 24")),
        ("E04", "init_module", sys(libc::SYS_init_module, "1 1 1")),
        (
            "E04b",
            "finit_module",
            sys(libc::SYS_finit_module, "-1 1 0"),
        ),
        ("E04c", "delete_module", sys(libc::SYS_delete_module, "1 0")),
        (
            "E04d",
            "kexec_load",
            sys(libc::SYS_kexec_load, "0 0x10 1 0"),
        ),
        (
            "E04e",
            "kexec_file_load",
            sys(libc::SYS_kexec_file_load, "-1 -1 0 1 0"),
        ),
        ("E04f", "reboot", sys(libc::SYS_reboot, "1 2 3 0")),
        (
            "E04g",
            "read the kernel's log",
            sys(libc::SYS_syslog, "3 ?100 100"),
        ),
        (
            "E04h",
            "set the clock",
            sys(
                libc::SYS_clock_settime,
                "0 #0000000000000000ffffffffffffffff",
            ),
        ),
        (
            "E04i",
            "set the time of day",
            sys(
                libc::SYS_settimeofday,
                "#0000000000000000ffffffffffffffff 0",
            ),
        ),
        ("E04j", "adjust the clock", sys(libc::SYS_adjtimex, "1")),
        (
            "E04k",
            "adjust a clock",
            sys(libc::SYS_clock_adjtime, "0 1"),
        ),
        (
            "E04l",
            "set the host name",
            sys(libc::SYS_sethostname, "\"attacked 8"),
        ),
        (
            "E04m",
            "set the domain name",
            sys(libc::SYS_setdomainname, "\"attacked 8"),
        ),
        ("E04n", "iopl", sys(libc::SYS_iopl, "4")),
        ("E04o", "ioperm", sys(libc::SYS_ioperm, "0x10000 1 1")),
        ("E04p", "vhangup", sys(libc::SYS_vhangup, "")),
        (
            "E08",
            "push input into a terminal",
            sys(libc::SYS_ioctl, "-1 0x5412 1"),
        ),
        (
            "E08b",
            "the same with high bits",
            sys(libc::SYS_ioctl, "-1 0x100005412 1"),
        ),
        ("E08c", "TIOCLINUX", sys(libc::SYS_ioctl, "-1 0x541c 1")),
        (
            "E08d",
            "a line discipline",
            sys(libc::SYS_ioctl, "-1 0x5423 1"),
        ),
        (
            "E11",
            "listen to the calls of others",
            sys(libc::SYS_seccomp, "1 8 1"),
        ),
        (
            "E11b",
            "replace its own memory map",
            sys(libc::SYS_prctl, "35 14 1 24 0"),
        ),
        (
            "E12",
            "personality without random addresses",
            sys(libc::SYS_personality, "0x40000"),
        ),
        (
            "E12b",
            "personality that executes data",
            sys(libc::SYS_personality, "0x400000"),
        ),
        (
            "E12c",
            "personality of 32 bits",
            sys(libc::SYS_personality, "0x8"),
        ),
    ];
    table
        .into_iter()
        .map(|(id, what, calls)| case(id, what, calls, Sign::Reached))
        .collect()
}

const FAMILIES: [(&str, i32); 12] = [
    ("VSOCK", 40),
    ("PACKET", 17),
    ("ALG", 38),
    ("BLUETOOTH", 31),
    ("KCM", 41),
    ("XDP", 44),
    ("RDS", 21),
    ("TIPC", 30),
    ("CAN", 29),
    ("SMC", 43),
    ("QIPCRTR", 42),
    ("KEY", 15),
];
const NETLINK: [(&str, i32); 9] = [
    ("SOCK_DIAG", 4),
    ("XFRM", 6),
    ("AUDIT", 9),
    ("CONNECTOR", 11),
    ("NETFILTER", 12),
    ("KOBJECT_UEVENT", 15),
    ("GENERIC", 16),
    ("SCSITRANSPORT", 18),
    ("CRYPTO", 21),
];

fn sockets() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (name, family)) in FAMILIES.iter().enumerate() {
        for (letter, kind) in [("s", 1), ("d", 2), ("r", 3), ("q", 5)] {
            let call = sys(libc::SYS_socket, &format!("{family} {kind} 0"));
            if exists(*family, kind, 0) {
                cases.push(case(
                    &format!("E05.{number}{letter}"),
                    &format!("a socket of {name}"),
                    call,
                    Sign::Descriptor,
                ));
            }
        }
    }
    for (number, (name, protocol)) in NETLINK.iter().enumerate() {
        if exists(16, 3, *protocol) {
            let call = sys(libc::SYS_socket, &format!("16 3 {protocol}"));
            cases.push(case(
                &format!("E07.{number}"),
                &format!("netlink of {name}"),
                call,
                Sign::Descriptor,
            ));
        }
    }
    // Outside, root's kernel looks for a module each time, which takes minutes on a slow machine. Inside
    // the filter answers at once: whoever is late there reached the kernel, and is told as such.
    let every = "import socket, time\nend = time.time() + 20\nfor f in range(64):\n for t in (1, 2, 3, 4, 5, 6, 10):\n  \
                 if time.time() > end: print('and more'); break\n  for p in (0, 1, 3, 17, 255):\n   \
                 if f == 1 or f in (2, 10) and t not in (3, 10): continue\n   if f == 16 and p == 0: continue\n   \
                 try: socket.socket(f, t, p); print(f, t, p, end=', ')\n   except OSError: pass\n";
    cases.extend([
        case(
            "E05",
            "a socket of any other family or kind",
            python(every),
            Sign::Look(|_, outcome| {
                let text = outcome.text();
                (!text.trim().is_empty()).then_some(text)
            }),
        ),
        case(
            "E05r",
            "a raw socket",
            sys(libc::SYS_socket, "2 3 1"),
            Sign::Descriptor,
        ),
        case(
            "E05t",
            "a raw socket of IPv6",
            sys(libc::SYS_socket, "10 3 58"),
            Sign::Descriptor,
        ),
        case(
            "E05u",
            "a raw socket by high bits",
            sys(libc::SYS_socket, "0x100000002 0x80003 255"),
            Sign::Descriptor,
        ),
        case(
            "E05v",
            "the old packet socket",
            sys(libc::SYS_socket, "2 10 768"),
            Sign::Descriptor,
        ),
    ]);
    cases
}

/// Whether this kernel has it, as root sees it; what it has not can't be attacked here.
fn exists(family: i32, kind: i32, protocol: i32) -> bool {
    let mut python = std::process::Command::new("python3");
    python.args([
        "-c",
        &format!("import socket; socket.socket({family}, {kind}, {protocol})"),
    ]);
    wsm_tests::cli::run(python, b"").code == 0
}

fn numbers() -> Vec<Case> {
    vec![
        case(
            "E09",
            "the x32 numbers",
            "sweep 0x40000000 0x40000250",
            Sign::MoreThan(0),
        )
        .control(Control::None(
            "few kernels are built with x32; where one is, the filter answers first",
        )),
        case(
            "E09b",
            "getpid of 32-bit programs",
            "int80 20",
            Sign::Success,
        ),
        case(
            "E09c",
            "mount of 32-bit programs",
            "int80 21 0 0 0 0",
            Sign::Reached,
        ),
        case(
            "E09d",
            "socketcall of 32-bit programs",
            "int80 102 1 0",
            Sign::Reached,
        ),
        case(
            "E10",
            "numbers newer than the build",
            "sweep 470 1200",
            Sign::MoreThan(0),
        )
        .control(Control::None(
            "this kernel has none of them; the filter is there for the next one",
        )),
    ]
}

/// What is not refused but bounded.
fn bounded() -> Vec<Case> {
    vec![
        case(
            "E14",
            "real-time scheduling",
            sys(libc::SYS_sched_setscheduler, "0 1 #01000000"),
            Sign::Success,
        ),
        case(
            "E14b",
            "round robin",
            sys(libc::SYS_sched_setscheduler, "0 2 #01000000"),
            Sign::Success,
        ),
        case(
            "E14c",
            "deadlines",
            sys(
                libc::SYS_sched_setattr,
                "0 #30000000060000000000000000000000000000000000000040420f000000000080841e000000000080841e0000000000 0",
            ),
            Sign::Success,
        ),
        case(
            "E14d",
            "a better niceness",
            sys(libc::SYS_setpriority, "0 0 -20"),
            Sign::Success,
        ),
        case(
            "E14e",
            "real-time input and output",
            sys(libc::SYS_ioprio_set, "1 0 0x2000"),
            Sign::Success,
        ),
        case(
            "E14f",
            "lock 64 MiB",
            sys(libc::SYS_mmap, "0 0x4000000 3 0x2022 -1 0"),
            Sign::Success,
        ),
        case(
            "E14g",
            "lock shared memory",
            then(&[
                sys(libc::SYS_shmget, "0 0x1000000 0700"),
                sys(libc::SYS_shmctl, "%0 11 0"),
            ]),
            Sign::Success,
        )
        .control(Control::Apart),
    ]
}
