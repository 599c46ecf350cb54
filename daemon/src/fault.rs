//! Named points where a test kills the daemon; compiled out of release builds.
//!
//! `before` and `after` every commit (`commit.VERB`), every request to the broker (`broker.KIND`),
//! to a git helper (`git.KIND`) and to a shim (`shim.KIND`): all that the daemon does to the world.

use std::fmt::Debug;
use std::path::Path;
use std::sync::OnceLock;

/// A test writes the name of a point into this file of the daemon's directory. Whoever comes there
/// removes the file and dies: once, not again in the daemon that is started next.
const FILE: &str = "fault";

static ARMED: OnceLock<std::path::PathBuf> = OnceLock::new();

const fn compiled() -> bool {
    cfg!(any(debug_assertions, feature = "faults"))
}

/// Looks for named points in this directory from now on.
pub(crate) fn watch(state_dir: &Path) {
    if compiled() {
        ARMED.get_or_init(|| state_dir.join(FILE));
    }
}

/// One act, with a named point before it and one after it.
#[derive(Debug)]
pub(crate) struct Act(Option<String>);

/// What begins here; dies if a test named the point before it.
pub(crate) fn act(what: &str, kind: &dyn Debug) -> Act {
    if !compiled() || ARMED.get().is_none() {
        return Act(None);
    }
    let kind = format!("{kind:?}");
    let kind = kind.trim_matches('"').split([' ', '(', '{']).next();
    let name = format!("{what}.{}", kind.unwrap_or_default());
    point("before", &name);
    Act(Some(name))
}

impl Act {
    /// It is done; dies if a test named this point.
    pub(crate) fn done(self) {
        if let Some(name) = self.0 {
            point("after", &name);
        }
    }
}

/// Dies without a word, like after `kill -9`, if this point was named.
fn point(when: &str, name: &str) {
    let Some(path) = ARMED.get() else { return };
    let Ok(wanted) = std::fs::read_to_string(path) else {
        return;
    };
    if wanted.trim() == format!("{when} {name}") && std::fs::remove_file(path).is_ok() {
        std::process::abort();
    }
}
