//! What leaves a sandbox, by every way in, and what does not.

#[path = "egress/flood.rs"]
mod flood;
#[path = "egress/log.rs"]
mod log;
#[path = "egress/quiet.rs"]
mod quiet;
#[path = "egress/tools.rs"]
pub(crate) mod tools;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use wsm_tests::cli;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::repo::Repo;
use wsm_tests::wait;

/// Three servers on the host's loopback, which say what they were asked for: HTTPS, HTTP, and one
/// that speaks first. Prints their ports.
const SERVERS: &str = r#"
import http.server, socket, ssl, sys, threading
names = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        said = f"{self.headers['host']} {self.path} {self.headers.get('x-hop', '-')}\n".encode()
        self.send_response(200); self.send_header("content-length", str(len(said))); self.end_headers()
        self.wfile.write(said)
    do_POST = do_GET
    def log_message(self, *_): pass
def serve(tls):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
first = socket.create_server(("127.0.0.1", 0))
def banner():
    while True:
        stream = first.accept()[0]
        stream.sendall(b"READY\n")
        threading.Thread(target=lambda s=stream: s.sendall(s.recv(99)), daemon=True).start()
threading.Thread(target=banner, daemon=True).start()
print(serve(True), serve(False), first.getsockname()[1], flush=True)
threading.Event().wait()
"#;

/// The servers; they end with it.
struct World {
    servers: Child,
    wsm: Instance,
    tls: u16,
    http: u16,
    first: u16,
}

impl Drop for World {
    fn drop(&mut self) {
        self.servers
            .kill()
            .and_then(|()| self.servers.wait())
            .expect("a child of ours");
    }
}

impl World {
    fn new() -> World {
        let wsm = Instance::start();
        let pem = wsm.root().home().join("server.pem");
        let mut make = wsm.root().command("openssl");
        make.args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '),
        );
        let cert = pem.with_extension("crt");
        make.args(["-subj", "/CN=allowed.example", "-keyout"])
            .arg(&pem);
        make.arg("-out").arg(&cert);
        cli::run(make, b"").ok();
        let both = [
            fs::read(&pem).expect("a key"),
            fs::read(&cert).expect("a certificate"),
        ]
        .concat();
        fs::write(&pem, both).expect("our own file");
        let mut servers = wsm.root().command("python3");
        servers
            .args(["-c", SERVERS])
            .arg(&pem)
            .stdout(Stdio::piped());
        let mut servers = servers.spawn().expect("python runs");
        let mut line = String::new();
        let out = servers.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("ports");
        let ports: Vec<u16> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [tls, http, first] = ports[..] else {
            panic!("{line:?}")
        };
        let config = format!(
            r#"[egress]
permit = [{{ names = ["allowed.example", "*.below.example"], cidr = "127.0.0.0/8" }}]
[egress.groups]
group = ["a.below.example:{tls}"]
[egress.hosts]
"allowed.example" = ["127.0.0.1"]
"a.below.example" = ["127.0.0.1"]
"b.below.example" = ["127.0.0.1"]
"inner.example" = ["127.0.0.1"]
"#
        );
        fs::write(wsm.dir().join("etc/config.toml"), config).expect("root writes");
        let template = format!(
            r#"schema = 1
name = "netted"
extends = ["shell"]
[network]
egress = "allow"
allow = ["allowed.example:{tls}", "allowed.example:{http}", "allowed.example:{first}", "inner.example:{tls}", "@group"]
expose = {{ first = {{ host = "127.0.0.1:{first}", at = 7777 }} }}
"#
        );
        wsm.host_template("netted", &template);
        World {
            servers,
            wsm,
            tls,
            http,
            first,
        }
    }

    fn agent(&self, name: &str) {
        let repo = Repo::small(self.wsm.root(), "project");
        self.wsm.new_agent(&repo, "netted", name);
    }

    /// What curl says inside; its own exit code after it where it failed.
    fn curl(&self, arguments: &str) -> String {
        let line = format!("curl -sk --max-time 10 {arguments} || echo failed $?");
        self.wsm
            .inside("netty", &line)
            .ok()
            .stdout
            .trim()
            .to_owned()
    }
}

