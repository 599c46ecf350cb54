//! C: /proc, /sys and /dev. D: namespaces, capabilities, privileges.

use std::path::Path;

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign, bytes, case, python, q, read, sh, sys, then, write};
use crate::facts;
use crate::files::told;
use crate::world::World;

/// All of C and D.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = pid_one();
    cases.extend(settings());
    cases.extend(of_the_machine());
    cases.extend(own_files(world));
    cases.extend(devices());
    cases.extend(privileges(world));
    cases.extend(namespaces());
    cases.extend(mounts());
    cases.extend(identities());
    cases.extend(others(world));
    cases
}

fn numbered(id: &str, number: usize) -> String {
    format!("{id}.{number}")
}

/// PID 1 of the sandbox, and whoever of wsm is next to it.
fn pid_one() -> Vec<Case> {
    let apart = Control::Apart;
    let mut cases: Vec<_> = ["environ", "cmdline", "maps", "stat", "status", "auxv", "mountinfo"]
        .into_iter()
        .enumerate()
        .map(|(number, file)| {
            let what = format!("read /proc/1/{file}");
            case(&numbered("C01", number), &what, read(&format!("/proc/1/{file}")), Sign::Success).control(apart)
        })
        .collect();
    cases.extend([
        case("C02", "look into PID 1's root", sh("ls /proc/1/root/"), Sign::Look(worked)).control(apart),
        case("C02b", "its working directory", sh("ls /proc/1/cwd/"), Sign::Look(worked)).control(apart),
        case("C02c", "its descriptors", sh("ls /proc/1/fd"), Sign::Look(worked)).control(apart),
        case("C02d", "follow its program", sh("readlink /proc/1/exe"), Sign::Look(worked)).control(apart),
        case("C02e", "write its memory", write("/proc/1/mem", None), Sign::Success).control(apart),
        case("C02f", "read its memory", sys(libc::SYS_openat, "-100 \"/proc/1/mem 0"), Sign::Success).control(apart),
        case("C02g", "its namespaces", sh("readlink /proc/1/ns/mnt"), Sign::Look(worked)).control(apart),
        case("C02h", "its threads", sh("ls /proc/1/task/1"), Sign::Look(worked)).control(apart),
        case("C02i", "write its score", write("/proc/1/oom_score_adj", None), Sign::Success).control(apart),
        case("C03", "overwrite the program that runs PID 1", sys(libc::SYS_openat, "-100 \"/proc/1/exe 0"), Sign::Success).control(apart),
        case("C03b", "the launcher's descriptors, by its number", sh("ls /proc/2/fd /proc/3/fd"), Sign::Look(worked))
            .by(apart, sh("ls /proc/1/fd /proc/self/fd")),
        case("C03c", "the launcher's memory", sh("head -c 1 /proc/2/mem; dd if=/proc/2/mem count=0"), Sign::Look(worked))
            .by(apart, sh("dd if=/proc/1/mem count=0")),
    ]);
    cases
}

fn worked(_: &World, outcome: &Outcome) -> Option<String> {
    (outcome.last() == 0).then(|| outcome.detail())
}

