//! System calls that seccomp refuses. The forms are such that without the filter the kernel would
//! answer something else (EFAULT, EBADF, EINVAL), so each one tests the filter itself.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::spec::ProbeReport;
use crate::sys::{Forbidden, attempt};

use super::must_fail;

const LAYER: &str = "seccomp";

const CALLS: &[(Forbidden, &str, Errno)] = &[
    (Forbidden::Mount, "mount", Errno::EPERM),
    (Forbidden::Umount, "umount2", Errno::EPERM),
    (Forbidden::PivotRoot, "pivot_root", Errno::EPERM),
    (Forbidden::Chroot, "chroot", Errno::EPERM),
    (Forbidden::FsOpen, "fsopen", Errno::ENOSYS),
    (Forbidden::MoveMount, "move_mount", Errno::ENOSYS),
    (Forbidden::MountSetattr, "mount_setattr", Errno::ENOSYS),
    (Forbidden::Setns, "setns", Errno::EPERM),
    (Forbidden::UnshareUser, "unshare(NEWUSER)", Errno::EPERM),
    (Forbidden::CloneUser, "clone(NEWUSER)", Errno::EPERM),
    (Forbidden::Clone3, "clone3", Errno::ENOSYS),
    (Forbidden::Keyctl, "keyctl", Errno::EPERM),
    (Forbidden::AddKey, "add_key", Errno::EPERM),
    (Forbidden::RequestKey, "request_key", Errno::EPERM),
    (Forbidden::Bpf, "bpf", Errno::EPERM),
    (Forbidden::PerfEventOpen, "perf_event_open", Errno::EPERM),
    (Forbidden::IoUringSetup, "io_uring_setup", Errno::ENOSYS),
    (Forbidden::OpenByHandle, "open_by_handle_at", Errno::EPERM),
    (Forbidden::Userfaultfd, "userfaultfd", Errno::ENOSYS),
    (Forbidden::TypeIntoTerminal, "ioctl(TIOCSTI)", Errno::EPERM),
    (Forbidden::X32Getpid, "getpid of the x32 ABI", Errno::ENOSYS),
    (Forbidden::NotYetInvented, "system call 1000", Errno::ENOSYS),
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
        .map(|(call, tried, errno)| must_fail(LAYER, tried, attempt(*call), &[*errno]));
    let sockets = SOCKETS
        .iter()
        .map(|(family, kind, protocol, tried, errno)| {
            let made = socket(*family, *kind, SockFlag::SOCK_CLOEXEC, *protocol);
            must_fail(LAYER, tried, made, &[*errno])
        });
    calls.chain(sockets).collect()
}
