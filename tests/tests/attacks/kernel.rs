//! What kernels have learnt since the lists of other sandboxes were written, and calls that few of
//! them name: pidfds that hand out namespaces, handles without a right, huge pages, odd protocols.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign, case, python, q, sh, sys, then, write};
use crate::files::{open, told};
use crate::world::World;

/// All of it; the letters say which groups they are neighbours of.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = handles();
    cases.extend(protocols());
    cases.extend(pools());
    cases.extend(of_others());
    cases.extend(own_settings(world));
    cases
}

/// Namespaces, files and processes by other names than a path or a number.
fn handles() -> Vec<Case> {
    let apart = Control::Apart;
    let of_pid_one = |what: i32| {
        then(&[
            sys(libc::SYS_pidfd_open, "1 0"),
            sys(libc::SYS_ioctl, &format!("%0 {} 0", 0xff00 + what)),
        ])
    };
    let mut cases: Vec<_> = [
        (1, "cgroup"),
        (2, "ipc"),
        (3, "mount"),
        (4, "network"),
        (5, "pid"),
        (9, "user"),
        (10, "uts"),
    ]
    .into_iter()
    .map(|(number, name)| {
        case(
            &format!("D05i.{number}"),
            &format!("PID 1's {name} namespace from a pidfd"),
            of_pid_one(number),
            Sign::Success,
        )
        .control(apart)
    })
    .collect();
    let of_own = |file: &str, request: u64| {
        then(&[
            sys(libc::SYS_openat, &format!("-100 \"/proc/self/ns/{file} 0")),
            sys(libc::SYS_ioctl, &format!("%0 {request} @64")),
        ])
    };
    cases.extend([
        case(
            "D05n",
            "the owner of its network namespace: the host's user namespace",
            of_own("net", 0xb701),
            Sign::Success,
        ),
        case(
            "D05o",
            "the owner of its mount namespace",
            of_own("mnt", 0xb701),
            Sign::Success,
        ),
        case(
            "D05q",
            "the next mount namespace of the machine",
            of_own("mnt", 0x8010_b70b),
            Sign::Success,
        ),
        case(
            "D05r",
            "the mount namespace before",
            of_own("mnt", 0x8010_b70c),
            Sign::Success,
        ),
        case(
            "A23b",
            "a process by its handle, for which no right is needed",
            sys(
                libc::SYS_open_by_handle_at,
                "-10002 #08000000fe0000000100000000000000 0",
            ),
            Sign::Reached,
        ),
        case(
            "A23c",
            "a file by a handle that leads to an open one",
            then(&[
                open("/usr", libc::O_RDONLY),
                sys(
                    libc::SYS_open_by_handle_at,
                    "%0 #0800000001000000020000000000000000 02000000",
                ),
            ]),
            Sign::Reached,
        ),
    ]);
    cases
}

/// Protocols that hardly anybody uses: to ask for one makes the kernel load its code.
fn protocols() -> Vec<Case> {
    let mut cases: Vec<_> = [
        ("SCTP", 2, 1, 132),
        ("SCTP by its type", 2, 5, 0),
        ("SCTP of IPv6", 10, 1, 132),
        ("DCCP", 2, 6, 33),
        ("DCCP by its type", 2, 6, 0),
        ("UDP-Lite", 2, 2, 136),
        ("UDP-Lite of IPv6", 10, 2, 136),
        ("SMC as a protocol", 2, 1, 256),
        ("L2TP", 2, 2, 115),
        ("GRE", 2, 2, 47),
        ("ESP", 2, 1, 50),
        ("reliable datagrams", 2, 4, 0),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (name, family, kind, protocol))| {
        case(
            &format!("G03p.{number}"),
            &format!("a socket of {name}"),
            sys(libc::SYS_socket, &format!("{family} {kind} {protocol}")),
            Sign::Reached,
        )
    })
    .collect();
    // Answers that say "not allowed" or "no such family"; any other is the kernel's, which looked.
    // Late: a module was looked for each time, as outside (see E05).
    let every = "import socket, errno, time\nend = time.time() + 20\nfor f in (2, 10):\n for t in (1, 2, 4, 5, 6, 7):\n  for p in range(512):\n   \
                 if time.time() > end: print('and more'); break\n   \
                 if t in (1, 2) and p in (0, 1, 6, 17, 58, 262): continue\n   \
                 try: socket.socket(f, t, p); print(f, t, p, end=', ')\n   \
                 except OSError as e: e.errno in (errno.EPERM, errno.EAFNOSUPPORT) or print(f, t, p, e.errno, end=', ')\n";
    cases.push(case(
        "G03p",
        "any protocol of the Internet but the everyday ones",
        python(every),
        Sign::Look(told),
    ));
    cases
}

