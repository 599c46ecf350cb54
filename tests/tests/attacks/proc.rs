//! C: /proc, /sys and /dev.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::path::Path;

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign, case, python, q, read, sh, sys, then, write};
use crate::facts;
use crate::files::told;
use crate::rights::{numbered, worked};
use crate::world::World;

/// All of C.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = pid_one();
    cases.extend(settings());
    cases.extend(of_the_machine());
    cases.extend(own_files(world));
    cases.extend(devices());
    cases
}

/// PID 1 of the sandbox, and whoever of wsm is next to it.
fn pid_one() -> Vec<Case> {
    let apart = Control::Apart;
    let mut cases: Vec<_> = [
        "environ",
        "cmdline",
        "maps",
        "stat",
        "status",
        "auxv",
        "mountinfo",
    ]
    .into_iter()
    .enumerate()
    .map(|(number, file)| {
        let what = format!("read /proc/1/{file}");
        case(
            &numbered("C01", number),
            &what,
            read(&format!("/proc/1/{file}")),
            Sign::Success,
        )
        .control(apart)
    })
    .collect();
    cases.extend([
        case(
            "C02",
            "look into PID 1's root",
            sh("ls /proc/1/root/"),
            Sign::Look(worked),
        )
        .control(apart),
        case(
            "C02b",
            "its working directory",
            sh("ls /proc/1/cwd/"),
            Sign::Look(worked),
        )
        .control(apart),
        case(
            "C02c",
            "its descriptors",
            sh("ls /proc/1/fd"),
            Sign::Look(worked),
        )
        .control(apart),
        case(
            "C02d",
            "follow its program",
            sh("readlink /proc/1/exe"),
            Sign::Look(worked),
        )
        .control(apart),
        case(
            "C02e",
            "write its memory",
            write("/proc/1/mem", None),
            Sign::Success,
        )
        .control(apart),
        case(
            "C02f",
            "read its memory",
            sys(libc::SYS_openat, "-100 \"/proc/1/mem 0"),
            Sign::Success,
        )
        .control(apart),
        case(
            "C02g",
            "its namespaces",
            sh("readlink /proc/1/ns/mnt"),
            Sign::Look(worked),
        )
        .control(apart),
        case(
            "C02h",
            "its threads",
            sh("ls /proc/1/task/1"),
            Sign::Look(worked),
        )
        .control(apart),
        case(
            "C02i",
            "write its score",
            write("/proc/1/oom_score_adj", None),
            Sign::Success,
        )
        .control(apart),
        case(
            "C03",
            "overwrite the program that runs PID 1",
            sys(libc::SYS_openat, "-100 \"/proc/1/exe 0"),
            Sign::Success,
        )
        .control(apart),
        case(
            "C03b",
            "the launcher's descriptors, by its number",
            sh("ls /proc/2/fd /proc/3/fd"),
            Sign::Look(worked),
        )
        .by(apart, sh("ls /proc/1/fd /proc/self/fd")),
        case(
            "C03c",
            "the launcher's memory",
            sh("head -c 1 /proc/2/mem; dd if=/proc/2/mem count=0"),
            Sign::Look(worked),
        )
        .by(apart, sh("dd if=/proc/1/mem count=0")),
    ]);
    cases
}

