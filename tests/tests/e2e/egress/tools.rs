//! What people fetch: packages from the registries that this machine is configured for, and git
//! repositories by https and ssh. No proxy variable is set, and no host is named here.

use std::collections::BTreeSet;
use std::fs;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use wsm_tests::cli;
use wsm_tests::instance::Instance;
use wsm_tests::repo::Repo;
use wsm_tests::wait;

use super::World;

/// Addresses of the groups' hosts, so that the host may permit those that are not public (mirrors of
/// closed networks).
fn permit_registries(wsm: &Instance) {
    let path = wsm.dir().join("etc/config.toml");
    fs::remove_file(&path).expect("wsm up writes it");
    // The test's home is empty; cargo's settings are in the home of whoever runs it.
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let link = wsm.root().home().join(".cargo");
    std::os::unix::fs::symlink(home.expect("a home"), &link).expect("an empty home");
    wsm.down();
    wsm.up();
    let text = fs::read_to_string(&path).expect("wsm up writes it");
    let mut permits = BTreeSet::new();
    for group in ["npm", "pypi", "crates"] {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{group} = ")));
        let line = line.unwrap_or_else(|| panic!("no group {group} was found here: {text}"));
        for rule in line
            .trim_matches(['[', ']'])
            .split(", ")
            .map(|rule| rule.trim_matches('"'))
        {
            let (host, port) = rule.split_once(':').unwrap_or((rule, "443"));
            let port: u16 = port.parse().expect("a port");
            let found = (host.trim_start_matches("*."), port).to_socket_addrs();
            for ip in found.into_iter().flatten().map(|address| address.ip()) {
                let length = if ip.is_ipv4() { 32 } else { 128 };
                permits.insert(format!(
                    "{{ names = [{host:?}], cidr = \"{ip}/{length}\" }}"
                ));
            }
        }
    }
    let permits = permits.into_iter().collect::<Vec<_>>().join(", ");
    let changed = text.replace("[egress]\n", &format!("[egress]\npermit = [{permits}]\n"));
    fs::write(&path, changed).expect("root writes");
}

/// As much of a toolchain as fetching takes.
pub(crate) const TO_FETCH: &str = "bin/cargo bin/rustc lib/lib*";

/// The toolchain that `cargo` of this machine is, these files of it, in the agent's home: it lies in
/// another's, which no agent is shown.
pub(crate) fn bring_rust(wsm: &Instance, agent: &str, files: &str) {
    let mut ask = std::process::Command::new("rustc");
    ask.args(["--print", "sysroot"]);
    let root = cli::run(ask, b"").ok().stdout;
    let mut pack = std::process::Command::new("sh");
    let line = format!("cd \"$1\" && tar -c {files}");
    pack.args(["-c", &line, "-", root.trim()]);
    let packed = pack.output().expect("tar runs");
    assert!(packed.status.success());
    let unpack = [
        "exec",
        agent,
        "--",
        "sh",
        "-c",
        "mkdir ~/rust && tar -C ~/rust -x",
    ];
    wsm.wsm_with(&unpack, &packed.stdout).ok();
}

#[test]
fn packages_come_from_the_registries_of_this_machine() {
    let wsm = Instance::start();
    permit_registries(&wsm);
    let template = r#"schema = 1
name = "fetching"
extends = ["shell"]
[network]
egress = "allow"
allow = ["@npm", "@pypi", "@crates"]
"#;
    wsm.host_template("fetching", template);
    let repo = Repo::small(wsm.root(), "project");
    wsm.new_agent(&repo, "fetching", "fetcher");
    let roots = "/etc/ssl/certs/ca-certificates.crt";
    let done = |what: &str, script: &str| {
        let none =
            "unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy; set -e; ";
        let said = wsm.inside("fetcher", &format!("{none}{script}"));
        let log = wsm.wsm(&["logs", "fetcher", "egress"]);
        assert_eq!(said.code, 0, "{what}: {said}\n{log}");
    };
    // The roots of the system's store: an intercepting mirror is verified by them.
    done(
        "npm ci",
        &format!(
            "mkdir -p ~/n && cd ~/n && export NODE_EXTRA_CA_CERTS={roots} npm_config_cafile={roots}; \
             echo '{{\"name\":\"n\",\"version\":\"1.0.0\",\"dependencies\":{{\"ms\":\"2.1.3\"}}}}' > package.json; \
             npm install --package-lock-only --no-audit --no-fund && npm ci --no-audit --no-fund && node -e 'require(\"ms\")'"
        ),
    );
    done(
        "pip install",
        &format!(
            "cd && PIP_CERT={roots} /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --target ~/p six \
             && PYTHONPATH=~/p /usr/bin/python3 -c 'import six'"
        ),
    );
    bring_rust(&wsm, "fetcher", TO_FETCH);
    done(
        "cargo fetch",
        &format!(
            "mkdir -p ~/c/src && cd ~/c && export CARGO_HOME=~/.cargo CARGO_HTTP_CAINFO={roots} PATH=~/rust/bin:$PATH; \
             printf '[package]\\nname = \"c\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n[dependencies]\\nitoa = \"1\"\\n' > Cargo.toml; \
             touch src/lib.rs; cargo fetch --quiet && ls ~/.cargo/registry/cache/*/itoa-*"
        ),
    );
}

