//! What strangers find on the network, and what they can't spoil.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wsm_tests::instance::{Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;

use super::{Served, status};

#[test]
fn strangers_get_nothing_and_every_answer_is_guarded() {
    let served = Served::start("tls = \"off\"");
    let get = |path: &str, more: &str| {
        served.say(&format!(
            "GET {path} HTTP/1.1\r\nHost: wsm.test\r\n{more}\r\n"
        ))
    };
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for path in [
        "/v1/status",
        "/v1/doctor",
        "/v1/agents",
        "/v1/agents/x",
        "/v1/events",
        "/v1/tokens",
        "/v1/users",
        "/v1/whoami",
    ] {
        let answer = get(path, "");
        assert_eq!(status(&answer), "401", "{path}: {answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
        // No uid, no cookie, no other scheme makes it better.
        let more = "Cookie: __Host-wsm=x\r\nX-Forwarded-For: 127.0.0.1\r\nRemote-User: root\r\n";
        assert_eq!(status(&get(path, more)), "401", "{path}");
    }
    for path in ["/v1/agents/x/attach", "/v1/agents/x/exec"] {
        assert_eq!(status(&get(path, upgrade)), "401", "{path}");
    }
    assert_eq!(status(&get("/v1/nothing", "")), "404");
    assert_eq!(status(&get("/../etc/passwd", "")), "404");
    let answer = get("/v1/status", "");
    for header in [
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "permissions-policy: ",
    ] {
        assert!(answer.contains(header), "{header} is not in {answer}");
    }
    assert!(!answer.contains("access-control-"), "{answer}");
}

#[test]
fn what_is_meant_for_another_host_or_can_not_be_read_is_refused() {
    let served = Served::start("tls = \"off\"");
    let get = |path: &str, more: &str| {
        served.say(&format!(
            "GET {path} HTTP/1.1\r\nHost: wsm.test\r\n{more}\r\n"
        ))
    };
    // A name that was made to lead here is another host's.
    for (line, code) in [
        (
            "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "421",
        ),
        (
            "GET /v1/status HTTP/1.1\r\nHost: wsm.test\r\nHost: evil.example\r\n\r\n",
            "421",
        ),
        (
            "GET http://evil.example/v1/status HTTP/1.1\r\nHost: wsm.test\r\n\r\n",
            "421",
        ),
        ("GET /v1/status HTTP/1.1\r\n\r\n", "421"),
        (
            "GET /v1/status HTTP/1.1\r\nHost: wsm.test\r\nAuthorization: Basic YTpi\r\n\r\n",
            "400",
        ),
        (
            "POST /v1/status HTTP/1.1\r\nHost: wsm.test\r\nContent-Length: 0\r\n\r\n",
            "405",
        ),
        ("NONSENSE\r\n\r\n", "400"),
    ] {
        let answer = served.say(line);
        assert_eq!(status(&answer), code, "{line:?}: {answer}");
    }
    let many = "X-A: b\r\n".repeat(100);
    assert_eq!(status(&get("/v1/status", &many)), "431");
    let long = format!("X-A: {}\r\n", "b".repeat(64 * 1024));
    assert_eq!(status(&get("/v1/status", &long)), "431");

    // Guessing is stopped; the Unix socket hears nothing of it.
    let guess = "Authorization: Bearer wsm_guess\r\n";
    let codes: Vec<_> = (0..30)
        .map(|_| status(&get("/v1/status", guess)).to_owned())
        .collect();
    assert!(codes.contains(&"429".to_owned()), "{codes:?}");
    // Nobody else hears anything of it: not the Unix socket, nor who is known at the same address.
    let _ = served.wsm.wsm(&["ls"]).ok();
    let ann = Persona::new("ann");
    let token = served.token(&ann, "own");
    let good = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(status(&get("/v1/status", &good)), "200");
    assert_eq!(status(&get("/v1/status", guess)), "429");
    assert_eq!(status(&get("/v1/live/wsml_guess", "")), "429");
}

#[test]
fn whoever_is_many_changes_nothing_for_others() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "busy");
    let token = served.token(&ann, "own");
    let alone = ls(&served, &ann, &token);
    // 10,000 connections that say nothing, from a hundred addresses of loopback.
    let mut crowd = Command::new("python3")
        .args(["-c", CROWD, &served.address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut said = String::new();
    let mut out = BufReader::new(crowd.stdout.take().expect("asked for a pipe"));
    out.read_line(&mut said).expect("it says something");
    assert_eq!(said, "10000\n");
    let among = ls(&served, &ann, &token);
    assert!(
        among < alone * 5 + Duration::from_secs(1),
        "{alone:?}, then {among:?}"
    );
    let _ = served.wsm.wsm(&["exec", "busy", "--", "true"]).ok();
    drop(crowd.stdin.take());
    drop(crowd.wait());
}

#[test]
fn whoever_is_slow_or_big_changes_nothing_for_others() {
    let served = Served::start("tls = \"off\"");
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    served.wsm.new_agent_as(&ann, &repo, "shell", "busy");
    let token = served.token(&ann, "own");
    let alone = ls(&served, &ann, &token);
    // Drops of a head, and a body that never comes.
    let mut slow: Vec<_> = (0..100).map(|_| served.connect()).collect();
    let head = b"GET /v1/status HTTP/1.1\r\nHost: wsm.test\r\nX-";
    slow.iter_mut()
        .for_each(|stream| stream.write_all(head).expect("it reads"));
    let body = format!(
        "POST /v1/agents HTTP/1.1\r\nHost: wsm.test\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 1000\r\n\r\n{{"
    );
    let mut waiting = served.connect();
    waiting.write_all(body.as_bytes()).expect("it reads");
    let busy = ls(&served, &ann, &token);
    assert!(
        busy < alone * 5 + Duration::from_secs(1),
        "{alone:?}, then {busy:?}"
    );
    let big = body.replace("Content-Length: 1000", "Content-Length: 1073741824");
    assert_eq!(status(&served.say(&big)), "413");
    a_frame_of_a_gibibyte(&served, &token);
    let _ = ls(&served, &ann, &token);
    // The slow ones are gone by now, or soon.
    let first = &mut slow[0];
    first
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a socket");
    let mut rest = Vec::new();
    drop(first.read_to_end(&mut rest));
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.is_empty() || status(&rest) == "408", "{rest}");
}

