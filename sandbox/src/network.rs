//! The way out of a sandbox: in its network namespace every address is local, TCP to all but
//! loopback lands on one listening socket, and questions to any name server on another. There is
//! no other way, and neither socket is the agent's.
//!
//! ```text
//! connect(any address, any port) ─route: local─► lo ─tproxy─► [::]:1023 ─accept─► wsm egress
//! sendto(any address, 53)        ─route: local─► lo ────────► [::]:53
//! sendto(any address, other)     ─route: local─► lo ─► nobody: ECONNREFUSED
//! ```
//!
//! `tproxy` and not a redirection: it needs no connection tracking, so that an agent can fill no
//! table of the kernel, and the listener sees the address that was meant. Both ports are below
//! 1024, where an agent can bind nothing: it has none to lose, and none to take in our place.

mod netlink;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SetSockOpt, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, listen,
    setsockopt, socket, sockopt,
};

use crate::fail::Context;
use crate::protocol::Failure;
use crate::spec::{LayerReport, LayerStatus};

/// Port of the listening socket: everything that is caught, and who speaks to a proxy on purpose.
pub(crate) const PROXY_PORT: u16 = 1023;
/// Port of name servers.
const DNS_PORT: u16 = 53;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Opens the way out in the present network namespace; gives the listening TCP and the UDP socket.
/// Repeatable once those sockets are gone; `exposed` loopback ports are caught too. Where there is
/// no IPv6, the sockets are of IPv4, which tells their user.
pub(crate) fn open(exposed: &[u16]) -> Result<[OwnedFd; 2], Failure> {
    let families = families();
    let family = if families.contains(&AddressFamily::Inet6) {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    // Sockets first: a caught connection that nobody listens for would be refused anyway.
    let tcp = tcp(family).what(|| format!("listen at port {PROXY_PORT} of the sandbox"))?;
    let udp = udp(family).what(|| format!("take port {DNS_PORT} of the sandbox"))?;
    netlink::make_everything_local(families).what(|| "make every address local".into())?;
    netlink::catch(families, PROXY_PORT, exposed).what(|| "catch connections".into())?;
    Ok([tcp, udp])
}

/// What loopback has here: a host may be without IPv6 (`ipv6.disable=1`), or a namespace.
fn families() -> &'static [AddressFamily] {
    let switch = "/proc/sys/net/ipv6/conf/lo/disable_ipv6";
    match std::fs::read_to_string(switch) {
        Ok(off) if off.trim() == "0" => &[AddressFamily::Inet, AddressFamily::Inet6],
        _ => &[AddressFamily::Inet],
    }
}

/// What the kernel says of the way out of the present network namespace.
pub(crate) fn look() -> io::Result<Seen> {
    let here = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}"));
    let devices = here("dev")?;
    let devices = devices.lines().filter_map(|line| line.split_once(':'));
    let devices = devices
        .map(|(name, _)| name.trim())
        .filter(|name| *name != "lo");
    let listening = format!(":{PROXY_PORT:04X} ");
    let listens = |name: &str| {
        let sockets = here(name).unwrap_or_default();
        let mut sockets = sockets.lines();
        // `0A`: it listens.
        sockets
            .any(|line| line.contains(&listening) && line.split_whitespace().nth(3) == Some("0A"))
    };
    Ok(Seen {
        devices: devices.map(str::to_owned).collect(),
        families: families().len(),
        local: netlink::local_defaults()?,
        rules: netlink::rules()?,
        listens: listens("tcp6") || listens("tcp"),
    })
}

/// The way out as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Devices beside loopback.
    pub(crate) devices: Vec<String>,
    /// Families that loopback has.
    pub(crate) families: usize,
    /// Families in which every address is local.
    pub(crate) local: usize,
    /// Rules that lead connections to egress.
    pub(crate) rules: usize,
    /// Whether egress, or somebody, listens there.
    pub(crate) listens: bool,
}

impl Seen {
    /// How much of the layer stands, and what that means.
    pub(crate) fn report(&self) -> LayerReport {
        let (status, detail) = self.judge();
        LayerReport {
            layer: "egress".into(),
            status,
            detail,
        }
    }

    fn judge(&self) -> (LayerStatus, String) {
        if !self.devices.is_empty() {
            let detail = format!("a way around it: {}", self.devices.join(", "));
            return (LayerStatus::Absent, detail);
        }
        let ipv4 = if self.families == 1 {
            ", IPv4 only"
        } else {
            ""
        };
        match (self.local, self.rules) {
            (0, 0) => (
                LayerStatus::Enforced,
                "loopback only, nothing leads out".into(),
            ),
            (local, rules) if local == self.families && rules >= local => {
                let exposed = rules / local - 1;
                let who = if self.listens {
                    "egress takes it"
                } else {
                    "nobody takes it: all is refused until egress is back"
                };
                let detail =
                    format!("TCP to every address is caught{ipv4}, {exposed} exposed; {who}");
                (LayerStatus::Enforced, detail)
            }
            (local, rules) => {
                let detail = format!(
                    "{local} of {} families and {rules} rules: what is not caught stays inside",
                    self.families
                );
                (LayerStatus::Reduced, detail)
            }
        }
    }
}

fn tcp(family: AddressFamily) -> io::Result<OwnedFd> {
    let socket = make(family, SockType::Stream, PROXY_PORT)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

fn udp(family: AddressFamily) -> io::Result<OwnedFd> {
    let socket = make(family, SockType::Datagram, DNS_PORT)?;
    // Answers must come from the address that was asked, whichever it was.
    if family == AddressFamily::Inet6 {
        set(&socket, sockopt::Ipv6RecvPacketInfo)?;
    } else {
        set(&socket, sockopt::Ipv4PacketInfo)?;
    }
    Ok(socket)
}

/// A socket bound to every address, of both families if it is of IPv6, that may speak for any.
fn make(family: AddressFamily, kind: SockType, port: u16) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, kind, flags, None)?;
    set(&socket, sockopt::IpTransparent)?;
    if kind == SockType::Stream {
        // Connections of an earlier egress may still be dying.
        set(&socket, sockopt::ReuseAddr)?;
    }
    if family == AddressFamily::Inet6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        bind(socket.as_raw_fd(), &SockaddrIn6::from(any))?;
    } else {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        bind(socket.as_raw_fd(), &SockaddrIn::from(any))?;
    }
    Ok(socket)
}

fn set<O: SetSockOpt<Val = bool>>(socket: &OwnedFd, option: O) -> nix::Result<()> {
    setsockopt(socket, option, &true)
}
