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
const DUMP: u16 = 0x300;
const NESTED: u16 = 0x8000;
const MSG_ERROR: u16 = 2;
const MSG_DONE: u16 = 3;
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

    /// Sends a question, and counts the messages of a kind among the answers that are meant.
    fn dump(
        &self,
        protocol: SockProtocol,
        kind: u16,
        meant: impl Fn(&[u8]) -> bool,
    ) -> io::Result<usize> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )?;
        let kernel = NetlinkAddr::new(0, 0);
        sendto(socket.as_raw_fd(), &self.bytes, &kernel, MsgFlags::empty())?;
        let mut bytes = vec![0; 64 * 1024];
        let mut count = 0;
        loop {
            let length = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
            let mut rest = &bytes[..length];
            while let Some((message, after)) = split(rest) {
                match u16::from_ne_bytes([message[4], message[5]]) {
                    MSG_DONE => return Ok(count),
                    MSG_ERROR => return Ok(count), // a family, or a subsystem, that is not there
                    other if other == kind => count += usize::from(meant(&message[HEADER..])),
                    _ => {}
                }
                rest = after;
            }
        }
    }
}

/// The first message, and what comes after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length >= HEADER)?;
    let message = bytes.get(..length)?;
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((message, after))
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

// linux/rtnetlink.h
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const TABLE_LOCAL: u8 = 255;
const TYPE_LOCAL: u8 = 2;

/// The number of a family, as routes have it.
fn number(family: AddressFamily) -> u8 {
    match family {
        AddressFamily::Inet6 => 10,
        _ => 2,
    }
}

/// `ip route replace local default dev lo`, for these families.
pub(super) fn make_everything_local(families: &[AddressFamily]) -> io::Result<()> {
    const OUT_INTERFACE: u16 = 4;
    const BY_BOOT: u8 = 3;
    const SCOPE_HOST: u8 = 254;
    let mut batch = Batch::default();
    for family in families {
        batch.add(NEW_ROUTE, ACK | CREATE | REPLACE, |body| {
            let family = number(*family);
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

/// In how many families every address is local.
pub(super) fn local_defaults() -> io::Result<usize> {
    let mut local = 0;
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut batch = Batch::default();
        let wanted = number(family);
        batch.add(GET_ROUTE, DUMP, |body| {
            body.extend([wanted, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        });
        // `rtmsg`: family, length of the destination, …, table, …, type.
        let default = |route: &[u8]| {
            route.get(..8).is_some_and(|head| {
                head[0] == wanted && head[1] == 0 && head[4] == TABLE_LOCAL && head[7] == TYPE_LOCAL
            })
        };
        let found = batch.dump(SockProtocol::NetlinkRoute, NEW_ROUTE, default)?;
        local += usize::from(found > 0);
    }
    Ok(local)
}

/// How many rules lead connections to a listening socket.
pub(super) fn rules() -> io::Result<usize> {
    let mut batch = Batch::default();
    batch.add((SUBSYSTEM << 8) | GET_RULE, DUMP, |body| {
        generic(body, FAMILY_INET, 0)
    });
    let kind = (SUBSYSTEM << 8) | NEW_RULE;
    let leads = |rule: &[u8]| rule.windows(TPROXY.len()).any(|part| part == TPROXY);
    batch.dump(SockProtocol::NetlinkNetFilter, kind, leads)
}

// linux/netfilter/nf_tables.h
const FAMILY_INET: u8 = 1;
const FAMILY_V4: u8 = 2;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const TPROXY: &[u8] = b"tproxy\0";
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Where rules for a mangled destination belong, as iptables has it.
const PRIORITY_MANGLE: i32 = -150;

/// Leads TCP to all but loopback, and to the exposed ports of loopback, to a listening socket.
/// A table is named by what it does: one that is there already does it. Nothing is ever deleted,
/// which would wait for every processor (20 ms).
pub(super) fn catch(families: &[AddressFamily], port: u16, exposed: &[u16]) -> io::Result<()> {
    match table(families, port, exposed).send(SockProtocol::NetlinkNetFilter) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn table(families: &[AddressFamily], port: u16, exposed: &[u16]) -> Batch {
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
    // netfilter's numbers of the two are those of routes.
    for family in families.iter().copied().map(number) {
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
    expression(to, TPROXY, |data| {
        attribute(data, 1, &u32::from(family).to_be_bytes());
        attribute(data, 3, &REGISTER);
    });
}