fn ls(served: &Served, who: &Persona, token: &str) -> Duration {
    let begun = Instant::now();
    let _ = served.there(who, token, &["ls"]).ok();
    begun.elapsed()
}

/// It is refused before it has come, and costs no memory.
fn a_frame_of_a_gibibyte(served: &Served, token: &str) {
    let mut socket = served.connect();
    let upgrade = format!(
        "GET /v1/agents/busy/attach HTTP/1.1\r\nHost: wsm.test\r\nAuthorization: Bearer {token}\r\n\
         Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(upgrade.as_bytes()).expect("it reads");
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 101");
    let before = resident(served.wsm.pid_of(Part::Daemon));
    let mut frame = vec![0x82, 0xff];
    frame.extend((1_u64 << 30).to_be_bytes());
    frame.extend([0; 4]);
    socket.write_all(&frame).expect("it reads");
    let mut sent = 0_usize;
    while sent < 64 << 20 && socket.write_all(&[0; 65536]).is_ok() {
        sent += 65536;
    }
    assert!(sent < 64 << 20, "it took {sent} bytes");
    let after = resident(served.wsm.pid_of(Part::Daemon));
    assert!(
        after < before + (16 << 10),
        "{before} KiB, then {after} KiB"
    );
}

const CROWD: &str = r"
import resource, socket, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for n in range(10000):
    s = socket.socket()
    s.bind(('127.0.1.%d' % (n % 100 + 1), 0))
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', int(sys.argv[1])))
    held.append(s)
print(len(held), flush=True)
sys.stdin.read()
";

/// Resident memory, KiB.
fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn what_is_wrong_with_the_network_keeps_nobody_out_here() {
    let wsm = Instance::start();
    let config = wsm.dir().join("etc/config.toml");
    let before = std::fs::read_to_string(&config).unwrap_or_default();
    for (wrong, why) in [
        ("listen = \"0.0.0.0:7443\"\ntls = \"off\"", "127.0.0.1"),
        ("listen = \"127.0.0.1:7443\"\ntls = \"acme\"", "names"),
        ("listen = \"192.0.2.77:7443\"", "listen on"),
        (
            "listen = \"127.0.0.1:0\"\ntls = \"files\"\ncertificate = \"c\"\nkey = \"k\"",
            "read",
        ),
    ] {
        std::fs::write(&config, format!("{before}\n[web]\n{wrong}\n")).expect("root writes");
        wsm.down();
        wsm.up();
        let told = wsm.wsm(&["status"]).ok().stdout;
        assert!(
            told.contains("network off: ") && told.contains(why),
            "{told}"
        );
    }
}
