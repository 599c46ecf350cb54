//! Output that comes faster than anybody reads. While it does, viewers over a connection get the
//! newest screen now and then, and not all of it: nobody would see it, and everybody pays for it.

use std::time::{Duration, Instant};

/// A flood is looked for in spans of this length …
const SPAN: Duration = Duration::from_millis(250);
/// … begins where one brings so many bytes …
const BEGINS: u64 = 512 * 1024;
/// … and is over after one that brought fewer than this.
const ENDS: u64 = 64 * 1024;

/// Whether one terminal is flooded.
#[derive(Debug)]
pub(super) struct Flood {
    since: Instant,
    from: u64,
    on: bool,
}

impl Flood {
    pub(super) fn new(now: Instant) -> Flood {
        Flood {
            since: now,
            from: 0,
            on: false,
        }
    }

    /// Whether it is, as far as is known.
    pub(super) fn on(&self) -> bool {
        self.on
    }

    /// Takes in where the output ends now.
    pub(super) fn look(&mut self, end: u64, now: Instant) -> bool {
        let (came, over) = (end - self.from, now - self.since >= SPAN);
        if came >= BEGINS {
            self.on = true;
        } else if over && came < ENDS {
            self.on = false;
        }
        if over {
            (self.since, self.from) = (now, end);
        }
        self.on
    }

    /// When it has to be looked at even if nothing comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.on.then(|| self.since + SPAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_in_a_short_time_is_a_flood_until_little_comes() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut flood = Flood::new(begun);
        assert!(!flood.look(BEGINS - 1, at(100)) && flood.due().is_none());
        assert!(flood.look(BEGINS, at(101)));
        assert_eq!(flood.due(), Some(at(250)));
        // A span is judged when it is over.
        assert!(flood.look(BEGINS, at(250)));
        assert!(flood.look(BEGINS + ENDS - 1, at(499)));
        assert!(!flood.look(BEGINS + ENDS - 1, at(500)));
    }

    #[test]
    fn as_much_in_a_long_time_is_none() {
        let begun = Instant::now();
        let mut flood = Flood::new(begun);
        for step in 1..1000_u64 {
            let now = begun + Duration::from_millis(step * 50);
            assert!(!flood.look(step * BEGINS / 7, now), "{step}");
        }
    }
}
