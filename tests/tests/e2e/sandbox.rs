//! What the sandbox is, seen from inside and as `show` tells it.

use wsm_tests::host;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;

#[test]
fn what_is_forbidden_is_refused() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "caged");
    // Each line must fail inside; the same line as root on the host would not.
    let refused = [
        "mount -t tmpfs none /tmp",
        "unshare -U true",
        "unshare -n true",
        "chroot / true",
        "mknod /tmp/sda b 8 0",
        "cat /etc/shadow",
        "ls /sys/kernel",
        "echo x >/usr/bin/x",
        "echo x >/etc/passwd",
        "echo b >/proc/sysrq-trigger",
        "echo x >/proc/sys/kernel/hostname",
        "head -c 1 /proc/kcore",
        "cat /proc/1/environ | grep -q .",
        "cp /bin/true /tmp/t && chmod u+s /tmp/t",
        "kill -9 1",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 3)'",
        "ip link add x type dummy",
        "dmesg | grep -q .",
    ];
    for line in refused {
        let tried = wsm.inside("caged", line);
        assert_ne!(tried.code, 0, "{line} was let through: {tried}");
    }
    let paths = [
        repo.path().join("README.md"),
        wsm.dir().join("state/daemon"),
        "/root".into(),
        "/home".into(),
    ];
    for path in paths {
        let tried = wsm.inside(
            "caged",
            &format!("ls -A {} | grep -v '^agent$'", path.display()),
        );
        assert_ne!(tried.code, 0, "{} is visible: {tried}", path.display());
    }
}

#[test]
fn ordinary_tools_work() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "usual");
    for line in [
        "python3 -c 'import ssl, sqlite3, multiprocessing; multiprocessing.Queue()'",
        "node -e 'console.log(process.version)'",
        "git --version && id && whoami && hostname && date",
        "mkdir -p ~/.cache && touch ~/.cache/x && mktemp && df . >/dev/null",
        "ps aux | grep -q init",
        "test -w /dev/shm && test -c /dev/null && head -c 8 /dev/urandom >/dev/null",
        "python3 -c 'import pty; pty.spawn([\"true\"])'",
        "(sleep 100 & echo $! >/tmp/pid; kill $(cat /tmp/pid))",
        "getent hosts localhost",
    ] {
        wsm.inside("usual", line).ok();
    }
}

#[test]
fn processes_see_nothing_of_the_host() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "clean");
    let environment = wsm.inside("clean", "env").ok().stdout;
    for word in ["CARGO", "SUDO", "SSH_", "WSM_BIN_DIR", "LS_COLORS"] {
        assert!(!environment.contains(word), "{environment}");
    }
    let descriptors = wsm
        .wsm(&["exec", "clean", "--", "ls", "-l", "/proc/self/fd"])
        .ok()
        .stdout;
    assert!(
        descriptors.lines().count() <= 5,
        "inherited descriptors: {descriptors}"
    );
    let status = wsm.inside("clean", "cat /proc/self/status").ok().stdout;
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let interfaces = wsm
        .inside("clean", "cat /proc/net/dev | tail -n +3 | cut -d: -f1")
        .ok();
    assert_eq!(interfaces.text().trim(), "lo");
}

#[test]
fn show_tells_every_layer_from_the_kernel() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "shell", "shown");
    let shown = wsm.wsm(&["show", "shown", "--json"]).ok().json();
    let layers = shown["layers"].as_array().expect("layers");
    assert!(layers.len() >= 8, "{shown}");
    for layer in layers {
        let status = layer["status"].as_str().unwrap_or_default();
        assert!(
            ["enforced", "reduced", "absent"].contains(&status),
            "{layer}"
        );
        assert!(
            status == "enforced" || layer["detail"] != "",
            "why is it less? {layer}"
        );
    }
    let named = |word: &str| {
        layers
            .iter()
            .any(|l| l["layer"].as_str().is_some_and(|n| n.contains(word)))
    };
    for word in ["user", "mount", "seccomp", "landlock", "memory", "pid"] {
        assert!(named(word), "no layer {word} in {shown}");
    }
    let probes = shown["probes"].as_array().expect("probes");
    assert!(probes.len() >= 10, "{shown}");
    assert!(probes.iter().all(|probe| probe["held"] == true), "{shown}");
    let human = wsm.wsm(&["show", "shown"]).ok().stdout;
    assert!(human.to_lowercase().contains("landlock"), "{human}");
}

