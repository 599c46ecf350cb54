//! `MOUNT_ATTR_*` of `mount_setattr` and `fsmount`.

pub(crate) const RDONLY: u64 = 0x1;
pub(crate) const NOSUID: u64 = 0x2;
pub(crate) const NODEV: u64 = 0x4;
pub(crate) const NOEXEC: u64 = 0x8;
pub(crate) const IDMAP: u64 = 0x0010_0000;
