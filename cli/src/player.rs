//! Plays a recording on the user's terminal.

use std::io;
use std::time::Duration;

use wsm_terminal::recording::{Event, Kind, Recording};

use crate::screen::{Keyboard, Screen};

/// How fast, and from where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    pub(crate) from: Duration,
    pub(crate) speed: f64,
    /// Longest pause.
    pub(crate) idle: Duration,
}

impl Pace {
    /// How long to wait before this event, after one that was shown at `shown`.
    fn pause(&self, shown: Duration, at: Duration) -> Duration {
        let gap = at.saturating_sub(shown.max(self.from));
        gap.div_f64(self.speed).min(self.idle)
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Pause,
    Leave,
    Nothing,
}

fn key(bytes: &[u8]) -> Key {
    match bytes.first() {
        // None: the keyboard is gone.
        None | Some(b'q' | 3 | 4) => Key::Leave,
        Some(b' ') => Key::Pause,
        Some(_) => Key::Nothing,
    }
}

/// Plays it to its end, or until a key leaves.
pub(crate) async fn play(recording: &Recording<'_>, pace: Pace, title: &str) -> io::Result<()> {
    let mut screen = Screen::enter(title)?;
    let mut keyboard = Keyboard::open()?;
    let mut shown = Duration::ZERO;
    for event in recording.events_from(pace.from) {
        let pause = pace.pause(shown, event.at);
        if !pause.is_zero() && rest(&mut keyboard, pause).await? == Key::Leave {
            return Ok(());
        }
        shown = event.at;
        draw(&mut screen, &event)?;
    }
    // The last screen stays until a key.
    while rest(&mut keyboard, Duration::from_secs(3600)).await? == Key::Pause {}
    Ok(())
}

fn draw(screen: &mut Screen, event: &Event<'_>) -> io::Result<()> {
    match event.kind {
        Kind::Screen => screen.draw(event.bytes),
        Kind::Output => screen.write(event.bytes),
        Kind::Meta | Kind::Resize | Kind::Exit | Kind::Input => Ok(()),
    }
}

/// Waits, as long as it is not told to pause.
async fn rest(keyboard: &mut Keyboard, pause: Duration) -> io::Result<Key> {
    let mut buffer = [0; 64];
    let end = tokio::time::Instant::now() + pause;
    let mut paused = false;
    loop {
        let over = async {
            match paused {
                true => std::future::pending().await,
                false => tokio::time::sleep_until(end).await,
            }
        };
        tokio::select! {
            read = keyboard.read(&mut buffer) => match key(&buffer[..read?]) {
                Key::Leave => return Ok(Key::Leave),
                Key::Pause if paused => return Ok(Key::Pause),
                Key::Pause => paused = true,
                Key::Nothing => {}
            },
            () = over => return Ok(Key::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_shortened_and_what_is_before_is_not_waited_for() {
        let seconds = Duration::from_secs;
        let pace = Pace {
            from: seconds(10),
            speed: 2.0,
            idle: seconds(3),
        };
        assert_eq!(pace.pause(seconds(0), seconds(9)), Duration::ZERO);
        assert_eq!(pace.pause(seconds(9), seconds(12)), seconds(1));
        assert_eq!(pace.pause(seconds(12), seconds(14)), seconds(1));
        assert_eq!(pace.pause(seconds(12), seconds(100)), seconds(3));
    }

    #[test]
    fn keys() {
        assert_eq!(key(b"q"), Key::Leave);
        assert_eq!(key(b""), Key::Leave);
        assert_eq!(key(b" "), Key::Pause);
        assert_eq!(key(b"x"), Key::Nothing);
    }
}