#[test]
fn limits_hold() {
    let wsm = Instance::start();
    wsm.host_template(
        "tight",
        "schema = 1\nname = \"tight\"\ndescription = \"small\"\n[agent]\nkind = \"shell\"\n[limits]\nmemory = \"128M\"\npids = 64\n",
    );
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "tight", "small");
    let hog = wsm.inside("small", "python3 -c 'x = bytearray(400 << 20)'");
    assert_ne!(hog.code, 0, "400 MB in 128: {hog}");
    let forks = "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; \
                 test $(ls -d /proc/[0-9]* | wc -l) -lt 80";
    let bounded = wsm.inside("small", forks);
    assert!(bounded.code == 0 || bounded.code == 2, "{bounded}");
    let alive = wsm_tests::host::processes_of(&wsm.agent("small").id).len();
    assert!(alive <= 70, "{alive} processes with a limit of 64");
    wsm.wait_state("small", "working,idle");
}

#[test]
fn programs_of_wsm_may_open_as_many_files_as_the_host_lets_them() {
    let wsm = Instance::start();
    let repo = Repo::small(wsm.root(), "project");
    let agent = wsm.new_agent(&repo, "shell", "open");
    let shim = host::processes_of(&agent.id)
        .into_iter()
        .find(|process| process.cgroup.contains("/shim"));
    let shim = shim.expect("a running agent has a shim").pid;
    for pid in [wsm.pid_of(Part::Daemon), wsm.pid_of(Part::Broker), shim] {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
        let files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let files = files.expect("the kernel tells it");
        let words: Vec<_> = files.split_whitespace().collect();
        assert_eq!(
            words[3],
            words[4],
            "{}: {files}",
            host::process(pid).expect("it lives").command
        );
    }
    // Inside it is bounded, and an agent can't raise it.
    let inside = wsm.inside(
        "open",
        "ulimit -Sn; ulimit -Hn; ulimit -Hn 1000000 2>&1 || true",
    );
    let inside = inside.ok().stdout;
    let mut lines = inside.lines();
    assert_eq!(lines.next(), lines.next(), "{inside}");
    assert!(inside.contains("ot permitted"), "{inside}");
}

const HOG: &str = r#"schema = 1
name = "hog"
description = "takes more memory than it may"
[agent]
kind = "command"
command = ["sh", "-c", "test -e ~/go || exec sleep 1000; exec python3 -c 'x = bytearray(1 << 28)'"]
[limits]
memory = "64M"
"#;

#[test]
fn agent_at_its_memory_limit_fails_and_says_so() {
    let wsm = Instance::start();
    wsm.host_template("hog", HOG);
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "hog", "greedy");
    wsm.inside("greedy", "touch ~/go").ok();
    drop(wsm.wsm(&["restart", "greedy"]));
    let failed = wsm.wait_state("greedy", "failed");
    assert!(
        failed.reason.contains("memory limit of 64 MiB"),
        "{}",
        failed.reason
    );
    // A signal from elsewhere is no lack of memory.
    let text = HOG
        .replace("hog", "killed")
        .replace("python3 -c 'x = bytearray(1 << 28)'", "sh -c 'kill -9 $$'");
    wsm.host_template("killed", &text);
    wsm.new_agent(&repo, "killed", "killed");
    wsm.inside("killed", "touch ~/go").ok();
    drop(wsm.wsm(&["restart", "killed"]));
    let failed = wsm.wait_state("killed", "failed");
    assert!(
        failed.reason.ends_with("was killed by signal 9"),
        "{}",
        failed.reason
    );
}
