//! The system calls that no safe crate offers: one operation per function, nothing else.
//!
//! This is the only file of the crate with `unsafe`. No function here decides anything.

#![expect(
    unsafe_code,
    reason = "the one place for raw system calls; each block is argued"
)]

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use crate::launch::Exit;
use crate::selftest::Forbidden;

/// `CLONE_INTO_CGROUP`, absent from libc because it does not fit the old call's argument.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

pub(crate) mod attr;

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fork {
    /// The child.
    Child,
    /// The parent, with the child's pid.
    Parent(Pid),
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn checked_fd(result: libc::c_long) -> io::Result<OwnedFd> {
    let raw = RawFd::try_from(checked(result)?).map_err(io::Error::other)?;
    Ok(own(raw))
}

/// Takes over a descriptor that the kernel just made for this process (`SCM_RIGHTS`, `accept`).
pub(crate) fn own(raw: RawFd) -> OwnedFd {
    // SAFETY: every caller got `raw` from the kernel this moment and hands it to nobody else.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// `fork`, for single-threaded processes only: the child may then allocate and go on as usual.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: broker, spawner, init and launcher have one thread each, so no lock is held by
    // another thread in the child.
    let result = unsafe { libc::fork() };
    match checked(result.into())? {
        0 => Ok(Fork::Child),
        _ => Ok(Fork::Parent(Pid::from_raw(result))),
    }
}

/// Memory for the stack of a child that shares its parent's, with a page below that ends it.
#[derive(Debug)]
pub(crate) struct Stack(*mut c_void);

impl Stack {
    const BYTES: usize = 256 << 10;
    const GUARD: usize = 4096;

    pub(crate) fn new() -> io::Result<Stack> {
        let (read_write, none) = (libc::PROT_READ | libc::PROT_WRITE, std::ptr::null_mut());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: new memory at a place that the kernel chooses.
        let base = unsafe { libc::mmap(none, Self::BYTES, read_write, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack(base);
        // SAFETY: the lowest page of what was just mapped, which nobody uses yet.
        checked(unsafe { libc::mprotect(base, Self::GUARD, libc::PROT_NONE) }.into())?;
        Ok(stack)
    }

    /// Starts `entry` on it in a child that shares this process's memory.
    fn start(
        &self,
        flags: c_int,
        entry: extern "C" fn(*mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> io::Result<Pid> {
        let top = self.0.wrapping_byte_add(Self::BYTES);
        let flags = flags | libc::CLONE_VM | libc::SIGCHLD;
        // SAFETY: the stack is this child's alone and aligned as mmap aligns; each caller says why
        // stack and argument outlive the child.
        let pid = unsafe { libc::clone(entry, top, flags, argument) };
        checked(pid.into()).map(|_| Pid::from_raw(pid))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; whoever drops it knows that its child has ended.
        unsafe { libc::munmap(self.0, Self::BYTES) };
    }
}

/// Does `work` in a child that uses this process's memory while this process stands still, until the
/// child ends or is another program. Single-threaded processes only. What `work` gives is the code.
pub(crate) fn vfork<F: FnMut() -> c_int>(stack: &Stack, mut work: F) -> io::Result<Pid> {
    extern "C" fn entry<F: FnMut() -> c_int>(work: *mut c_void) -> c_int {
        // SAFETY: the closure below, which nobody else uses before this child has gone.
        let work = unsafe { &mut *work.cast::<F>() };
        work()
    }
    // CLONE_VFORK: this call returns when the child uses neither stack nor closure any more.
    stack.start(libc::CLONE_VFORK, entry::<F>, (&raw mut work).cast())
}

/// Starts a child in a new user namespace, which it holds until `held` is closed; `end` is the other
/// end of that pipe. The stack must be kept until the child was waited for.
pub(crate) fn hold_user_namespace(
    end: BorrowedFd<'_>,
    held: BorrowedFd<'_>,
    stack: &Stack,
) -> io::Result<Pid> {
    // Both in one number: the child may look at no memory of the parent, which goes on.
    extern "C" fn entry(fds: *mut c_void) -> c_int {
        let number = |bits: usize| c_int::try_from(bits & 0xffff).unwrap_or(-1);
        let mut byte = 0_u8;
        // SAFETY: closes this child's copy alone.
        unsafe { libc::close(number(fds.addr())) };
        // SAFETY: writes one byte of the child's own stack.
        unsafe { libc::read(number(fds.addr() >> 16), (&raw mut byte).cast(), 1) };
        0
    }
    let fds = [end, held].map(|fd| usize::try_from(fd.as_raw_fd()));
    let [Ok(end), Ok(held @ ..=0xffff)] = fds else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let fds = std::ptr::without_provenance_mut(end << 16 | held);
    stack.start(libc::CLONE_NEWUSER, entry, fds)
}

/// `clone3` as a fork with namespace flags, the child starting in a v2 cgroup if one is given.
pub(crate) fn clone3(flags: c_int, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    let mut arguments = Arguments {
        flags: u64::from(flags.cast_unsigned()),
        ..Arguments::default()
    };
    // A sibling signals its end as its parent's own children do; to ask for it is an error.
    if flags & libc::CLONE_PARENT == 0 {
        arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    }
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    let size = size_of::<Arguments>();
    // SAFETY: `arguments` is a valid clone_args of the size given; no stack and no CLONE_VM, so
    // the child is a copy like after fork, and the caller has one thread.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
    match checked(result)? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid::from_raw(
            c_int::try_from(pid).map_err(io::Error::other)?,
        ))),
    }
}

/// `open_tree(OPEN_TREE_CLONE)`: a detached copy of the mount at `path` below `dir`
/// (`""` for `dir` itself, which may be an `O_PATH` descriptor). The last component is not
/// followed if it is a symlink.
pub(crate) fn open_tree(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_EMPTY_PATH.cast_unsigned()
        | libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
    if recursive {
        flags |= libc::AT_RECURSIVE.cast_unsigned();
    }
    let (dir, path) = (dir.as_raw_fd(), path.as_ptr());
    // SAFETY: `path` is NUL-terminated and outlives the call.
    checked_fd(unsafe { libc::syscall(libc::SYS_open_tree, dir, path, flags) })
}

/// `move_mount`: attaches a detached mount onto the object that `to` refers to.
pub(crate) fn move_mount(mount: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    let flags: c_uint = 0x4 | 0x40;
    let (mount, to, empty) = (mount.as_raw_fd(), to.as_raw_fd(), c"".as_ptr());
    // SAFETY: both paths are the same static empty string.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, mount, empty, to, empty, flags) };
    checked(result).map(drop)
}

/// `mount_setattr` on the mount that `mount` refers to: sets `set`, makes it private, and, with
/// `idmap`, maps the ids of its files by that user namespace.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    idmap: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let attributes = Attributes {
        set: if idmap.is_some() {
            set | attr::IDMAP
        } else {
            set
        },
        clear: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: idmap.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    let recursion = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attributes` is a valid mount_attr of the size given, the path is static.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursion,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    checked(result).map(drop)
}

/// `fsopen`: a context for a new file system of this type.
pub(crate) fn fsopen(fs_type: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: `fs_type` is NUL-terminated; FSOPEN_CLOEXEC is 1.
    checked_fd(unsafe { libc::syscall(libc::SYS_fsopen, fs_type.as_ptr(), 1) })
}

/// `fsconfig(FSCONFIG_SET_STRING)`.
pub(crate) fn fsconfig_string(fs: BorrowedFd<'_>, key: &CStr, value: &CStr) -> io::Result<()> {
    let (fs, key, value) = (fs.as_raw_fd(), key.as_ptr(), value.as_ptr());
    // SAFETY: key and value are NUL-terminated and outlive the call.
    checked(unsafe { libc::syscall(libc::SYS_fsconfig, fs, 1, key, value, 0) }).map(drop)
}

/// `fsconfig(FSCONFIG_CMD_CREATE)`.
pub(crate) fn fsconfig_create(fs: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: this command takes neither key nor value.
    checked(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), 6, 0, 0, 0) }).map(drop)
}

/// `fsmount`: the detached mount of a created file system.
pub(crate) fn fsmount(fs: BorrowedFd<'_>, attributes: u64) -> io::Result<OwnedFd> {
    // SAFETY: FSMOUNT_CLOEXEC is 1; only numbers are passed.
    checked_fd(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), 1, attributes) })
}

/// Marks every descriptor from `first` on close-on-exec.
pub(crate) fn cloexec_from(first: c_uint) -> io::Result<()> {
    // SAFETY: CLOSE_RANGE_CLOEXEC (4) closes nothing, it only changes flags.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, 4) };
    checked(result).map(drop)
}

/// Closes every descriptor above standard error but these, which are sorted.
pub(crate) fn close_others(keep: &[RawFd]) -> io::Result<()> {
    let mut first: c_uint = 3;
    for kept in keep
        .iter()
        .map(|fd| fd.cast_unsigned())
        .chain([c_uint::MAX])
    {
        if kept > first {
            // SAFETY: whoever calls this never uses, nor drops, what else it had open.
            let result = unsafe { libc::syscall(libc::SYS_close_range, first, kept - 1, 0) };
            checked(result)?;
        }
        first = first.max(kept.saturating_add(1));
    }
    Ok(())
}

/// `dup2` onto a fixed number; the copy survives exec.
pub(crate) fn dup_to(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    // SAFETY: what `to` referred to is given up by the caller, who is about to exec.
    checked(unsafe { libc::dup2(from.as_raw_fd(), to) }.into()).map(drop)
}

/// Reads the flags of an inode (`chattr`), or writes them.
pub(crate) fn inode_flags(file: BorrowedFd<'_>, write: Option<c_int>) -> io::Result<c_int> {
    // FS_IOC_SETFLAGS and FS_IOC_GETFLAGS.
    let request = write.map_or(0x8008_6601, |_| 0x4008_6602);
    let mut flags = write.unwrap_or(0);
    // SAFETY: both take the address of an int, whatever size their numbers name.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), request, &raw mut flags) }.into())?;
    Ok(flags)
}

/// Joins a fresh anonymous session keyring, so that the one of whoever started wsm stays outside.
pub(crate) fn join_session_keyring() -> io::Result<()> {
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING (1) with no name makes an anonymous keyring.
    checked(unsafe { libc::syscall(libc::SYS_keyctl, 1, 0, 0, 0, 0) }).map(drop)
}

/// Locks the secure bits: uid 0 gives no capabilities, and nothing raises ambient ones.
pub(crate) fn lock_securebits() -> io::Result<()> {
    // NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each with its lock; KEEP_CAPS only locked.
    const BITS: libc::c_ulong = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
    // SAFETY: prctl with numbers only.
    checked(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, BITS, 0, 0, 0) }.into()).map(drop)
}

/// Drops every capability from the bounding set, also those that no crate knows yet.
pub(crate) fn clear_bounding_set() -> io::Result<()> {
    for capability in 0..64_u64 {
        // SAFETY: prctl with numbers only.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) } {
            0 => continue,
            1 => {}
            _ => break, // past the kernel's last capability
        }
        // SAFETY: prctl with numbers only.
        checked(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into())?;
    }
    Ok(())
}

/// Sets the permitted, effective and inheritable capabilities of this thread to none.
pub(crate) fn clear_capabilities() -> io::Result<()> {
    let header = [0x2008_0522_u32, 0]; // _LINUX_CAPABILITY_VERSION_3, this thread
    let none = [0_u32; 6];
    // SAFETY: a header is two words; version 3 takes two structures of three words each: `none`.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    checked(result).map(drop)
}

/// Loads a seccomp filter for this thread, for ever.
pub(crate) fn load_seccomp(program: &[libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `filter` describes `program`, which outlives the call; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const filter,
        )
    };
    checked(result).map(drop)
}

/// Raises the loopback interface of this network namespace.
pub(crate) fn raise_loopback(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    // SAFETY: SIOCSIFFLAGS reads an ifreq.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(result.into()).map(drop)
}

/// The other end of a pseudo terminal, by its master and not by a name.
pub(crate) fn open_terminal_peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let unlocked: c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int.
    let result = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    checked(result.into())?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags and gives a new descriptor.
    let peer = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    checked_fd(peer.into())
}

/// Sets the size of a terminal.
pub(crate) fn set_terminal_size(fd: BorrowedFd<'_>, cols: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads a winsize.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }.into())
        .map(drop)
}

/// Makes a terminal the controlling one of this session.
pub(crate) fn take_terminal(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}

/// Default action for every signal, none blocked: what a new program expects.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is always a valid disposition; refused signals (KILL, STOP, those of
        // libc) keep theirs.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // Cannot fail: the set is valid.
    SigSet::empty().thread_set_mask().unwrap_or(());
}

/// Ignores SIGPIPE: a peer that is gone is an error value, not a death.
pub(crate) fn ignore_sigpipe() {
    // SAFETY: SIG_IGN is always a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// The last to get the processor and the disk (setpriority(2), ioprio_set(2): this process, the idle
/// class). A host that schedules otherwise does so.
pub(crate) fn step_back() {
    // SAFETY: it takes numbers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    // SAFETY: it takes numbers.
    unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, 3 << 13) };
}

/// Reaps one child that ended, if there is one. Knows all signals, also those that nix has no
/// name for.
pub(crate) fn reap() -> io::Result<Option<(Pid, Exit)>> {
    let mut status: c_int = 0;
    // SAFETY: `status` is valid for writing.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    let ended = checked(pid.into())? != 0;
    Ok(ended.then_some((Pid::from_raw(pid), exit)))
}

/// Ends this process at once, without the parent's exit handlers.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit never returns and touches nothing of ours.
    unsafe { libc::_exit(code) }
}

/// `signal` to a process group or process; "no such process" is success.
pub(crate) fn kill(pid: Pid, signal: c_int) -> io::Result<()> {
    // SAFETY: kill takes numbers.
    match checked(unsafe { libc::kill(pid.as_raw(), signal) }.into()) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

/// The kernel's Landlock ABI version; 0 where there is none.
pub(crate) fn landlock_abi() -> u32 {
    // SAFETY: with LANDLOCK_CREATE_RULESET_VERSION (1) nothing is read and nothing is made.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    u32::try_from(result).unwrap_or(0)
}

/// Makes a system call that must be refused.
pub(crate) fn attempt(call: &Forbidden) -> nix::Result<libc::c_long> {
    let [a, b, c, d, e] = call.arguments;
    // SAFETY: no entry of the table names a valid address, so the kernel can write nothing; none
    // makes a process, and descriptors it could open are closed with the probing process.
    let result = unsafe { libc::syscall(call.number, a, b, c, d, e, 0) };
    nix::errno::Errno::result(result)
}
