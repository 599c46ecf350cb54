//! What people are told of the way out: its log, its layer, and its configuration as it changes.

use std::fs;

use wsm_tests::instance::Part;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

use super::World;

impl World {
    fn log_of_egress(&self) -> String {
        self.wsm.wsm(&["logs", "netty", "egress"]).ok().stdout
    }

    /// Status and detail of the layer.
    fn layer(&self, agent: &str) -> (String, String) {
        let shown = self.wsm.wsm(&["show", agent, "--json"]).ok().json();
        let layers = shown["layers"].as_array().expect("layers");
        let found = layers.iter().find(|layer| layer["layer"] == "egress");
        let word = |key: &str| {
            let word = found.expect("the layer")[key].as_str();
            word.expect("text").to_owned()
        };
        (word("status"), word("detail"))
    }

    fn config(&self) -> std::path::PathBuf {
        self.wsm.dir().join("etc/config.toml")
    }

    fn change_config(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("our own file");
        assert!(text.contains(from), "{text}");
        fs::write(self.config(), text.replace(from, to)).expect("root writes");
    }

    fn journal_has(&self, text: &str) -> bool {
        let path = self.wsm.dir().join("state/daemon/wsm.db");
        let mut ask = self.wsm.root().command("python3");
        ask.args(["-c", "import sqlite3,sys; print([r for r in sqlite3.connect('file:'+sys.argv[1]+'?mode=ro',uri=True).execute('select verb, message from journal')])"]);
        ask.arg(path);
        wsm_tests::cli::run(ask, b"").ok().stdout.contains(text)
    }
}

#[test]
fn what_was_reached_and_refused_is_in_the_log_by_host_and_amount() {
    let world = World::new();
    world.agent("netty");
    let allowed = format!("allowed.example:{}", world.tls);
    world.curl(&format!("https://{allowed}/x"));
    world.curl("https://other.example/");
    let log = world.log_of_egress();
    let reached = log
        .lines()
        .find(|line| line.contains(&format!(" allowed {allowed} 1 new, ")));
    let line = reached.unwrap_or_else(|| panic!("{log}"));
    let received = line.rsplit_once(" bytes sent, ").expect("amounts").1;
    let received: u64 = received
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert!(received > 500, "{line}");
    assert!(
        log.contains(" denied other.example 2 times: no rule allows other.example"),
        "{log}"
    );
    // It is egress's own, and outlives it; of an agent that is gone nothing stays.
    world.wsm.kill_and_recover(&[Part::Egress, Part::Daemon]);
    assert!(world.log_of_egress().starts_with(&log));
    let file = || {
        fs::read_dir(world.wsm.dir().join("state/egress/log"))
            .expect("egress makes it")
            .count()
    };
    assert_eq!(file(), 1);
    world.wsm.wsm(&["rm", "--purge", "netty"]).ok();
    assert_eq!(file(), 0);
}