#[test]
fn what_is_allowed_gets_out_by_every_way_and_nothing_else_does() {
    let world = World::new();
    world.agent("netty");
    let World {
        tls, http, first, ..
    } = world;
    let proxy = "-x http://127.0.0.1:1023";
    let socks = "--socks5-hostname 127.0.0.1:1023";
    for way in ["", proxy, socks] {
        let said = world.curl(&format!("{way} https://allowed.example:{tls}/x"));
        assert_eq!(said, format!("allowed.example:{tls} /x -"), "{way:?}");
        let said = world.curl(&format!("{way} https://a.below.example:{tls}/x"));
        assert_eq!(said, format!("a.below.example:{tls} /x -"), "{way:?}");
        let said = world.curl(&format!("{way} http://ALLOWED.example.:{http}/y"));
        assert_eq!(said, format!("allowed.example:{http} /y -"), "{way:?}");
        // Another name, another port, the same server's address, a private address behind a rule.
        for target in [
            format!("https://other.example:{tls}/"),
            format!("https://b.below.example:{tls}/"),
            "https://allowed.example/".to_owned(),
            format!("https://127.0.0.1:{tls}/"),
            format!("http://127.0.0.1:{http}/"),
            format!("https://192.0.2.1:{tls}/"),
            format!("https://[2001:db8::1]:{tls}/"),
            format!("https://inner.example:{tls}/"),
        ] {
            let said = world.curl(&format!("{way} {target}"));
            let refused = said.starts_with("failed") || said.starts_with("wsm: ");
            assert!(refused, "{way:?} {target}: {said}");
        }
    }
    // One name for us and another for the server.
    for (what, script) in [
        (
            "another SNI",
            format!(
                "echo | openssl s_client -connect allowed.example:{tls} -servername evil.example 2>&1 | grep -c 'BEGIN CERT'"
            ),
        ),
        (
            "no SNI",
            format!(
                "echo | openssl s_client -connect allowed.example:{tls} -noservername 2>&1 | grep -c 'BEGIN CERT'"
            ),
        ),
    ] {
        assert_eq!(
            world.wsm.inside("netty", &script).stdout.trim(),
            "0",
            "{what}"
        );
    }
    let said = world.curl(&format!(
        "-H 'Host: evil.example' http://allowed.example:{http}/"
    ));
    assert!(
        said.starts_with("wsm: the connection is to allowed.example"),
        "{said}"
    );
    let said = world.curl(&format!(
        "-H 'Connection: x-hop' -H 'X-Hop: 1' -d @/etc/passwd http://allowed.example:{http}/"
    ));
    assert_eq!(said, format!("allowed.example:{http} / -"));
    // Who speaks first, and a service of the host.
    let listen = |host: &str, port: u16| {
        let script = format!(
            "python3 -c 'import socket; s=socket.create_connection((\"{host}\",{port}),5); \
             print(s.recv(99)); s.sendall(b\"ping\"); print(s.recv(99))'"
        );
        world.wsm.inside("netty", &script).ok().stdout
    };
    assert_eq!(listen("allowed.example", first), "b'READY\\n'\nb'ping'\n");
    assert_eq!(listen("127.0.0.1", 7777), "b'READY\\n'\nb'ping'\n");
}

