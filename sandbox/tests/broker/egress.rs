//! The way out: every address leads to sockets that the broker made and handed out.

use std::net::{SocketAddr, SocketAddrV6, TcpStream};
use std::os::fd::RawFd;

use nix::sys::socket::{self, MsgFlags, SockaddrIn, SockaddrIn6};
use nix::unistd::close;
use serde_json::json;
use wsm_sandbox::protocol::{FailureKind, Reply, Request};
use wsm_sandbox::spec::{LayerReport, LayerStatus, Network};

use crate::harness::{ACCOUNT, Agent, EGRESS_UID, Shim, World, command, until};

fn with_egress(world: &World, id: &str) -> (Agent, Shim) {
    let agent = world.prepare(id);
    let mut spec = world.spec(&agent);
    spec.network = Network::Egress;
    let spec = Box::new(spec);
    match world.client().ask(Request::Create { spec }) {
        Ok(Reply::Created { socket, .. }) => (agent, Shim::connect(std::path::Path::new(&socket))),
        other => panic!("{other:?}"),
    }
}

fn ask_for(agent: &Agent, exposed: &[u16]) -> Request {
    Request::Egress {
        agent: agent.id.clone(),
        exposed: exposed.to_vec(),
    }
}

/// The listening socket and the other.
fn open(world: &World, agent: &Agent, exposed: &[u16]) -> (RawFd, RawFd) {
    let (reply, fds) = world.client().ask_with(ask_for(agent, exposed)).unwrap();
    assert_eq!(reply, Reply::Egress);
    let [tcp, udp] = fds[..] else {
        panic!("{fds:?}")
    };
    (tcp, udp)
}

/// Takes one connection: where it was meant to go, and the five bytes it begins with.
fn accept(tcp: RawFd) -> (SocketAddr, RawFd) {
    let mut taken = None;
    until("a connection comes", || {
        taken = socket::accept(tcp).ok();
        taken.is_some()
    });
    let stream = taken.unwrap();
    let mut bytes = [0; 5];
    let length = socket::recv(stream, &mut bytes, MsgFlags::MSG_WAITALL).unwrap();
    assert_eq!(&bytes[..length], b"hello");
    let meant = SocketAddrV6::from(socket::getsockname::<SockaddrIn6>(stream).unwrap());
    ((meant.ip().to_canonical(), meant.port()).into(), stream)
}

/// What a Python script inside prints.
fn python(shim: &Shim, script: &str) -> String {
    let script = script.replace('\'', "\"");
    let (out, code) = shim.sh(&format!("exec python3 -c '{script}' 2>&1"));
    assert_eq!(code, 0, "{out}");
    out
}

const CALL: &str = "
import socket, errno
def call(host, port, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, kind)
    s.settimeout(5)
    try:
        s.connect((host, port))
        s.send(b'hello')
        if kind == socket.SOCK_DGRAM: s.recv(9)
        return s
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
";

#[test]
fn every_address_leads_to_the_listener_and_nothing_else_leads_out() {
    let world = World::new();
    let (agent, shim) = with_egress(&world, "agent0030");
    // Before anybody listens there is no network at all.
    let closed = python(&shim, &format!("{CALL}\nprint(call('1.2.3.4', 443))"));
    assert_eq!(closed, "ENETUNREACH");
    let (tcp, _udp) = open(&world, &agent, &[7777]);
    let out = python(
        &shim,
        &format!(
            "{CALL}
for host, port in [('1.2.3.4', 443), ('10.1.2.3', 22), ('169.254.169.254', 80),
                   ('2606:4700::1111', 8443), ('fd00::1', 9), ('127.0.0.1', 7777), ('::1', 7777),
                   ('127.0.0.1', 1023)]:
    assert not isinstance(call(host, port), str), (host, port)
mptcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
mptcp.connect(('1.2.3.4', 444)); mptcp.send(b'hello')
fast = socket.socket(); fast.sendto(b'hello', 0x20000000, ('1.2.3.4', 445))
print(call('1.2.3.4', 443, socket.SOCK_DGRAM), call('2606:4700::1111', 443, socket.SOCK_DGRAM),
      call('127.0.0.1', 7778), call('::1', 7778))
"
        ),
    );
    assert_eq!(out, ["ECONNREFUSED"; 4].join(" "));
    let meant: Vec<SocketAddr> = (0..10).map(|_| accept(tcp).0).collect();
    let expected = [
        "1.2.3.4:443",
        "10.1.2.3:22",
        "169.254.169.254:80",
        "[2606:4700::1111]:8443",
        "[fd00::1]:9",
        "127.0.0.1:7777",
        "[::1]:7777",
        "127.0.0.1:1023",
        "1.2.3.4:444",
        "1.2.3.4:445",
    ];
    let expected: Vec<SocketAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(meant, expected);
}

