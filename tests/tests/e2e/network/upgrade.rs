//! New programs in the place of those that run, under people who look on.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use wsm_tests::host;
use wsm_tests::instance::{self, Instance, Part};
use wsm_tests::persona::Persona;
use wsm_tests::repo::Repo;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::Served;

/// Who looks on: beside the daemon, and through it.
const HERE: usize = 10;
const THERE: usize = 10;

/// Lines that the agent prints while that happens, some 400 a second.
const LINES: usize = 6_000;

const PROGRAMS: [&str; 3] = ["wsm", "wsm-sandbox", "wsm-shim"];

/// Programs where a package would put them; everybody may run them.
struct Installed(tempfile::TempDir);

impl Installed {
    fn new() -> Installed {
        let directory = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("our own");
        let installed = Installed(directory);
        for name in PROGRAMS {
            installed.put(name, b"");
        }
        installed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// As a package manager does it: written beside, and renamed over the old one.
    fn put(&self, name: &str, stamp: &[u8]) {
        let new = self.path("new");
        fs::copy(instance::program(name), &new).expect("room");
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&new)
            .expect("ours");
        file.write_all(stamp).expect("room");
        drop(file);
        fs::rename(new, self.path(name)).expect("the same file system");
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).map(|it| it.ino()).unwrap_or_default()
}

/// The file that a part runs.
fn runs(wsm: &Instance, part: Part) -> u64 {
    inode(Path::new(&format!("/proc/{}/exe", wsm.pid_of(part))))
}

/// Leaves out what begins so and goes on up to these.
fn without(text: &str, begin: &str, ends: &[&str]) -> String {
    let mut parts = text.split(begin);
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after =
            |rest: &str, end: &&str| rest.split_once(end).map(|(_, after)| after.to_owned());
        let rest = ends
            .iter()
            .try_fold(part.to_owned(), |rest, end| after(&rest, end));
        left.push_str(&rest.unwrap_or_default());
    }
    left
}

/// Numbers of the lines that were written on a screen, each as it came; not those of a whole screen
/// that was drawn anew.
fn lines(kept: &Path) -> Vec<usize> {
    let text = String::from_utf8_lossy(&fs::read(kept).expect("it was kept")).into_owned();
    // RESET, REDRAW, the screen, REDRAW; and what is said while nothing comes.
    let text = without(&text, "\x1b\\\x1b[?1049l", &["\x1b[?2026l", "\x1b[?2026l"]);
    let text = without(&text, "\x1b7\x1b[999;1H", &["\x1b8"]);
    let number = |part: &str| {
        part.split_once('.')
            .and_then(|(number, _)| number.parse().ok())
    };
    text.split("line-").skip(1).filter_map(number).collect()
}

fn showed_all(who: &str, kept: &Path) {
    let seen = lines(kept);
    let missing: Vec<_> = (0..LINES)
        .filter(|n| seen.binary_search(n).is_err())
        .collect();
    let in_order = seen.is_sorted_by(|a, b| a < b);
    assert!(
        missing.is_empty() && in_order,
        "{who}: {} lines, in order: {in_order}, missing: {missing:?}",
        seen.len()
    );
}

#[test]
fn nobody_loses_a_byte_by_an_upgrade() {
    let installed = Installed::new();
    let served = Served::of(Instance::start_of(installed.0.path()), "tls = \"off\"");
    let wsm = &served.wsm;
    let ann = Persona::new("ann");
    let repo = Repo::small(&ann, "project");
    let agent = wsm.new_agent_as(&ann, &repo, "shell", "anns");
    let token = served.token(&ann, "view");
    let kept = tempfile::tempdir().expect("a directory");
    let mut screens = Vec::new();
    for number in 0..HERE + THERE {
        // Who may type has the shim draw on its terminal, who only looks has frames.
        let command = match number < HERE {
            true => wsm.command(&ann, &["attach", "anns"]),
            false => served.command(&ann, &token, &["attach", "anns", "--read-only"]),
        };
        let term = Term::start(&command, 80, 24);
        term.wait_for("$");
        let file = kept.path().join(number.to_string());
        term.keep(&file);
        screens.push((term, file));
    }
    let line = format!(
        "clear; i=0; while [ $i -lt {LINES} ]; do echo line-$i.; i=$((i+1)); \
         [ $((i % 10)) -ne 0 ] || sleep 0.02; done; echo all-$((6*7))"
    );
    wsm.wsm_as(&ann, &["send", "anns", &line]).ok();
    screens
        .iter()
        .for_each(|(term, _)| drop(term.wait_for("line-1")));

    let before = host::shim_of(&agent.id);
    let old = [Part::Daemon, Part::Broker].map(|part| runs(wsm, part));
    for name in PROGRAMS {
        installed.put(name, b"another build");
    }
    let restarted = Instant::now();
    wsm.down();
    wsm.up();
    let new = [Part::Daemon, Part::Broker].map(|part| runs(wsm, part));
    assert_eq!(
        new,
        [
            inode(&installed.path("wsm")),
            inode(&installed.path("wsm-sandbox"))
        ]
    );
    assert!(old.iter().all(|old| !new.contains(old)), "{old:?} {new:?}");
    assert_eq!(host::shim_of(&agent.id), before, "the shim is the old one");
    let all = || {
        let who = wsm.wsm_as(&ann, &["who", "anns", "-q"]).ok();
        who.stdout.lines().count() == HERE + THERE
    };
    wait::until_true("everybody to be back", all);
    eprintln!("everybody was there again {:?} after", restarted.elapsed());
    for (number, (term, file)) in screens.iter().enumerate() {
        term.wait_for("all-42");
        // tmux may show a screen before it has written it down.
        wait::until(
            &format!("the lines of {number}"),
            wait::PATIENCE,
            || (lines(file).last() == Some(&(LINES - 1))).then_some(()),
            || format!("{} of {LINES}", lines(file).len()),
        );
        showed_all(&format!("viewer {number}"), file);
    }
    // What was started before goes on as before, with all that it knows.
    wsm.wsm_as(&ann, &["exec", "anns", "--", "true"]).ok();
    wsm.wsm_as(&ann, &["restart", "anns"]).ok();
    assert_ne!(
        host::shim_of(&agent.id),
        before,
        "a new one is of the new programs"
    );
    drop(screens);
}
