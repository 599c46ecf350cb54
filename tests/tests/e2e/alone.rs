//! Tests that exhaust the machine: nothing else runs beside them.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

use crate::services::fetch;

const WEB: &str = r#"schema = 1
name = "web"
description = "A page on a port"
[agent]
kind = "shell"
wait_for = ["web"]
[services.web]
command = ["python3", "-m", "http.server", "{port.web}", "--bind", "127.0.0.1"]
ready = { http = "web", timeout = "20s" }
[ports]
web = { inside = 8000, protocol = "http" }
[limits]
cpu = 0.5
memory = "256M"
pids = 128
"#;

/// What `wsm show` says of a limit.
fn limit(wsm: &Instance, agent: &str, layer: &str) -> String {
    let shown = wsm.wsm(&["show", agent, "--json"]).ok().json();
    let layers = shown["layers"].as_array().expect("layers");
    let found = layers.iter().find(|found| found["layer"] == layer);
    let detail = found.expect("each limit is a layer")["detail"].as_str();
    detail.expect("a sentence").to_owned()
}

/// How often the kernel made the agent wait at its CPU limit.
fn throttled(agent: &str) -> u64 {
    let groups = host::cgroups_of(agent).into_iter();
    let stats = groups.filter_map(|group| fs::read_to_string(group.join("payload/cpu.stat")).ok());
    let counts = stats.filter_map(|stat| {
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "));
        line.and_then(|count| count.parse::<u64>().ok())
    });
    counts.sum()
}

/// How much slower the neighbour gets is measured by `make bench` (`neighbour_*`); here it answers,
/// and the hog has met its limits.
#[test]
fn noisy_agent_is_bounded_and_its_neighbour_answers() {
    let wsm = Instance::start();
    wsm.host_template("web", WEB);
    let repo = Repo::large(wsm.root(), "project", 3000);
    repo.write("README.md", "hello\n");
    repo.commit("a page");
    let quiet = wsm.new_agent(&repo, "web", "quiet");
    wsm.new_agent(&repo, "web", "noisy");
    let mut ports = quiet.ports.iter().filter_map(|port| port.outside);
    let port = ports.next().expect("a published port");
    let hog = |script: &str, bounded: &dyn Fn() -> bool| {
        let mut hog = wsm.command(wsm.root(), &["exec", "noisy", "--", "bash", "-c", script]);
        hog.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut hog = hog.spawn().expect("wsm starts");
        wait::until_true(script, || {
            fetch(port, "/README.md").expect("it answers");
            bounded()
        });
        fetch(port, "/README.md").expect("it answers");
        hog.kill().and_then(|()| hog.wait()).expect("our child");
        wsm.wsm(&["restart", "noisy"]).ok();
        wsm.wait_state("noisy", "working,idle");
    };
    let cpu = || limit(&wsm, "noisy", "cpu limit");
    assert_eq!(cpu(), "0.500 cores");
    let held = "0.100 cores, held there as long as it is at its process limit";
    hog("b() { b | b & }; b; sleep 1000", &|| cpu() == held);
    assert_eq!(cpu(), "0.500 cores", "a new start is not held");
    let killed = || wsm.inside("noisy", "cat ~/killed").text().contains("137");
    hog(
        "python3 -c 'x = bytearray(1 << 30)'; echo $? > ~/killed; sleep 1000",
        &killed,
    );
    let throttled = || throttled(&wsm.agent("noisy").id) > 0;
    hog(
        "for i in 1 2 3 4; do (while :; do :; done) & done; wait",
        &throttled,
    );
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let rounds = std::env::var("WSM_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(24_u32);
    let sides: [&[Part]; 3] = [
        &[Part::Daemon],
        &[Part::Broker],
        &[Part::Daemon, Part::Broker],
    ];
    let mut commits = 0;
    wsm.new_agent(&repo, "shell", "steady");
    for round in 0..rounds {
        let parts = sides[round as usize % 3];
        let name = format!("round-{round}");
        let path = repo.path().to_string_lossy().into_owned();
        let mut create = wsm.command(
            wsm.root(),
            &[
                "new",
                &path,
                "--template",
                "shell",
                "--name",
                &name,
                "--detach",
                "--no-input",
            ],
        );
        create.stdin(Stdio::null());
        create.stdout(Stdio::null()).stderr(Stdio::null());
        let mut create = create.spawn().expect("wsm starts");
        // A different moment of the creation each time, spread over its first 600 ms.
        std::thread::sleep(Duration::from_millis(u64::from(round * 97 % 600)));
        wsm.kill_and_recover(parts);
        create.wait().expect("our child");

        let settled = || {
            wsm.find(&name).is_none_or(|agent| {
                !agent.state.as_str().ends_with("ing") || agent.state.as_str() == "working"
            })
        };
        wait::until_true(&format!("{name} to settle"), settled);
        if wsm
            .inside(
                "steady",
                &format!("echo {round} >>log && git add log && git commit -q -m {round}"),
            )
            .code
            == 0
        {
            commits += 1;
        }
        if wsm.find(&name).is_some() {
            wsm.remember_agents();
            wsm.wsm(&["rm", "--purge", &name]).ok();
        }
    }
    let count = || {
        repo.git(&["rev-list", "--count", "main..wsm/steady"])
            .ok()
            .text()
            == commits.to_string()
    };
    wait::until_true("every commit to arrive", count);
    assert_eq!(repo.fsck(), "");
    assert_eq!(wsm.end(), Vec::<String>::new());
    let worktrees = repo.git(&["worktree", "list"]).ok().stdout;
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
}

#[test]
fn fork_bomb_is_stopped_at_once() {
    let wsm = Instance::start();
    let text = WEB
        .replace("pids = 128", "pids = 2048")
        .replace("memory = \"256M\"", "memory = \"4G\"")
        .replace(
            "cpu = 0.5
",
            "",
        );
    wsm.host_template("web", &text);
    let repo = Repo::small(wsm.root(), "project");
    for (name, bomb) in [("exec", true), ("terminal", false)] {
        let agent = wsm.new_agent(&repo, "web", name);
        let line = "b() { b | b & }; b 2>/dev/null; sleep 100";
        let mut exec = wsm.command(wsm.root(), &["exec", name, "--", "bash", "-c", line]);
        exec.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let exec = bomb.then(|| exec.spawn().expect("wsm starts"));
        if !bomb {
            wsm.wsm(&["send", name, line]).ok();
        }
        wait::until_true("the bomb", || host::processes_of(&agent.id).len() > 1500);
        let begun = Instant::now();
        wsm.wsm(&["stop", name]).ok();
        let took = begun.elapsed();
        println!("{name}: stopped after {took:?}");
        // Its command and its service have 11 s, which neither could use.
        assert!(took < Duration::from_secs(6), "{took:?}");
        if let Some(mut exec) = exec {
            exec.wait().expect("our child");
        }
    }
    assert_eq!(wsm.end(), Vec::<String>::new());
}