#[test]
fn a_refusal_says_which_rule_is_missing() {
    let world = World::new();
    world.agent("netty");
    let tls = world.tls;
    let allowed = format!("allowed.example:{tls}");
    let check = |target: &str| world.wsm.wsm(&["policy", "check", "netty", target]);
    let yes = check(&allowed).ok();
    assert!(
        yes.stdout.starts_with("allow ") && yes.stdout.contains("netted.toml:"),
        "{yes}"
    );
    let no = check("other.example");
    assert_eq!(no.code, 3, "{no}");
    assert!(no.stdout.starts_with("deny other.example:443"), "{no}");
    assert!(no.stdout.contains("network.allow: other.example"), "{no}");
    world.curl("https://other.example/");
    world.curl(&format!("https://{allowed}/"));
    let told = || {
        world
            .wsm
            .wsm(&["explain", "netty"])
            .ok()
            .stdout
            .contains("network.allow has no \"other.example\"")
    };
    wait::until_true("the refusal in the journal", told);
    let shown = world
        .wsm
        .wsm(&["policy", "show", "netty", "--json"])
        .ok()
        .json();
    let of = |target: &str| {
        let traffic = shown["traffic"].as_array().expect("a list");
        traffic
            .iter()
            .find(|of| of["target"] == target)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(of(&allowed)["allowed"], 1, "{shown}");
    assert!(of(&allowed)["received"].as_u64() > Some(500), "{shown}");
    assert_eq!(
        of("other.example")["denied"].as_u64().map(|n| n > 0),
        Some(true),
        "{shown}"
    );
}

#[test]
fn a_person_allows_with_one_command() {
    let world = World::new();
    world.agent("netty");
    let check = |target: &str| world.wsm.wsm(&["policy", "check", "netty", target]);
    world
        .wsm
        .wsm(&["policy", "allow", "netty", "other.example"])
        .ok();
    assert_eq!(check("other.example").code, 0);
    world
        .wsm
        .wsm(&["policy", "deny", "netty", "other.example"])
        .ok();
    assert_eq!(check("other.example").code, 3);
    world
        .wsm
        .wsm(&["policy", "deny", "netty", "other.example"])
        .fails(4);
    world
        .wsm
        .wsm(&["policy", "allow", "netty", "*.com"])
        .fails(2);
    // A list that can't be used is told before anything is made.
    world.wsm.host_template("wide", "schema = 1\nname = \"wide\"\nextends = [\"shell\"]\n[network]\negress = \"allow\"\nallow = [\"*.com\", \"@nothing\"]\n");
    let repo = Repo::small(world.wsm.root(), "second");
    let path = repo.path().display().to_string();
    let refused = world.wsm.wsm(&[
        "new",
        &path,
        "--template",
        "wide",
        "--name",
        "wide",
        "--detach",
    ]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(
        refused.stderr.contains("*.com") && refused.stderr.contains("@nothing"),
        "{refused}"
    );
}

#[test]
fn it_fails_closed_and_comes_back() {
    let world = World::new();
    world.agent("netty");
    let target = format!("https://allowed.example:{}/x", world.tls);
    let works = || world.curl(&target).contains(" /x ");
    assert!(works());
    world.wsm.kill(&[Part::Daemon]);
    // Egress does not need the daemon.
    world.wsm.recover(&[Part::Daemon]);
    assert!(works());
    world.wsm.kill_and_recover(&[Part::Egress]);
    wait::until_true("the way out is open again", works);
    world
        .wsm
        .kill_and_recover(&[Part::Broker, Part::Egress, Part::Daemon]);
    wait::until_true("the way out is open again", works);
    // A new sandbox has a new network, also where the daemon that knew the old one is gone.
    world.wsm.wsm(&["restart", "netty"]).ok();
    world.wsm.wait_state("netty", "working,idle,blocked");
    wait::until_true("the way out of the new sandbox is open", works);
    // Without network there is none, whatever runs.
    let repo = Repo::small(world.wsm.root(), "second");
    world.wsm.new_agent(&repo, "shell", "alone");
    let tried = world
        .wsm
        .inside("alone", &format!("curl -sk --max-time 5 {target}"));
    assert_eq!(tried.code, 6, "{tried}");
}

#[test]
fn a_rule_that_goes_takes_its_connections_along() {
    let world = World::new();
    let config = world.wsm.dir().join("etc/config.toml");
    let first = world.first;
    let text = fs::read_to_string(&config).expect("our own file");
    let group = format!("group = [\"a.below.example:{first}\"]");
    let old = format!("group = [\"a.below.example:{}\"]", world.tls);
    fs::write(&config, text.replace(&old, &group)).expect("root writes");
    world.agent("netty");
    let hold = |host: &str| {
        let script = format!(
            "exec python3 -c 'import socket; s=socket.create_connection((\"{host}\",{first}),5); \
             s.recv(99); open(\"/home/agent/{host}\",\"w\"); s.settimeout(None); s.recv(1); \
             open(\"/home/agent/{host}.closed\",\"w\")' &"
        );
        world.wsm.inside("netty", &script).ok();
    };
    let there = |name: &str| world.wsm.inside("netty", &format!("test -e ~/{name}")).code == 0;
    let rule = format!("b.below.example:{first}");
    world.wsm.wsm(&["policy", "allow", "netty", &rule]).ok();
    for host in ["allowed.example", "a.below.example", "b.below.example"] {
        hold(host);
        wait::until_true("the connection stands", || there(host));
    }
    world.wsm.wsm(&["policy", "deny", "netty", &rule]).ok();
    wait::until_true("the connection is closed", || {
        there("b.below.example.closed")
    });
    assert!(!there("a.below.example.closed"));
    // The daemon says the policy again when it is back.
    fs::write(&config, text.replace(&old, "group = []")).expect("root writes");
    world.wsm.kill_and_recover(&[Part::Daemon]);
    wait::until_true("the connection is closed", || {
        there("a.below.example.closed")
    });
    assert!(!there("allowed.example.closed"));
}
