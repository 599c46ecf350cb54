//! A certificate by ACME, from an authority of the test's own (Pebble, as Debian packs it).

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use wsm_tests::cli;
use wsm_tests::instance::{Instance, Part};
use wsm_tests::wait;

use super::Served;

/// It gives a certificate to who shows at port `tls` of any name that the name is its own.
struct Authority {
    dir: tempfile::TempDir,
    port: u16,
    management: u16,
    names: u16,
    running: Vec<Child>,
}

fn free() -> u16 {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    probe.local_addr().expect("it is bound").port()
}

impl Authority {
    /// Makes what vouches for it; it does not run yet.
    fn new() -> Authority {
        let dir = tempfile::Builder::new().prefix("wsmt-acme-").tempdir();
        let dir = dir.expect("a temporary directory");
        let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null && \
             openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
             -keyout key.pem -out req.pem 2>/dev/null && \
             printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >ext && \
             openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile ext -out cert.pem 2>/dev/null";
        let mut made = Command::new("sh");
        made.args(["-c", script]).current_dir(dir.path());
        let _ = cli::run(made, b"").ok();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        Authority {
            dir,
            port: free(),
            management: free(),
            names: free(),
            running: Vec::new(),
        }
    }

    /// `[web]` of who asks it.
    fn config(&self) -> String {
        format!(
            "tls = \"acme\"\n[web.acme]\ncontact = \"mailto:ops@wsm.test\"\n\
             directory = \"https://localhost:{}/dir\"\nauthority = \"{}\"",
            self.port,
            self.dir.path().join("ca.pem").display()
        )
    }

    /// Names lead to this machine, and are looked for at this port. What it gives lasts so long.
    fn start(&mut self, tls: u16, lasts: Duration) {
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": self.dir.path().join("cert.pem"),
            "privateKey": self.dir.path().join("key.pem"),
            "httpPort": 1, "tlsPort": tls, "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": lasts.as_secs(),
        }});
        let written = self.dir.path().join("pebble.json");
        fs::write(&written, config.to_string()).expect("our directory");
        let names = format!("127.0.0.1:{}", self.names);
        let management = format!("127.0.0.1:{}", free());
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args([
            "-dns01",
            &names,
            "-defaultIPv6",
            "",
            "-management",
            &management,
        ]);
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let mut pebble = Command::new("pebble");
        pebble.args(["-strict", "-dnsserver", &names, "-config"]);
        pebble.arg(&written).envs([
            ("PEBBLE_VA_NOSLEEP", "1"),
            ("PEBBLE_WFE_NONCEREJECT", "0"),
            ("PEBBLE_AUTHZREUSE", "0"),
        ]);
        for mut command in [resolver, pebble] {
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let child = command.stderr(Stdio::null()).spawn();
            self.running.push(child.expect("pebble is installed"));
        }
        wait::until_true("the authority", || self.root().is_some());
    }

    /// The certificate that vouches for what it gives; another one after each start.
    fn root(&self) -> Option<PathBuf> {
        let mut command = Command::new("curl");
        let url = format!("https://localhost:{}/roots/0", self.management);
        let ca = self.dir.path().join("ca.pem");
        command.args(["-sf", "--cacert"]).arg(ca).arg(url);
        let told = cli::run(command, b"");
        let path = self.dir.path().join("root.pem");
        (told.code == 0).then(|| {
            fs::write(&path, &told.stdout).expect("our directory");
            path
        })
    }

    fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The serial of what this host shows to who knows that authority, and the status that a stranger
