//! The seccomp filter: one deny list for development tools, as a BPF program.
//!
//! Own assembler instead of a crate, because one filter must answer with three errno values and
//! stay small: its length is paid at every start. Numbers are found by binary search; the kernel
//! caches the verdict of every number that needs no look at arguments, so an allowed call costs
//! nothing. Sending, receiving, connecting and binding are never filtered: the network namespace
//! decides those.
//!
//! ```text
//! foreign architecture → kill      number newer than the build, or x32 → ENOSYS
//! number → allow | EPERM | ENOSYS | look at arguments → allow | EPERM | EAFNOSUPPORT
//! ```

mod assembler;
mod table;
#[cfg(test)]
mod tests;

use assembler::{Assembler, Label};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the seccomp table is written for x86_64; add one for this architecture");

/// `AUDIT_ARCH_X86_64`.
const ARCH_NATIVE: u32 = 0xc000_003e;

/// Newest system call known to this build (`file_setattr`, Linux 6.17). Newer ones, and all of the
/// x32 ABI (bit 30), answer ENOSYS, so that programs fall back to what is known here.
pub const NEWEST_KNOWN: u32 = 469;

/// What the filter lets through beyond the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// ptrace and `process_vm_*` of own children, `personality(ADDR_NO_RANDOMIZE)`.
    pub debug: bool,
}

/// What happens to a system call number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    /// Known to the kernel, not for the agent.
    Eperm,
    /// As if the kernel were too old: programs have a fallback.
    Enosys,
    /// The arguments decide.
    Look(Look),
}

/// Which arguments decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Ioctl,
    Fcntl,
    Socket,
    Clone,
    Unshare,
    Prctl,
    Seccomp,
    Personality,
    /// A file mode in argument 1: no set-id bits.
    ModeInArg1,
    /// A file mode in argument 2.
    ModeInArg2,
    /// Flags that would take of the host's huge pages: `mmap`, `shmget`, `memfd_create`.
    HugeMap,
    HugeShared,
    HugeFile,
    Open,
    OpenAt,
    MkNod,
    MkNodAt,
}

/// The filter's instructions, to be loaded with `SECCOMP_SET_MODE_FILTER`.
#[must_use]
pub fn program(options: &Options) -> Vec<libc::sock_filter> {
    let intervals = table::intervals(options);
    let mut asm = Assembler::default();
    let ends = Ends::new(&mut asm);
    let looks: Vec<(Look, Label)> = table::looks(&intervals, |_| asm.label());

    asm.load_arch();
    let native = asm.label();
    asm.jump_equal(ARCH_NATIVE, native, ends.kill);
    asm.place(native);
    asm.load_number();
    let known = asm.label();
    asm.jump_greater(NEWEST_KNOWN, ends.enosys, known);
    asm.place(known);
    let target = |verdict: Verdict| match verdict {
        Verdict::Allow => ends.allow,
        Verdict::Eperm => ends.eperm,
        Verdict::Enosys => ends.enosys,
        Verdict::Look(look) => {
            looks
                .iter()
                .find(|entry| entry.0 == look)
                .expect("every look has a label")
                .1
        }
    };
    search(&mut asm, &intervals, &target);
    for (look, label) in &looks {
        asm.place(*label);
        emit_look(&mut asm, *look, &ends, options);
    }
    ends.emit(&mut asm);
    asm.finish()
}

/// Emits a binary search: each interval starts at its number and reaches to the next one.
fn search(asm: &mut Assembler, intervals: &[(u32, Verdict)], target: &dyn Fn(Verdict) -> Label) {
    let middle = intervals.len() / 2;
    let (low, high) = intervals.split_at(middle);
    let place_of = |asm: &mut Assembler, half: &[(u32, Verdict)]| match half {
        [(_, verdict)] => target(*verdict),
        _ => asm.label(),
    };
    let high_label = place_of(asm, high);
    let low_label = place_of(asm, low);
    asm.jump_at_least(high[0].0, high_label, low_label);
    if low.len() > 1 {
        asm.place(low_label);
        search(asm, low, target);
    }
    if high.len() > 1 {
        asm.place(high_label);
        search(asm, high, target);
    }
}

