//! D: namespaces, mounts, and other processes.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::case::{Case, Control, Sign, case, q, read, sh, sys, then};
use crate::rights::{numbered, worked};
use crate::world::World;

const FLAGS: [(&str, u64); 8] = [
    ("mount", 0x2_0000),
    ("cgroup", 0x200_0000),
    ("uts", 0x400_0000),
    ("ipc", 0x800_0000),
    ("user", 0x1000_0000),
    ("pid", 0x2000_0000),
    ("net", 0x4000_0000),
    ("time", 0x80),
];

/// The second half of D.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = namespaces();
    cases.extend(mounts());
    cases.extend(others(world));
    cases
}

/// Processes: of the sandbox, of the host, planted.
fn others(world: &World) -> Vec<Case> {
    let apart = Control::Apart;
    let prey = world.prey();
    let planted = world
        .planted
        .get()
        .and_then(crate::attacker::innermost_pid)
        .unwrap_or(0);
    let only = Control::Ablation;
    let table = [
        (
            "D10",
            "seize PID 1",
            sys(libc::SYS_ptrace, "0x4206 1 0 0"),
            Sign::Success,
            apart,
        ),
        (
            "D10b",
            "write its memory",
            sys(libc::SYS_process_vm_writev, "1 1 0 1 0 0"),
            Sign::Reached,
            apart,
        ),
        (
            "D10c",
            "read its memory",
            sys(libc::SYS_process_vm_readv, "1 1 0 1 0 0"),
            Sign::Reached,
            apart,
        ),
        (
            "D10d",
            "signal PID 1",
            sys(libc::SYS_kill, "1 0"),
            Sign::Success,
            apart,
        ),
        (
            "D10e",
            "by a pidfd",
            then(&[
                sys(libc::SYS_pidfd_open, "1 0"),
                sys(libc::SYS_pidfd_send_signal, "%0 0 0 0"),
            ]),
            Sign::Success,
            apart,
        ),
        (
            "D10f",
            "its limits",
            sys(libc::SYS_prlimit64, "1 7 0 !16"),
            Sign::Success,
            apart,
        ),
        (
            "D10h",
            "its affinity",
            sys(libc::SYS_sched_setaffinity, "1 8 #0300000000000000"),
            Sign::Success,
            apart,
        ),
        (
            "D10i",
            "its keys of I/O priority",
            sys(libc::SYS_ioprio_set, "1 1 0x4007"),
            Sign::Success,
            apart,
        ),
        (
            "D10j",
            "its futexes",
            sys(libc::SYS_get_robust_list, "1 @8 @8"),
            Sign::Success,
            apart,
        ),
        (
            "D10k",
            "move its pages",
            sys(libc::SYS_move_pages, "1 0 0 0 0 0"),
            Sign::Reached,
            apart,
        ),
        (
            "D10l",
            "migrate its pages",
            sys(libc::SYS_migrate_pages, "1 0 0 0"),
            Sign::Reached,
            apart,
        ),
        (
            "D10m",
            "advise its memory",
            then(&[
                sys(libc::SYS_pidfd_open, "1 0"),
                sys(libc::SYS_process_madvise, "%0 @16 0 20 0"),
            ]),
            Sign::Reached,
            apart,
        ),
        (
            "D11",
            "trace a child of its own",
            then(&["child".into(), sys(libc::SYS_ptrace, "0x4206 %0 0 0")]),
            Sign::Success,
            Control::Host,
        ),
        (
            "D11b",
            "be traced",
            sys(libc::SYS_ptrace, "0 0 0 0"),
            Sign::Success,
            Control::Host,
        ),
        (
            "D12",
            "trace a process of the host",
            sys(libc::SYS_ptrace, &format!("0x4206 {prey} 0 0")),
            Sign::Success,
            Control::Host,
        ),
        (
            "D13",
            "a pidfd of a process of the host",
            sys(libc::SYS_pidfd_open, &format!("{prey} 0")),
            Sign::Success,
            Control::Host,
        ),
        (
            "D13b",
            "take a descriptor by a pidfd",
            then(&[
                sys(libc::SYS_pidfd_open, "$pid 0"),
                sys(libc::SYS_pidfd_getfd, "%0 0 0"),
            ]),
            Sign::Reached,
            Control::Host,
        ),
        (
            "D13c",
            "from PID 1",
            then(&[
                sys(libc::SYS_pidfd_open, "1 0"),
                sys(libc::SYS_pidfd_getfd, "%0 0 0"),
            ]),
            Sign::Reached,
            apart,
        ),
        (
            "D16",
            "read the memory of a process of its uid outside the domain",
            sys(libc::SYS_openat, &format!("-100 \"/proc/{planted}/mem 0")),
            Sign::Success,
            only,
        ),
        (
            "D16b",
            "its environment",
            read(&format!("/proc/{planted}/environ")),
            Sign::Facts,
            only,
        ),
        (
            "D16c",
            "its root",
            read(&format!("/proc/{planted}/root/extra/secret")),
            Sign::Success,
            only,
        ),
        (
            "D16d",
            "its descriptors",
            sh(&format!("ls /proc/{planted}/fd | grep .")),
            Sign::Look(worked),
            only,
        ),
        (
            "F05b",
            "learn that it exists",
            sys(libc::SYS_kill, &format!("{prey} 0")),
            Sign::Exists,
            Control::Host,
        ),
        (
            "F05d",
            "kill a process of its uid outside the domain",
            sys(libc::SYS_kill, &format!("{planted} 0")),
            Sign::Success,
            only,
        ),
        (
            "F05e",
            "by tgkill",
            sys(libc::SYS_tgkill, &format!("{planted} {planted} 0")),
            Sign::Success,
            only,
        ),
        (
            "F05f",
            "by a pidfd",
            then(&[
                sys(libc::SYS_pidfd_open, &format!("{planted} 0")),
                sys(libc::SYS_pidfd_send_signal, "%0 0 0 0"),
            ]),
            Sign::Success,
            only,
        ),
        (
            "F05g",
            "by a queued signal",
            sys(
                libc::SYS_rt_sigqueueinfo,
                &format!("{planted} 0 #0000000000000000ffffffff{}", "00".repeat(116)),
            ),
            Sign::Success,
            only,
        ),
        (
            "F05h",
            "by a descriptor's owner",
            sh(&format!(
                "python3 -c \"import fcntl,os; r,w=os.pipe(); fcntl.fcntl(r,8,{planted}); fcntl.fcntl(r,10,9); fcntl.fcntl(r,4,0x2000); os.write(w,b'x')\""
            )),
            Sign::Facts,
            only,
        ),
        (
            "F05",
            "kill a process of the host",
            sys(libc::SYS_kill, &format!("{prey} 9")),
            Sign::Facts,
            Control::Host,
        ),
    ];
    table
        .into_iter()
        .map(|(id, what, calls, sign, control)| case(id, what, calls, sign).control(control))
        .collect()
}

