//! F: talking to others: sockets, queues, shared memory. H: what is inherited.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::path::Path;

use crate::case::{Case, Control, Sign, bytes, case, q, read, sh, sys, then};
use crate::files::told;
use crate::planted;
use crate::scene;
use crate::world::World;

/// Key of the host's queue, memory and semaphores.
fn key() -> i64 {
    0x7700_0000 + i64::from(std::process::id())
}

/// Name of the host's POSIX queue.
fn queue() -> String {
    format!("wsm-attack-{}", std::process::id())
}

/// All of F and H.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = sockets(world);
    cases.extend(queues());
    cases.extend(places(world));
    cases.extend(inherited(world));
    cases
}

/// What the host has for everybody who finds it.
pub(crate) fn lay(world: &World) {
    let (key, queue) = (key(), queue());
    let message = [&1_u64.to_le_bytes()[..], world.secret.as_bytes()].concat();
    let attributes: Vec<u8> = [0_i64, 4, 64, 0, 0, 0, 0, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    world.outside(&[
        sys(
            libc::SYS_msgget,
            &format!("{key} 0o1666").replace("0o", "0"),
        ),
        sys(
            libc::SYS_msgsnd,
            &format!("%0 {} {} 0", bytes(&message), world.secret.len()),
        ),
        sys(libc::SYS_shmget, &format!("{key} 4096 01666")),
        sys(libc::SYS_semget, &format!("{key} 1 01666")),
        sys(libc::SYS_umask, "0"),
        sys(
            libc::SYS_mq_open,
            &format!("\"{queue} 0102 0666 {}", bytes(&attributes)),
        ),
        sys(
            libc::SYS_mq_timedsend,
            &format!("%5 {} {} 0 0", q(&world.secret), world.secret.len()),
        ),
    ]);
    for place in ["/dev/shm", "/tmp", "/var/tmp", "/run"] {
        let path = Path::new(place).join(&world.listeners.name);
        std::fs::write(path, &world.secret).expect("root writes");
    }
}

/// Takes it away again.
pub(crate) fn clear(world: &World) {
    let (key, queue) = (key(), queue());
    world.outside(&[
        sys(libc::SYS_msgget, &format!("{key} 0")),
        sys(libc::SYS_msgctl, "%0 0 0"),
        sys(libc::SYS_shmget, &format!("{key} 0 0")),
        sys(libc::SYS_shmctl, "%2 0 0"),
        sys(libc::SYS_semget, &format!("{key} 0 0")),
        sys(libc::SYS_semctl, "%4 0 0 0"),
        sys(libc::SYS_mq_unlink, &format!("\"{queue}")),
    ]);
    for place in ["/dev/shm", "/tmp", "/var/tmp", "/run"] {
        drop(std::fs::remove_file(
            Path::new(place).join(&world.listeners.name),
        ));
    }
}

fn sockets(world: &World) -> Vec<Case> {
    let name = &world.listeners.name;
    let connect = |kind: i32, path: &str| format!("unix {kind} {}", q(path));
    let send = |path: &str| format!("unixto 2 {}", q(path));
    let heard = Sign::Look(|world, outcome| {
        let said = planted::heard(world);
        (outcome.last() > 0 || said.contains("F03p")).then(|| format!("it heard {said}"))
    });
    let only = Control::Ablation;
    let mut cases = vec![
        case(
            "F01",
            "a socket file of the host",
            connect(1, &world.ground.hidden("socket")),
            Sign::Facts,
        ),
        case(
            "F01b",
            "for datagrams",
            connect(2, &world.ground.hidden("datagrams")),
            Sign::Facts,
        ),
        case(
            "F02",
            "for datagrams, without connecting",
            send(&world.ground.hidden("datagrams")),
            Sign::Facts,
        ),
        case(
            "F01s",
            "a socket file in a directory that is shown",
            connect(1, &world.ground.shown("socket")),
            Sign::Facts,
        ),
        case(
            "F01t",
            "for datagrams",
            connect(2, &world.ground.shown("datagrams")),
            Sign::Facts,
        ),
        case(
            "F02s",
            "without connecting",
            send(&world.ground.shown("datagrams")),
            Sign::Facts,
        ),
        case(
            "F03",
            "an abstract socket of the host",
            connect(1, &format!("@{name}")),
            Sign::Facts,
        ),
        case(
            "F03b",
            "for datagrams",
            connect(2, &format!("@{name}-d")),
            Sign::Facts,
        ),
        case(
            "F03c",
            "for datagrams, without connecting",
            send(&format!("@{name}-d")),
            Sign::Facts,
        ),
        case(
            "F03d",
            "the same by Python",
            sh(&format!(
                "python3 -c \"import socket; s=socket.socket(1); s.connect('\\\\0{name}'); s.send(b'F03d-in F03d-out')\""
            )),
            Sign::Facts,
        ),
        case(
            "F03p",
            "an abstract socket in its own network, outside the domain",
            connect(1, &format!("@{name}-planted")),
            heard,
        )
        .control(only),
        case(
            "F04",
            "names of the host's abstract sockets",
            sh(&format!("grep -a {name} /proc/net/unix | grep -v planted")),
            Sign::Look(told),
        ),
        case(
            "F06",
            "any socket file that is not its own",
            sh(&format!(
                "find / /run /srv /var/lib /tmp -xdev -type s 2>/dev/null | grep -v '^/proc\\|^{}\\|^{}'",
                world.ground.0.join("shown").display(),
                // What holds the place of a protected name.
                world.agent.workspace,
            )),
            Sign::Look(told),
        ),
        case(
            "F14",
            "an abstract socket of another agent",
            connect(1, "@neighbours"),
            Sign::Look(|world, outcome| {
                let heard =
                    std::fs::read_to_string(Path::new(&world.neighbour.workspace).join("heard"))
                        .unwrap_or_default();
                (outcome.last() > 0 || heard.contains("F14-")).then_some(heard)
            }),
        )
        .control(Control::Neighbour),
    ];
    let run = world.wsm.dir().join("run");
    let mut all: Vec<_> = std::fs::read_dir(run)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    all.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "sock")
    });
    all.sort();
    for (number, path) in all.iter().enumerate() {
        let path = path.display().to_string();
        let kind = if path.ends_with("broker.sock") || path.ends_with("egress.sock") {
            5
        } else {
            1
        };
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        cases.push(case(
            &format!("F15.{number}"),
            &format!(
                "wsm's own socket {}",
                name.split('-').next().unwrap_or_default()
            ),
            connect(kind, &path),
            Sign::Look(|_, outcome| {
                // 91: it is there, of another kind.
                (outcome.last() >= 0 || outcome.last() == -91).then(|| outcome.detail())
            }),
        ));
    }
    cases
}

