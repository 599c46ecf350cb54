//! The screen and its snapshots: what a snapshot draws must be what was there.

mod corpus;

use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use proptest::prelude::*;

use super::state::state;
use super::*;
use crate::snapshot::snapshot;

fn fed(screen: &mut Screen, bytes: &[u8]) -> Fed {
    let mut fed = Fed::default();
    for piece in bytes.chunks(PIECE_BYTES) {
        screen.feed(piece, &mut fed);
    }
    fed
}

fn screen(bytes: impl AsRef<[u8]>) -> Screen {
    let mut screen = Screen::new(20, 5);
    fed(&mut screen, bytes.as_ref());
    screen
}

fn redrawn(original: &mut Screen) -> (Screen, Vec<u8>) {
    let bytes = snapshot(original, 0);
    let (cols, rows) = original.size();
    let mut copy = Screen::new(cols, rows);
    fed(&mut copy, &bytes);
    (copy, bytes)
}

#[test]
fn history_keeps_what_scrolls_off_and_no_more() {
    let mut screen = screen("");
    for line in 0..12_000 {
        fed(
            &mut screen,
            format!("\x1b[3{}mline {line}\x1b[m\r\n", line % 8).as_bytes(),
        );
    }
    assert!(screen.history().lines() <= history::HISTORY_LINES_MAX);
    assert!(screen.history().lines() > history::HISTORY_LINES_MAX - 600);
    let text = screen.capture(3, false);
    assert!(
        text.starts_with("line 11993\nline 11994\nline 11995\nline 11996\n"),
        "{text}"
    );
    assert!(screen.capture(1, true).starts_with("\x1b[0;33mline 11995"));
    fed(&mut screen, b"\x1b[3J");
    assert_eq!(screen.history().lines(), 0);
}

#[test]
fn wrapped_lines_and_wide_characters_reach_the_history_once() {
    let mut screen = screen("漢".repeat(25) + "\r\n" + &"x".repeat(45) + "\r\n1\r\n2\r\n3\r\n4");
    assert_eq!(
        screen.capture(100, false),
        "漢漢漢漢漢漢漢漢漢漢\n漢漢漢漢漢漢漢漢漢漢\n漢漢漢漢漢\nxxxxxxxxxxxxxxxxxxxx\nxxxxxxxxxxxxxxxxxxxx\nxxxxx\n1\n2\n3\n4\n"
    );
    let wrapped: Vec<bool> = screen
        .history()
        .last(100)
        .map(|line| line.wrapped)
        .collect();
    assert_eq!(wrapped, [true, true, false, true, true]);
    // The alternate screen and regions below the top have none.
    let before = screen.history().lines();
    fed(
        &mut screen,
        b"\x1b[?1049h\n\n\n\n\n\n\n\x1b[?1049l\x1b[2;4r\x1b[4H\n\n\n",
    );
    assert_eq!(screen.history().lines(), before);
}

#[test]
fn where_lines_are_put_in_or_taken_out_is_the_first_column() {
    for lines in ["L", "M"] {
        let shown = screen(format!("\x1b[2;8H\x1b[{lines}x")).capture(5, false);
        assert_eq!(shown, "\nx\n", "{lines}");
        let outside = format!("\x1b[3;4r\x1b[2;8H\x1b[{lines}x");
        let shown = screen(outside).capture(5, false);
        assert_eq!(shown, "\n       x\n", "{lines} outside of the region");
    }
}

/// As xterm.js: an underlined blank beside what was written would be seen.
#[test]
fn the_half_of_a_wide_character_that_is_left_looks_like_what_was_written() {
    let drawn = "\x1b[4m漢\x1b[m\x1b[1;";
    for over in ["1Hx", "2Hx", "2H字"] {
        let screen = screen(format!("{drawn}{over}"));
        let shown = screen.capture(1, true);
        assert!(!shown.contains("\x1b[0;4m"), "{over:?}: {shown:?}");
    }
    // Written over at the beginning of the next row as well.
    let wrapped = screen(format!("\x1b[2H\x1b[4m漢\x1b[m\x1b[H{}", "x".repeat(21)));
    let shown = wrapped.capture(2, true);
    assert!(!shown.contains("\x1b[0;4m"), "{shown:?}");
}

#[test]
fn shrinking_moves_rows_to_the_history_and_reflows() {
    let mut screen = screen("one\r\ntwo\r\nthree three three\r\nfour\r\nfive");
    assert!(screen.resize(10, 3));
    assert_eq!(screen.size(), (10, 3));
    assert_eq!(
        screen.capture(100, false),
        "one\ntwo\nthree thre\ne three\nfour\nfive\n"
    );
    assert_eq!(screen.history().lines(), 3);
    // Behind an alternate screen too.
    fed(&mut screen, b"\x1b[?1049h\x1b[Halt");
    assert!(screen.resize(10, 2));
    assert_eq!(screen.capture(0, false), "alt\n");
    fed(&mut screen, b"\x1b[?1049l");
    assert_eq!(
        screen.capture(100, false),
        "one\ntwo\nthree thre\ne three\nfour\nfive\n"
    );
    assert!(!screen.resize(10, 2));
    screen.resize(0, 9999);
    assert_eq!(screen.size(), (2, 500));
}