/// Settings of the machine: opened for writing, never written.
fn settings() -> Vec<Case> {
    let names = [
        "sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/hotplug", "sys/kernel/hostname",
        "sys/kernel/sysrq", "sys/kernel/panic", "sys/kernel/randomize_va_space", "sys/kernel/ns_last_pid",
        "sys/kernel/unprivileged_bpf_disabled", "sys/kernel/shmmax", "sys/kernel/keys/maxkeys",
        "sys/fs/suid_dumpable", "sys/fs/protected_symlinks", "sys/fs/file-max", "sys/fs/inotify/max_user_watches",
        "sys/fs/binfmt_misc/register", "sys/vm/drop_caches", "sys/vm/overcommit_memory", "sys/vm/mmap_min_addr",
        "sys/net/ipv4/ip_forward", "sys/net/ipv4/ip_unprivileged_port_start",
        "sys/net/core/somaxconn", "sysrq-trigger", "irq/default_smp_affinity", "kpagecount", "timer_list",
    ];
    let present = names.iter().enumerate().filter(|(_, name)| Path::new("/proc").join(name).exists());
    let mut cases: Vec<_> = present
        .map(|(number, name)| {
            let open = write(&format!("/proc/{name}"), None);
            case(&numbered("C06", number), &format!("open {name} for writing"), open, Sign::Look(not_null))
        })
        .collect();
    let walk = "import os, sys\nfound = 0\nfor top in ('/proc', '/sys'):\n for at, dirs, files in os.walk(top):\n  \
                dirs[:] = [d for d in dirs if not d.isdigit() and d not in ('self', 'thread-self', 'debug', 'tracing')]\n  \
                for f in files:\n   try:\n    fd = os.open(at + '/' + f, os.O_WRONLY | os.O_NONBLOCK)\n    \
                found += os.fstat(fd).st_rdev != os.makedev(1, 3) and (print(at + '/' + f, end=' ') or 1)\n    os.close(fd)\n   \
                except OSError: pass\n   if found > 9: sys.exit()\n";
    cases.push(case("C06", "whatever of /proc and /sys can be written", python(walk), Sign::Look(told)));
    cases
}

/// It opened, and is not the null device that masks it.
fn not_null(_: &World, outcome: &Outcome) -> Option<String> {
    let opened = outcome.pid.map(facts::descriptors).unwrap_or_default();
    let found = opened.iter().find(|path| {
        let mask = outcome.pid.and_then(|pid| std::fs::metadata(format!("/proc/{pid}/fd/3")).ok());
        !mask.is_some_and(|at| std::os::unix::fs::MetadataExt::rdev(&at) == 0x103) && !path.is_empty()
    });
    found.cloned()
}

/// Whether there is something to be read of it here.
fn says_something(name: &str) -> bool {
    let path = Path::new("/proc").join(name);
    std::fs::read_dir(&path).map_or_else(|_| path.exists(), |mut entries| entries.next().is_some())
}

/// What /proc tells of the whole machine.
fn of_the_machine() -> Vec<Case> {
    let names = [
        "kcore", "kmsg", "keys", "key-users", "timer_list", "sched_debug", "latency_stats", "interrupts", "cmdline",
        "acpi", "scsi", "driver", "vmallocinfo", "slabinfo", "pagetypeinfo", "kpageflags", "kpagecount", "kpagecgroup",
    ];
    let present = names.iter().enumerate().filter(|(_, name)| says_something(name));
    let mut cases: Vec<_> = present
        .map(|(number, name)| {
            let path = format!("/proc/{name}");
            let calls = if Path::new(&path).is_dir() {
                sh(&format!("ls -A {path}"))
            } else {
                read(&path)
            };
            case(&numbered("C07", number), &format!("read {path}"), calls, Sign::Look(told))
        })
        .collect();
    let addresses = "sed 's/ .*//;s/-.*//' FILE | tr -d '0 \\n' | head -c 40";
    for (id, file) in [("C07k", "kallsyms"), ("C07i", "iomem"), ("C07p", "ioports"), ("C07v", "self/pagemap")] {
        if Path::new("/proc").join(file).exists() {
            let script = if file == "self/pagemap" {
                "python3 -c \"import struct; f=open('/proc/self/pagemap','rb'); f.seek(id(f)//4096*8); n=struct.unpack('Q',f.read(8))[0] & (1<<55)-1; print(n or '', end='')\"".to_owned()
            } else {
                addresses.replace("FILE", &format!("/proc/{file}"))
            };
            cases.push(case(id, &format!("learn addresses from {file}"), sh(&script), Sign::Look(told)));
        }
    }
    for (number, path) in [
        "/sys", "/sys/kernel", "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf",
        "/sys/firmware", "/sys/kernel/uevent_helper", "/sys/block", "/sys/devices/system/cpu",
    ].iter().enumerate() {
        // On a host without it there is nothing to be found.
        if Path::new(path).exists() && *path != "/sys" {
            let stat = sys(libc::SYS_newfstatat, &format!("-100 {} @144 0", q(path)));
            cases.push(case(&numbered("C10", number), &format!("find {path}"), stat, Sign::Exists));
        }
    }
    cases.push(case("C15", "find a release_agent", sh("find / -xdev -maxdepth 4 -name release_agent 2>/dev/null; ls /sys/fs/cgroup/*/release_agent 2>/dev/null"), Sign::Look(told)));
    cases.push(case("C19", "learn where in the control groups it is", sh("cut -d: -f3 /proc/self/cgroup | grep -o 'agent-[a-z0-9]*\\|wsm-[a-z0-9]*\\|init.scope\\|/.*' | grep -v '^/$'"), Sign::Look(told))
        .control(Control::Ablation));
    cases
}

