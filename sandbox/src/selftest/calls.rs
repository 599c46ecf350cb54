//! System calls that seccomp refuses. The forms are such that without the filter the kernel would
//! answer something else (EFAULT, EBADF, EINVAL), so each one tests the filter itself.

use libc::c_long;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::spec::ProbeReport;
use crate::sys::attempt;

use super::must_fail;

const LAYER: &str = "seccomp";

/// A system call that a sandbox must refuse, in a form that does no harm where it is not refused:
/// bad descriptors, bad addresses, invalid flags.
#[derive(Debug)]
pub(crate) struct Forbidden {
    pub(crate) number: c_long,
    pub(crate) arguments: [c_long; 5],
}

const fn call(number: c_long, arguments: [c_long; 5]) -> Forbidden {
    Forbidden { number, arguments }
}

const NEWUSER: c_long = 0x1000_0000;
/// As an address: below the first page that can be mapped.
const BAD: c_long = 1;
// NEWUSER together with CLONE_FS is invalid, so that no child is made.
const CLONE_USER: [c_long; 5] = [NEWUSER | 0x200 | 17, 0, 0, 0, 0];

/// Seizing does not stop PID 1, and ends with the probing process.
pub(super) const SEIZE_INIT: Forbidden = call(libc::SYS_ptrace, [0x4206, 1, 0, 0, 0]);

const CALLS: &[(Forbidden, &str, Errno)] = &[
    (
        call(libc::SYS_mount, [BAD, BAD, BAD, 0, BAD]),
        "mount",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_umount2, [BAD, 0, 0, 0, 0]),
        "umount2",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_pivot_root, [BAD, BAD, 0, 0, 0]),
        "pivot_root",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_chroot, [BAD, 0, 0, 0, 0]),
        "chroot",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_fsopen, [BAD, 0, 0, 0, 0]),
        "fsopen",
        Errno::ENOSYS,
    ),
    (
        call(libc::SYS_move_mount, [-1, BAD, -1, BAD, 0]),
        "move_mount",
        Errno::ENOSYS,
    ),
    (
        call(libc::SYS_mount_setattr, [-1, BAD, 0, BAD, 0]),
        "mount_setattr",
        Errno::ENOSYS,
    ),
    (
        call(libc::SYS_setns, [-1, 0, 0, 0, 0]),
        "setns",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_unshare, [NEWUSER | 1, 0, 0, 0, 0]),
        "unshare(NEWUSER)",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_clone, CLONE_USER),
        "clone(NEWUSER)",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_clone3, [BAD, 0, 0, 0, 0]),
        "clone3",
        Errno::ENOSYS,
    ),
    (
        call(libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        "keyctl",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_add_key, [BAD, BAD, BAD, 0, -3]),
        "add_key",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_request_key, [BAD, BAD, BAD, 0, 0]),
        "request_key",
        Errno::EPERM,
    ),
    (call(libc::SYS_bpf, [0, BAD, 8, 0, 0]), "bpf", Errno::EPERM),
    (
        call(libc::SYS_perf_event_open, [BAD, 0, -1, -1, 0]),
        "perf_event_open",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_io_uring_setup, [1, BAD, 0, 0, 0]),
        "io_uring_setup",
        Errno::ENOSYS,
    ),
    (
        call(libc::SYS_open_by_handle_at, [-1, BAD, 0, 0, 0]),
        "open_by_handle_at",
        Errno::EPERM,
    ),
    (
        call(libc::SYS_userfaultfd, [0xffff, 0, 0, 0, 0]),
        "userfaultfd",
        Errno::ENOSYS,
    ),
    (
        call(libc::SYS_ioctl, [-1, 0x5412, BAD, 0, 0]),
        "ioctl(TIOCSTI)",
        Errno::EPERM,
    ),
    (
        call(0x4000_0000 | libc::SYS_getpid, [0; 5]),
        "getpid of the x32 ABI",
        Errno::ENOSYS,
    ),
    (call(1000, [0; 5]), "system call 1000", Errno::ENOSYS),
];

/// Family, type, protocol, what it is called, how it must fail.
type SocketProbe = (
    AddressFamily,
    SockType,
    Option<SockProtocol>,
    &'static str,
    Errno,
);

const SOCKETS: &[SocketProbe] = &[
    (
        AddressFamily::Vsock,
        SockType::Stream,
        None,
        "socket(VSOCK)",
        Errno::EAFNOSUPPORT,
    ),
    (
        AddressFamily::Packet,
        SockType::Raw,
        None,
        "socket(PACKET)",
        Errno::EAFNOSUPPORT,
    ),
    (
        AddressFamily::Alg,
        SockType::SeqPacket,
        None,
        "socket(ALG)",
        Errno::EAFNOSUPPORT,
    ),
    (
        AddressFamily::Inet,
        SockType::Raw,
        None,
        "socket(INET, RAW)",
        Errno::EPERM,
    ),
    (
        AddressFamily::Inet6,
        SockType::Raw,
        None,
        "socket(INET6, RAW)",
        Errno::EPERM,
    ),
    (
        AddressFamily::Netlink,
        SockType::Raw,
        Some(SockProtocol::NetlinkKObjectUEvent),
        "socket(NETLINK, KOBJECT_UEVENT)",
        Errno::EPERM,
    ),
];

pub(super) fn run() -> Vec<ProbeReport> {
    let calls = CALLS
        .iter()
        .map(|(call, tried, errno)| must_fail(LAYER, tried, attempt(call), &[*errno]));
    let sockets = SOCKETS
        .iter()
        .map(|(family, kind, protocol, tried, errno)| {
            let made = socket(*family, *kind, SockFlag::SOCK_CLOEXEC, *protocol);
            must_fail(LAYER, tried, made, &[*errno])
        });
    calls.chain(sockets).collect()
}