/// What the machine has one of, or set aside for others.
fn pools() -> Vec<Case> {
    vec![
        case(
            "K03",
            "pages of the host's pool of huge ones",
            sys(libc::SYS_mmap, "0 0x200000 3 0x40022 -1 0"),
            Sign::Reached,
        ),
        case(
            "K03b",
            "a file of them",
            sys(libc::SYS_memfd_create, "\"x 4"),
            Sign::Reached,
        ),
        case(
            "K03c",
            "shared memory of them",
            sys(libc::SYS_shmget, "0 0x200000 04600"),
            Sign::Reached,
        ),
        case(
            "K03d",
            "pages of one gigabyte by high bits",
            sys(
                libc::SYS_mmap,
                "0 0x40000000 3 0x1000000078040022 -1 0",
            ),
            Sign::Reached,
        ),
        case(
            "K21",
            "a timer that wakes the machine",
            sys(libc::SYS_timerfd_create, "9 0"),
            Sign::Success,
        ),
        case(
            "K21b",
            "one by the clock",
            sys(libc::SYS_timerfd_create, "8 0"),
            Sign::Success,
        ),
        case(
            "K20",
            "more files of a project than its quota allows, by another project's number",
            sh(
                "f=$(mktemp) && python3 -c \"import fcntl,struct,sys; f=open(sys.argv[1]); b=bytearray(28); fcntl.ioctl(f,0x801c581f,b); \
                 n=bytearray(b); n[12:16]=struct.pack('I',4711); fcntl.ioctl(f,0x401c5820,bytes(n)); fcntl.ioctl(f,0x801c581f,b); print('MOVED' if b[12:16]==n[12:16] else '')\" $f; rm -f $f",
            ),
            Sign::Look(|_, outcome| outcome.text().contains("MOVED").then(|| outcome.text())),
        )
        .control(Control::None(
            "few file systems keep project numbers; where they do, only the host's user namespace may change one",
        )),
    ]
}

/// Other processes, by the calls that nobody lists.
fn of_others() -> Vec<Case> {
    let apart = Control::Apart;
    let table = [
        (
            "D10n",
            "PID 1's niceness",
            sys(libc::SYS_setpriority, "0 1 19"),
        ),
        (
            "D10o",
            "its scheduling",
            sys(libc::SYS_sched_setscheduler, "1 3 #00000000"),
        ),
        (
            "D10p",
            "its scheduling by attributes",
            sys(
                libc::SYS_sched_setattr,
                &format!("1 #3000000003{} 0", "00".repeat(43)),
            ),
        ),
        (
            "D10q",
            "a queued signal to one thread of it",
            sys(
                libc::SYS_rt_tgsigqueueinfo,
                &format!("1 1 0 #0000000000000000ffffffff{}", "00".repeat(116)),
            ),
        ),
        (
            "D10r",
            "a signal to one thread of it",
            sys(libc::SYS_tkill, "1 0"),
        ),
        (
            "D10s",
            "its timer slack",
            sh("echo 1 >/proc/1/timerslack_ns"),
        ),
        (
            "D10t",
            "what of it is dumped",
            sh("echo 0 >/proc/1/coredump_filter"),
        ),
        ("D10u", "its name", sh("echo x >/proc/1/comm")),
        (
            "D10v",
            "which of its pages were used",
            sh("echo 1 >/proc/1/clear_refs"),
        ),
        ("D10w", "its stack", sh("cat /proc/1/stack")),
        ("D10x", "its system call", sh("cat /proc/1/syscall")),
        ("D10y", "its limits", sh("cat /proc/1/limits")),
        ("D10z", "its map of ids", sh("cat /proc/1/uid_map")),
    ];
    table
        .into_iter()
        .map(|(id, what, calls)| {
            let sign = if calls.starts_with("run") {
                Sign::Look(zero)
            } else {
                Sign::Success
            };
            case(id, what, calls, sign).control(apart)
        })
        .collect()
}