fn own_files(world: &World) -> Vec<Case> {
    let put = |file: &str, text: &str| write(&format!("/proc/self/{file}"), Some(text));
    let outside = |file: &str, text: &str| then(&[
        sys(libc::SYS_unshare, "0x10000000"),
        sys(libc::SYS_openat, &format!("-100 \"/proc/self/{file} 1")),
        sys(libc::SYS_write, &format!("%1 {} {}", q(text), text.len())),
    ]);
    let mut cases = vec![
        case("C09", "map itself to root", put("uid_map", "0 0 1"), Sign::Success).by(Control::Host, outside("uid_map", "0 0 1")),
        case("C09b", "map its group", put("gid_map", "0 0 1"), Sign::Success).by(Control::Host, outside("gid_map", "0 0 1")),
        case("C09d", "shift its clock", put("timens_offsets", "monotonic 1000 0"), Sign::Success).by(Control::Host, then(&[sys(libc::SYS_unshare, "0x80"), write("/proc/self/timens_offsets", Some("monotonic 1000 0")).replace("%0", "%1")])),
        case("C09e", "see others by /proc", sh("ls /proc | grep -c '^[0-9]'"), Sign::Look(|_, outcome| {
            let count: i32 = outcome.text().trim().parse().unwrap_or(0);
            (count > 12).then(|| format!("{count} processes"))
        })),
        case("C05", "see a process of another user inside", sh("test -e /proc/1/status"), Sign::Look(worked)),
        case("C05b", "see what is not its own at all", sh(&format!("grep -lz 'S[3]{}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null", &world.secret[2..])), Sign::Look(told))
            .control(Control::Host),
    ];
    if own_capability(24) {
        cases.push(case("C09f", "be killed later than others", put("oom_score_adj", "0"), Sign::Facts)
            .control(Control::None("nobody is at 500 outside; lowering is what CAP_SYS_RESOURCE allows")));
    }
    cases
}

/// Whether the broker's host gives root this capability.
fn own_capability(number: u32) -> bool {
    let facts = facts::process(i32::try_from(std::process::id()).expect("a pid"));
    u64::from_str_radix(&facts["CapEff"], 16).is_ok_and(|set| set >> number & 1 == 1)
}

fn devices() -> Vec<Case> {
    let names = [
        "mem", "kmem", "port", "kmsg", "kvm", "fuse", "vhost-net", "loop-control", "vda", "sda", "dri", "uinput",
        "net/tun", "vsock", "userfaultfd", "console", "tty0", "hwrng", "mapper/control", "btrfs-control", "ptp0", "rtc0", "snapshot", "mqueue", "hugepages",
    ];
    let present = names.iter().enumerate().filter(|(_, name)| Path::new("/dev").join(name).exists());
    let mut cases: Vec<_> = present
        .map(|(number, name)| {
            let open = sys(libc::SYS_newfstatat, &format!("-100 {} @144 0", q(&format!("/dev/{name}"))));
            case(&numbered("C11", number), &format!("find /dev/{name}"), open, Sign::Exists)
        })
        .collect();
    let known = "null zero full random urandom tty ptmx pts shm fd stdin stdout stderr";
    let list = format!("for d in /dev/*; do case ' {known} ' in *\" ${{d#/dev/}} \"*) ;; *) echo $d;; esac; done");
    cases.extend([
        case("C11", "find any other device", sh(&list), Sign::Look(told)),
        case("C14", "terminals of others", sh("ls /dev/pts | grep -v ptmx | wc -l"), Sign::Look(|_, outcome| {
            let count: i32 = outcome.text().trim().parse().unwrap_or(0);
            (count > 1).then(|| format!("{count} terminals"))
        })).control(Control::None("how many the host has differs; a new instance of devpts is what holds")),
    ]);
    cases
}