fn namespaces() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (name, flag)) in FLAGS.iter().enumerate() {
        let what = |call: &str| format!("{call} a {name} namespace");
        let unshare = sys(libc::SYS_unshare, &format!("{flag}"));
        cases.push(case(
            &numbered("D03u", number),
            &what("unshare"),
            unshare,
            Sign::Success,
        ));
        // Together with a user namespace nobody needs a right for it.
        let both = sys(libc::SYS_unshare, &format!("{}", flag | 0x1000_0000));
        cases.push(case(
            &numbered("D03b", number),
            &what("with a user namespace, unshare"),
            both,
            Sign::Success,
        ));
        if *name != "time" {
            cases.push(case(
                &numbered("D03c", number),
                &what("clone into"),
                format!("clone {flag}"),
                Sign::Success,
            ));
        }
        cases.push(case(
            &numbered("D03d", number),
            &what("clone3 into"),
            format!("clone3 {flag}"),
            Sign::Success,
        ));
    }
    for (number, name) in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "time", "user"]
        .iter()
        .enumerate()
    {
        let own = then(&[
            sys(libc::SYS_openat, &format!("-100 \"/proc/self/ns/{name} 0")),
            sys(libc::SYS_setns, "%0 0"),
        ]);
        cases.push(case(
            &numbered("D05", number),
            &format!("enter a {name} namespace"),
            own,
            Sign::Reached,
        ));
    }
    cases.extend([
        case(
            "D05p",
            "enter PID 1's namespaces by a pidfd",
            then(&[
                sys(libc::SYS_pidfd_open, "1 0"),
                sys(libc::SYS_setns, "%0 0x20000"),
            ]),
            Sign::Reached,
        )
        .control(Control::Apart),
        case(
            "D05h",
            "unshare by high bits",
            sys(libc::SYS_unshare, "0x110000000"),
            Sign::Reached,
        ),
        case(
            "D05x",
            "the program unshare",
            sh("unshare -Urm id"),
            Sign::Look(|_, outcome| outcome.text().contains("uid=0").then(|| outcome.text())),
        ),
        case(
            "D05y",
            "the program bwrap or nsenter",
            sh("nsenter -t $$ -n true"),
            Sign::Look(worked),
        ),
    ]);
    cases
}