/// Of its own, where more than its own is meant.
fn own_settings(world: &World) -> Vec<Case> {
    let option = |level: i32, name: i32| {
        then(&[
            sys(libc::SYS_socket, "2 1 0"),
            sys(
                libc::SYS_setsockopt,
                &format!("%0 {level} {name} #01000000 4"),
            ),
        ])
    };
    let file = q(&world.ground.shown("file"));
    vec![
        case(
            "A04",
            "make a map of a read-only file writable",
            then(&[
                open(&world.ground.shown("file"), libc::O_RDONLY),
                sys(libc::SYS_mmap, "0 4096 1 1 %0 0"),
                sys(libc::SYS_mprotect, "%1 4096 3"),
            ]),
            Sign::Success,
        )
        .by(
            Control::Host,
            then(&[
                open(&world.ground.shown("file"), libc::O_RDWR),
                sys(libc::SYS_mmap, "0 4096 1 1 %0 0"),
                sys(libc::SYS_mprotect, "%1 4096 3"),
            ]),
        ),
        case(
            "A07g",
            "set an attribute by the newer call",
            sys(
                463,
                &format!(
                    "-100 {file} 0 \"user.y #{}01000000{} 16",
                    "00".repeat(8),
                    "00".repeat(4)
                ),
            ),
            Sign::Facts,
        )
        .control(Control::None("A07d is its control")),
        case(
            "A07h",
            "set flags of a file by the newer call",
            sys(
                469,
                &format!("-100 {file} #8000000000000000{} 24 0", "00".repeat(16)),
            ),
            Sign::Success,
        ),
        case(
            "A07i",
            "change its mode by the newer call",
            sys(libc::SYS_fchmodat2, &format!("-100 {file} 0600 0")),
            Sign::Success,
        ),
        case("G35k", "repair a connection", option(6, 19), Sign::Success),
        case("G35l", "poll a device", option(1, 69), Sign::Success),
        case("G35m", "debug a socket", option(1, 1), Sign::Success),
        case(
            "C09c",
            "be another in the audit's log",
            write("/proc/self/loginuid", Some("0")),
            Sign::Look(|_, outcome| {
                let path = format!("/proc/{}/loginuid", outcome.pid?);
                let told = std::fs::read_to_string(path).unwrap_or_default();
                (told.trim() == "0").then(|| "it is root".into())
            }),
        ),
        case(
            "C09g",
            "a sysctl of its own namespaces: how much may be shared",
            sh("echo 1 >/proc/sys/kernel/shmmni && echo 32000 >/proc/sys/kernel/sem"),
            Sign::Look(zero),
        )
        .control(Control::Apart),
        case(
            "C09h",
            "count of its terminals",
            sh("echo 4096 >/proc/sys/kernel/pty/max"),
            Sign::Look(zero),
        )
        .by(
            Control::Host,
            sh("cat /proc/sys/kernel/pty/max >/proc/sys/kernel/pty/max"),
        ),
        case(
            "C20",
            "names of wsm's sockets",
            sh("grep -a 'wsm\\|\\.sock' /proc/net/unix | grep -v planted"),
            Sign::Look(told),
        ),
        case(
            "L02",
            "hang up its terminal's session",
            then(&[
                sys(libc::SYS_openat, "-100 \"/dev/ptmx 0402"),
                sys(libc::SYS_ioctl, "%0 0x5437 0"),
            ]),
            Sign::Success,
        ),
    ]
}

fn zero(_: &World, outcome: &Outcome) -> Option<String> {
    (outcome.last() == 0).then(|| outcome.detail())
}