fn privileges(_world: &World) -> Vec<Case> {
    let header = bytes(&[0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0]);
    let admin = bytes(&[&[0, 0, 0x20, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0][..], &[0; 12]].concat());
    let all: Vec<String> = (0..41).map(|number| sys(libc::SYS_prctl, &format!("23 {number}"))).collect();
    vec![
        case("D01", "hold a capability", sys(libc::SYS_getpid, ""), Sign::Look(|_, outcome| {
            let facts = facts::process(outcome.pid?);
            let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
            let held = sets.iter().find(|set| facts[**set].bytes().any(|digit| digit != b'0'));
            held.map(|set| format!("{set} {}", facts[*set]))
        })),
        case("D01b", "be without no_new_privs", sys(libc::SYS_getpid, ""), Sign::Look(|_, outcome| {
            (facts::process(outcome.pid?)["NoNewPrivs"] != "1").then(|| "it may gain rights".into())
        })),
        case("D01c", "be without a filter", sys(libc::SYS_getpid, ""), Sign::Look(|_, outcome| {
            (facts::process(outcome.pid?)["Seccomp"] != "2").then(|| "no filter".into())
        })),
        case("D01d", "be without a filter in another thread", sh("python3 -c 'import threading; threading.Thread(target=lambda: print(open(\"/proc/thread-self/status\").read())).start()'"), Sign::Look(|_, outcome| {
            (!outcome.text().contains("Seccomp:\t2")).then(|| "no filter".into())
        })),
        case("D02", "take a capability", sys(libc::SYS_capset, &format!("{header} {admin}")), Sign::Success),
        case("D02b", "raise an ambient one", then(&[sys(libc::SYS_capset, &format!("{header} {admin}")), sys(libc::SYS_prctl, "47 2 21 0 0")]), Sign::Success),
        case("D02c", "have one in the bounding set, known or not", then(&all), Sign::Look(|_, outcome| {
            outcome.results.iter().any(|result| *result == 1).then(|| "one is there".into())
        })),
        case("D02e", "keep capabilities", then(&[sys(libc::SYS_prctl, "28 0x3f"), sys(libc::SYS_prctl, "27"),]), Sign::Look(|_, outcome| {
            (outcome.results.first() == Some(&0)).then(|| "securebits were set".into())
        })),
        case("D18", "have its memory read by the host's core helper", sys(libc::SYS_prlimit64, "0 4 0 !16"), Sign::Look(|_, outcome| {
            let said = outcome.said.first()?;
            let limit = u64::from_le_bytes(said.get(8..16)?.try_into().ok()?);
            (limit > 1).then(|| format!("a core limit of {limit}"))
        })),
        case("D20", "learn who owns the host's files", sys(libc::SYS_newfstatat, "-100 \"/usr/bin/env !144 0"), Sign::Look(|_, outcome| {
            let uid = u32::from_le_bytes(outcome.said.first()?.get(28..32)?.try_into().ok()?);
            (uid == 0).then(|| "root's files are told as root's".into())
        })),
        case("D21", "become root by su", sh("su -c id root </dev/null"), Sign::Look(|_, outcome| {
            outcome.text().contains("uid=0").then(|| outcome.text())
        })),
        case("D22", "learn the host's name", sh("uname -n"), Sign::Look(|_, outcome| {
            let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            (outcome.text().trim() == own.trim()).then(|| own)
        })),
    ]
}

