//! Recordings, as they lie on a disk and behind sound checksums.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsm_terminal::recording::cast::Cast;
use wsm_terminal::recording::{self, Recording};

fn play(file: &[u8]) {
    for recording in Recording::all(file) {
        let (mut cast, mut text) = (Cast::default(), Cast::header(&recording, "fuzz"));
        recording.events().for_each(|event| cast.event(&event, &mut text));
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        let file = recording.to_file();
        let [again] = Recording::all(&file).try_into().expect("it is one recording");
        assert!(again.events().eq(recording.events()));
        assert_eq!(again.length(), recording.length());
        assert!(recording.events_from(recording.length() / 2).count() <= recording.events().count());
    }
}

/// `|` ends a block.
fuzz_target!(|data: &[u8]| {
    play(data);
    let mut file = recording::head(1, 1).to_vec();
    for events in data.split(|byte| *byte == b'|') {
        recording::block(&mut file, 1, events);
    }
    play(&file);
});
