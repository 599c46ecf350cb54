//! Rules without state machines: in which order, whether again, and how long until then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use wsm_sandbox::launch::Exit;
use wsm_template::resolved::{Restart, Service};

/// First pause before a restart: long enough that a crash loop costs no core, short enough that a
/// person who saved a typo does not wait for it.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);

/// Longest pause: a dependency that came back is noticed within this time.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// So many ends within [`RESTARTS_WINDOW`], or in a row without having been ready, and the service
/// is left alone: whatever is wrong does not pass by itself.
pub const RESTARTS_MAX: u32 = 5;

/// Window of [`RESTARTS_MAX`]; well above the sum of the first pauses (0.5 + 1 + 2 + 4 s).
pub const RESTARTS_WINDOW: Duration = Duration::from_secs(60);

/// Ready this long, and earlier ends are forgiven.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// SIGKILL to exit. A process that takes longer hangs in the kernel, and waiting does not help.
pub const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// First pause between two readiness checks, doubled up to [`READY_INTERVAL_MAX`]: fast services
/// are seen at once, slow ones are not disturbed.
pub(super) const READY_INTERVAL_FIRST: Duration = Duration::from_millis(50);

/// Longest pause between two readiness checks.
pub(super) const READY_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// One readiness check; readiness as a whole has the template's timeout.
pub(super) const READY_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// On top of a check's own timeout until its answer counts as lost.
pub(super) const PROBE_SLACK: Duration = Duration::from_secs(5);

/// SIGKILL on every Linux.
pub(super) const SIGKILL: i32 = 9;

/// Number of a signal that templates may name; the numbers are the same on every Linux that wsm
/// runs on. What a template can't name is SIGTERM.
pub(super) fn signal_number(name: &str) -> i32 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => SIGKILL,
        "USR1" => 10,
        "USR2" => 12,
        _ => 15,
    }
}

/// Names so that every service comes after what it depends on; ties by name. Services in a cycle
/// (templates refuse them) come last, and never get ready.
#[must_use]
pub fn start_order(services: &BTreeMap<String, Service>) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let mut left: BTreeSet<&String> = services.keys().collect();
    loop {
        let free = |name: &&String| !services[*name].depends_on.iter().any(|d| left.contains(d));
        let Some(next) = left.iter().copied().find(free) else {
            break;
        };
        left.remove(next);
        order.push(next.clone());
    }
    order.extend(left.into_iter().cloned());
    order
}

/// Whether the policy starts a service again that ended like this. `fine`: with code 0 after it had
/// been ready.
pub(super) fn restarts(policy: Restart, fine: bool) -> bool {
    match policy {
        Restart::Never => false,
        Restart::OnFailure => !fine,
        Restart::Always => true,
    }
}

/// `exited with code 1`, `was killed by signal 9 (KILL)`.
pub(super) fn describe(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(signal) => {
            let name = match signal {
                1 => " (HUP)",
                2 => " (INT)",
                3 => " (QUIT)",
                6 => " (ABRT)",
                9 => " (KILL)",
                11 => " (SEGV)",
                15 => " (TERM)",
                _ => "",
            };
            format!("was ended by signal {signal}{name}")
        }
    }
}

/// What to do after an end that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Start it again after this pause.
    Again(Duration),
    /// Leave it: it ended this often within the window.
    TooOften(u32),
    /// Leave it: it ended this often without ever being ready.
    NeverReady(u32),
}

/// The ends of one service since it was last asked to start.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Recent ends, at most [`RESTARTS_MAX`].
    ends: VecDeque<Instant>,
    /// Ends in a row without [`HEALTHY_AFTER`] of being ready in between.
    attempts: u32,
    /// Whether it was ever ready.
    was_ready: bool,
}

impl History {
    /// Notes an end, `ready_since` if the process was ready when it came.
    pub(super) fn ended(&mut self, now: Instant, ready_since: Option<Instant>) -> Verdict {
        if let Some(since) = ready_since {
            self.was_ready = true;
            if now.saturating_duration_since(since) >= HEALTHY_AFTER {
                self.attempts = 0;
                self.ends.clear();
            }
        }
        self.attempts = self.attempts.saturating_add(1);
        self.ends
            .retain(|end| now.saturating_duration_since(*end) < RESTARTS_WINDOW);
        self.ends.push_back(now);
        let recent = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        if recent >= RESTARTS_MAX {
            Verdict::TooOften(recent)
        } else if !self.was_ready && self.attempts >= RESTARTS_MAX {
            Verdict::NeverReady(self.attempts)
        } else {
            Verdict::Again(backoff(self.attempts))
        }
    }
}

/// Pause before the next start after `attempts` ends in a row, one at least.
fn backoff(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    BACKOFF_FIRST
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_half_a_second_to_half_a_minute() {
        let seconds: Vec<f32> = [1, 2, 3, 4, 7, 8, u32::MAX]
            .map(|attempts| backoff(attempts).as_secs_f32())
            .to_vec();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 30.0, 30.0, 30.0]);
    }

    #[test]
    fn five_ends_in_a_minute_are_one_too_many() {
        let mut history = History::default();
        let start = Instant::now();
        for second in 0..4 {
            let now = start + Duration::from_secs(second * 10);
            assert!(matches!(history.ended(now, Some(now)), Verdict::Again(_)));
        }
        let now = start + Duration::from_secs(40);
        assert_eq!(history.ended(now, Some(now)), Verdict::TooOften(5));
    }

    #[test]
    fn slow_crashes_go_on_with_growing_pauses() {
        let mut history = History::default();
        let mut now = Instant::now();
        let mut last = Verdict::TooOften(0);
        for _ in 0..10 {
            now += Duration::from_secs(30);
            last = history.ended(now, Some(now - Duration::from_secs(20)));
        }
        assert_eq!(last, Verdict::Again(BACKOFF_MAX));
    }

    #[test]
    fn never_ready_is_bounded_even_when_each_try_takes_long() {
        let mut history = History::default();
        let mut now = Instant::now();
        for _ in 0..4 {
            now += Duration::from_secs(300);
            assert!(matches!(history.ended(now, None), Verdict::Again(_)));
        }
        now += Duration::from_secs(300);
        assert_eq!(history.ended(now, None), Verdict::NeverReady(5));
    }

    #[test]
    fn a_healthy_minute_forgives() {
        let mut history = History::default();
        let start = Instant::now();
        for _ in 0..4 {
            history.ended(start, Some(start));
        }
        let verdict = history.ended(start + HEALTHY_AFTER, Some(start));
        assert_eq!(verdict, Verdict::Again(BACKOFF_FIRST));
    }
}
