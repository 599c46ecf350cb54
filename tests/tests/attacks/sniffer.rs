//! G: what is asked of name servers, judged by a sniffer of the host's networks.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wsm_tests::persona::Persona;

use crate::attacker::Outcome;
use crate::case::{Case, Control, Sign, case, python};
use crate::world::World;

/// Writes every packet with this label into a file, as it comes.
const PROGRAM: &str = "import socket, sys\n\
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n\
    out = open(sys.argv[1], 'wb', 0); label = sys.argv[2].encode()\n\
    print('ready', flush=True)\n\
    while True:\n p = s.recv(65536)\n if label in p: out.write(p)\n";

/// How long a packet may take from a socket to the sniffer's file.
const LATE: Duration = Duration::from_millis(300);

/// It looks as long as it is kept.
#[derive(Debug)]
pub(crate) struct Sniffer {
    child: Child,
    packets: PathBuf,
    /// What was looked at already.
    seen: AtomicUsize,
}

/// No other test asks for it.
fn label() -> String {
    format!("leak{}x", std::process::id())
}

impl Sniffer {
    pub(crate) fn start(root: &Persona) -> Sniffer {
        let packets = root.home().join("packets");
        let mut python = root.command("python3");
        python.args(["-c", PROGRAM]).arg(&packets).arg(label());
        let mut child = python.stdout(Stdio::piped()).spawn().expect("python runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a word");
        assert_eq!(line, "ready\n");
        Sniffer {
            child,
            packets,
            seen: AtomicUsize::new(0),
        }
    }

    /// Whether a packet came since the last look.
    fn caught(&self) -> bool {
        let length = || fs::read(&self.packets).map_or(0, |packets| packets.len());
        let end = Instant::now() + LATE;
        while Instant::now() < end && length() == self.seen.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let now = length();
        self.seen.swap(now, Ordering::Relaxed) != now
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A question for a name, and ways to ask it.
const WAYS: &str = "import socket, struct\n\
    def question(name, kind=1):\n labels = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.'))\n \
    return struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + labels + b'\\0' + struct.pack('>2H', kind, 1)\n\
    def udp(at, name, port=53, kind=1):\n s = socket.socket(socket.AF_INET6 if ':' in at else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n \
    s.sendto(question(name, kind), (at, port))\n try: return s.recv(999)\n except OSError: pass\n\
    def tcp(at, name, port=53):\n s = socket.create_connection((at, port), 2); q = question(name); s.settimeout(2)\n \
    s.sendall(struct.pack('>H', len(q)) + q); return s.recv(999)\n\
    def proxy(text):\n s = socket.create_connection(('127.0.0.1', 1023), 2); s.settimeout(2); s.sendall(text); return s.recv(999)\n\
    def look(name):\n try: return socket.getaddrinfo(name, 443)\n except OSError: pass\n";

/// Questions that must reach nobody.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let (label, port) = (label(), world.listeners.tcp);
    let allowed = world.listeners.allowed;
    let (other, wild) = (
        format!("{label}.other.example"),
        format!("{label}.wild.example"),
    );
    let by_udp = "udp('127.0.0.1', 'NAME')";
    let by_tcp = &format!("tcp('127.0.0.1', 'NAME', {port})");
    let connect = "proxy(b'CONNECT NAME:443 HTTP/1.1\\r\\nhost: NAME:443\\r\\n\\r\\n')";
    let absolute = format!(
        "proxy(b'GET http://NAME:{allowed}/ HTTP/1.1\\r\\nhost: NAME:{allowed}\\r\\n\\r\\n')"
    );
    let socks = format!(
        "s = socket.create_connection(('127.0.0.1', 1023), 2); s.settimeout(2); s.sendall(b'\\5\\1\\0'); s.recv(2); \
         s.sendall(b'\\5\\1\\0\\3' + bytes([{}]) + b'NAME' + b'\\1\\xbb'); s.recv(99)",
        other.len()
    );
    let table: [(&str, &str, &str, &str, &str); 17] = [
        ("G06", "by the stub", "look('NAME')", &other, by_udp),
        (
            "G06b",
            "of a resolver by UDP",
            "udp('8.8.8.8', 'NAME')",
            &other,
            by_udp,
        ),
        (
            "G06c",
            "by IPv6",
            "udp('2001:4860:4860::8888', 'NAME')",
            &other,
            "udp('::1', 'NAME')",
        ),
        ("G06d", "by TCP", "tcp('9.9.9.9', 'NAME')", &other, by_tcp),
        (
            "G06e",
            "at the port of DNS over TLS",
            "tcp('1.1.1.1', 'NAME', 853)",
            &other,
            by_tcp,
        ),
        (
            "G06f",
            "at the port of DNS over HTTPS",
            "tcp('1.1.1.1', 'NAME', 443)",
            &other,
            by_tcp,
        ),
        (
            "G06g",
            "of everybody near, by mDNS",
            "udp('224.0.0.251', 'NAME', 5353)",
            &other,
            "udp('127.0.0.1', 'NAME', 5353)",
        ),
        (
            "G06h",
            "by LLMNR",
            "udp('224.0.0.252', 'NAME', 5355)",
            &other,
            "udp('127.0.0.1', 'NAME', 5355)",
        ),
        (
            "G06i",
            "of its loopback",
            "udp('127.0.0.53', 'NAME')",
            &other,
            by_udp,
        ),
        (
            "G06j",
            "for a text",
            "udp('8.8.8.8', 'NAME', 53, 16)",
            &other,
            by_udp,
        ),
        (
            "G06k",
            "for a service",
            "udp('8.8.8.8', 'NAME', 53, 65)",
            &other,
            by_udp,
        ),
        ("G06l", "by CONNECT", connect, &other, by_udp),
        ("G06m", "by an absolute request", &absolute, &other, by_udp),
        ("G06n", "by SOCKS5", &socks, &other, by_udp),
        (
            "G07",
            "in labels of a name that is allowed, by the stub",
            "look('NAME')",
            &wild,
            by_udp,
        ),
        (
            "G07b",
            "for a text of such a name",
            "udp('8.8.8.8', 'NAME', 53, 16)",
            &wild,
            by_udp,
        ),
        (
            "G07c",
            "backwards",
            "udp('8.8.8.8', 'NAME.in-addr.arpa', 53, 12)",
            &label,
            by_udp,
        ),
    ];
    let cases = table.into_iter();
    cases
        .map(|(id, what, way, name, there)| {
            let program = |way: &str| python(&format!("{WAYS}{}\n", way.replace("NAME", name)));
            let what = format!("have a resolver told a name: {what}");
            case(id, &what, program(way), Sign::Look(caught)).by(Control::Host, program(there))
        })
        .collect()
}

fn caught(world: &World, _: &Outcome) -> Option<String> {
    world
        .sniffer
        .caught()
        .then(|| "a packet of it was on the host's network".to_owned())
}
