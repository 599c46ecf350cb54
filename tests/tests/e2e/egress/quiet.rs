//! Nothing leaves that was not decided on: no question to a resolver, no byte to a server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use wsm_tests::wait;

use super::World;

/// Looks at every packet of the host's network and writes those into a file that have a word of ours:
/// what other tests send beside would fill the disk.
const SNIFFER: &str = r#"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
out = open(sys.argv[1], "wb", 0)
print("ready", flush=True)
while True:
    packet = s.recv(65536)
    if b"leak" in packet or b"control" in packet: out.write(packet)
"#;

/// A server that writes down every byte that it is sent, and closes after a while.
const SINK: &str = r#"
import socket, sys, threading
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
out = open(sys.argv[1], "wb", 0)
def take(c):
    try:
        while True:
            b = c.recv(65536)
            if not b: break
            out.write(b)
    except OSError: pass
    c.close()
while True: threading.Thread(target=take, args=(s.accept()[0],), daemon=True).start()
"#;

/// A helper that ends with the test, and the word that it said when it was ready.
pub(super) struct Helper(Child, pub(super) String);

impl Helper {
    pub(super) fn start(world: &World, script: &str, argument: &str) -> Helper {
        let mut python = world.wsm.root().command("python3");
        python.args(["-c", script, argument]).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a word");
        Helper(child, line.trim().to_owned())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.0
            .kill()
            .and_then(|()| self.0.wait())
            .expect("a child of ours");
    }
}

impl World {
    pub(super) fn sink(&self) -> (Helper, std::path::PathBuf, u16) {
        let file = self.wsm.root().home().join("sunk");
        let helper = Helper::start(self, SINK, &file.display().to_string());
        let port: u16 = helper.1.parse().expect("a port");
        let rule = format!("allowed.example:{port}");
        self.wsm.wsm(&["policy", "allow", "netty", &rule]).ok();
        (helper, file, port)
    }
}

/// G06, G07, G38: questions for names, by every way, tell nobody anything. A name is looked up when
/// a connection to it was allowed, and then the sniffer sees it.
#[test]
fn no_question_leaves_the_host_before_a_connection_is_allowed() {
    let world = World::new();
    world.agent("netty");
    world
        .wsm
        .wsm(&["policy", "allow", "netty", "*.wild.example"])
        .ok();
    let packets = world.wsm.root().home().join("packets");
    let _sniffer = Helper::start(&world, SNIFFER, &packets.display().to_string());
    let seen = |label: &str| {
        let bytes = fs::read(&packets).expect("the sniffer's");
        bytes
            .windows(label.len())
            .any(|part| part == label.as_bytes())
    };
    let script = r#"
import socket, struct
def question(name):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
def udp(name, at):
    s = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
    s.sendto(question(name), (at, 53)); return s.recv(999)[3] & 15
def tcp(name, at, port=53):
    s = socket.create_connection((at, port), 5)
    q = question(name); s.sendall(struct.pack(">H", len(q)) + q)
    return s.recv(999)[5] & 15
def refused(work, *args):
    try: return work(*args)
    except OSError as e: return type(e).__name__
def stub(name):
    try: return socket.getaddrinfo(name, 443)[0][4][0]
    except socket.gaierror: return "none"
print(stub("leaka.other.example"), udp("leakb.other.example", "8.8.8.8"), udp("leakc.other.example", "2001:4860:4860::8888"),
      tcp("leakd.other.example", "9.9.9.9"), refused(tcp, "leake.other.example", "1.1.1.1", 853),
      refused(tcp, "leakf.other.example", "1.1.1.1", 443), refused(udp, "leakg.wild.example", "8.8.4.4"),
      stub("deadbeefleakh.wild.example").startswith("198.18."))
"#;
    let asked = world
        .wsm
        .wsm_with(&["exec", "netty", "--", "python3", "-"], script.as_bytes())
        .ok();
    assert_eq!(
        asked.stdout.trim(),
        "none 3 3 3 ConnectionResetError ConnectionResetError 0 True"
    );
    // The control: the same process looks a name up once a connection to it is wanted.
    world.curl("https://controli.wild.example/");
    wait::until_true("the look-up that is meant", || seen("controli"));
    for label in "abcdefgh".chars().map(|letter| format!("leak{letter}")) {
        assert!(!seen(&label), "{label}");
    }
    let log = world.wsm.wsm(&["logs", "netty", "egress"]).ok().stdout;
    assert!(log.contains("denied leaka.other.example "), "{log}");
}

/// G10, G31: a hello in pieces is put together and read; what can't be read is not passed on.
#[test]
fn no_hello_is_passed_on_unread() {
    let world = World::new();
    world.agent("netty");
    let (_sink, sunk, port) = world.sink();
    let script = r#"
import concurrent.futures, socket, ssl, sys, time
tls, sink = int(sys.argv[1]), int(sys.argv[2])
def hello(name):
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(into, out, server_hostname=name)
    try: session.do_handshake()
    except ssl.SSLWantReadError: pass
    return out.read()
def records(message, size):
    body = message[5:]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[i:i + size] for i in range(0, len(body), size)))
