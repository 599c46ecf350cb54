//! A: the boundary of files. B: links and races.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign, case, create, q, read, sh, sys, then, write};
use crate::scene::{PLACES, left};
use crate::world::World;

/// Opens with flags.
pub(crate) fn open(path: &str, flags: i32) -> String {
    sys(libc::SYS_openat, &format!("-100 {} {flags} 0600", q(path)))
}

/// All of A.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = reading(world);
    cases.extend(making());
    cases.extend(crate::shown::cases(world));
    cases
}

fn reading(world: &World) -> Vec<Case> {
    let secret = world.ground.hidden("secret");
    let up = format!("../../../../../../../../{secret}");
    let neighbour = format!("{}/README.md", world.neighbour.workspace);
    let prey = world.prey();
    let config = world.repository.join(".git/config").display().to_string();
    vec![
        case(
            "A01",
            "read a file of the host",
            read(&secret),
            Sign::Success,
        ),
        case(
            "A01b",
            "see that it exists",
            sys(libc::SYS_newfstatat, &format!("-100 {} @144 0", q(&secret))),
            Sign::Exists,
        ),
        case(
            "A01c",
            "write to a file that anybody may write",
            write(&world.ground.hidden("writable"), Some("x")),
            Sign::Success,
        ),
        case(
            "A01d",
            "make a file where anybody may",
            create(&world.ground.hidden("dir/x")),
            Sign::Success,
        ),
        case(
            "A01e",
            "the shell reads it",
            sh(&format!("cat {secret}")),
            Sign::Facts,
        ),
        case(
            "A01f",
            "execute a file of the host",
            sh(&format!(
                "chmod +x {0}; . {0}",
                world.ground.hidden("secret")
            )),
            Sign::Facts,
        ),
        case(
            "A10",
            "rise above / by /proc/self/root",
            read(&format!("/proc/self/root/{up}")),
            Sign::Facts,
        ),
        case(
            "A10b",
            "by /proc/self/cwd",
            read(&format!("/proc/self/cwd/{up}")),
            Sign::Facts,
        ),
        case(
            "A10c",
            "by /proc/thread-self/root",
            read(&format!("/proc/thread-self/root/{up}")),
            Sign::Facts,
        ),
        case(
            "A10d",
            "by the root of a process of the host",
            read(&format!("/proc/{prey}/root{secret}")),
            Sign::Facts,
        ),
        case(
            "A10e",
            "by its working directory",
            read(&format!("/proc/{prey}/cwd/{up}")),
            Sign::Success,
        ),
        case(
            "A10f",
            "by a directory descriptor that is raised",
            then(&[
                open("/proc", libc::O_PATH),
                sys(libc::SYS_openat, &format!("%0 {} 0", q(&up))),
                sys(libc::SYS_read, "%1 ?100 100"),
            ]),
            Sign::Facts,
        ),
        case(
            "A13",
            "rise above the workspace's mount",
            then(&[
                sys(libc::SYS_chdir, &q(&world.agent.workspace)),
                open(&format!("../../../../../../..{secret}"), 0),
                sys(libc::SYS_read, "%1 ?100 100"),
            ]),
            Sign::Facts,
        )
        .by(
            Control::Host,
            then(&[
                sys(libc::SYS_chdir, &q(&world.ground.shown(""))),
                open(&format!("../../../../../../..{secret}"), 0),
                sys(libc::SYS_read, "%1 ?100 100"),
            ]),
        ),
        case(
            "A22",
            "read another agent's workspace",
            read(&neighbour),
            Sign::Success,
        ),
        case(
            "A22b",
            "write it",
            write(&neighbour, Some("x")),
            Sign::Success,
        ),
        case(
            "A22c",
            "see it",
            sys(
                libc::SYS_newfstatat,
                &format!("-100 {} @144 0", q(&neighbour)),
            ),
            Sign::Exists,
        ),
        case(
            "A22d",
            "see that there are others",
            sh(&format!(
                "ls {}/.. 2>/dev/null | grep -v {}",
                world.neighbour.workspace,
                base(&world.agent.workspace)
            )),
            Sign::Look(told),
        ),
        case(
            "A22e",
            "read the repository's configuration",
            read(&config),
            Sign::Facts,
        ),
        case(
            "A23",
            "open a file by its handle",
            then(&[
                sys(
                    libc::SYS_name_to_handle_at,
                    "-100 \"/usr #00000000000000000000000000000000 @8 0",
                ),
                open("/usr", libc::O_RDONLY),
                sys(
                    libc::SYS_open_by_handle_at,
                    "%1 #080000000100000002000000000000000000000000000000 0",
                ),
            ]),
            Sign::Reached,
        ),
        case(
            "C18",
            "read /etc/shadow",
            read("/etc/shadow"),
            Sign::Success,
        ),
        case(
            "C18b",
            "read the host's keys of ssh",
            sh("cat /etc/ssh/*key /etc/gshadow /root/.bashrc 2>/dev/null"),
            Sign::Look(told),
        ),
        machine_id(),
    ]
}

