//! Staying awake for a key and for its answer.
//!
//! Most programs answer a key within some microseconds, and to go to sleep and be woken costs about
//! as much: a processor that idles is slow to come back. So after a key the shim looks for the
//! answer a little while before it sleeps. And where it has a viewer's terminal, the kernel wakes it
//! together with the viewer when a key is pressed there: while the viewer reads the key the shim gets
//! up, and looks for what the viewer sends. Where that does not pay (the program takes its time, or
//! others want the processor) it is given up, and tried again after more and more keys: a program
//! that never answers in time costs one such while in a thousand keys.

use std::thread;
use std::time::{Duration, Instant};

use super::Shim;

/// How long it looks.
const AWAKE: Duration = Duration::from_micros(100);
/// Somebody else had the processor for so long between two looks: there is no room for this.
const STOLEN: Duration = Duration::from_micros(400);
/// More bytes than this are not one key.
const KEY_BYTES_MAX: usize = 16;
/// Keys that are passed over after a first failure, and after many.
const PASSED: std::ops::RangeInclusive<u32> = 1..=1024;
/// The same where others wanted the processor.
const PASSED_STOLEN: u32 = 64;

/// Whether it pays for one terminal, or for the keys of one viewer.
#[derive(Debug)]
pub(super) struct Echo {
    /// Keys that are still passed over.
    pass: u32,
    /// How many it will be after the next failure.
    next: u32,
}

/// How a while of looking ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The answer came.
    Came,
    /// It did not.
    Late,
    /// Others had the processor.
    Stolen,
}

impl Default for Echo {
    fn default() -> Echo {
        Echo {
            pass: 0,
            next: *PASSED.start(),
        }
    }
}

impl Echo {
    /// Whether to stay awake after so many bytes were typed.
    pub(super) fn due(&mut self, bytes: usize) -> bool {
        if bytes > KEY_BYTES_MAX {
            return false;
        }
        let due = self.pass == 0;
        self.pass = self.pass.saturating_sub(1);
        due
    }

    /// Takes in how it went when it was [`Echo::due`].
    pub(super) fn learn(&mut self, look: Look) {
        if look == Look::Came {
            self.next = *PASSED.start();
            return;
        }
        if look == Look::Stolen {
            self.next = self.next.max(PASSED_STOLEN);
        }
        self.pass = self.next;
        self.next = (self.next * 2).min(*PASSED.end());
    }
}

impl Shim {
    /// A key was pressed, and the viewer is about to read it and to send it here.
    pub(super) fn await_key(&mut self, id: u64, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let tty = client.tty.as_mut();
        if !tty.is_some_and(|tty| tty.keys.due(1)) || !client.reads() {
            return;
        }
        let look =
            stay_awake(|| client.read(&mut self.scratch[..super::TURN_BYTES]) || client.gone);
        if let Some(tty) = &mut client.tty {
            tty.keys.learn(look);
        }
        self.client_frames(id, now);
    }

    /// Where a key was just typed, its echo is worth a moment.
    pub(super) fn await_echo(&mut self) {
        let Some(name) = self.echo.take() else {
            return;
        };
        let look = stay_awake(|| self.output(&name));
        if let Some(terminal) = self.terminals.get_mut(&*name) {
            terminal.echo.learn(look);
        }
    }
}

/// Calls `look` until it finds something or the time is over. Between two looks the processor is
/// anybody's.
fn stay_awake(mut look: impl FnMut() -> bool) -> Look {
    let begun = Instant::now();
    let mut last = begun;
    loop {
        thread::yield_now();
        if look() {
            return Look::Came;
        }
        let now = Instant::now();
        if now - last > STOLEN {
            return Look::Stolen;
        }
        if now - begun > AWAKE {
            return Look::Late;
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many keys, those for which it stays awake.
    fn awake(echo: &mut Echo, keys: usize, look: Look) -> usize {
        let mut awake = 0;
        for _ in 0..keys {
            if echo.due(1) {
                awake += 1;
                echo.learn(look);
            }
        }
        awake
    }

    #[test]
    fn what_does_not_pay_is_tried_ever_more_seldom() {
        let mut echo = Echo::default();
        assert_eq!(awake(&mut echo, 100, Look::Came), 100);
        assert_eq!(awake(&mut echo, 2047 + 11, Look::Late), 11);
        assert_eq!(awake(&mut echo, 10 * 1025, Look::Late), 10);
        // One that answers in time is believed at once.
        let pass = (0..1025).take_while(|_| !echo.due(1)).count();
        assert!(pass <= 1024);
        echo.learn(Look::Came);
        assert_eq!(awake(&mut echo, 100, Look::Came), 100);
    }

    #[test]
    fn where_others_want_the_processor_it_is_left_to_them() {
        let mut echo = Echo::default();
        assert_eq!(awake(&mut echo, 65, Look::Stolen), 1);
        assert_eq!(awake(&mut echo, 129, Look::Stolen), 1);
    }

    #[test]
    fn a_paste_is_not_a_key() {
        let mut echo = Echo::default();
        assert!(!echo.due(KEY_BYTES_MAX + 1));
        assert!(echo.due(KEY_BYTES_MAX));
    }

    #[test]
    fn looking_ends_when_it_comes_and_when_the_time_is_over() {
        let mut looks = 0;
        let came = stay_awake(|| {
            looks += 1;
            looks == 3
        });
        assert!(came == Look::Came && looks == 3 || came != Look::Came);
        let begun = Instant::now();
        assert_ne!(stay_awake(|| false), Look::Came);
        assert!(begun.elapsed() >= AWAKE);
        let slow = stay_awake(|| {
            thread::sleep(2 * STOLEN);
            false
        });
        assert_eq!(slow, Look::Stolen);
    }
}
