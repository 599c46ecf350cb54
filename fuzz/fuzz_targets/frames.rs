//! Frames from a stream, whatever its pieces; and recordings, behind sound checksums as well.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsm_terminal::protocol::{Decoder, Frame};
use wsm_terminal::recording::cast::Cast;
use wsm_terminal::recording::{self, Recording};

fn play(file: &[u8]) {
    for recording in Recording::all(file) {
        let (mut cast, mut text) = (Cast::default(), String::new());
        recording.events().for_each(|event| cast.event(&event, &mut text));
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::default();
    for piece in data.chunks(7) {
        decoder.push(piece);
    }
    while let Ok(Some(frame)) = decoder.next_frame() {
        let message = frame.encode_message();
        assert_eq!(Frame::decode_message(&message), Ok(Some(frame)));
    }
    play(data);
    let mut file = recording::head(1, 1).to_vec();
    recording::block(&mut file, 1, data);
    play(&file);
});