/// Settings of the machine: opened for writing, never written.
fn settings() -> Vec<Case> {
    let names = [
        "sys/kernel/core_pattern",
        "sys/kernel/modprobe",
        "sys/kernel/hotplug",
        "sys/kernel/hostname",
        "sys/kernel/sysrq",
        "sys/kernel/panic",
        "sys/kernel/randomize_va_space",
        "sys/kernel/ns_last_pid",
        "sys/kernel/unprivileged_bpf_disabled",
        "sys/kernel/shmmax",
        "sys/kernel/keys/maxkeys",
        "sys/fs/suid_dumpable",
        "sys/fs/protected_symlinks",
        "sys/fs/file-max",
        "sys/fs/inotify/max_user_watches",
        "sys/fs/binfmt_misc/register",
        "sys/vm/drop_caches",
        "sys/vm/overcommit_memory",
        "sys/vm/mmap_min_addr",
        "sys/net/ipv4/ip_forward",
        "sys/net/ipv4/ip_unprivileged_port_start",
        "sys/net/core/somaxconn",
        "sysrq-trigger",
        "irq/default_smp_affinity",
        "kpagecount",
        "timer_list",
    ];
    let present = names
        .iter()
        .enumerate()
        .filter(|(_, name)| Path::new("/proc").join(name).exists());
    let mut cases: Vec<_> = present
        .map(|(number, name)| {
            let open = write(&format!("/proc/{name}"), None);
            case(
                &numbered("C06", number),
                &format!("open {name} for writing"),
                open,
                Sign::Look(not_null),
            )
        })
        .collect();
    let walk = "import os, sys\nfound = 0\nfor top in ('/proc', '/sys'):\n for at, dirs, files in os.walk(top):\n  \
                dirs[:] = [d for d in dirs if not d.isdigit() and d not in ('self', 'thread-self', 'debug', 'tracing')]\n  \
                for f in files:\n   try:\n    fd = os.open(at + '/' + f, os.O_WRONLY | os.O_NONBLOCK)\n    \
                found += os.fstat(fd).st_rdev != os.makedev(1, 3) and (print(at + '/' + f, end=' ') or 1)\n    os.close(fd)\n   \
                except OSError: pass\n   if found > 9: sys.exit()\n";
    cases.push(case(
        "C06",
        "whatever of /proc and /sys can be written",
        python(walk),
        Sign::Look(told),
    ));
    cases
}