const FLAGS: [(&str, u64); 8] = [
    ("mount", 0x2_0000), ("cgroup", 0x200_0000), ("uts", 0x400_0000), ("ipc", 0x800_0000),
    ("user", 0x1000_0000), ("pid", 0x2000_0000), ("net", 0x4000_0000), ("time", 0x80),
];

fn namespaces() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (name, flag)) in FLAGS.iter().enumerate() {
        let what = |call: &str| format!("{call} a {name} namespace");
        let unshare = sys(libc::SYS_unshare, &format!("{flag}"));
        cases.push(case(&numbered("D03u", number), &what("unshare"), unshare, Sign::Success));
        // Together with a user namespace nobody needs a right for it.
        let both = sys(libc::SYS_unshare, &format!("{}", flag | 0x1000_0000));
        cases.push(case(&numbered("D03b", number), &what("with a user namespace, unshare"), both, Sign::Success));
        if *name != "time" {
            cases.push(case(&numbered("D03c", number), &what("clone into"), format!("clone {flag}"), Sign::Success));
        }
        cases.push(case(&numbered("D03d", number), &what("clone3 into"), format!("clone3 {flag}"), Sign::Success));
    }
    for (number, name) in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "time", "user"].iter().enumerate() {
        let own = then(&[sys(libc::SYS_openat, &format!("-100 \"/proc/self/ns/{name} 0")), sys(libc::SYS_setns, "%0 0")]);
        cases.push(case(&numbered("D05", number), &format!("enter a {name} namespace"), own, Sign::Reached));
    }
    cases.extend([
        case("D05p", "enter PID 1's namespaces by a pidfd", then(&[sys(libc::SYS_pidfd_open, "1 0"), sys(libc::SYS_setns, "%0 0x20000")]), Sign::Reached).control(Control::Apart),
        case("D05h", "unshare by high bits", sys(libc::SYS_unshare, "0x110000000"), Sign::Reached),
        case("D05x", "the program unshare", sh("unshare -Urm id"), Sign::Look(|_, outcome| outcome.text().contains("uid=0").then(|| outcome.text()))),
        case("D05y", "the program bwrap or nsenter", sh("nsenter -t $$ -n true"), Sign::Look(worked)),
    ]);
    cases
}

fn mounts() -> Vec<Case> {
    let mount = |kind: &str, flags: u64| sys(libc::SYS_mount, &format!("\"none \"/tmp {} {flags} 0", q(kind)));
    let table = [
        ("D06", "mount tmpfs", mount("tmpfs", 0)),
        ("D06b", "mount proc", mount("proc", 0)),
        ("D06c", "mount sysfs", mount("sysfs", 0)),
        ("D06d", "mount cgroup2", mount("cgroup2", 0)),
        ("D06e", "mount a v1 control group", sys(libc::SYS_mount, "\"none \"/tmp \"cgroup 0 \"no-such-controller")),
        ("D06f", "mount devpts", mount("devpts", 0)),
        ("D06g", "mount mqueue", mount("mqueue", 0)),
        ("D06h", "bind / over /tmp", sys(libc::SYS_mount, "\"/ \"/tmp 0 0x5000 0")),
        ("D06i", "make / writable", sys(libc::SYS_mount, "0 \"/usr 0 0x1020 0")),
        ("D06j", "share the mounts", sys(libc::SYS_mount, "0 \"/ 0 0x104000 0")),
        ("D06k", "unmount /tmp", sys(libc::SYS_umount2, "\"/ 2")),
        ("D06l", "pivot", sys(libc::SYS_pivot_root, "1 1")),
        ("D06m", "chroot", sys(libc::SYS_chroot, "\"/usr")),
        ("D06n", "mount by the kernel's address", sys(libc::SYS_mount, "1 1 1 0 1")),
        ("D07", "fsopen", sys(libc::SYS_fsopen, "\"tmpfs 0")),
        ("D07b", "fsconfig", sys(libc::SYS_fsconfig, "-1 6 0 0 0")),
        ("D07c", "fsmount", sys(libc::SYS_fsmount, "-1 0 0")),
        ("D07d", "fspick", sys(libc::SYS_fspick, "-100 \"/tmp 0")),
        ("D07e", "open_tree", sys(libc::SYS_open_tree, "-100 \"/usr 1")),
        ("D07f", "move_mount", sys(libc::SYS_move_mount, "-1 1 -1 1 0")),
        ("D07g", "mount_setattr", sys(libc::SYS_mount_setattr, "-1 1 0 1 0")),
        ("D07h", "open_tree_attr", sys(467, "-100 1 1 1 0")),
        ("D07i", "statmount", sys(457, "1 1 0 0")),
        ("D07j", "listmount", sys(458, "1 1 0 0")),
        ("D07k", "quotactl", sys(libc::SYS_quotactl, "0x800001 1 0 1")),
        ("D07l", "swap", sys(libc::SYS_swapon, "1 0")),
        ("D07m", "swap off", sys(libc::SYS_swapoff, "1")),
        ("D07n", "account processes", sys(libc::SYS_acct, "1")),
    ];
    let mut cases: Vec<_> = table.into_iter().map(|(id, what, calls)| case(id, what, calls, Sign::Reached)).collect();
    cases.push(case("D06x", "the program mount", sh("mount -t tmpfs none /tmp"), Sign::Look(worked)));
    cases.push(case("D06y", "fusermount", sh("fusermount3 -u /tmp || mount --bind /usr /tmp"), Sign::Look(worked)));
    cases
}

