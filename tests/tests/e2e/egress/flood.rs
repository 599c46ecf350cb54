//! G33: one agent asks for more than there is. Egress stays small, and others don't notice.

use std::fs;
use std::time::{Duration, Instant};

use wsm_tests::instance::Part;
use wsm_tests::repo::Repo;
use wsm_tests::wait::{self, PATIENCE};

use super::World;
use super::quiet::Helper;

/// What egress may grow by: 512 connections with a beginning of 72 KiB, and its buffers.
const GROWTH_MAX: u64 = 64 * 1024;
/// Two descriptors for each of 512 connections, and its own.
const DESCRIPTORS_MAX: usize = 1200;

impl World {
    /// KiB in memory, and open descriptors, of egress.
    fn size_of_egress(&self) -> (u64, usize) {
        let pid = self.wsm.pid_of(Part::Egress);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|text| text.split_whitespace().next()?.parse().ok());
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .expect("root looks")
            .count();
        (memory.expect("a number"), open)
    }

    /// How long the other agent takes for a request.
    fn other(&self) -> Duration {
        let script = format!(
            "curl -sk --max-time 10 -o /dev/null -w '%{{http_code}} %{{time_total}}' https://allowed.example:{}/x",
            self.tls
        );
        let said = self.wsm.inside("quiet", &script).ok().stdout;
        let (code, seconds) = said.split_once(' ').unwrap_or_else(|| panic!("{said}"));
        assert_eq!(code, "200");
        Duration::from_secs_f64(seconds.parse().expect("seconds"))
    }
}

/// Opens connections of each kind and holds them: that say nothing, that say it slowly, that begin
/// a hello without end, that send a head of a megabyte.
const FLOOD: &str = r#"
import resource, selectors, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
kind, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
# An address: the hello is what is waited for, not the name.
at = socket.gethostbyname("allowed.example")
for n in range(count):
    try:
        s = socket.socket(); s.setblocking(False)
        s.connect_ex(("127.0.0.1", 1023) if kind in ("slow", "head") else (at, port))
        held.append(s)
    except OSError: break
print("held", len(held), flush=True)
words = {"silent": b"", "slow": b"G", "head": b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * (1 << 20), "hello": b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + bytes(70000)}[kind]
end = time.monotonic() + 20
while time.monotonic() < end:
    for s in held:
        try:
            if words: s.send(words)
        except OSError: pass
    time.sleep(0.2)
"#;

#[test]
fn a_flood_is_bounded_and_others_are_served() {
    let world = World::new();
    world.agent("netty");
    let second = Repo::small(world.wsm.root(), "second");
    world.wsm.new_agent(&second, "netted", "quiet");
    // A server of its own: the other's would have to bear the flood itself.
    let (_sink, _, port) = world.sink();
    let (before, _) = world.size_of_egress();
    let usual = (0..5).map(|_| world.other()).max().expect("five");
    for (kind, count) in [
        ("silent", "10000"),
        ("slow", "2000"),
        ("hello", "2000"),
        ("head", "1000"),
    ] {
        let port = port.to_string();
        let script = format!(
            "cat > /tmp/flood.py; \
             (python3 /tmp/flood.py {kind} {count} {port} > /tmp/held 2>&1 & echo $! > /tmp/pid)"
        );
        world
            .wsm
            .wsm_with(
                &["exec", "netty", "--", "sh", "-c", &script],
                FLOOD.as_bytes(),
            )
            .ok();
        let held = || world.wsm.inside("netty", "cat /tmp/held").stdout;
        let stands = || held().starts_with("held").then_some(());
        wait::until("the flood stands", PATIENCE, stands, held);
        let many: u32 = held()
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a number");
        assert!(many >= 900, "{kind}: {many}");
        wait::until_true("egress has all that it takes", || {
            world.size_of_egress().1 > 400
        });
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(2) {
            slowest = slowest.max(world.other());
            let (memory, open) = world.size_of_egress();
            assert!(
                memory < before + GROWTH_MAX && open < DESCRIPTORS_MAX,
                "{kind}: {memory} KiB, {open} open"
            );
        }
        // A bound that a loaded machine keeps; `egress_latency` of `make bench` is the measure.
        assert!(
            slowest < usual + Duration::from_secs(2),
            "{kind}: {slowest:?}, usually {usual:?}"
        );
        world
            .wsm
            .inside("netty", "kill -9 $(cat /tmp/pid); rm -f /tmp/held")
            .ok();
        wait::until_true("it is over", || world.size_of_egress().1 < 100);
    }
    // Who flooded is served again.
    let target = format!("https://allowed.example:{}/x", world.tls);
    assert!(world.curl(&target).contains(" /x "));
}

/// A server that counts what it is sent, and writes the sum down when its client ends.
const COUNTER: &str = r#"
import socket, sys
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
room = bytearray(1 << 20)
while True:
    c, all = s.accept()[0], 0
    while n := c.recv_into(room): all += n
    open(sys.argv[1], "w").write(str(all))
"#;

/// Sends this many bytes, all in pieces of a mebibyte but for the first, by which it is known.
const UPLOAD: &str = r#"
import socket, sys
s = socket.create_connection(("allowed.example", int(sys.argv[1])))
s.sendall(b"SSH")
piece = bytes(1 << 20)
for _ in range(int(sys.argv[2])): s.sendall(piece)
"#;

const MEBIBYTES: u64 = 10 << 10;
/// As long as a loaded machine may take for them.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(200);

/// An upload of 10 GiB takes no memory, and another agent is served meanwhile.
#[test]
fn an_upload_passes_through_and_stays_nowhere() {
    let world = World::new();
    world.agent("netty");
    let second = Repo::small(world.wsm.root(), "second");
    world.wsm.new_agent(&second, "netted", "quiet");
    let counted = world.wsm.root().home().join("counted");
    let counter = Helper::start(&world, COUNTER, &counted.display().to_string());
    let rule = format!("allowed.example:{}", counter.1);
    world.wsm.wsm(&["policy", "allow", "netty", &rule]).ok();
    let (before, _) = world.size_of_egress();
    let script = format!(
        "cat > /tmp/upload.py; (python3 /tmp/upload.py {} {MEBIBYTES} > /tmp/said 2>&1 &)",
        counter.1
    );
    let line = ["exec", "netty", "--", "sh", "-c", &script];
    world.wsm.wsm_with(&line, UPLOAD.as_bytes()).ok();
    let mut most = before;
    let mut slowest = Duration::ZERO;
    let arrived = || {
        most = most.max(world.size_of_egress().0);
        slowest = slowest.max(world.other());
        fs::read_to_string(&counted).ok()?.parse::<u64>().ok()
    };
    let said = || world.wsm.inside("netty", "cat /tmp/said").stdout;
    let arrived = wait::until("all of it arrives", UPLOAD_PATIENCE, arrived, said);
    let whole = (MEBIBYTES << 20) + 3;
    assert_eq!(arrived, whole);
    assert!(most < before + 8 * 1024, "{before} KiB, then {most}");
    assert!(
        slowest < Duration::from_secs(5),
        "the other agent waited {slowest:?}"
    );
    let told = || {
        let shown = world.wsm.wsm(&["policy", "show", "netty"]).ok().stdout;
        shown.contains(&whole.to_string())
    };
    wait::until_true("the amount is told", told);
}
