//! The system calls for which neither std nor nix has a safe form.
#![expect(
    unsafe_code,
    reason = "descriptors that come as numbers, and four calls nix lacks or has otherwise"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// Takes over a descriptor that this process was given as a number.
///
/// # Errors
/// No such descriptor is open.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= 2 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the borrow ends before `fd` is owned below; a number that is not open is only an error.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, as F_SETFD just showed, and whoever gave us the number gave it to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes every descriptor above standard error that is not in `keep`.
///
/// # Errors
/// The kernel lacks `close_range`.
pub fn close_others(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .collect();
    keep.sort_unstable();
    let mut from = 3;
    for kept in keep.into_iter().chain([u32::MAX]) {
        if kept > from {
            // SAFETY: nothing in this process uses or drops a descriptor any more but those in `keep`.
            let done = unsafe { libc::close_range(from, kept - 1, 0) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        from = from.max(kept.saturating_add(1));
    }
    Ok(())
}

/// Whether a line is read that is not shown, as a password is. `true` if nobody can tell.
#[must_use]
pub fn hides_input(master: BorrowedFd<'_>) -> bool {
    tcgetattr(master).map_or(true, |now| {
        let flags = now.local_flags;
        flags.contains(LocalFlags::ICANON) && !flags.contains(LocalFlags::ECHO)
    })
}

/// Sets the size of a terminal; the kernel tells the foreground process group.
///
/// # Errors
/// `master` is not a terminal.
pub fn set_size(master: BorrowedFd<'_>, cols: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads one winsize from the pointer, which lives through the call.
    let done = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes reads and writes return instead of waiting.
///
/// # Errors
/// The kernel refuses.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Room for one descriptor, and for no more: the kernel hands over no others, whatever was sent.
#[repr(C)]
struct OneDescriptor {
    head: libc::cmsghdr,
    fd: RawFd,
}

/// Reads from a socket without waiting; the first descriptor that comes along is taken, others are
/// closed. (nix forgets those that came when there were more than expected.)
///
/// # Errors
/// As of `recvmsg`.
pub fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(usize, Option<OwnedFd>), Errno> {
    const LENGTH: usize = std::mem::offset_of!(OneDescriptor, fd) + size_of::<RawFd>();
    let mut control = OneDescriptor {
        head: libc::cmsghdr {
            cmsg_len: 0,
            cmsg_level: 0,
            cmsg_type: 0,
        },
        fd: -1,
    };
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut message = libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: (&raw mut control).cast(),
        msg_controllen: LENGTH,
        msg_flags: 0,
    };
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: what `message` points to lives through the call, with the lengths it says.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let length = usize::try_from(Errno::result(got)?).expect("it is not negative");
    let head = control.head;
    let is_fd = (head.cmsg_level, head.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    // SAFETY: the kernel has just opened it for us, and told nobody else.
    let fd =
        (head.cmsg_len == LENGTH && is_fd).then(|| unsafe { OwnedFd::from_raw_fd(control.fd) });
    Ok((length, fd))
}

/// Random bytes from the kernel, fit for secrets; needs no device.
///
/// # Errors
/// The kernel lacks `getrandom`.
pub fn random<const LENGTH: usize>() -> io::Result<[u8; LENGTH]> {
    const { assert!(LENGTH <= 256, "so many come whole, whatever signals come") };
    let mut bytes = [0; LENGTH];
    // SAFETY: getrandom writes at most LENGTH bytes to the array, which lives through the call.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), LENGTH, 0) };
    match usize::try_from(got) {
        Ok(got) if got == LENGTH => Ok(bytes),
        Ok(_) => Err(io::ErrorKind::Interrupted.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
