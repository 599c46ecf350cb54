//! tmux, by `capture-pane -e`.

use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wsm_terminal::screen::{Fed, Screen};

use crate::window::{COLS, ROWS, windows};

const COUNT: usize = 1;
/// Of a window every so many cuts are looked at in a short run: each takes some processes.
const STEP: usize = 8;
const DEADLINE: Duration = Duration::from_secs(20);

/// What a pane knows of itself besides its cells.
const FLAGS: &str = "#{pane_title}\n#{cursor_x},#{cursor_y} alternate=#{alternate_on} visible=#{cursor_flag} insert=#{insert_flag} \
    keypad=#{keypad_cursor_flag}#{keypad_flag} mouse=#{mouse_standard_flag}#{mouse_button_flag}#{mouse_all_flag}#{mouse_sgr_flag}#{mouse_utf8_flag} \
    origin=#{origin_flag} wrap=#{wrap_flag} region=#{scroll_region_upper}-#{scroll_region_lower}";
const CONFIG: &str =
    "set -g status off\nset -g remain-on-exit on\nset -g default-terminal tmux-256color\n";

struct Tmux {
    dir: TempDir,
    marks: u32,
}

impl Tmux {
    fn start() -> Tmux {
        let tmux = Tmux {
            dir: tempfile::tempdir().unwrap(),
            marks: 0,
        };
        std::fs::write(tmux.dir.path().join("conf"), CONFIG).unwrap();
        let (cols, rows) = (COLS.to_string(), ROWS.to_string());
        let begin = [
            "new-session",
            "-d",
            "-s",
            "oracle",
            "-x",
            &cols,
            "-y",
            &rows,
        ];
        tmux.run(&[&begin[..], &["sleep", "1000"]].concat());
        tmux
    }

    fn run(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.dir.path().join("tmux"))
            .arg("-f")
            .arg(self.dir.path().join("conf"))
            .args(args)
            .env_remove("TMUX")
            .output()
            .expect("tmux runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "tmux {args:?}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a fresh pane shows of these bytes: its flags, then its cells.
    fn look(&mut self, bytes: &[u8]) -> String {
        self.marks += 1;
        // CAN ends what may be unfinished; the title tells that all of it was read.
        let mark = format!("mark-{}", self.marks);
        let text = [bytes, format!("\x18\x1b]2;{mark}\x1b\\").as_bytes()].concat();
        let path = self.dir.path().join(&mark);
        std::fs::write(&path, text).unwrap();
        let script = format!("stty raw -echo; cat {}; exec sleep 1000", path.display());
        self.run(&["respawn-pane", "-k", "-t", "oracle:0", &script]);
        let deadline = Instant::now() + DEADLINE;
        let show = ["display-message", "-p", "-t", "oracle:0", FLAGS];
        let cells = [";", "capture-pane", "-e", "-p", "-t", "oracle:0"];
        loop {
            let all = self.run(&[&show[..], &cells].concat());
            let mut lines = all.lines();
            if lines.next() == Some(&mark) {
                let flags = lines.next().unwrap_or_default();
                return format!("{flags}\n{}", plainly(lines));
            }
            assert!(Instant::now() < deadline, "tmux did not read {mark}");
        }
    }
}

/// The same cells in one way of writing: tmux leaves styles behind where nothing can be seen.
fn plainly<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut screen = Screen::new(COLS, ROWS);
    let text: Vec<_> = lines.collect();
    screen.feed(text.join("\x1b[m\r\n").as_bytes(), &mut Fed::default());
    screen.capture(0, true)
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// The first line that differs.
fn difference(seen: &str, drawn: &str) -> Option<String> {
    let (mut one, mut other) = (seen.lines(), drawn.lines());
    for number in 0.. {
        match (one.next(), other.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => return Some(format!("line {number}: {a:?} / {b:?}")),
        }
    }
    None
}

/// A long run looks at each.
fn step() -> usize {
    if std::env::var_os("WSM_WINDOWS").is_some() {
        1
    } else {
        STEP
    }
}

#[test]
fn tmux_shows_who_comes_late_what_it_shows_others() {
    let (seed, windows) = windows(COUNT);
    let mut tmux = Tmux::start();
    let (mut compared, mut wrong) = (0, Vec::new());
    for window in &windows {
        let later = tmux.look(&window.stream[..window.later]);
        for cut in window.cuts.iter().step_by(step()) {
            let now = tmux.look(&window.stream[..cut.at]);
            let at_once = tmux.look(&cut.drawn);
            let at_the_end = tmux.look(&[&cut.drawn[..], &cut.after].concat());
            for (when, seen, drawn) in [
                ("at once", &now, &at_once),
                ("at the end", &later, &at_the_end),
            ] {
                compared += 1;
                if let Some(found) = difference(seen, drawn) {
                    wrong.push(format!(
                        "{} drawn at byte {}, {when}: {found}",
                        window.name, cut.at
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty() && compared > 0,
        "WSM_SEED={seed}: {} of {compared} comparisons differ (output / snapshot):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
