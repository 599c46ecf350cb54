//! Two people who look at the witness all the time; every byte that reaches their terminals is kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use wsm_tests::instance::Instance;
use wsm_tests::term::Term;
use wsm_tests::wait;

use super::WITNESS;

/// What a viewer writes over the screen when the daemon is away for long.
const NOTICE: &str = "trying again";

/// Of every window.
const SIZE: (u16, u16) = (100, 30);

/// More than a viewer draws at first: a screen with its attributes.
const FIRST_SCREEN_MAX: usize = 16 << 10;

/// The line of this number, as every agent of the test writes it.
fn line(number: u64) -> String {
    format!("<{number}> {}\r\n", number * 2_654_435_761 % 4_294_967_296)
}

/// The same for a shell inside.
pub(super) const WRITER: &str =
    r#"n=0; while :; do n=$((n+1)); echo \"<$n> $((n*2654435761%4294967296))\"; sleep 0.1; done"#;

#[derive(Debug)]
struct Viewer {
    term: Term,
    seen: PathBuf,
}

impl Viewer {
    fn start(wsm: &Instance, name: &str, prefix: &str) -> Viewer {
        let seen = wsm.dir().with_file_name(name);
        let attach = wsm.command(wsm.root(), &["attach", WITNESS, "--read-only"]);
        let words = std::iter::once(attach.get_program()).chain(attach.get_args());
        let words: Vec<_> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut script = wsm.root().command("script");
        let line = format!("{prefix}{}", words.join(" "));
        script.arg("-qfc").arg(line).arg(&seen);
        let term = Term::start(&script, SIZE.0, SIZE.1);
        term.wait_for("<");
        Viewer { term, seen }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.seen).unwrap_or_default()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn newest(&self) -> u64 {
        numbers(&self.text()).last().copied().unwrap_or_default()
    }

    fn wait_beyond(&self, number: u64) {
        wait::until(
            "the viewer to see more",
            wait::PATIENCE,
            || (self.newest() > number).then_some(()),
            || self.term.screen(),
        );
    }
}

/// Who watches.
#[derive(Debug)]
pub(super) struct Watchers {
    /// At the shim's own socket: needs nothing that is killed.
    direct: Viewer,
    /// Through the daemon, again and again.
    relayed: Viewer,
}

impl Watchers {
    pub(super) fn start(wsm: &Instance) -> Watchers {
        // Who only looks sees the terminal in the size that it has: that of the last who could type.
        let sizer = Term::start(
            &wsm.command(wsm.root(), &["attach", WITNESS]),
            SIZE.0,
            SIZE.1,
        );
        sizer.wait_for("<");
        sizer.press("C-\\");
        assert_eq!(sizer.wait_end(), 0);
        let socket = wsm.dir().join("run");
        let socket = socket.join(format!("shim-{}.sock", wsm.agent(WITNESS).id));
        // For this one the shim's socket is out of reach.
        let hidden = format!(
            "unshare -m sh -c 'mount --bind /dev/null {} && exec \"$@\"' sh ",
            socket.display()
        );
        Watchers {
            direct: Viewer::start(wsm, "seen-direct", ""),
            relayed: Viewer::start(wsm, "seen-relayed", &hidden),
        }
    }

    /// What the witness wrote was drawn byte by byte, whatever happened in between, and it goes on.
    pub(super) fn check(&self, wsm: &Instance) {
        let before = self.direct.newest();
        self.direct.wait_beyond(before + 2);
        self.relayed.wait_beyond(before);
        exact(&self.direct.bytes());
        // Where a notice was drawn over the screen a new screen follows; the shim has the lines.
        for part in self.relayed.text().split(NOTICE) {
            assert_eq!(gaps(part), [0; 0], "the relayed viewer has not seen these");
        }
        let kept = wsm.wsm(&["capture", WITNESS, "--history", "3000"]).ok();
        let kept = kept.stdout;
        assert_eq!(gaps(&kept), [0; 0], "the shim has not kept these");
        assert!(numbers(&kept).last().copied() > Some(before), "{kept}");
    }

    /// Bytes that were compared.
    pub(super) fn bytes(&self) -> (usize, u64) {
        (self.direct.bytes().len(), self.direct.newest())
    }
}

/// After the first screen there is the stream and nothing else.
fn exact(seen: &[u8]) {
    let starts = seen.iter().enumerate().take(FIRST_SCREEN_MAX);
    let starts = starts.filter(|(_, byte)| **byte == b'<').map(|(at, _)| at);
    let mut furthest = (0, String::new());
    for start in starts {
        let text =
            String::from_utf8_lossy(&seen[start + 1..seen.len().min(start + 24)]).into_owned();
        let number = text
            .split_once('>')
            .and_then(|(number, _)| number.parse().ok());
        let Some(number) = number else { continue };
        let rest = &seen[start..];
        let same = agreement(rest, number);
        if same == rest.len() {
            return;
        }
        if same > furthest.0 {
            let odd = &rest[same.saturating_sub(80)..rest.len().min(same + 200)];
            furthest = (
                same,
                String::from_utf8_lossy(odd).escape_debug().to_string(),
            );
        }
    }
    panic!("{} bytes are as written, then: {}", furthest.0, furthest.1);
}

/// How many bytes are the lines from this number on.
fn agreement(bytes: &[u8], from: u64) -> usize {
    let mut same = 0;
    for number in from.. {
        let line = line(number);
        let rest = &bytes[same..];
        let equal = rest.iter().zip(line.as_bytes()).take_while(|(a, b)| a == b);
        let equal = equal.count();
        same += equal;
        if equal < line.len() {
            break;
        }
    }
    same
}

/// `<1> <2> …` of a text, in order.
pub(super) fn numbers(text: &str) -> BTreeSet<u64> {
    let found = text.split('<').filter_map(|part| part.split_once('>'));
    found
        .filter_map(|(number, _)| number.parse().ok())
        .collect()
}

pub(super) fn gaps(text: &str) -> Vec<u64> {
    let all = numbers(text);
    let (first, last) = (all.first().copied(), all.last().copied());
    let whole = first.unwrap_or(1)..last.unwrap_or(0);
    whole.filter(|number| !all.contains(number)).collect()
}
