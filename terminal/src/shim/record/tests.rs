//! What lies in the files.

use super::*;
use crate::recording::{Recording, typed};
use crate::screen::Fed;

fn record(bytes_max: u64) -> Record {
    Record {
        bytes_max,
        age_ms: 1_000_000_000,
    }
}

fn feed(recorder: &mut Recorder, screen: &mut Screen, text: &str, now: Instant) {
    let mut fed = Fed::default();
    screen.feed(text.as_bytes(), &mut fed);
    recorder.output(&fed.forward, screen, now);
}

fn read(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// What a viewer would see at the end.
fn played(file: &[u8], at: usize) -> String {
    let all = Recording::all(file);
    let mut screen = Screen::new(80, 24);
    for event in all[at].events() {
        match event.kind {
            Kind::Screen => {
                screen = Screen::new(80, 24);
                screen.feed(event.bytes, &mut Fed::default());
            }
            Kind::Output => screen.feed(event.bytes, &mut Fed::default()),
            _ => {}
        }
    }
    screen.capture(0, false)
}

#[test]
fn it_stays_below_its_bound_and_ends_with_what_was_shown() {
    let file = Rc::new(tempfile::tempfile().unwrap());
    let mut now = Instant::now();
    let mut screen = Screen::new(80, 24);
    let bound = 3 * SEGMENT_BYTES as u64;
    let mut recorder = Recorder::begin(Rc::clone(&file), "main", &record(bound)).unwrap();
    for line in 0..200_000 {
        now += Duration::from_millis(2);
        feed(
            &mut recorder,
            &mut screen,
            &format!("a line of text, number {line}\r\n{}", "x".repeat(40)),
            now,
        );
        recorder.tick(&mut screen, now);
    }
    drop(recorder);
    let bytes = read(&file);
    assert!(bytes.len() as u64 <= bound, "{}", bytes.len());
    let all = Recording::all(&bytes);
    assert_eq!(all.len(), 1);
    assert_eq!(played(&bytes, 0), screen.capture(0, false));
    assert!(all[0].length() > Duration::from_secs(60));
    // The next life of the agent goes on behind it.
    let mut again = Recorder::begin(Rc::clone(&file), "main", &record(bound)).unwrap();
    let mut other = Screen::new(80, 24);
    feed(&mut again, &mut other, "a second recording", now);
    drop(again);
    let bytes = read(&file);
    assert_eq!(Recording::all(&bytes).len(), 2);
    assert_eq!(played(&bytes, 1), "a second recording\n");
}

#[test]
fn a_flood_costs_little_and_the_screen_is_right_after_it() {
    let file = Rc::new(tempfile::tempfile().unwrap());
    let mut now = Instant::now();
    let mut screen = Screen::new(80, 24);
    let mut recorder = Recorder::begin(Rc::clone(&file), "main", &record(u64::MAX)).unwrap();
    for number in 0..2000 {
        now += Duration::from_millis(1);
        feed(
            &mut recorder,
            &mut screen,
            &format!("{number} {}\r\n", "y".repeat(8000)),
            now,
        );
        recorder.tick(&mut screen, now);
    }
    let end = recorder.due().expect("a picture is due");
    recorder.tick(&mut screen, end);
    recorder.ended(Exit::Code(0), &mut screen, end);
    let bytes = read(&file);
    assert!(bytes.len() < 600_000, "{}", bytes.len());
    assert_eq!(played(&bytes, 0), screen.capture(0, false));
    assert_eq!(recorder.due(), None);
}

#[test]
fn what_is_typed_says_by_whom() {
    let file = Rc::new(tempfile::tempfile().unwrap());
    let mut screen = Screen::new(80, 24);
    let mut recorder = Recorder::begin(Rc::clone(&file), "main", &record(0)).unwrap();
    let now = Instant::now();
    recorder.input("ada", b"before there is anything to see", &mut screen, now);
    feed(&mut recorder, &mut screen, "$ ", now);
    recorder.input("ada", b"ls\r", &mut screen, now);
    recorder.input("bob", &[b'x'; INPUT_BYTES + 1], &mut screen, now);
    drop(recorder);
    let bytes = read(&file);
    let all = Recording::all(&bytes);
    let kept = all[0].events().filter(|event| event.kind == Kind::Input);
    let kept: Vec<_> = kept.filter_map(|event| typed(event.bytes)).collect();
    let long = "x".repeat(INPUT_BYTES);
    let all: [(&str, &[u8]); 3] = [("ada", b"ls\r"), ("bob", long.as_bytes()), ("bob", b"x")];
    assert_eq!(kept, all);
}

#[test]
fn what_is_too_old_is_given_back() {
    let file = Rc::new(tempfile::tempfile().unwrap());
    let begin = |age_ms| {
        let record = Record {
            bytes_max: 0,
            age_ms,
        };
        Recorder::begin(Rc::clone(&file), "main", &record).unwrap()
    };
    let mut screen = Screen::new(80, 24);
    let mut recorder = begin(1_000_000);
    feed(&mut recorder, &mut screen, "old", Instant::now());
    drop(recorder);
    assert_eq!(Recording::all(&read(&file)).len(), 1);
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(hour_ago).unwrap();
    drop(begin(1000));
    assert_eq!(Recording::all(&read(&file)).len(), 0);
}

#[test]
fn a_full_disk_stops_it_and_nothing_else() {
    let full = File::options()
        .read(true)
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut screen = Screen::new(80, 24);
    let fine = Rc::new(tempfile::tempfile().unwrap());
    let mut recorder = Recorder::begin(fine, "main", &record(0)).unwrap();
    (recorder.number, recorder.file) = (1, Rc::new(full));
    let now = Instant::now();
    feed(&mut recorder, &mut screen, "text", now);
    let told = recorder.tick(&mut screen, now + FLUSH);
    assert!(told.expect("it stops").contains("No space left"));
    assert_eq!(recorder.tick(&mut screen, now + FLUSH), None);
    feed(&mut recorder, &mut screen, "more", now);
    assert_eq!(recorder.due(), None);
}