def send(port, what, pieces=1, wait=0.0):
    s = socket.create_connection(("allowed.example", port), 5); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.settimeout(15)
    size = -(-len(what) // pieces)
    try:
        for at in range(0, len(what), size):
            s.sendall(what[at:at + size]); time.sleep(wait)
        return s.recv(1) or b"end"
    except OSError as e: return type(e).__name__
server_hello = b"\x16"
good, evil = hello("allowed.example"), hello("evil.example")
# Twenty segments, twenty records, both: answered by the server, which is the control.
for what in good, records(good, 30):
    assert send(tls, what, 25, 0.01) == server_hello
bad = (evil, records(evil, 30), hello(None), b"\x16\x03\x01\x40\x00\x01\x01\x00\x00" + bytes(16380), b"\x16\x03\x01\x00\x02\x02\x00",
              b"".join(b"\x16\x03\x01\x40\x00" + (b"\x01\x01\x00\x00" if n == 0 else bytes(4)) + bytes(16380) for n in range(6)),
              b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", good[:-1])
for what, got in zip(bad, concurrent.futures.ThreadPoolExecutor(len(bad)).map(lambda what: send(sink, what, 20, 0.005), bad)):
    assert got in ("ConnectionResetError", "BrokenPipeError", "TimeoutError", b"end"), (got, what[:20])
print("held")
s = socket.create_connection(("allowed.example", sink), 5); s.sendall(b"SSH-control"); s.close()
"#;
    let (tls, sink) = (world.tls.to_string(), port.to_string());
    let args = ["exec", "netty", "--", "python3", "-", &tls, &sink];
    let said = world.wsm.wsm_with(&args, script.as_bytes()).ok();
    assert_eq!(said.stdout.trim(), "held");
    let control = b"SSH-control";
    let got = || fs::read(&sunk).expect("the sink's");
    wait::until_true("the control reaches the sink", || {
        got().len() >= control.len()
    });
    assert_eq!(got(), control, "nothing else does");
}

/// G02, G03, G09, G19, G21, G25, G29, G35 by a client of its own: the decision is the same whichever
/// way it comes, and nothing changes the way.
#[test]
fn odd_ways_lead_nowhere() {
    let world = World::new();
    world.agent("netty");
    let World { tls, http, .. } = world;
    let (_sink, sunk, port) = world.sink();
    let script = r#"
import errno, socket, sys
tls, http, sink = (int(a) for a in sys.argv[1:4])
def code(work):
    try: return work()
    except OSError as e: return errno.errorcode.get(e.errno, type(e).__name__)
held = []
# Other writings of private addresses, by the proxy and by the kernel.
for host in ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
             "[2002:7f00:1::]", "localhost", "169.254.169.254", "0.0.0.0", "allowed.example%00.evil.example",
             "allowed.example\t", "user@allowed.example", "evilallowed.example", "allowed.example.evil.example", "xn--allowed.example"]:
    for ask in [f"CONNECT {host}:{sink} HTTP/1.1\r\nHost: {host}:{sink}\r\n\r\n", f"GET http://{host}:{sink}/leak HTTP/1.1\r\nHost: {host}\r\n\r\n"]:
        s = socket.create_connection(("127.0.0.1", 1023), 5); s.settimeout(10)
        s.sendall(ask.encode())
        answer = s.recv(99)
        assert answer[9:10] in (b"4", b"") , (host, answer)
        try: s.sendall(b"leak")
        except OSError: pass
# What changes the protocol, and requests within requests.
for head in ["Upgrade: websocket\r\nConnection: Upgrade\r\n", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade\r\n",
             "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "Content-Length: 4\r\nContent-Length: 9\r\n", "Host: evil.example\r\n", " folded: x\r\n"]:
    s = socket.create_connection(("allowed.example", http), 5); s.settimeout(10)
    s.sendall(f"POST /x HTTP/1.1\r\nHost: allowed.example:{http}\r\n{head}\r\n0\r\n\r\n".encode())
    answer = s.recv(999)
    ok = answer.startswith(b"HTTP/1.1 200") and head.startswith("Transfer")
    assert ok or answer[9:10] in (b"4", b"5", b""), (head, answer)
# Protocols and options of the kernel.
for family, kind, protocol in [(socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_STREAM, 132),
                               (socket.AF_PACKET, socket.SOCK_RAW, 0), (socket.AF_INET6, socket.SOCK_RAW, 58)]:
    held.append(code(lambda: socket.socket(family, kind, protocol) and "made"))
s = socket.socket()
for level, option in [(0, 19), (1, 36), (1, 25)]: # IP_TRANSPARENT, SO_MARK, SO_BINDTODEVICE
    held.append(code(lambda: s.setsockopt(level, option, b"nope" if option == 25 else 7) or "set"))
lite = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
plain = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held += [code(lambda: lite() and "made")]
for made, at in [(plain, ("8.8.8.8", 443)), (plain, ("198.18.1.0", 443)), (plain, ("127.0.0.1", sink))]:
    u = made(); u.settimeout(5); u.connect(at)
    held.append(code(lambda: (u.send(b"leak"), u.recv(9)) and "answered"))
held.append(code(lambda: socket.socket().bind(("0.0.0.0", 1023)) or "bound"))
held.append(code(lambda: socket.create_connection(("127.0.0.1", sink), 5) and "connected"))
print("made" in held, "set" in held, "answered" in held, "bound" in held, "connected" in held, held)
s = socket.create_connection(("allowed.example", sink), 5); s.sendall(b"SSH-control"); s.close()
"#;
    let ports = [tls, http, port].map(|port| port.to_string());
    let args = [
        "exec", "netty", "--", "python3", "-", &ports[0], &ports[1], &ports[2],
    ];
    let said = world.wsm.wsm_with(&args, script.as_bytes()).ok();
    assert!(
        said.stdout.starts_with("False False False False False "),
        "{said}"
    );
    let got = || fs::read(&sunk).expect("the sink's");
    wait::until_true("the control reaches the sink", || !got().is_empty());
    assert_eq!(String::from_utf8_lossy(&got()), "SSH-control");
}