fn mounts() -> Vec<Case> {
    let mount = |kind: &str, flags: u64| {
        sys(
            libc::SYS_mount,
            &format!("\"none \"/tmp {} {flags} 0", q(kind)),
        )
    };
    let table = [
        ("D06", "mount tmpfs", mount("tmpfs", 0)),
        ("D06b", "mount proc", mount("proc", 0)),
        ("D06c", "mount sysfs", mount("sysfs", 0)),
        ("D06d", "mount cgroup2", mount("cgroup2", 0)),
        (
            "D06e",
            "mount a v1 control group",
            sys(
                libc::SYS_mount,
                "\"none \"/tmp \"cgroup 0 \"no-such-controller",
            ),
        ),
        ("D06f", "mount devpts", mount("devpts", 0)),
        ("D06g", "mount mqueue", mount("mqueue", 0)),
        (
            "D06h",
            "bind / over /tmp",
            sys(libc::SYS_mount, "\"/ \"/tmp 0 0x5000 0"),
        ),
        (
            "D06i",
            "make / writable",
            sys(libc::SYS_mount, "0 \"/usr 0 0x1020 0"),
        ),
        (
            "D06j",
            "share the mounts",
            sys(libc::SYS_mount, "0 \"/ 0 0x104000 0"),
        ),
        ("D06k", "unmount /tmp", sys(libc::SYS_umount2, "\"/ 2")),
        ("D06l", "pivot", sys(libc::SYS_pivot_root, "1 1")),
        ("D06m", "chroot", sys(libc::SYS_chroot, "\"/usr")),
        (
            "D06n",
            "mount by the kernel's address",
            sys(libc::SYS_mount, "1 1 1 0 1"),
        ),
        ("D07", "fsopen", sys(libc::SYS_fsopen, "\"tmpfs 0")),
        ("D07b", "fsconfig", sys(libc::SYS_fsconfig, "-1 6 0 0 0")),
        ("D07c", "fsmount", sys(libc::SYS_fsmount, "-1 0 0")),
        ("D07d", "fspick", sys(libc::SYS_fspick, "-100 \"/tmp 0")),
        (
            "D07e",
            "open_tree",
            sys(libc::SYS_open_tree, "-100 \"/usr 1"),
        ),
        (
            "D07f",
            "move_mount",
            sys(libc::SYS_move_mount, "-1 1 -1 1 0"),
        ),
        (
            "D07g",
            "mount_setattr",
            sys(libc::SYS_mount_setattr, "-1 1 0 1 0"),
        ),
        ("D07h", "open_tree_attr", sys(467, "-100 1 1 1 0")),
        ("D07i", "statmount", sys(457, "1 1 0 0")),
        ("D07j", "listmount", sys(458, "1 1 0 0")),
        (
            "D07k",
            "quotactl",
            sys(libc::SYS_quotactl, "0x800001 1 0 1"),
        ),
        ("D07l", "swap", sys(libc::SYS_swapon, "1 0")),
        ("D07m", "swap off", sys(libc::SYS_swapoff, "1")),
        ("D07n", "account processes", sys(libc::SYS_acct, "1")),
    ];
    let mut cases: Vec<_> = table
        .into_iter()
        .map(|(id, what, calls)| case(id, what, calls, Sign::Reached))
        .collect();
    cases.push(case(
        "D06x",
        "the program mount",
        sh("mount -t tmpfs none /tmp"),
        Sign::Look(worked),
    ));
    cases.push(case(
        "D06y",
        "fusermount",
        sh("fusermount3 -u /tmp || mount --bind /usr /tmp"),
        Sign::Look(worked),
    ));
    cases
}
