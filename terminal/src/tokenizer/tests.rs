//! What passes, what is dropped, and that cutting the input anywhere changes nothing.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    viewers: String,
    screen: String,
    signals: Vec<Signal>,
}

impl Sink for Seen {
    fn both(&mut self, bytes: &[u8]) {
        self.viewers(bytes);
    }
    fn screen(&mut self, bytes: &[u8]) {
        self.screen += std::str::from_utf8(bytes).unwrap();
    }
    fn viewers(&mut self, bytes: &[u8]) {
        self.viewers += std::str::from_utf8(bytes).unwrap();
    }
    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }
}

fn seen(input: impl AsRef<[u8]>) -> Seen {
    let mut seen = Seen::default();
    Tokenizer::new(80, 24).feed(input.as_ref(), &mut seen);
    seen
}

#[test]
fn what_viewers_get() {
    for (input, viewers) in [
        ("plain\ttext\r\n", "plain\ttext\r\n"),
        ("\u{2733} ✳ 漢字", "\u{2733} ✳ 漢字"),
        ("a\u{9b}31mb\u{9d}52;c;?\u{9c}", "a31mb52;c;?"),
        ("\x05\x00\x7fx", "x"),
        ("\x1b[31;1mred\x1b[m", "\x1b[31;1mred\x1b[m"),
        (
            "\x1b[21m\x1b[38;5;21m\x1b[38;2;21;21;21;21m",
            "\x1b[4:2m\x1b[38;5;21m\x1b[38;2;21;21;21;4:2m",
        ),
        ("\x1b[65535A\x1b[99;999H", "\x1b[24A\x1b[24;80H"),
        ("ab\x1b[3b!", "abbbb!"),
        ("a\x1b[m\x1b[3b", "a\x1b[m"),
        ("a\x1b[65535b", &"a".repeat(81)),
        ("\x1b[?1;25h\x1b[?3h\x1b[?69h", "\x1b[?1h\x1b[?25h"),
        ("\x1b[?1047h\x1b[?1049h\x1b[?47l", "\x1b[?1049h\x1b[?1049l"),
        ("\x1b[?1049l", ""),
        ("\x1b[s\x1b[u\x1b[8;1;1t\x1b[21t", "\x1b7\x1b8"),
        ("\x1b[6n\x1b[c\x1b[>c\x1b[?u\x1b[?2026$p\x1bZ\x1b[18t", ""),
        (
            "\x1b]52;c;aGk=\x07\x1b]52;c;?\x07\x1b]1337;File=x:AA\x07\x1b]7;file:///\x07",
            "",
        ),
        (
            "\x1bP+q544e\x1b\\\x1bPtmux;\x1b\x1b]52;c;?\x07\x1b\\\x1bPq#0~~\x1b\\.",
            ".",
        ),
        (
            "\x1b_Gf=100,t=f;L2V0Yw==\x1b\\\x1b^x\x1b\\\x1bXy\x1b\\.",
            ".",
        ),
        ("\x1b]2;a\u{9b}\tb\x07", "\x1b]2;ab\x1b\\"),
        (
            "\x1b]8;id=1;https://a.b/?q\x1b\\l\x1b]8;;\x07",
            "\x1b]8;id=1;https://a.b/?q\x1b\\l\x1b]8;;\x1b\\",
        ),
        (
            "\x1b]8;;file:///etc/passwd\x07l\x1b]8;;\x07",
            "\x1b]8;;\x1b\\l\x1b]8;;\x1b\\",
        ),
        (
            "\x1b]11;?\x07\x1b]4;1;?;2;rgb:00/ff/00\x07",
            "\x1b]4;2;rgb:00/ff/00\x1b\\",
        ),
        ("\x1b%@\x1b#3\x1b(A\x1b(0", "\x1b(B\x1b(0"),
        ("\x1b[3\n1m", "\n\x1b[31m"),
        ("\x1b[31\x1b[32m\x1b[3\x18x", "\x1b[32mx"),
        (
            "\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28;29;30;31;32;33m",
            "",
        ),
    ] {
        assert_eq!(seen(input).viewers, viewers, "{input:?}");
    }
    assert_eq!(
        seen(b"a\xffb\xe2\x82c\xed\xa0\x80").viewers,
        "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\u{fffd}"
    );
}