#[test]
fn clearing_clears_in_place() {
    let mut screen = screen("a\r\nb\r\nc\x1b[2J\x1b[Hx\r\ny\x1b[1Jz");
    assert_eq!(screen.capture(100, false), "\n z\n");
    assert_eq!(screen.history().lines(), 0);
    fed(&mut screen, b"\x1b[Habcdefghijklmnopqrst\x1b[18G\x1b[9P");
    assert!(screen.capture(0, false).starts_with("abcdefghijklmnopq\n"));
}

#[test]
fn the_cursor_stops_where_xterm_stops_it() {
    for (stream, cursor) in [
        ("\x1b[2;3r\x1b[?6h\x1b[2A", (0, 1)),
        ("\x1b[2;4r\x1b[?6h\x1b[2H\x1b[5G", (4, 2)),
        ("\x1b[2;4r\x1b[3H\x1b[9A", (0, 1)),
        ("\x1b[2;4r\x1b[3;3H\x1b[9E", (0, 3)),
        ("\x1b[2;4r\x1b[5;3H\x1b[9B", (2, 4)),
    ] {
        assert_eq!(screen(stream).cursor(), cursor, "{stream:?}");
    }
}

#[test]
fn queries_are_answered_once_and_in_order() {
    let mut screen = screen("");
    let answers = fed(
        &mut screen,
        b"ab\x1b[6nc\x1b[6n\x1b[>q\x1b[5n\x1b]11;?\x07\x1b[?2026$p\x1b[?u\x1b[18t",
    )
    .answers;
    let name = concat!("\x1bP>|wsm ", env!("CARGO_PKG_VERSION"), "\x1b\\");
    assert_eq!(
        String::from_utf8(answers).unwrap(),
        format!(
            "\x1b[1;3R\x1b[1;4R{name}\x1b[0n\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?2026;2$y\x1b[?0u\x1b[8;5;20t"
        )
    );
}

#[test]
fn hostile_counts_and_stacks_are_bounded() {
    let mut screen = screen("");
    for _ in 0..5000 {
        fed(&mut screen, b"\x1b[>1u\x1b[22t\x1b[c");
    }
    assert!(
        fed(&mut screen, b"\x1b[c".repeat(5000).as_slice())
            .answers
            .len()
            <= 4 * 4096
    );
    assert_eq!(screen.model().keys().0.len(), 16);
    for _ in 0..1000 {
        fed(&mut screen, "\u{301}\x1b[D\x1b[C".repeat(100).as_bytes());
    }
    let marks = screen.model().term().grid()[Line(0)][..].iter();
    assert!(
        marks
            .map(|cell| cell.zerowidth().map_or(0, <[char]>::len))
            .max()
            <= Some(16)
    );
}

#[test]
fn a_snapshot_of_the_largest_screen_fits_a_frame() {
    let mut screen = Screen::new(1000, 500);
    for line in 0..500 {
        let mut text = format!("\x1b[{}H", line + 1);
        for col in 0..1000 {
            text += &format!("\x1b[38;2;{};{};1m\u{1d54f}\u{301}", col % 256, line % 256);
        }
        fed(&mut screen, text.as_bytes());
    }
    let bytes = snapshot(&mut screen, 1000);
    assert!(bytes.len() <= crate::snapshot::SNAPSHOT_BYTES_MAX && !bytes.is_empty());
}

#[test]
fn a_snapshot_with_history_scrolls_it_off_first() {
    let mut original = screen((0..30).map(|n| format!("line {n}\r\n")).collect::<String>() + "$ ");
    let bytes = snapshot(&mut original, 10);
    let mut copy = screen(&bytes);
    assert_eq!(copy.capture(100, false), original.capture(10, false));
    assert_eq!(state(&mut copy), state(&mut original));
    for few in [1, 3] {
        let mut copy = screen(snapshot(&mut original, few));
        assert_eq!(copy.capture(100, false), original.capture(few, false));
        assert_eq!(state(&mut copy), state(&mut original));
    }
}

