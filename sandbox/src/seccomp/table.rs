//! Which system calls are refused, and how.

use super::{Look, Options, Verdict};

/// EPERM always: rights that no agent has.
const EPERM: &[libc::c_long] = &[
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Namespaces and other processes.
    libc::SYS_setns,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    SYS_CREATE_MODULE,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    SYS_GET_KERNEL_SYMS,
    SYS_QUERY_MODULE,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_uselib,
    libc::SYS__sysctl,
    // Keys are not bound to a namespace.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Machine state.
    libc::SYS_vhangup,
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_settimeofday,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// Long gone from the kernel, in between numbers that are refused: one interval instead of three.
const SYS_CREATE_MODULE: libc::c_long = 174;
const SYS_GET_KERNEL_SYMS: libc::c_long = 177;
const SYS_QUERY_MODULE: libc::c_long = 178;

/// EPERM unless the template allows debuggers.
const EPERM_WITHOUT_DEBUG: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
];

/// `listmount` and `statmount` (Linux 6.8), `open_tree_attr` (6.15): not named by the libc crate.
const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;
const SYS_OPEN_TREE_ATTR: libc::c_long = 467;

/// ENOSYS: their arguments lie in memory that a filter can't see, or programs probe for them.
const ENOSYS: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_openat2, // its mode could carry set-id bits
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_userfaultfd,
    SYS_STATMOUNT,
    SYS_LISTMOUNT,
    SYS_OPEN_TREE_ATTR,
];

/// The arguments decide.
const LOOK: &[(libc::c_long, Look)] = &[
    (libc::SYS_ioctl, Look::Ioctl),
    // A lease on a file stalls whoever opens it, the host's git included, for 45 seconds.
    (libc::SYS_fcntl, Look::Fcntl),
    (libc::SYS_socket, Look::Socket),
    (libc::SYS_clone, Look::Clone),
    (libc::SYS_unshare, Look::Unshare),
    (libc::SYS_prctl, Look::Prctl),
    (libc::SYS_seccomp, Look::Seccomp),
    (libc::SYS_personality, Look::Personality),
    (libc::SYS_creat, Look::ModeInArg1),
    (libc::SYS_chmod, Look::ModeInArg1),
    (libc::SYS_fchmod, Look::ModeInArg1),
    (libc::SYS_fchmodat, Look::ModeInArg2),
    (libc::SYS_fchmodat2, Look::ModeInArg2),
    (libc::SYS_mmap, Look::HugeMap),
    (libc::SYS_shmget, Look::HugeShared),
    (libc::SYS_memfd_create, Look::HugeFile),
    (libc::SYS_open, Look::Open),
    (libc::SYS_openat, Look::OpenAt),
    (libc::SYS_mknod, Look::MkNod),
    (libc::SYS_mknodat, Look::MkNodAt),
];

/// The verdict of each number, as intervals: each reaches from its number to the next one.
/// The first starts at 0.
pub(super) fn intervals(options: &Options) -> Vec<(u32, Verdict)> {
    let mut intervals: Vec<(u32, Verdict)> = Vec::new();
    for (number, verdict) in (0..).zip(verdicts(options)) {
        if intervals.last().is_none_or(|last| last.1 != verdict) {
            intervals.push((number, verdict));
        }
    }
    intervals
}

fn verdicts(options: &Options) -> [Verdict; super::NEWEST_KNOWN as usize + 1] {
    let mut verdicts = [Verdict::Allow; super::NEWEST_KNOWN as usize + 1];
    let mut set = |number: libc::c_long, verdict| {
        let index = usize::try_from(number).expect("numbers are positive");
        verdicts[index] = verdict;
    };
    for &number in EPERM {
        set(number, Verdict::Eperm);
    }
    if !options.debug {
        for &number in EPERM_WITHOUT_DEBUG {
            set(number, Verdict::Eperm);
        }
    }
    for &number in ENOSYS {
        set(number, Verdict::Enosys);
    }
    for &(number, look) in LOOK {
        set(number, Verdict::Look(look));
    }
    verdicts
}

/// The looks that the intervals name, each once, with what `make` makes of it.
pub(super) fn looks<T>(
    intervals: &[(u32, Verdict)],
    mut make: impl FnMut(Look) -> T,
) -> Vec<(Look, T)> {
    let mut looks: Vec<(Look, T)> = Vec::new();
    for (_, verdict) in intervals {
        if let Verdict::Look(look) = verdict
            && !looks.iter().any(|entry| entry.0 == *look)
        {
            looks.push((*look, make(*look)));
        }
    }
    looks
}
