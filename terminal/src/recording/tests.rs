//! Recordings that are whole, cut, overwritten, or no recordings at all.

use std::time::Duration;

use proptest::prelude::*;

use super::cast::Cast;
use super::*;

/// A segment with one block of meta and screen, and one for each text.
fn segment(number: u64, begun_ms: u64, texts: &[&str]) -> Vec<u8> {
    let meta = Meta {
        terminal: "main".into(),
        begun_ms,
        cols: 80,
        rows: 24,
    };
    let mut bytes = head(number, begun_ms * 1000 + number * 10_000_000).to_vec();
    let mut events = Vec::new();
    event(
        &mut events,
        Kind::Meta,
        0,
        &serde_json::to_vec(&meta).unwrap(),
    );
    event(
        &mut events,
        Kind::Screen,
        0,
        format!("screen {number}").as_bytes(),
    );
    block(&mut bytes, number, &events);
    for text in texts {
        let mut events = Vec::new();
        event(&mut events, Kind::Output, 1_500_000, text.as_bytes());
        block(&mut bytes, number, &events);
    }
    bytes
}

fn file(segments: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for (at, bytes) in segments.iter().enumerate() {
        file.resize(at * SEGMENT_BYTES, 0);
        file.extend_from_slice(bytes);
    }
    file
}

fn told(recording: &Recording<'_>) -> Vec<String> {
    let shown = |event: &Event<'_>| event.kind != Kind::Meta;
    let text = |event: Event<'_>| String::from_utf8(event.bytes.to_vec()).unwrap();
    recording.events().filter(shown).map(text).collect()
}

#[test]
fn segments_are_played_in_order_of_their_numbers() {
    let bytes = file(&[
        segment(4, 1000, &["d"]),
        segment(2, 1000, &["b"]),
        segment(3, 1000, &["c"]),
    ]);
    let all = Recording::all(&bytes);
    assert_eq!(all.len(), 1);
    assert_eq!(
        told(&all[0]),
        ["screen 2", "b", "screen 3", "c", "screen 4", "d"]
    );
    assert_eq!(all[0].length(), Duration::from_millis(21_500));
    // Somewhere in the third: from its screen on.
    let from = all[0].events_from(Duration::from_secs(11)).next().unwrap();
    assert_eq!(from.at, Duration::from_secs(10));
    let again = all[0].to_file();
    assert_eq!(told(&Recording::all(&again)[0]), told(&all[0]));
}

#[test]
fn what_is_behind_a_gap_and_what_others_recorded_is_apart() {
    let bytes = file(&[
        segment(1, 500, &["old"]),
        segment(3, 500, &["a"]),
        segment(4, 1000, &["b"]),
        segment(5, 1000, &["c"]),
    ]);
    let all = Recording::all(&bytes);
    let begun: Vec<u64> = all.iter().map(|it| it.meta.begun_ms).collect();
    assert_eq!(begun, [500, 1000]);
    assert_eq!(told(&all[1]), ["screen 4", "b", "screen 5", "c"]);
}

#[test]
fn a_torn_tail_ends_it_and_leftovers_are_not_played() {
    let whole = segment(7, 1000, &["one", "two", "three"]);
    for cut in HEAD_BYTES..whole.len() {
        let all = Recording::all(&whole[..cut]);
        let seen = all.first().map_or(Vec::new(), told);
        let full = ["screen 7", "one", "two", "three"];
        assert!(full.starts_with(&seen.iter().map(String::as_str).collect::<Vec<_>>()));
        assert!(seen.len() < 4);
    }
    // A new use of the segment, shorter than the one before.
    let mut used = segment(7, 1000, &["one", "two", "three"]);
    let again = segment(9, 1000, &[]);
    used[..again.len()].copy_from_slice(&again);
    assert_eq!(told(&Recording::all(&used)[0]), ["screen 9"]);
    // One wrong bit.
    for at in 0..whole.len() {
        let mut wrong = whole.clone();
        wrong[at] ^= 4;
        assert!(
            Recording::all(&wrong)
                .first()
                .map_or(0, |it| told(it).len())
                < 4
        );
    }
}

#[test]
fn a_cast_is_json_lines_with_whole_characters() {
    let mut bytes = segment(1, 1000, &[]);
    for (after, part) in [
        (400, &b"caf\xc3"[..]),
        (600, b"\xa9 \xf0\x9f"),
        (999_600, b"\xa6\x80\xff."),
    ] {
        let mut events = Vec::new();
        event(&mut events, Kind::Output, after, part);
        block(&mut bytes, 1, &events);
    }
    let mut events = Vec::new();
    event(&mut events, Kind::Resize, 0, &[90, 0, 30, 0]);
    event(&mut events, Kind::Exit, 0, br#"{"code":3}"#);
    block(&mut bytes, 1, &events);
    let all = Recording::all(&bytes);
    let mut text = Cast::header(&all[0], "an agent");
    let mut cast = Cast::default();
    all[0]
        .events()
        .for_each(|event| cast.event(&event, &mut text));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["version"], 3);
    assert_eq!(lines[0]["term"]["cols"], 80);
    let said: Vec<_> = lines[2..]
        .iter()
        .map(|line| (line[1].as_str().unwrap(), line[2].as_str().unwrap()))
        .collect();
    assert_eq!(
        said,
        [
            ("o", "caf"),
            ("o", "é "),
            ("o", "🦀\u{fffd}."),
            ("r", "90x30"),
            ("x", "3")
        ]
    );
    let whole: f64 = lines[1..]
        .iter()
        .map(|line| line[0].as_f64().unwrap())
        .sum();
    assert!((whole - 1.0).abs() < 0.002, "{whole}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..300_usize) {
        let all = Recording::all(&bytes);
        prop_assert!(all.is_empty());
        // Behind a sound head and checksum as well.
        let mut sound = head(1, 5).to_vec();
        bytes.insert(0, b'h');
        block(&mut sound, 1, &bytes);
        let mut known = segment(1, 0, &["x"]);
        let at = at.min(known.len());
        let mut tail = known.split_off(at);
        block(&mut known, 1, &bytes);
        known.append(&mut tail);
        for file in [&sound, &known] {
            for it in Recording::all(file) {
                let mut out = String::new();
                let mut cast = Cast::default();
                it.events().for_each(|event| cast.event(&event, &mut out));
                prop_assert!(it.events_from(Duration::from_secs(1)).count() <= it.events().count());
            }
        }
    }
}
