//! The plan of a git helper's root.

use std::path::{Path, PathBuf};

use super::{
    Access, Expected, HostLayout, Op, Owners, Plan, ROOT_BYTES, RUN_BYTES, bind, devices, link,
    shown, tmpfs,
};
use crate::landlock;

/// Where a git helper finds its program.
pub(crate) const HELPER_PROGRAM: &str = "/wsm";

/// The plan of a git helper's root: the host's programs, and the directories it works on at their
/// own places with their own owners.
pub(crate) fn helper(
    host: &HostLayout,
    program: &Path,
    reach: &[(PathBuf, Access)],
    home: &str,
) -> Plan {
    let mut ops = vec![tmpfs("/", ROOT_BYTES, 4096, 0o755)];
    ops.extend(host.links.iter().map(|(at, to)| link(at, to)));
    ops.extend(host.shown.iter().map(|path| shown(path)));
    ops.extend(devices(RUN_BYTES));
    ops.push(tmpfs("/tmp", RUN_BYTES, 65_536, 0o1777));
    ops.push(Op::Bind {
        from: program.to_owned(),
        at: HELPER_PROGRAM.into(),
        access: Access::Read,
        owners: Owners::Nobody,
        optional: false,
    });
    for (path, access) in reach {
        let (_, op) = bind(path, path, *access, Owners::Account);
        ops.push(op);
    }
    // The author's name; a link to elsewhere is left out.
    for name in [".gitconfig", ".config/git/config"] {
        let path = Path::new(home).join(name);
        let seen = reach.iter().any(|(reached, _)| path.starts_with(reached));
        let plain = path.canonicalize().is_ok_and(|real| real == path) && path.is_file();
        if plain && !seen {
            ops.push(shown(&path));
        }
    }
    Plan {
        hostname: String::new(),
        ops,
        rules: landlock::Rules::default(),
        expected: Expected::default(),
    }
}
