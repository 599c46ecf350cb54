//! The system calls for which neither std nor nix has a safe form.
#![expect(
    unsafe_code,
    reason = "descriptors that come as numbers, and three calls nix lacks"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

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
            // SAFETY: nothing in this process owns a descriptor yet but those in `keep`.
            let done = unsafe { libc::close_range(from, kept - 1, 0) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        from = from.max(kept.saturating_add(1));
    }
    Ok(())
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
