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
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SetSockOpt, SockFlag, SockType, SockaddrIn6, bind, listen, setsockopt,
    socket, sockopt,
};

use crate::fail::Context;
use crate::protocol::Failure;

/// Port of the listening socket: everything that is caught, and who speaks to a proxy on purpose.
pub(crate) const PROXY_PORT: u16 = 1023;
/// Port of name servers.
const DNS_PORT: u16 = 53;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Opens the way out in the present network namespace; gives the listening TCP and the UDP socket.
/// Repeatable once those sockets are gone; `exposed` loopback ports are caught too.
pub(crate) fn open(exposed: &[u16]) -> Result<[OwnedFd; 2], Failure> {
    // Sockets first: a caught connection that nobody listens for would be refused anyway.
    let tcp = tcp().what(|| format!("listen at port {PROXY_PORT} of the sandbox"))?;
    let udp = udp().what(|| format!("take port {DNS_PORT} of the sandbox"))?;
    netlink::make_everything_local().what(|| "make every address local".into())?;
    netlink::catch(PROXY_PORT, exposed).what(|| "catch connections".into())?;
    Ok([tcp, udp])
}

fn tcp() -> io::Result<OwnedFd> {
    let socket = make(SockType::Stream, PROXY_PORT)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

fn udp() -> io::Result<OwnedFd> {
    let socket = make(SockType::Datagram, DNS_PORT)?;
    // Answers must come from the address that was asked, whichever it was.
    set(&socket, sockopt::Ipv6RecvPacketInfo)?;
    Ok(socket)
}

/// A socket of both families, bound to every address, that may speak for any.
fn make(kind: SockType, port: u16) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet6, kind, flags, None)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    set(&socket, sockopt::IpTransparent)?;
    if kind == SockType::Stream {
        // Connections of an earlier egress may still be dying.
        set(&socket, sockopt::ReuseAddr)?;
    }
    let any = std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, port, 0, 0);
    bind(socket.as_raw_fd(), &SockaddrIn6::from(any))?;
    Ok(socket)
}

fn set<O: SetSockOpt<Val = bool>>(socket: &OwnedFd, option: O) -> nix::Result<()> {
    setsockopt(socket, option, &true)
}
