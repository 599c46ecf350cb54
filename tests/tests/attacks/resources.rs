//! K: resources. What an agent can take is bounded, and is its own.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use wsm_tests::host;

use crate::case::{Case, Control, Sign, case, python, sh, sys, then};
use crate::files::told;
use crate::report::{Ending, Verdict};
use crate::world::World;

/// Tasks that the template allows.
const TASKS: i64 = 100;
/// Memory that it allows.
const MEMORY: i64 = 256 << 20;

/// All of K that one agent can do alone.
pub(crate) fn cases(_world: &World) -> Vec<Case> {
    let fill = |place: &str, size: i64| {
        then(&[
            sys(
                libc::SYS_openat,
                &format!("-100 \"{place} {} 0600", libc::O_TMPFILE | libc::O_RDWR),
            ),
            sys(libc::SYS_fallocate, &format!("%0 0 0 {size}")),
        ])
    };
    vec![
        case(
            "K01",
            "processes without end",
            "bomb 400".to_owned(),
            Sign::MoreThan(TASKS),
        ),
        case(
            "K01b",
            "threads without end",
            "threads 400".to_owned(),
            Sign::MoreThan(TASKS),
        ),
        case(
            "K01c",
            "processes of other sessions",
            sh(
                "for i in $(seq 130); do setsid sleep 1 & done 2>/dev/null; ls /proc | grep -c '^[0-9]'; kill -9 $(jobs -p) 2>/dev/null",
            ),
            Sign::Look(|_, outcome| {
                let most = outcome
                    .text()
                    .split_whitespace()
                    .filter_map(|word| word.parse::<i64>().ok())
                    .max();
                most.filter(|most| *most > TASKS + 8)
                    .map(|most| format!("{most} processes"))
            }),
        ),
        case(
            "K02b",
            "files of /dev/shm",
            fill("/dev/shm", MEMORY + (16 << 20)),
            Sign::Success,
        ),
        case(
            "K02c",
            "files of /tmp",
            fill("/tmp", MEMORY + (16 << 20)),
            Sign::Success,
        ),
        case(
            "K02d",
            "files of /run",
            fill("/run", 80 << 20),
            Sign::Success,
        ),
        case(
            "K02e",
            "names of /run",
            python(
                "import os, shutil\nplace = f'/run/many-{os.getpid()}'\nos.mkdir(place)\nmade = 0\n\
                 try:\n  while made < 70000: os.mknod(f'{place}/{made}'); made += 1\n\
                 except OSError: pass\nprint(made, flush=True)\nshutil.rmtree(place)",
            ),
            Sign::Look(|_, outcome| {
                let most = outcome.text().trim().parse::<i64>().ok();
                most.filter(|most| *most > 65_536)
                    .map(|most| format!("{most} files"))
            }),
        ),
        case(
            "K07",
            "open files",
            then(&[
                sys(
                    libc::SYS_prlimit64,
                    "0 7 #00000200000000000000020000000000 0",
                ),
                format!("repeat 100000 {} 0", libc::SYS_dup),
            ]),
            Sign::MoreThan(65_536),
        )
        .control(Control::None(
            "the hard limit of this host may be lower itself",
        )),
        case(
            "K07b",
            "terminals",
            format!("repeat 400 {} -100 \"/dev/ptmx 0402", libc::SYS_openat),
            Sign::MoreThan(256),
        ),
        case(
            "K19",
            "move to another control group",
            sh(
                "find / -xdev -maxdepth 5 -name cgroup.procs 2>/dev/null; ls /sys/fs/cgroup/*/cgroup.procs 2>/dev/null",
            ),
            Sign::Look(told),
        ),
        case(
            "K22",
            "outlive others when memory is short",
            sys(libc::SYS_getpid, ""),
            Sign::Look(|_, outcome| {
                let score =
                    std::fs::read_to_string(format!("/proc/{}/oom_score_adj", outcome.pid?))
                        .unwrap_or_default();
                score
                    .trim()
                    .parse::<i32>()
                    .ok()
                    .filter(|score| *score < 500)
                    .map(|score| format!("a score of {score}"))
            }),
        ),
        // The last one: where the kernel ends whole groups, the agent must be started again.
        case(
            "K02",
            "memory",
            format!("hog {}", MEMORY + (64 << 20)),
            Sign::MoreThan(MEMORY),
        ),
    ]
}

/// What is left when the agent is stopped: of a process that forked twice, left its session, took in
/// orphans and ignores every signal that can be ignored. Ends the world's attacker.
pub(crate) fn outlives_its_agent(world: &World) -> Verdict {
    let outside = world.daemonise("host");
    let survived = outside.is_some_and(|pid| host::process(pid).is_some());
    if let Some(pid) = outside {
        host::signal(pid, "KILL");
    }
    let inside = world.daemonise("inside");
    let before = host::processes_of(&world.agent.id).len();
    let stopped = world.wsm.wsm_as(&world.ann, &["stop", &world.agent.id]);
    let left: Vec<_> = host::processes_of(&world.agent.id)
        .iter()
        .map(|p| p.command.clone())
        .collect();
    let held = match (
        inside.is_some() && stopped.code == 0,
        left.is_empty(),
        survived,
    ) {
        (true, true, true) => Ending::Held,
        (_, false, _) => Ending::Escaped,
        _ => Ending::Inconclusive,
    };
    Verdict {
        id: "K09".into(),
        group: "K".into(),
        held,
        control: survived,
        detail: format!("outlive the agent: {before} processes before stop, after it {left:?}"),
        reason: String::new(),
    }
}