/// It opened, and is not the null device that masks it.
fn not_null(_: &World, outcome: &Outcome) -> Option<String> {
    let opened = outcome.pid.map(facts::descriptors).unwrap_or_default();
    let found = opened.iter().find(|path| {
        let mask = outcome
            .pid
            .and_then(|pid| std::fs::metadata(format!("/proc/{pid}/fd/3")).ok());
        mask.is_none_or(|at| std::os::unix::fs::MetadataExt::rdev(&at) != 0x103) && !path.is_empty()
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
        "kcore",
        "kmsg",
        "keys",
        "key-users",
        "timer_list",
        "sched_debug",
        "latency_stats",
        "interrupts",
        "cmdline",
        "acpi",
        "scsi",
        "driver",
        "vmallocinfo",
        "slabinfo",
        "pagetypeinfo",
        "kpageflags",
        "kpagecount",
        "kpagecgroup",
    ];
    let present = names
        .iter()
        .enumerate()
        .filter(|(_, name)| says_something(name));
    let mut cases: Vec<_> = present
        .map(|(number, name)| {
            let path = format!("/proc/{name}");
            let calls = if Path::new(&path).is_dir() {
                sh(&format!("ls -A {path}"))
            } else {
                read(&path)
            };
            case(
                &numbered("C07", number),
                &format!("read {path}"),
                calls,
                Sign::Look(told),
            )
        })
        .collect();
    let addresses = "sed 's/ .*//;s/-.*//' FILE | tr -d '0 \\n' | head -c 40";
    for (id, file) in [
        ("C07k", "kallsyms"),
        ("C07i", "iomem"),
        ("C07p", "ioports"),
        ("C07v", "self/pagemap"),
    ] {
        if Path::new("/proc").join(file).exists() {
            let script = if file == "self/pagemap" {
                "python3 -c \"import struct; f=open('/proc/self/pagemap','rb'); f.seek(id(f)//4096*8); n=struct.unpack('Q',f.read(8))[0] & (1<<55)-1; print(n or '', end='')\"".to_owned()
            } else {
                addresses.replace("FILE", &format!("/proc/{file}"))
            };
            cases.push(case(
                id,
                &format!("learn addresses from {file}"),
                sh(&script),
                Sign::Look(told),
            ));
        }
    }
    for (number, path) in [
        "/sys",
        "/sys/kernel",
        "/sys/fs/cgroup",
        "/sys/kernel/debug",
        "/sys/kernel/tracing",
        "/sys/fs/bpf",
        "/sys/firmware",
        "/sys/kernel/uevent_helper",
        "/sys/block",
        "/sys/devices/system/cpu",
    ]
    .iter()
    .enumerate()
    {
        // On a host without it there is nothing to be found.
        if Path::new(path).exists() && *path != "/sys" {
            let stat = sys(libc::SYS_newfstatat, &format!("-100 {} @144 0", q(path)));
            cases.push(case(
                &numbered("C10", number),
                &format!("find {path}"),
                stat,
                Sign::Exists,
            ));
        }
    }
    cases.push(case("C15", "find a release_agent", sh("find / -xdev -maxdepth 4 -name release_agent 2>/dev/null; ls /sys/fs/cgroup/*/release_agent 2>/dev/null"), Sign::Look(told)));
    cases.push(case("C19", "learn where in the control groups it is", sh("cut -d: -f3 /proc/self/cgroup | grep -o 'agent-[a-z0-9]*\\|wsm-[a-z0-9]*\\|init.scope\\|/.*' | grep -v '^/$'"), Sign::Look(told))
        .control(Control::Ablation));
    cases
}

fn own_files(world: &World) -> Vec<Case> {
    let put = |file: &str, text: &str| write(&format!("/proc/self/{file}"), Some(text));
    let outside = |file: &str, text: &str| {
        then(&[
            sys(libc::SYS_unshare, "0x10000000"),
            sys(libc::SYS_openat, &format!("-100 \"/proc/self/{file} 1")),
            sys(libc::SYS_write, &format!("%1 {} {}", q(text), text.len())),
        ])
    };
    let mut cases = vec![
        case(
            "C09",
            "map itself to root",
            put("uid_map", "0 0 1"),
            Sign::Success,
        )
        .by(Control::Host, outside("uid_map", "0 0 1")),
        case(
            "C09b",
            "map its group",
            put("gid_map", "0 0 1"),
            Sign::Success,
        )
        .by(Control::Host, outside("gid_map", "0 0 1")),
        case(
            "C09d",
            "shift its clock",
            put("timens_offsets", "monotonic 1000 0"),
            Sign::Success,
        )
        .by(
            Control::Host,
            then(&[
                sys(libc::SYS_unshare, "0x80"),
                write("/proc/self/timens_offsets", Some("monotonic 1000 0")).replace("%0", "%1"),
            ]),
        ),
        case(
            "C09e",
            "see others by /proc",
            sh("ls /proc | grep -c '^[0-9]'"),
            Sign::Look(|_, outcome| {
                let count: i32 = outcome.text().trim().parse().unwrap_or(0);
                (count > 12).then(|| format!("{count} processes"))
            }),
        ),
        case(
            "C05",
            "see a process of another user inside",
            sh("test -e /proc/1/status"),
            Sign::Look(worked),
        ),
        case(
            "C05b",
            "see what is not its own at all",
            sh(&format!(
                "grep -lz 'S[3]{}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null",
                &world.secret[2..]
            )),
            Sign::Look(told),
        )
        .control(Control::Host),
    ];
    if own_capability(24) {
        cases.push(
            case(
                "C09f",
                "be killed later than others",
                put("oom_score_adj", "0"),
                Sign::Facts,
            )
            .control(Control::None(
                "nobody is at 500 outside; lowering is what CAP_SYS_RESOURCE allows",
            )),
        );
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
        "mem",
        "kmem",
        "port",
        "kmsg",
        "kvm",
        "fuse",
        "vhost-net",
        "loop-control",
        "vda",
        "sda",
        "dri",
        "uinput",
        "net/tun",
        "vsock",
        "userfaultfd",
        "console",
        "tty0",
        "hwrng",
        "mapper/control",
        "btrfs-control",
        "ptp0",
        "rtc0",
        "snapshot",
        "mqueue",
        "hugepages",
    ];
    let present = names
        .iter()
        .enumerate()
        .filter(|(_, name)| Path::new("/dev").join(name).exists());
    let mut cases: Vec<_> = present
        .map(|(number, name)| {
            let open = sys(
                libc::SYS_newfstatat,
                &format!("-100 {} @144 0", q(&format!("/dev/{name}"))),
            );
            case(
                &numbered("C11", number),
                &format!("find /dev/{name}"),
                open,
                Sign::Exists,
            )
        })
        .collect();
    let known = "null zero full random urandom tty ptmx pts shm fd stdin stdout stderr";
    let list = format!(
        "for d in /dev/*; do case ' {known} ' in *\" ${{d#/dev/}} \"*) ;; *) echo $d;; esac; done"
    );
    cases.extend([
        case("C11", "find any other device", sh(&list), Sign::Look(told)),
        case(
            "C14",
            "terminals of others",
            sh("ls /dev/pts | grep -v ptmx | wc -l"),
            Sign::Look(|_, outcome| {
                let count: i32 = outcome.text().trim().parse().unwrap_or(0);
                (count > 1).then(|| format!("{count} terminals"))
            }),
        )
        .control(Control::None(
            "how many the host has differs; a new instance of devpts is what holds",
        )),
    ]);
    cases
}