/// A bare repository behind a server of https, and one of ssh.
struct Forge {
    sshd: Child,
    port: u16,
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.sshd
            .kill()
            .and_then(|()| self.sshd.wait())
            .expect("a child of ours");
    }
}

impl Forge {
    fn new(world: &World, key: &str) -> Forge {
        let home = world.wsm.root().home();
        let file = |name: &str| home.join(name).display().to_string();
        let mut make = world.wsm.root().command("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(file("host_key"));
        cli::run(make, b"").ok();
        fs::write(home.join("authorized"), key).expect("our own file");
        let free =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.expect("a port").port();
        fs::create_dir_all("/run/sshd").expect("root makes it");
        let mut sshd = world.wsm.root().command("/usr/sbin/sshd");
        sshd.args(["-D", "-f", "/dev/null", "-p", &port.to_string(), "-h"])
            .arg(file("host_key"));
        for option in [
            "ListenAddress=127.0.0.1".to_owned(),
            format!("AuthorizedKeysFile={}", file("authorized")),
            format!("PidFile={}", file("sshd.pid")),
            "StrictModes=no".to_owned(),
            "PermitRootLogin=prohibit-password".to_owned(),
            "UsePAM=no".to_owned(),
        ] {
            sshd.arg("-o").arg(option);
        }
        sshd.stdin(Stdio::null()).stderr(Stdio::null());
        let sshd = sshd.spawn().expect("sshd is installed");
        wait::until_true("sshd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Forge { sshd, port }
    }
}

#[test]
fn git_clones_by_https_and_by_ssh() {
    let world = World::new();
    world.agent("netty");
    let source = Repo::small(world.wsm.root(), "source");
    let bare = world.wsm.root().home().join("bare.git");
    let at = bare.display().to_string();
    source.git(&["clone", "-q", "--bare", ".", &at]).ok();
    source.git(&["--git-dir", &at, "update-server-info"]).ok();
    let inside = |script: &str| world.wsm.inside("netty", script);
    inside("mkdir -p ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519").ok();
    let forge = Forge::new(&world, &inside("cat ~/.ssh/id_ed25519.pub").ok().stdout);
    let rule = format!("allowed.example:{}", forge.port);
    let head = source.git(&["rev-parse", "HEAD"]).ok().stdout;
    let ssh = format!(
        "GIT_SSH_COMMAND='ssh -o BatchMode=yes -o StrictHostKeyChecking=no' git clone -q ssh://root@{rule}{at} ~/by-ssh && git -C ~/by-ssh rev-parse HEAD"
    );
    // The control: the same line, before the rule is there.
    assert_ne!(inside(&ssh).code, 0);
    world.wsm.wsm(&["policy", "allow", "netty", &rule]).ok();
    assert_eq!(inside(&ssh).ok().stdout, head);
    let server = super::quiet::Helper::start(
        &world,
        SERVE,
        &format!(
            "{},{}",
            world.wsm.root().home().join("server.pem").display(),
            bare.display()
        ),
    );
    let https = format!("allowed.example:{}", server.1);
    world.wsm.wsm(&["policy", "allow", "netty", &https]).ok();
    let script = format!(
        "GIT_SSL_NO_VERIFY=1 git clone -q https://{https}/ ~/by-https && git -C ~/by-https rev-parse HEAD"
    );
    assert_eq!(inside(&script).ok().stdout, head);
}

/// A directory by https: CERTIFICATE,DIRECTORY.
const SERVE: &str = r#"
import functools, http.server, ssl, sys
pem, path = sys.argv[1].split(",")
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=path)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(pem)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
sys.stderr = open("/dev/null", "w"); server.serve_forever()
"#;