/// A machine that was never booted has none.
fn machine_id() -> Case {
    let own = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let learnt = case(
        "C18c",
        "learn the machine's id",
        read("/etc/machine-id"),
        Sign::Look(|_, outcome| {
            let own = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
            (!own.is_empty() && outcome.text().trim() == own.trim()).then_some(own)
        }),
    );
    if own.is_empty() {
        learnt.control(Control::None("this host has no id to learn"))
    } else {
        learnt
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn making() -> Vec<Case> {
    let left = left();
    let made = PLACES.iter().zip("abcdefghi".chars());
    let mut cases: Vec<_> = made
        .map(|(place, letter)| {
            let path = format!("{}/{left}", place.trim_end_matches('/'));
            case(
                &format!("A02{letter}"),
                &format!("make a file in {place}"),
                create(&path),
                Sign::Success,
            )
        })
        .collect();
    let tmp = |name: &str| q(&format!("/tmp/{name}"));
    cases.extend([
        case(
            "A02j",
            "an unnamed file in /usr",
            open("/usr", libc::O_TMPFILE | libc::O_RDWR),
            Sign::Success,
        ),
        case(
            "A02k",
            "a directory in /",
            sys(libc::SYS_mkdir, &format!("\"/{left} 0700")),
            Sign::Success,
        ),
        case(
            "A02l",
            "a link in /usr",
            sys(libc::SYS_symlink, &format!("\"/tmp \"/usr/{left}")),
            Sign::Success,
        ),
        case(
            "A02m",
            "a fifo in /etc",
            sys(libc::SYS_mknod, &format!("\"/etc/{left} 0010644 0")),
            Sign::Success,
        ),
        case(
            "A02n",
            "a socket in /var/lib",
            sh(&format!(
                "python3 -c 'import socket; socket.socket(1).bind(\"/var/lib/{left}\")'"
            )),
            Sign::Facts,
        ),
        case(
            "A17",
            "make a program set-user-id",
            then(&[
                sys(libc::SYS_openat, &format!("-100 {} 0102 0700", tmp("s"))),
                sys(libc::SYS_chmod, &format!("{} 04755", tmp("s"))),
            ]),
            Sign::Success,
        ),
        case(
            "A17b",
            "by fchmod",
            then(&[
                sys(libc::SYS_openat, &format!("-100 {} 0102 0700", tmp("s"))),
                sys(libc::SYS_fchmod, "%0 06755"),
            ]),
            Sign::Success,
        ),
        case(
            "A17c",
            "by fchmodat",
            then(&[
                sys(libc::SYS_openat, &format!("-100 {} 0102 0700", tmp("s"))),
                sys(libc::SYS_fchmodat, &format!("-100 {} 04755", tmp("s"))),
            ]),
            Sign::Success,
        ),
        case(
            "A17d",
            "by fchmodat2",
            then(&[
                sys(libc::SYS_openat, &format!("-100 {} 0102 0700", tmp("s"))),
                sys(libc::SYS_fchmodat2, &format!("-100 {} 04755 0", tmp("s"))),
            ]),
            Sign::Success,
        ),
        case(
            "A17e",
            "by open",
            sys(libc::SYS_openat, &format!("-100 {} 0102 04755", tmp("s2"))),
            Sign::Success,
        ),
        case(
            "A17f",
            "by creat",
            sys(libc::SYS_creat, &format!("{} 04755", tmp("s3"))),
            Sign::Success,
        ),
        case(
            "A17g",
            "by mknod",
            sys(
                libc::SYS_mknod,
                &format!("{} 0104755 0", tmp(&format!("s4-{}", std::process::id()))),
            ),
            Sign::Success,
        ),
        case(
            "A17h",
            "by openat2",
            sys(
                libc::SYS_openat2,
                &format!("-100 {} #4200000000000000ed09000000000000 16", tmp("s5")),
            ),
            Sign::Reached,
        ),
        case(
            "A17i",
            "by umask and mkdir of a set-group-id directory",
            then(&[
                sys(libc::SYS_mkdir, &format!("{} 0700", tmp("sgid"))),
                sys(libc::SYS_chmod, &format!("{} 02755", tmp("sgid"))),
            ]),
            Sign::Success,
        ),
        case(
            "A18",
            "make a block device in /tmp",
            sys(
                libc::SYS_mknod,
                &format!("{} 0060600 0x800", tmp(&format!("b{}", std::process::id()))),
            ),
            Sign::Success,
        ),
        case(
            "A18b",
            "a character device in /dev/shm",
            sys(
                libc::SYS_mknodat,
                &format!("-100 \"/dev/shm/c{} 0020600 0x101", std::process::id()),
            ),
            Sign::Success,
        ),
        case(
            "A18c",
            "a device in the home",
            sh("d=$(mktemp -d); mknod $d/sda b 8 0 && echo MADE; rm -rf $d"),
            Sign::Look(|_, outcome| {
                outcome
                    .text()
                    .contains("MADE")
                    .then(|| "a device was made".into())
            }),
        ),
    ]);
    cases
}

/// It said something.
pub(crate) fn told(_: &World, outcome: &Outcome) -> Option<String> {
    let text = outcome.text();
    (!text.trim().is_empty()).then(|| text.chars().take(200).collect())
}
