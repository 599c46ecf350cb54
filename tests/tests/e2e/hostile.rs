//! What a hostile program prints costs its own agent, and nobody else.

use std::time::{Duration, Instant};

use wsm_tests::host;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// What terminals were found to choke on (`terminal/tests/shim/hostile.rs` has each alone), as a
/// program that prints it until it is ended.
const STREAMS: [(&str, &str); 8] = [
    ("flood", "yes"),
    ("osc", r"printf '\033]0;'; tr '\0' x </dev/zero"),
    ("dcs", r"printf '\033Pq'; tr '\0' x </dev/zero"),
    ("marks", r"printf e; yes $'\xcc\x81' | tr -d '\n'"),
    ("repeat", r"yes $'a\e[65535b' | tr -d '\n'"),
    ("lines", r"yes $'\e[65535L\e[65535@\e[65535S' | tr -d '\n'"),
    ("titles", r"yes $'\e[22t\e]2;x\a' | tr -d '\n'"),
    ("noise", "cat /dev/urandom"),
];

/// Memory of a shim beyond that of an idle one, per terminal.
const MEMORY_KIB_MAX: u64 = 8 * 1024;

/// How long others may wait for an answer on a busy machine: as long as they do without a flood,
/// and a little more. What it really is, `make bench` tells (`echo_beside_flood`).
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_hostile_stream_costs_its_agent_and_nobody_else() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "hostile");
    wsm.new_agent(&repo, "shell", "calm");
    for agent in ["hostile", "calm"] {
        wsm.wsm(&["send", agent, "clear; seq 20000; echo full-$((6*7))"])
            .ok();
        wsm.wait_screen(agent, "full-42");
    }
    let shim = host::shim_of(&agent.id);
    let idle = resident_kib(shim);
    for (name, script) in STREAMS {
        let path = format!("evil-{name}.sh");
        wsm.inside("hostile", &format!("cat >{path} <<'Y'\n{script}\nY"))
            .ok();
        let before = (charged_us(&agent.id), spent_us(shim));
        let over = format!("over-{name}-42");
        let run = format!(
            "clear; timeout -s KILL 2 bash {path}; stty sane; printf '\\030\\033\\\\\\033c'; echo over-{name}-$((6*7))"
        );
        wsm.wsm(&["send", "hostile", &run]).ok();
        let asked = Instant::now();
        wsm.wsm(&["send", "calm", &format!("clear; echo calm-{name}-$((6*7))")])
            .ok();
        wsm.wait_screen("calm", &format!("calm-{name}-42"));
        assert!(asked.elapsed() < PATIENCE, "{name}: {:?}", asked.elapsed());
        wsm.wait_screen("hostile", &over);
        let (charged, spent) = (charged_us(&agent.id) - before.0, spent_us(shim) - before.1);
        // The clock of a process ticks in hundredths.
        assert!(
            charged + 50_000 >= spent,
            "{name}: {charged} µs of {spent} µs charged"
        );
        assert!(spent > 0, "{name}: the shim did nothing");
        let held = resident_kib(shim);
        assert!(
            held < idle + MEMORY_KIB_MAX,
            "{name}: {idle} KiB idle, then {held} KiB"
        );
    }
    let peak = status_kib(shim, "VmHWM:");
    assert!(
        peak < idle + MEMORY_KIB_MAX,
        "{idle} KiB idle, {peak} KiB at most"
    );
    // What its last questions were answered stands on the shell's line: that is given up first.
    let again = || {
        wsm.wsm(&["send", "hostile", "\u{3}"]).ok();
        wsm.wsm(&["send", "hostile", "echo fine-$((3*3))"]).ok();
        wsm.wsm(&["capture", "hostile"])
            .ok()
            .stdout
            .contains("fine-9")
    };
    wait::until_true("the hostile agent's shell", again);
}

/// Microseconds of CPU that the kernel charged to the group of the agent's shim.
fn charged_us(agent: &str) -> u64 {
    let files = host::cgroups_of(agent).into_iter();
    let mut used = files.filter_map(|group| {
        let stat = std::fs::read_to_string(group.join("shim/cpu.stat")).ok()?;
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))?;
        line.parse().ok()
    });
    used.next().expect("the unified hierarchy counts")
}

/// Microseconds of CPU that a process has used, its threads included.
fn spent_us(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let rest = stat.rsplit(')').next().expect("a name in parentheses");
    // User and system time, in clock ticks: fields 14 and 15 of all.
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum::<u64>()
        * 10_000
}

fn resident_kib(pid: i32) -> u64 {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.expect("a live process tells")
}