/// is answered with; or why there is none.
fn shown(served: &Served, root: &Path) -> Result<(String, String), String> {
    const ASK: &str = r#"
import socket, ssl, sys
trusting = ssl.create_default_context(cafile=sys.argv[2])
raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
sock = trusting.wrap_socket(raw, server_hostname="wsm.test")
print(sock.getpeercert()["serialNumber"])
sock.sendall(b"GET /v1/status HTTP/1.1\r\nHost: wsm.test\r\nConnection: close\r\n\r\n")
print(sock.recv(4096).split()[1].decode())
"#;
    let mut command = Command::new("python3");
    let port = served.address.port().to_string();
    command.args(["-c", ASK, &port]).arg(root);
    let told = cli::run(command, b"");
    match told.stdout.lines().collect::<Vec<_>>()[..] {
        [serial, status] if told.code == 0 => Ok((serial.to_owned(), status.to_owned())),
        _ => Err(told.stderr),
    }
}

fn problem(served: &Served) -> String {
    let status = served.wsm.wsm(&["status", "--json"]).ok().json();
    let problem = status["web"]["problem"].as_str().expect("a text");
    problem.to_owned()
}

#[test]
fn a_certificate_is_had_kept_and_shown() {
    let mut authority = Authority::new();
    let served = Served::configured(Instance::start(), &authority.config());
    wait::until_true("why there is none", || {
        problem(&served).contains("could not be had")
    });
    let told = served.wsm.wsm(&["status"]).ok().stdout;
    assert!(
        told.contains("network https://wsm.test:") && told.contains("could not be had"),
        "{told}"
    );
    // Without a certificate nothing is served, by no other one either.
    let none = shown(&served, &authority.dir.path().join("ca.pem")).expect_err("there is none");
    assert!(none.contains("SSL"), "{none}");

    authority.start(served.address.port(), Duration::from_secs(24 * 60 * 60));
    wait::until_true("a certificate", || problem(&served).is_empty());
    let root = authority.root().expect("it runs");
    let (serial, status) = shown(&served, &root).expect("it is shown");
    assert_eq!(status, "401");
    // Who proves names speaks nothing else, and outside of a proof there is nothing to see.
    let mut command = Command::new("openssl");
    let address = served.address.to_string();
    command.args(["s_client", "-connect", &address, "-servername", "wsm.test"]);
    command.args(["-alpn", "acme-tls/1"]);
    let told = cli::run(command, b"GET /v1/status HTTP/1.1\r\n\r\n");
    assert!(told.stdout.contains("no peer certificate"), "{told}");

    // Account and certificate are for the daemon alone, and need no authority at the next start.
    let mut kept: Vec<_> = fs::read_dir(served.wsm.dir().join("state/daemon/web/acme"))
        .expect("they are kept")
        .map(|entry| entry.expect("an entry"))
        .collect();
    kept.sort_by_key(fs::DirEntry::file_name);
    let names: Vec<_> = kept.iter().map(|e| e.file_name()).collect();
    let begins = |n: usize, kind: &str| names[n].to_string_lossy().starts_with(kind);
    assert!(
        names.len() == 2 && begins(0, "account-") && begins(1, "certificate-"),
        "{names:?}"
    );
    for entry in &kept {
        let mode = entry.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
    }
    authority.stop();
    served.wsm.kill(&[Part::Daemon]);
    served.wsm.recover(&[Part::Daemon]);
    wait::until_true("the same certificate", || {
        shown(&served, &root).is_ok_and(|(again, _)| again == serial)
    });
    assert_eq!(problem(&served), "");
}

#[test]
fn a_certificate_is_renewed_in_time_and_nobody_notices() {
    let mut authority = Authority::new();
    let served = Served::configured(Instance::start(), &authority.config());
    authority.start(served.address.port(), Duration::from_secs(30));
    wait::until_true("a certificate", || problem(&served).is_empty());
    let root = authority.root().expect("it runs");
    let (first, _) = shown(&served, &root).expect("it is shown");
    let end = Duration::from_secs(60);
    let renewed = || {
        let (now, status) = shown(&served, &root).expect("one is shown all the time");
        assert_eq!(status, "401");
        (now != first).then_some(())
    };
    wait::until("another certificate", end, renewed, String::new);
}
