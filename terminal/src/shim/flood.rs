//! Output that comes faster than anybody reads. While it does, viewers over a connection get the
//! newest screen now and then, and not all of it: nobody would see it, and everybody pays for it.

use std::time::{Duration, Instant};

/// A flood is looked for in spans of this length …
const SPAN: Duration = Duration::from_millis(250);
/// … begins where one brings so many bytes …
const BEGINS: u64 = 256 * 1024;
/// … and is over after one that brought fewer than this.
const ENDS: u64 = 32 * 1024;
/// Pictures of it come no closer than this, for all viewers at the same moments.
const PICTURE_EVERY: Duration = Duration::from_millis(30);
/// A larger one is drawn for each: it is not to take its memory twice.
const PICTURE_BYTES_KEPT: usize = 64 * 1024;

/// Whether one terminal is flooded.
#[derive(Debug)]
pub(super) struct Flood {
    since: Instant,
    from: u64,
    on: bool,
    /// Its last picture, and where the output ended.
    picture: Option<(u64, (u16, u16), Vec<u8>)>,
}

impl Flood {
    pub(super) fn new(now: Instant) -> Flood {
        Flood {
            since: now,
            from: 0,
            on: false,
            picture: None,
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
            self.picture = None;
        }
        if over {
            (self.since, self.from) = (now, end);
        }
        self.on
    }

    /// The screen of this size at `end`, drawn once for all who get it.
    pub(super) fn picture(
        &mut self,
        (end, size): (u64, (u16, u16)),
        draw: impl FnOnce() -> Vec<u8>,
    ) -> Vec<u8> {
        match &self.picture {
            Some((at, of, bytes)) if (*at, *of) == (end, size) => bytes.clone(),
            _ => {
                let bytes = draw();
                let plain = bytes.len() <= PICTURE_BYTES_KEPT;
                self.picture = plain.then(|| (end, size, bytes.clone()));
                bytes
            }
        }
    }

    /// When the picture after one of now comes.
    pub(super) fn next_picture(&self, now: Instant) -> Instant {
        let gone = (now - self.since).as_nanos() / PICTURE_EVERY.as_nanos();
        self.since + PICTURE_EVERY * u32::try_from(gone + 1).unwrap_or(u32::MAX)
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
    fn all_get_the_same_picture_at_the_same_moment() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut flood = Flood::new(begun);
        for now in [0, 1, 29] {
            assert_eq!(flood.next_picture(at(now)), at(30));
        }
        assert_eq!(flood.next_picture(at(30)), at(60));
        flood.look(BEGINS, at(31));
        let mut drawn = 0;
        for (end, cols) in [(5, 80), (5, 80), (6, 80), (6, 81), (6, 81)] {
            let bytes = flood.picture((end, (cols, 24)), || {
                drawn += 1;
                vec![drawn]
            });
            assert_eq!(bytes, [drawn]);
        }
        assert_eq!(drawn, 3);
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