#[test]
fn a_snapshot_restores_modes() {
    for stream in [
        "\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?1004h\x1b[?25l\x1b[4 q\x1b[4h\x1b[?7l",
        "\x1b[2;4r\x1b[?6h\x1b[2;3Hx\x1b7\x1b[H",
        "\x1b[31mred\x1b7\x1b[44m\x1b[3;3Hx\x1b(0qq\x0e",
        "prompt $ \x1b[?1049h\x1b[>1u\x1b[41malt\x1b[=3;1u\x1b[?2026h",
        "12345678901234567890",
        "\x1b[5;1H1234567890123456789漢",
        "\x1b[3g\x1b[4G\x1bH\x1b[9G\x1bH\x1b]2;title\x07\x1b[>4;2m",
        "\x1b]8;;https://a.b\x07link\x1b[4:3m\x1b[58;5;3mcurl",
        "\x1b]4;1;rgb:12/34/56\x07\x1b]11;#102030\x07",
        "123456789012345678\u{6f22}\u{6f22}\u{5b57}\r\n\u{301}x",
    ] {
        let mut original = screen(stream);
        let (mut copy, bytes) = redrawn(&mut original);
        let drawn = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(
            state(&mut copy),
            state(&mut original),
            "{stream:?}\n{drawn:?}"
        );
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z ]{1,25}",
        2 => "[漢字é👍\u{301}\u{fe0f}]{1,12}",
        2 => "[\r\n\t\x08\x0e\x0f]{1,3}",
        3 => "\x1b\\[[0-9]{0,2}[@ABCDEFGHIJKLMPSTXZdb]",
        2 => "\x1b\\[[0-9]{1,2};[0-9]{1,2}[Hr]",
        3 => "\x1b\\[(|0|1|2|3|2[2-9]|[349][0-79]|4|4:3|7|9|2[1-9]|3[0-7]|4[0-7]|38;5;[0-9]{1,3}|48;2;1;2;3|58;5;9|95|102)m",
        2 => "\x1b\\[\\?(1|6|7|25|1000|1002|1003|1004|1005|1006|1007|1049|2004|2026)[hl]",
        2 => "\x1b\\[4[hl]",
        1 => "\x1b[78DEHMc=>]",
        1 => "\x1b[()][0B]",
        1 => "\x1b\\[[03]g",
        1 => "\x1b\\[(>[0-9]|<[0-3]|=[0-9];[123])u",
        1 => "\x1b\\[[0-6] q",
        1 => "\x1b\\](2;t[a-z]|8;;https://a.b|8;;|8;id=x;http://c)\x07",
        1 => "\x1b\\[!p",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn a_snapshot_draws_what_was_there(pieces in proptest::collection::vec(piece(), 0..60), cut in 0..4000_usize, resize in proptest::option::of((2..40_u16, 1..12_u16))) {
        let stream = pieces.concat().into_bytes();
        let cut = cut % (stream.len() + 1);
        let mut original = screen(&stream[..cut]);
        if let Some((cols, rows)) = resize {
            original.resize(cols, rows);
        }
        fed(&mut original, &stream[cut..]);
        // No sequence puts a cursor outside the region in origin mode; only restoring one does.
        let region = original.model().region().clone();
        let line = original.model().term().grid().cursor.point.line.0;
        let origin = original.model().term().mode().contains(TermMode::ORIGIN);
        prop_assume!(!origin || region.contains(&line));
        let (mut copy, bytes) = redrawn(&mut original);
        let drawn = String::from_utf8_lossy(&bytes).into_owned();
        let (copied, was) = (state(&mut copy), state(&mut original));
        let other = copied.lines().zip(was.lines()).find(|(copied, was)| copied != was);
        prop_assert!(
            copied == was,
            "copy and original: {:#?}\n{:?}\n{:?}",
            other,
            String::from_utf8_lossy(&stream),
            drawn
        );
    }
}

/// Has the engine do everything by itself.
struct Slow<'a> {
    parser: &'a mut Processor,
    model: &'a mut Model,
}

impl Sink for Slow<'_> {
    fn both(&mut self, bytes: &[u8]) {
        self.parser.advance(self.model, bytes);
    }
    fn screen(&mut self, bytes: &[u8]) {
        self.parser.advance(self.model, bytes);
    }
    fn viewers(&mut self, _: &[u8]) {}
    fn signal(&mut self, _: Signal) {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn plain_text_is_put_as_the_engine_puts_it(pieces in proptest::collection::vec(piece(), 0..60)) {
        // The engine numbers links that have no id, across all screens.
        let stream = pieces.concat().replace("8;;h", "8;id=y;h").into_bytes();
        let mut fast = screen(&stream);
        let mut slow = Screen::new(20, 5);
        let (parser, model) = (&mut slow.parser, &mut slow.model);
        slow.tokenizer.feed(&stream, &mut Slow { parser, model });
        (slow.sync, slow.modify_other_keys) = (fast.sync, fast.modify_other_keys);
        prop_assert_eq!(slow.capture(1000, true), fast.capture(1000, true));
        prop_assert_eq!(state(&mut slow), state(&mut fast));
    }
}
