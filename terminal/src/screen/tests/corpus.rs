//! Snapshots of what real programs draw (`tests/recordings`), taken after every byte of windows at
//! random places: whoever begins with the snapshot and goes on with the output sees the same.

use proptest::prelude::*;

use super::fed;
use crate::screen::Screen;
use crate::screen::state::named;
use crate::snapshot::snapshot;

/// Bytes of a window; those who began in it are looked at again when so many more have come.
const WINDOW: usize = 40;
const LATER: usize = 1500;

macro_rules! recordings {
    ($($name:literal)*) => {
        [$(($name, include_bytes!(concat!("../../../tests/recordings/", $name, ".vt")))),*]
    };
}

const RECORDINGS: [(&str, &[u8]); 10] = recordings![
    "bash" "claude" "codex" "frames" "git" "htop" "less" "text" "top" "vim"
];

/// One line instead of two whole screens.
fn same(copy: &mut Screen, original: &str, place: &str) -> Result<(), TestCaseError> {
    let copy = named(copy);
    let mut lines = copy.lines().zip(original.lines());
    let other = lines.find(|(copied, was)| copied != was);
    prop_assert!(copy == original, "{}: copy, original: {:#?}", place, other);
    Ok(())
}

fn window(name: &str, stream: &[u8], from: usize) -> Result<(), TestCaseError> {
    let to = stream.len().min(from + WINDOW);
    let mut original = Screen::new(80, 24);
    fed(&mut original, &stream[..from]);
    let mut copies = Vec::new();
    for at in from..to {
        let mut copy = Screen::new(80, 24);
        fed(&mut copy, &snapshot(&mut original, 0));
        let place = format!("{name}, drawn at byte {at}");
        same(&mut copy, &named(&mut original), &place)?;
        copies.push((place, copy));
        let forward = fed(&mut original, &stream[at..=at]).forward;
        for (_, copy) in &mut copies {
            fed(copy, &forward);
        }
    }
    let later = stream.len().min(to + LATER);
    let forward = fed(&mut original, &stream[to..later]).forward;
    let now = named(&mut original);
    for (place, copy) in &mut copies {
        fed(copy, &forward);
        same(copy, &now, &format!("{place} and on to {later}"))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn whoever_joins_a_real_program_at_any_byte_sees_what_others_see(
        which in 0..RECORDINGS.len(),
        from in any::<prop::sample::Index>(),
    ) {
        let (name, stream) = RECORDINGS[which];
        window(name, stream, from.index(stream.len()))?;
    }
}
