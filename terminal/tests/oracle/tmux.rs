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
        let cells = [";", "capture-pane", "-e", "-N", "-p", "-t", "oracle:0"];
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

/// The same cells in one way of writing: what tmux says of a line goes on from the line before it.
fn plainly<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut screen = Screen::new(COLS, ROWS);
    let text: Vec<_> = lines.collect();
    screen.feed(text.join("\r\n").as_bytes(), &mut Fed::default());
    let captured = screen.capture(0, true);
    let lines: Vec<_> = captured.lines().map(seen).collect();
    lines.join("\n").trim_end().to_owned()
}

/// A line without the styles of blanks that nobody sees: each style where it begins. Blanks at its end
/// are left out: tmux does not tell those that were erased in a colour.
fn seen(line: &str) -> String {
    let (mut rest, mut style, mut last, mut out) = (line, "", "", String::new());
    let mut end = 0;
    while let Some(c) = rest.chars().next() {
        if let Some((now, after)) = rest.strip_prefix("\x1b[").and_then(|it| it.split_once('m')) {
            (style, rest) = (if now == "0" { "" } else { now }, after);
            continue;
        }
        let drawn = if c == ' ' && !on_blanks(style) {
            ""
        } else {
            style
        };
        if drawn != last {
            out.extend(["<", drawn, ">"]);
            last = drawn;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
        if c != ' ' {
            end = out.len();
        }
    }
    out.truncate(end);
    out
}

/// Whether a blank of this style looks like something: reverse, lines, a background.
fn on_blanks(style: &str) -> bool {
    let mut numbers = style
        .split(';')
        .map(|it| it.split(':').next().unwrap_or_default());
    while let Some(number) = numbers.next() {
        match number.parse::<u8>() {
            // The numbers of a colour are no styles.
            Ok(38 | 58) => {
                let more = if numbers.next() == Some("2") { 3 } else { 1 };
                numbers.by_ref().take(more).for_each(drop);
            }
            Ok(4 | 7 | 9 | 21 | 40..=48 | 53 | 100..=107) => return true,
            _ => {}
        }
    }
    false
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// Whether this ends within a synchronized update (DEC 2026).
fn held(stream: &[u8]) -> bool {
    let last = |what: &[u8]| stream.windows(what.len()).rposition(|it| it == what);
    last(b"\x1b[?2026h") > last(b"\x1b[?2026l")
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
                // tmux makes one of emoji that are joined, and has another cursor than we then, and keeps a
                // joiner to itself until it knows what follows; and it shows what a program asked to
                // hold back.
                if [seen, drawn].iter().any(|it| it.contains('\u{200d}'))
                    || (drawn == &at_once && held(&window.stream[..cut.at]))
                {
                    continue;
                }
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