fn identities() -> Vec<Case> {
    let table = [
        ("D09", "setuid(0)", sys(libc::SYS_setuid, "0")),
        ("D09b", "setresuid to another id of the range", sys(libc::SYS_setresuid, "12 12 12")),
        ("D09c", "setresuid to nobody", sys(libc::SYS_setresuid, "65534 65534 65534")),
        ("D09d", "setgid(0)", sys(libc::SYS_setgid, "0")),
        ("D09e", "setgroups", sys(libc::SYS_setgroups, "1 #05000000")),
        ("D09f", "setreuid", sys(libc::SYS_setreuid, "-1 12")),
        ("D09g", "setresgid", sys(libc::SYS_setresgid, "12 12 12")),
    ];
    let mut cases: Vec<_> = table.into_iter().map(|(id, what, calls)| case(id, what, calls, Sign::Success)).collect();
    cases.push(case("D09h", "setfsuid", sys(libc::SYS_setfsuid, "12"), Sign::Facts));
    cases.push(case("D09i", "setfsgid and make a file of root's group", sys(libc::SYS_setfsgid, "12"), Sign::Facts));
    cases.push(case("D09j", "give a file away", sh("f=$(mktemp); chown 12 $f && stat -c %u $f; rm $f"), Sign::Look(|_, outcome| {
        outcome.text().contains("12").then(|| "it belongs to another".into())
    })));
    cases
}