fn queues() -> Vec<Case> {
    let (key, queue) = (key(), queue());
    vec![
        case(
            "F08",
            "a message of the host",
            then(&[
                sys(libc::SYS_msgget, &format!("{key} 0")),
                sys(libc::SYS_msgrcv, "%0 !256 200 0 04000"),
            ]),
            Sign::Facts,
        ),
        case(
            "F08b",
            "shared memory of the host",
            sys(libc::SYS_shmget, &format!("{key} 0 0")),
            Sign::Success,
        ),
        case(
            "F08c",
            "semaphores of the host",
            sys(libc::SYS_semget, &format!("{key} 0 0")),
            Sign::Success,
        ),
        case(
            "F08d",
            "lists of them",
            sh(&format!(
                "cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem | grep -w {key}"
            )),
            Sign::Look(told),
        ),
        case(
            "F12",
            "a POSIX queue of the host",
            then(&[
                sys(libc::SYS_mq_open, &format!("\"{queue} 04000 0 0")),
                sys(libc::SYS_mq_timedreceive, "%0 ?8192 8192 0 0"),
            ]),
            Sign::Facts,
        ),
        case(
            "F12b",
            "remove it",
            sys(libc::SYS_mq_unlink, &format!("\"{queue}")),
            Sign::Success,
        ),
    ]
}