#[test]
fn the_agents_own_ports_stay_its_own() {
    let world = World::new();
    let (agent, shim) = with_egress(&world, "agent0031");
    let (tcp, _udp) = open(&world, &agent, &[]);
    let out = python(
        &shim,
        &format!(
            "{CALL}
for address in ['127.0.0.1', '0.0.0.0', '::1', '::']:
    server = socket.create_server((address, 8080), family=socket.AF_INET6 if ':' in address else socket.AF_INET)
    mine = call('::1' if ':' in address else '127.0.0.1', 8080)
    assert server.accept()[0].recv(5) == b'hello'
    server.close()
try:
    socket.create_server(('0.0.0.0', 1023)); print('bound')
except PermissionError:
    print('refused')
"
        ),
    );
    assert_eq!(out, "refused");
    // A server of its own on every address does not catch what is meant for others.
    shim.ask(&json!({"Start": {"command": command(
        "exec python3 -c 'import socket,time; s=socket.create_server((\"0.0.0.0\",8081)); open(\"/home/agent/up\",\"w\"); time.sleep(60)'"
    )}}));
    let up = std::path::Path::new(&agent.paths.home).join("up");
    until("the server listens", || up.exists());
    python(
        &shim,
        &format!("{CALL}\nassert call('1.2.3.4', 8081).getpeername()"),
    );
    assert_eq!(accept(tcp).0.port(), 8081);
}

#[test]
fn sockets_are_for_egress_alone_and_come_again() {
    let mut world = World::new();
    let (agent, shim) = with_egress(&world, "agent0032");
    let request = ask_for(&agent, &[]);
    match world.ask_as(ACCOUNT, &request, &[]) {
        Reply::Failed(failed) => assert_eq!(failed.kind, FailureKind::Refused),
        other => panic!("{other:?}"),
    }
    // Its end closes what it was given.
    assert_eq!(world.ask_as(EGRESS_UID, &request, &[]), Reply::Egress);
    world.kill_broker();
    world.start("");
    let (tcp, udp) = open(&world, &agent, &[]);
    let taken = world.client().ask(ask_for(&agent, &[])).unwrap_err();
    assert_eq!(taken.kind, FailureKind::Failed);
    close(tcp).unwrap();
    close(udp).unwrap();
    let (tcp, _udp) = open(&world, &agent, &[7777]);
    shim.ask(&json!({"Start": {"command": command(
        "exec python3 -c 'import socket; s=socket.create_connection((\"127.0.0.1\",7777)); s.sendall(b\"hello\")'"
    )}}));
    accept(tcp);
    let refused = world.client().ask(ask_for(&agent, &[80])).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Invalid);
    let plain = world.prepare("agent0033");
    world.create(&plain);
    let refused = world.client().ask(ask_for(&plain, &[])).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    // The host's own network knows nothing of all this.
    assert!(TcpStream::connect("127.0.0.1:1023").is_err());
}

/// The layer as the broker reads it back.
fn layer(world: &World, agent: &Agent) -> LayerReport {
    let agent = agent.id.clone();
    let Ok(Reply::Inspected { layers, .. }) = world.client().ask(Request::Inspect { agent }) else {
        panic!("not inspected")
    };
    let mut layers = layers.into_iter();
    layers.find(|layer| layer.layer == "egress").unwrap()
}

/// A host may have IPv6 switched off: then the way out is of IPv4, and its user sees that.
#[test]
fn without_ipv6_there_is_a_way_out_by_ipv4() {
    let world = World::new();
    let (agent, shim) = with_egress(&world, "agent0034");
    let before = layer(&world, &agent);
    assert_eq!(before.status, LayerStatus::Enforced, "{before:?}");
    assert!(before.detail.contains("nothing leads out"), "{before:?}");
    let Ok(Reply::Listed { sandboxes }) = world.client().ask(Request::List) else {
        panic!("no list")
    };
    let shim_pid = sandboxes[0].shim_pid.unwrap();
    let off = std::process::Command::new("nsenter")
        .arg(format!("--net=/proc/{shim_pid}/ns/net"))
        .args([
            "sh",
            "-c",
            "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6",
        ])
        .status()
        .unwrap();
    assert!(off.success());
    let (tcp, udp) = open(&world, &agent, &[7777]);
    let out = python(
        &shim,
        &format!(
            "{CALL}
for host, port in [('1.2.3.4', 443), ('127.0.0.1', 7777)]:
    assert not isinstance(call(host, port), str), (host, port)
print(call('2606:4700::1111', 443), call('127.0.0.1', 7778))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'hello', ('8.8.8.8', 53))
"
        ),
    );
    assert!(
        out.ends_with(" ECONNREFUSED") && !out.starts_with("<socket"),
        "{out}"
    );
    let meant = |socket: RawFd| {
        let name = socket::getsockname::<SockaddrIn>(socket).unwrap();
        SocketAddr::from(std::net::SocketAddrV4::from(name))
    };
    let (mut taken, mut told) = (Vec::new(), [0; 5]);
    until("both connections come", || {
        taken.extend(socket::accept(tcp));
        taken.len() == 2
    });
    let meant: Vec<_> = taken.into_iter().map(meant).collect();
    assert_eq!(
        meant,
        ["1.2.3.4:443", "127.0.0.1:7777"].map(|text| text.parse().unwrap())
    );
    until("the question comes", || {
        socket::recv(udp, &mut told, MsgFlags::empty()).is_ok()
    });
    let open = layer(&world, &agent);
    assert_eq!(open.status, LayerStatus::Enforced, "{open:?}");
    assert!(
        open.detail
            .contains("IPv4 only, 1 exposed; egress takes it"),
        "{open:?}"
    );
    close(tcp).unwrap();
    close(udp).unwrap();
    let away = layer(&world, &agent);
    assert!(away.detail.contains("nobody takes it"), "{away:?}");
}