/// The places where a program ends.
struct Ends {
    allow: Label,
    eperm: Label,
    enosys: Label,
    no_family: Label,
    kill: Label,
}

impl Ends {
    fn new(asm: &mut Assembler) -> Ends {
        Ends {
            allow: asm.label(),
            eperm: asm.label(),
            enosys: asm.label(),
            no_family: asm.label(),
            kill: asm.label(),
        }
    }

    fn emit(&self, asm: &mut Assembler) {
        asm.place(self.allow);
        asm.end(libc::SECCOMP_RET_ALLOW);
        for (label, errno) in [
            (self.eperm, libc::EPERM),
            (self.enosys, libc::ENOSYS),
            (self.no_family, libc::EAFNOSUPPORT),
        ] {
            asm.place(label);
            asm.end(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned());
        }
        asm.place(self.kill);
        asm.end(libc::SECCOMP_RET_KILL_PROCESS);
    }
}

/// `CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}`.
const CLONE_NEW_ANY: u32 = 0x7e02_0000;
/// `CLONE_NEWTIME`; in `clone` this bit is part of the exit signal, in `unshare` it is a flag.
const CLONE_NEWTIME: u32 = 0x80;
/// Set-user-id and set-group-id.
const MODE_SET_ID: u32 = 0o6000;
/// `O_CREAT` and the bit that only `O_TMPFILE` has: without them the mode is not an argument.
const OPEN_MAKES_FILE: u32 = 0o100 | 0o20_000_000;
/// `MAP_HUGETLB`, `SHM_HUGETLB`, `MFD_HUGETLB`: pages of a pool that the host set aside for its own
/// and that no limit of memory counts.
const MAP_HUGE: u32 = 0x4_0000;
const SHM_HUGE: u32 = 0o4000;
const FILE_HUGE: u32 = 4;
/// Under this mask device types (character 02, block 06) are `MODE_DEVICE`, no others are.
const MODE_DEVICE_MASK: u32 = 0o130_000;
const MODE_DEVICE: u32 = 0o020_000;
/// Socket type without `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const SOCKET_TYPE_MASK: u32 = 0xf;
/// `ADDR_NO_RANDOMIZE`.
const PERSONALITY_NO_RANDOMIZE: u32 = 0x004_0000;
/// Asks `personality` for the present value.
const PERSONALITY_QUERY: u32 = 0xffff_ffff;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
const SECCOMP_NEW_LISTENER: u32 = 8;

/// Emits the look at the arguments. All compares are of the low 32 bits: that is what the kernel
/// itself takes of every argument here, so the upper bits can hide nothing.
fn emit_look(asm: &mut Assembler, look: Look, ends: &Ends, options: &Options) {
    match look {
        Look::Ioctl => {
            asm.load_argument(1);
            // TIOCSTI, TIOCLINUX, TIOCSETD
            asm.choose(&[0x5412, 0x541c, 0x5423], ends.eperm, ends.allow);
        }
        Look::Fcntl => {
            asm.load_argument(1);
            asm.choose(&[libc::F_SETLEASE.cast_unsigned()], ends.eperm, ends.allow);
        }
        Look::Socket => emit_socket(asm, ends),
        Look::Clone => refuse_bits(asm, 0, CLONE_NEW_ANY, ends),
        Look::Unshare => refuse_bits(asm, 0, CLONE_NEW_ANY | CLONE_NEWTIME, ends),
        Look::Prctl => {
            asm.load_argument(0);
            asm.jump_equal(libc::PR_SET_MM.cast_unsigned(), ends.eperm, ends.allow);
        }
        Look::Seccomp => refuse_bits(asm, 1, SECCOMP_NEW_LISTENER, ends),
        Look::Personality => {
            asm.load_argument(0);
            asm.chain(&[0, PERSONALITY_QUERY], ends.allow);
            if options.debug {
                asm.chain(&[PERSONALITY_NO_RANDOMIZE], ends.allow);
            }
            asm.jump(ends.eperm);
        }
        Look::ModeInArg1 => refuse_bits(asm, 1, MODE_SET_ID, ends),
        Look::ModeInArg2 => refuse_bits(asm, 2, MODE_SET_ID, ends),
        Look::HugeMap => refuse_bits(asm, 3, MAP_HUGE, ends),
        Look::HugeShared => refuse_bits(asm, 2, SHM_HUGE, ends),
        Look::HugeFile => refuse_bits(asm, 1, FILE_HUGE, ends),
        Look::Open => emit_open(asm, 1, ends),
        Look::OpenAt => emit_open(asm, 2, ends),
        Look::MkNod => emit_mknod(asm, 1, ends),
        Look::MkNodAt => emit_mknod(asm, 2, ends),
    }
}