#[test]
fn the_layer_is_shown_as_the_kernel_has_it() {
    let world = World::new();
    world.agent("netty");
    let (status, detail) = world.layer("netty");
    assert_eq!(status, "enforced", "{detail}");
    for part in [
        "allow, 5 entries",
        "TCP to every address is caught",
        "1 exposed",
        "egress takes it",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    let exposed = format!(
        "first: 127.0.0.1:7777 inside leads to 127.0.0.1:{} of the host",
        world.first
    );
    assert!(world.journal_has("egress.exposed") && world.journal_has(&exposed));
    let repo = Repo::small(world.wsm.root(), "second");
    world.wsm.new_agent(&repo, "shell", "alone");
    let (status, detail) = world.layer("alone");
    assert_eq!(
        (status.as_str(), detail.as_str()),
        ("enforced", "none; loopback only, nothing leads out")
    );
}

/// `open` is every public address by TCP, and no other.
#[test]
fn open_is_the_public_internet_alone() {
    let world = World::new();
    let open =
        "schema = 1\nname = \"opened\"\nextends = [\"shell\"]\n[network]\negress = \"open\"\n";
    world.wsm.host_template("opened", open);
    let repo = Repo::small(world.wsm.root(), "project");
    world.wsm.new_agent(&repo, "opened", "netty");
    let (status, detail) = world.layer("netty");
    assert_eq!(status, "reduced", "{detail}");
    assert!(
        detail.starts_with("open to every public address; "),
        "{detail}"
    );
    let World { tls, http, .. } = world;
    // No rule names it; its address is one that the host permits.
    let said = world.curl(&format!("https://b.below.example:{tls}/x"));
    assert_eq!(said, format!("b.below.example:{tls} /x -"));
    for target in [
        format!("http://127.0.0.1:{http}/"),
        format!("https://inner.example:{tls}/"),
        format!("https://10.0.0.1:{tls}/"),
        format!("http://169.254.169.254:{http}/"),
        format!("https://[::ffff:127.0.0.1]:{tls}/"),
    ] {
        let said = world.curl(&target);
        assert!(
            said.starts_with("failed") || said.starts_with("wsm: "),
            "{target}: {said}"
        );
    }
    assert!(
        world
            .log_of_egress()
            .contains("private address must be permitted")
    );
}

#[test]
fn the_hosts_configuration_holds_without_a_restart() {
    let world = World::new();
    world.agent("netty");
    let World { tls, .. } = world;
    let grouped = format!("https://a.below.example:{tls}/x");
    let works = |target: &str| world.curl(target).contains(" /x ");
    assert!(works(&grouped));
    let hold = |host: &str| {
        let script = format!(
            "exec python3 -c 'import socket; s=socket.create_connection((\"{host}\",{}),5); \
             s.recv(99); open(\"/home/agent/{host}\",\"w\"); s.settimeout(None); s.recv(1); \
             open(\"/home/agent/{host}.closed\",\"w\")' &",
            world.first
        );
        world.wsm.inside("netty", &script).ok();
        wait::until_true("the connection stands", || there(&world, host));
    };
    hold("allowed.example");
    // A file that can't be read changes nothing.
    let text = fs::read_to_string(world.config()).expect("our own file");
    fs::write(world.config(), "[egress]\npermits = 1\n").expect("root writes");
    wait::until_true("it is said that the file is bad", || {
        world.journal_has("the former configuration stays in force")
    });
    assert!(works(&grouped) && !there(&world, "allowed.example.closed"));
    fs::write(world.config(), &text).expect("root writes");
    // A group that is gone allows nothing.
    world.change_config("[egress.groups]", "[egress.groups]\nother = []\n#");
    world.change_config("group = ", "# group = ");
    wait::until_true("the group's host is refused", || !works(&grouped));
    assert!(!there(&world, "allowed.example.closed"));
    assert!(works(&format!("https://allowed.example:{tls}/x")));
    // A permit that is gone takes the connections along that stand by it.
    world.change_config(
        "\"allowed.example\", \"*.below.example\"",
        "\"*.below.example\"",
    );
    wait::until_true("the connection is closed", || {
        there(&world, "allowed.example.closed")
    });
    assert!(!works(&format!("https://allowed.example:{tls}/x")));
}

fn there(world: &World, name: &str) -> bool {
    world.wsm.inside("netty", &format!("test -e ~/{name}")).code == 0
}

/// Nobody of its own uid reads what passes through it.
#[test]
fn its_memory_is_its_own() {
    let world = World::new();
    let look = |part: Part| {
        let pid = world.wsm.pid_of(part);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t"));
        let uid = uid
            .and_then(|ids| ids.split('\t').next())
            .expect("a uid")
            .to_owned();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let core = core
            .expect("a limit")
            .split_whitespace()
            .nth(4)
            .expect("soft")
            .to_owned();
        let script =
            format!("head -c 1 /proc/{pid}/environ >/dev/null && head -c 0 /proc/{pid}/mem");
        let mut read = world.wsm.root().command("setpriv");
        read.args([
            "--reuid",
            &uid,
            "--regid",
            &uid,
            "--clear-groups",
            "sh",
            "-c",
            &script,
        ]);
        (core, wsm_tests::cli::run(read, b"").code == 0)
    };
    assert_eq!(look(Part::Egress), ("0".to_owned(), false));
    // The same look at the daemon, which keeps no secret, is let through.
    assert!(look(Part::Daemon).1);
}
