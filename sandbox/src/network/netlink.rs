//! Two conversations with the kernel: routes (rtnetlink) and packet rules (nf_tables).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

// linux/netlink.h
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
const REPLACE: u16 = 0x100;
const APPEND: u16 = 0x800;
const NESTED: u16 = 0x8000;
const MSG_ERROR: u16 = 2;
/// Length of `nlmsghdr`.
const HEADER: usize = 16;

/// Index of the loopback interface of every network namespace.
const LOOPBACK_INDEX: u32 = 1;
const CHAIN: &[u8] = b"lead\0";

/// Messages that are sent together.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// How many of them ask for an answer.
    answers: usize,
}

impl Batch {
    /// Adds a message; `body` writes what follows the header.
    fn add(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        let sequence = u32::try_from(self.answers).unwrap_or(u32::MAX);
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((REQUEST | flags).to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        body(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).expect("messages are short");
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.answers += usize::from(flags & ACK != 0);
    }

    /// Sends all, and waits for every answer: the first failure is the result.
    fn send(&self, protocol: SockProtocol) -> io::Result<()> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        let kernel = NetlinkAddr::new(0, 0);
        sendto(socket.as_raw_fd(), &self.bytes, &kernel, MsgFlags::empty())?;
        for _ in 0..self.answers {
            answer(&socket)?;
        }
        Ok(())
    }
}

/// One acknowledgement. The kernel has queued it before `sendto` returned, or never will.
fn answer(socket: &OwnedFd) -> io::Result<()> {
    let mut bytes = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT)?;
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_ne_bytes(four))
    };
    let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
    match number(HEADER) {
        Some(0) if kind == MSG_ERROR && length >= HEADER + 4 => Ok(()),
        Some(error) if kind == MSG_ERROR && error < 0 => Err(io::Error::from_raw_os_error(-error)),
        _ => Err(io::Error::other("an unexpected answer of the kernel")),
    }
}

/// Adds an attribute; lengths are padded to four bytes.
fn attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).expect("attributes are short");
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// Adds an attribute that holds attributes.
fn nested(to: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    body(&mut inner);
    attribute(to, kind | NESTED, &inner);
}

/// `ip route replace local default dev lo`, for both families.
pub(super) fn make_everything_local() -> io::Result<()> {
    // linux/rtnetlink.h
    const NEW_ROUTE: u16 = 24;
    const OUT_INTERFACE: u16 = 4;
    const TABLE_LOCAL: u8 = 255;
    const BY_BOOT: u8 = 3;
    const SCOPE_HOST: u8 = 254;
    const TYPE_LOCAL: u8 = 2;
    let mut batch = Batch::default();
    for family in [libc::AF_INET, libc::AF_INET6] {
        batch.add(NEW_ROUTE, ACK | CREATE | REPLACE, |body| {
            let family = u8::try_from(family).expect("families are small");
            body.extend([
                family,
                0,
                0,
                0,
                TABLE_LOCAL,
                BY_BOOT,
                SCOPE_HOST,
                TYPE_LOCAL,
            ]);
            body.extend([0; 4]);
            attribute(body, OUT_INTERFACE, &LOOPBACK_INDEX.to_ne_bytes());
        });
    }
    batch.send(SockProtocol::NetlinkRoute)
}

// linux/netfilter/nf_tables.h
const FAMILY_INET: u8 = 1;
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Where rules for a mangled destination belong, as iptables has it.
const PRIORITY_MANGLE: i32 = -150;

