//! What keeps the memory of this process to itself: secrets and what agents send pass through it.

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// No core file, no debugger of the same uid, and no page in the swap where the limit admits it.
///
/// # Errors
/// The kernel refused one of the first two.
pub fn harden() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    // With a limit that can be reached, an allocation would fail at it: then rather not at all.
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if limit != RLIM_INFINITY {
        tracing::warn!(limit, "RLIMIT_MEMLOCK is bounded: pages may be swapped out");
        return Ok(());
    }
    // As they are used: a thread's stack is mostly never touched.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    if let Err(error) = mlockall(flags) {
        tracing::warn!(%error, "pages may be swapped out");
    }
    Ok(())
}
