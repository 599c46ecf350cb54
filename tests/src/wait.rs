//! Waiting for something that will happen, with a deadline, never for time to pass.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine with two cores, short enough to notice a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked.
const STEP: Duration = Duration::from_millis(20);

/// Looks until `look` gives something.
///
/// # Panics
/// After `patience`, with `what` and what `describe` says.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
    describe: impl FnOnce() -> String,
) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        if Instant::now() >= end {
            panic!("waited {patience:?} for {what}\n{}", describe());
        }
        std::thread::sleep(STEP);
    }
}

/// Looks until `look` is true.
///
/// # Panics
/// After [`PATIENCE`].
pub fn until_true(what: &str, mut look: impl FnMut() -> bool) {
    until(what, PATIENCE, || look().then_some(()), String::new);
}
