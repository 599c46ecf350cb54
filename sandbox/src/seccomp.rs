//! The seccomp filter: one deny list for development tools, as a BPF program.

/// What the filter lets through beyond the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// ptrace and `process_vm_*` of own children, `personality(ADDR_NO_RANDOMIZE)`.
    pub debug: bool,
}

/// The filter's instructions, to be loaded with `SECCOMP_SET_MODE_FILTER`.
#[must_use]
pub fn program(_options: &Options) -> Vec<libc::sock_filter> {
    Vec::new()
}
