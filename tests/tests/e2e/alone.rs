//! Tests that exhaust the machine: nothing else runs beside them.

#[path = "alone/mounts.rs"]
mod mounts;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use wsm_tests::host;
use wsm_tests::instance::Instance;
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
    // In a tree that only limits the agent's group is the payload.
    let files = groups.flat_map(|group| [group.join("payload/cpu.stat"), group.join("cpu.stat")]);
    let stats = files.filter_map(|file| fs::read_to_string(file).ok());
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
fn fork_bomb_is_stopped_at_once() {
    let wsm = Instance::start();
    let text = WEB
        .replace("pids = 128", "pids = 2048")
        .replace("memory = \"256M\"", "memory = \"4G\"")
        .replace(
            "cpu = 0.5
",
            "",
        )
        .replace("[ports]", "stop = { grace = \"60s\" }\n[ports]");
    wsm.host_template("web", &text);
    let repo = Repo::small(wsm.root(), "project");
    for (name, bomb) in [("exec", true), ("terminal", false)] {
        wsm.new_agent(&repo, "web", name);
        let line = "b() { b | b & }; b 2>/dev/null; sleep 100";
        let mut exec = wsm.command(wsm.root(), &["exec", name, "--", "bash", "-c", line]);
        exec.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let exec = bomb.then(|| exec.spawn().expect("wsm starts"));
        if !bomb {
            wsm.wsm(&["send", name, line]).ok();
        }
        wait::until_true("the bomb", || {
            limit(&wsm, name, "cpu limit").contains("held")
        });
        let begun = Instant::now();
        wsm.wsm(&["stop", name]).ok();
        // Its service has a minute, which it could not use.
        assert!(begun.elapsed() < Duration::from_secs(50), "it waited");
        if let Some(mut exec) = exec {
            exec.wait().expect("our child");
        }
    }
    assert_eq!(wsm.end(), Vec::<String>::new());
}