/// EPERM if one of these bits is set.
fn refuse_bits(asm: &mut Assembler, argument: u32, bits: u32, ends: &Ends) {
    asm.load_argument(argument);
    asm.jump_set(bits, ends.eperm, ends.allow);
}

/// Protocols of the Internet: the default, ICMP, TCP, UDP, ICMPv6, MPTCP. To ask for another (SCTP,
/// DCCP, UDP-Lite, SMC, L2TP) has the kernel load code that hardly anybody uses.
const PROTOCOLS: [u32; 6] = [0, 1, 6, 17, 58, 262];

/// Families UNIX, INET, INET6 and NETLINK(ROUTE); of the Internet only streams and datagrams of the
/// protocols that everybody uses.
fn emit_socket(asm: &mut Assembler, ends: &Ends) {
    let (internet, netlink) = (asm.label(), asm.label());
    asm.load_argument(0);
    asm.chain(&[libc::AF_UNIX.cast_unsigned()], ends.allow);
    asm.chain(
        &[
            libc::AF_INET.cast_unsigned(),
            libc::AF_INET6.cast_unsigned(),
        ],
        internet,
    );
    asm.jump_equal(libc::AF_NETLINK.cast_unsigned(), netlink, ends.no_family);
    asm.place(internet);
    asm.load_argument(1);
    asm.and(SOCKET_TYPE_MASK);
    let everyday = asm.label();
    let types = [
        libc::SOCK_STREAM.cast_unsigned(),
        libc::SOCK_DGRAM.cast_unsigned(),
    ];
    asm.choose(&types, everyday, ends.eperm);
    asm.place(everyday);
    asm.load_argument(2);
    asm.choose(&PROTOCOLS, ends.allow, ends.no_family);
    asm.place(netlink);
    asm.load_argument(2);
    asm.jump_equal(libc::NETLINK_ROUTE.cast_unsigned(), ends.allow, ends.eperm);
}

/// A mode with set-id bits, where the flags say that there is a mode at all.
fn emit_open(asm: &mut Assembler, flags_argument: u32, ends: &Ends) {
    let makes = asm.label();
    asm.load_argument(flags_argument);
    asm.jump_set(OPEN_MAKES_FILE, makes, ends.allow);
    asm.place(makes);
    asm.load_argument(flags_argument + 1);
    asm.jump_set(MODE_SET_ID, ends.eperm, ends.allow);
}

/// Neither device nodes nor set-id bits.
fn emit_mknod(asm: &mut Assembler, mode_argument: u32, ends: &Ends) {
    let plain = asm.label();
    asm.load_argument(mode_argument);
    asm.jump_set(MODE_SET_ID, ends.eperm, plain);
    asm.place(plain);
    asm.and(MODE_DEVICE_MASK);
    asm.jump_equal(MODE_DEVICE, ends.eperm, ends.allow);
}
