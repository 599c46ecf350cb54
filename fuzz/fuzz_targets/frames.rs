//! Frames from a stream, whatever its pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsm_terminal::protocol::{Decoder, Frame};

fn all(data: &[u8], size: usize) -> Vec<Frame> {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in data.chunks(size) {
        decoder.push(piece);
        while let Ok(Some(frame)) = decoder.next_frame() {
            frames.push(frame);
        }
    }
    frames
}

fuzz_target!(|data: &[u8]| {
    let frames = all(data, data.len().max(1));
    for frame in &frames {
        let message = frame.encode_message();
        assert_eq!(Frame::decode_message(&message).as_ref(), Ok(&Some(frame.clone())));
    }
    assert_eq!(all(data, 7), frames);
});