/// Leads TCP to all but loopback, and to the exposed ports of loopback, to a listening socket.
/// A table is named by what it does: one that is there already does it. Nothing is ever deleted,
/// which would wait for every processor (20 ms).
pub(super) fn catch(port: u16, exposed: &[u16]) -> io::Result<()> {
    match table(port, exposed).send(SockProtocol::NetlinkNetFilter) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn table(port: u16, exposed: &[u16]) -> Batch {
    let mut name = String::from("wsm");
    for at in exposed {
        name.push_str(&format!("-{at}"));
    }
    name.push('\0');
    let name = name.as_bytes();
    let mut batch = Batch::default();
    batch.add(BATCH_BEGIN, 0, |body| generic(body, 0, SUBSYSTEM));
    let mut add = |kind: u16, flags: u16, body: &dyn Fn(&mut Vec<u8>)| {
        batch.add((SUBSYSTEM << 8) | kind, ACK | flags, |to| {
            generic(to, FAMILY_INET, 0);
            body(to);
        });
    };
    add(NEW_TABLE, CREATE | EXCL, &|to| attribute(to, 1, name));
    add(NEW_CHAIN, CREATE, &|to| {
        attribute(to, 1, name);
        attribute(to, 3, CHAIN);
        nested(to, 4, |hook| {
            attribute(hook, 1, &0_u32.to_be_bytes()); // NF_INET_PRE_ROUTING
            attribute(hook, 2, &PRIORITY_MANGLE.to_be_bytes());
        });
        attribute(to, 7, b"filter\0");
    });
    let mut rule = |expressions: &dyn Fn(&mut Vec<u8>)| {
        add(NEW_RULE, CREATE | APPEND, &|to| {
            attribute(to, 1, name);
            attribute(to, 2, CHAIN);
            nested(to, 4, expressions);
        });
    };
    for family in [FAMILY_V4, FAMILY_V6] {
        rule(&|to| {
            tcp_of(to, family);
            loopback(to, family, false);
            lead_to(to, family, port);
        });
        for at in exposed {
            rule(&|to| {
                tcp_of(to, family);
                loopback(to, family, true);
                payload(to, 2, 2, 2); // the destination's port
                compare(to, true, &at.to_be_bytes());
                lead_to(to, family, port);
            });
        }
    }
    batch.add(BATCH_END, 0, |body| generic(body, 0, SUBSYSTEM));
    batch
}

/// `nfgenmsg`.
fn generic(to: &mut Vec<u8>, family: u8, resource: u16) {
    to.extend([family, 0]);
    to.extend(resource.to_be_bytes());
}

fn expression(to: &mut Vec<u8>, name: &[u8], data: impl FnOnce(&mut Vec<u8>)) {
    nested(to, 1, |element| {
        attribute(element, 1, name);
        nested(element, 2, data);
    });
}

/// Register 1, as every expression here uses it.
const REGISTER: [u8; 4] = 1_u32.to_be_bytes();

fn tcp_of(to: &mut Vec<u8>, family: u8) {
    for (key, value) in [(15_u32, family), (16, 6)] {
        // NFT_META_NFPROTO, NFT_META_L4PROTO
        expression(to, b"meta\0", |data| {
            attribute(data, 1, &REGISTER);
            attribute(data, 2, &key.to_be_bytes());
        });
        compare(to, true, &[value]);
    }
}

/// Whether the destination is (not) 127.0.0.0/8 or ::1.
fn loopback(to: &mut Vec<u8>, family: u8, is: bool) {
    if family == FAMILY_V4 {
        payload(to, 1, 16, 1);
        compare(to, is, &[127]);
    } else {
        payload(to, 1, 24, 16);
        compare(to, is, &std::net::Ipv6Addr::LOCALHOST.octets());
    }
}

fn payload(to: &mut Vec<u8>, base: u32, offset: u32, length: u32) {
    expression(to, b"payload\0", |data| {
        attribute(data, 1, &REGISTER);
        for (kind, value) in (2..).zip([base, offset, length]) {
            attribute(data, kind, &value.to_be_bytes());
        }
    });
}

fn compare(to: &mut Vec<u8>, equal: bool, value: &[u8]) {
    expression(to, b"cmp\0", |data| {
        attribute(data, 1, &REGISTER);
        attribute(data, 2, &u32::from(!equal).to_be_bytes());
        nested(data, 3, |inner| attribute(inner, 1, value));
    });
}

fn lead_to(to: &mut Vec<u8>, family: u8, port: u16) {
    expression(to, b"immediate\0", |data| {
        attribute(data, 1, &REGISTER);
        nested(data, 2, |inner| attribute(inner, 1, &port.to_be_bytes()));
    });
    expression(to, b"tproxy\0", |data| {
        attribute(data, 1, &u32::from(family).to_be_bytes());
        attribute(data, 3, &REGISTER);
    });
}