fn places(world: &World) -> Vec<Case> {
    let name = &world.listeners.name;
    let mut cases = Vec::new();
    for (id, place) in [
        ("F13", "/dev/shm"),
        ("F11", "/tmp"),
        ("F11b", "/var/tmp"),
        ("F11c", "/run"),
    ] {
        cases.push(case(
            id,
            &format!("a file of the host's {place}"),
            read(&format!("{place}/{name}")),
            Sign::Facts,
        ));
    }
    for (number, path) in [
        "/run/dbus",
        "/run/user",
        "/run/systemd",
        "/run/docker.sock",
        "/run/containerd",
        "/run/udev",
        "/var/spool/cron",
        "/var/lib/systemd",
        "/var/log",
        "/run/lock",
        "/var/cache",
        "/var/backups",
        "/boot",
        "/mnt",
        "/media",
        "/lost+found",
    ]
    .iter()
    .enumerate()
    {
        if Path::new(path).exists() {
            let stat = sys(libc::SYS_newfstatat, &format!("-100 {} @144 0", q(path)));
            cases.push(case(
                &format!("F10.{number}"),
                &format!("find {path}"),
                stat,
                Sign::Exists,
            ));
        }
    }
    cases.push(case(
        "F17",
        "stall the host by a lease on its file",
        then(&[
            sys(
                libc::SYS_openat,
                &format!("-100 {} 0", q(&world.ground.shown("file"))),
            ),
            sys(libc::SYS_fcntl, "%0 1024 0"),
        ]),
        Sign::Success,
    ));
    cases.push(case(
        "F17b",
        "by a write lease on a file of the workspace",
        then(&[
            sys(
                libc::SYS_openat,
                &format!(
                    "-100 {} 2",
                    q(&format!("{}/README.md", world.agent.workspace))
                ),
            ),
            sys(libc::SYS_fcntl, "%0 1024 1"),
        ]),
        Sign::Success,
    ));
    cases
}

fn inherited(world: &World) -> Vec<Case> {
    let server = "read _ _ _ p _ </proc/$PPID/stat;";
    // By a pattern that does not say the secret itself.
    let known = |file: &str| {
        let pattern = &world.secret[2..];
        format!(
            "cat /proc/[0-9]*/{file} 2>/dev/null | tr '\\0' '\\n' | grep -a 'S[3]{pattern}' | head -3"
        )
    };
    let mut cases: Vec<_> = scene::VARIABLES
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let line = format!("printenv {name}");
            let what = format!("{name} of who called wsm");
            case(&format!("H14.{number}"), &what, sh(&line), Sign::Facts)
        })
        .collect();
    cases.extend([
        case(
            "H01",
            "the environment of who called wsm",
            sh("env"),
            Sign::Facts,
        ),
        case(
            "H01b",
            "environments in /proc",
            sh(&known("environ")),
            Sign::Facts,
        ),
        case(
            "H01c",
            "command lines in /proc",
            sh(&known("cmdline")),
            Sign::Facts,
        ),
        case(
            "H11",
            "a descriptor of who called wsm",
            sh(&format!("{server} cat /proc/$p/fd/7")),
            Sign::Facts,
        ),
        case(
            "H11b",
            "any descriptor but three",
            sh(&format!(
                "{server} ls -l /proc/$p/fd 2>/dev/null | sed -n 's/.* -> //p' | grep -v 'pipe:\\|/dev/null'"
            )),
            Sign::Look(told),
        ),
        case(
            "H13",
            "what lies above its working directory",
            sh("cd /; cd ..; cd ..; ls -d root opt 2>/dev/null"),
            Sign::Look(told),
        ),
    ]);
    cases
}