/// Processes: of the sandbox, of the host, planted.
fn others(world: &World) -> Vec<Case> {
    let apart = Control::Apart;
    let prey = world.prey();
    let planted = world.planted.and_then(crate::attacker::innermost_pid).unwrap_or(0);
    let only = Control::Ablation;
    let table = [
        ("D10", "seize PID 1", sys(libc::SYS_ptrace, "0x4206 1 0 0"), Sign::Success, apart),
        ("D10b", "write its memory", sys(libc::SYS_process_vm_writev, "1 1 0 1 0 0"), Sign::Reached, apart),
        ("D10c", "read its memory", sys(libc::SYS_process_vm_readv, "1 1 0 1 0 0"), Sign::Reached, apart),
        ("D10d", "signal PID 1", sys(libc::SYS_kill, "1 0"), Sign::Success, apart),
        ("D10e", "by a pidfd", then(&[sys(libc::SYS_pidfd_open, "1 0"), sys(libc::SYS_pidfd_send_signal, "%0 0 0 0")]), Sign::Success, apart),
        ("D10f", "its limits", sys(libc::SYS_prlimit64, "1 7 0 !16"), Sign::Success, apart),
        ("D10h", "its affinity", sys(libc::SYS_sched_setaffinity, "1 8 #0300000000000000"), Sign::Success, apart),
        ("D10i", "its keys of I/O priority", sys(libc::SYS_ioprio_set, "1 1 0x4007"), Sign::Success, apart),
        ("D10j", "its futexes", sys(libc::SYS_get_robust_list, "1 @8 @8"), Sign::Success, apart),
        ("D10k", "move its pages", sys(libc::SYS_move_pages, "1 0 0 0 0 0"), Sign::Reached, apart),
        ("D10l", "migrate its pages", sys(libc::SYS_migrate_pages, "1 0 0 0"), Sign::Reached, apart),
        ("D10m", "advise its memory", then(&[sys(libc::SYS_pidfd_open, "1 0"), sys(libc::SYS_process_madvise, "%0 @16 0 4 0")]), Sign::Reached, apart),
        ("D11", "trace a child of its own", then(&["child".into(), sys(libc::SYS_ptrace, "0x4206 %0 0 0")]), Sign::Success, Control::Host),
        ("D11b", "be traced", sys(libc::SYS_ptrace, "0 0 0 0"), Sign::Success, Control::Host),
        ("D12", "trace a process of the host", sys(libc::SYS_ptrace, &format!("0x4206 {prey} 0 0")), Sign::Success, Control::Host),
        ("D13", "a pidfd of a process of the host", sys(libc::SYS_pidfd_open, &format!("{prey} 0")), Sign::Success, Control::Host),
        ("D13b", "take a descriptor by a pidfd", then(&[sys(libc::SYS_pidfd_open, "$pid 0"), sys(libc::SYS_pidfd_getfd, "%0 0 0")]), Sign::Reached, Control::Host),
        ("D13c", "from PID 1", then(&[sys(libc::SYS_pidfd_open, "1 0"), sys(libc::SYS_pidfd_getfd, "%0 0 0")]), Sign::Reached, apart),
        ("D16", "read the memory of a process of its uid outside the domain", sys(libc::SYS_openat, &format!("-100 \"/proc/{planted}/mem 0")), Sign::Success, only),
        ("D16b", "its environment", read(&format!("/proc/{planted}/environ")), Sign::Facts, only),
        ("D16c", "its root", read(&format!("/proc/{planted}/root/extra/secret")), Sign::Success, only),
        ("D16d", "its descriptors", sh(&format!("ls /proc/{planted}/fd | grep .")), Sign::Look(worked), only),
        ("F05b", "learn that it exists", sys(libc::SYS_kill, &format!("{prey} 0")), Sign::Exists, Control::Host),
        ("F05d", "kill a process of its uid outside the domain", sys(libc::SYS_kill, &format!("{planted} 9")), Sign::Facts, only),
        ("F05e", "by tgkill", sys(libc::SYS_tgkill, &format!("{planted} {planted} 9")), Sign::Facts, only),
        ("F05f", "by a pidfd", then(&[sys(libc::SYS_pidfd_open, &format!("{planted} 0")), sys(libc::SYS_pidfd_send_signal, "%0 9 0 0")]), Sign::Facts, only),
        ("F05g", "by a queued signal", sys(libc::SYS_rt_sigqueueinfo, &format!("{planted} 9 #0900000000000000ffffffff{}", "00".repeat(116))), Sign::Facts, only),
        ("F05h", "by a descriptor's owner", sh(&format!("python3 -c \"import fcntl,os; r,w=os.pipe(); fcntl.fcntl(r,8,{planted}); fcntl.fcntl(r,10,9); fcntl.fcntl(r,4,0x2000); os.write(w,b'x')\"")), Sign::Facts, only),
        ("F05", "kill a process of the host", sys(libc::SYS_kill, &format!("{prey} 9")), Sign::Facts, Control::Host),
    ];
    table.into_iter().map(|(id, what, calls, sign, control)| case(id, what, calls, sign).control(control)).collect()
}
