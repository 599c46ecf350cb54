//! Named points where a test kills the daemon; compiled out of release builds.
//!
//! `before` and `after` every commit (`commit.VERB`, of a state `commit.VERB.STATE`), every request
//! to the broker (`broker.KIND`), to a git helper (`git.KIND`) and to a shim (`shim.KIND`): all that
//! the daemon does to the world.

use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::store::Row;

/// A test writes the name of a point into this file of the daemon's directory. Whoever comes there
/// removes the file and dies: once, not again in the daemon that is started next.
const FILE: &str = "fault";

/// The name of every point that is passed is added to this file, if a test made it.
const PASSED: &str = "passed";

static ARMED: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();

const fn compiled() -> bool {
    cfg!(any(debug_assertions, feature = "faults"))
}

/// Looks for named points in this directory from now on.
pub(crate) fn watch(state_dir: &Path) {
    if compiled() {
        ARMED.get_or_init(|| (state_dir.join(FILE), state_dir.join(PASSED)));
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

/// The commit of a change that this row tells of.
pub(crate) fn commit(row: &Row) -> Act {
    let mut words = row.message.split([' ', ':']);
    let state = match row.verb {
        "agent.state" => words.next(),
        "service.state" => words.nth(1),
        _ => None,
    };
    let state = state.map_or_else(String::new, |state| format!(".{state}"));
    act("commit", &format!("{}{state}", row.verb))
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
    let Some((wanted, passed)) = ARMED.get() else {
        return;
    };
    let point = format!("{when} {name}");
    // Tests alone make and read these files: what does not work there is seen there.
    if let Ok(mut file) = std::fs::File::options().append(true).open(passed) {
        drop(file.write_all(format!("{point}\n").as_bytes()));
    }
    let named = std::fs::read_to_string(wanted).is_ok_and(|text| text.trim() == point);
    if named && std::fs::remove_file(wanted).is_ok() {
        std::process::abort();
    }
}