#[test]
fn queries_go_to_the_screen_only() {
    assert_eq!(
        seen("\x1b[6n\x1b[c\x1b]11;?\x07\x1b[?2026$p").screen,
        "\x1b[6n\x1b[c\x1b]11;?\x1b\\\x1b[?2026$p"
    );
}

#[test]
fn what_is_learnt() {
    let signals = seen(concat!(
        "\x07\x1b]0;✳ title\x07\x1b]9;done\x07\x1b]777;notify;a;b\x07\x1b]99;i=1:e=1;aGk=\x1b\\",
        "\x1b]9;4;1;50\x07\x1b]133;D;1\x07\x1b]99;i=1:p=?;\x1b\\\x1b[22t\x1b]2;x\x07\x1b[23t"
    ))
    .signals;
    assert_eq!(
        signals,
        [
            Signal::Bell,
            Signal::Title("✳ title".into()),
            Signal::Notice("done".into()),
            Signal::Notice("a: b".into()),
            Signal::Notice("hi".into()),
            Signal::Mark(Mark::Progress {
                state: 1,
                percent: 50
            }),
            Signal::Mark(Mark::Finished { code: Some(1) }),
            Signal::Title("x".into()),
            Signal::Title("✳ title".into()),
        ]
    );
}

#[test]
fn a_copy_is_a_wish_and_a_query_nothing() {
    // "rm -rf\r\n", an escape and a turn of direction.
    let signals = seen(concat!(
        "\x1b]52;c;cm0gLXJmDQob4oCu\x07\x1b]52;;aGk=\x1b\\\x1b]52;p0;aGk\x07",
        "\x1b]52;c;?\x07\x1b]52;c;\x07\x1b]52;c\x07\x1b]52\x07\x1b]52;c;!\x07"
    ));
    assert_eq!(signals.viewers, "");
    let copy = |text: &str| Signal::Copy(text.into());
    assert_eq!(signals.signals, [copy("rm -rf\n"), copy("hi"), copy("hi")]);
    let longest = "QUFB".repeat(OSC_BYTES_MAX / 4 - 2);
    assert_eq!(seen(format!("\x1b]52;c;{longest}\x07")).signals.len(), 1);
    assert_eq!(seen(format!("\x1b]52;c;{longest}QUFBQUFB\x07")).signals, []);
}

#[test]
fn endless_sequences_keep_nothing() {
    let mut tokenizer = Tokenizer::new(80, 24);
    let mut seen = Seen::default();
    for start in ["\x1b]0;", "\x1bP", "\x1b_", "\x1b["] {
        tokenizer.feed(start.as_bytes(), &mut seen);
        for _ in 0..1000 {
            tokenizer.feed(&[b'0'; 4096], &mut seen);
            assert!(tokenizer.sequence.capacity() <= 2 * OSC_BYTES_MAX);
        }
        tokenizer.feed(b"\x1b\\", &mut seen);
    }
    tokenizer.feed(b"m", &mut seen);
    assert_eq!(
        seen,
        Seen {
            viewers: "m".into(),
            ..Seen::default()
        }
    );
}

#[test]
fn marks_on_a_cell_are_bounded() {
    let viewers = seen("e".to_owned() + &"\u{301}".repeat(1000)).viewers;
    assert_eq!(viewers.chars().count(), 1 + usize::from(ZERO_WIDTH_MAX));
}

proptest! {
    #[test]
    fn cuts_change_nothing(input in proptest::collection::vec(bytes(), 0..200), at in 0..1000_usize) {
        let input = input.concat();
        let at = at % (input.len() + 1);
        let mut cut = Seen::default();
        let mut tokenizer = Tokenizer::new(80, 24);
        tokenizer.feed(&input[..at], &mut cut);
        tokenizer.feed(&input[at..], &mut cut);
        prop_assert_eq!(cut, seen(&input));
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..8),
        "[a-z ]{1,8}".prop_map(String::into_bytes),
        "[é漢👍\u{301}\u{200d}]{1,4}".prop_map(String::into_bytes),
        "\x1b[\\[\\]P_]?[0-9;?:]{0,6}[a-zA-Z]?".prop_map(String::into_bytes),
        Just(b"\x1b\\".to_vec()),
        Just(vec![7]),
    ]
}
