//! How many rows of the journal an agent may cause by what egress refuses it: pure.
//!
//! Of wsm's own rows the newest are kept, whoever caused them: an agent that is refused all day long
//! must not push out what is told of others. Refusals stand in the agent's log one by one; a stray
//! placeholder is told of from another purse, so that no flood of refusals hides it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::agent::pace::Pace;

/// Time for one more, of each kind: 1,440 a day, beside what the agent says of itself.
const EVERY: Duration = Duration::from_secs(60);

/// Purses that are kept; then all begin anew.
const PURSES_MAX: usize = 4_096;

/// What agents have caused, by verb and agent.
#[derive(Debug, Default)]
pub(super) struct Rows {
    purses: HashMap<(&'static str, String), Purse>,
}

#[derive(Debug)]
struct Purse {
    pace: Pace,
    /// What was not written since the last row.
    silent: u64,
}

impl Rows {
    /// Whether there is a row for this; if so, for how many that had none.
    pub(super) fn pay(&mut self, verb: &'static str, agent: &str, now: Instant) -> Option<u64> {
        if self.purses.len() >= PURSES_MAX {
            self.purses.clear();
        }
        let purse = self
            .purses
            .entry((verb, agent.to_owned()))
            .or_insert_with(|| Purse {
                pace: Pace::slow(EVERY),
                silent: 0,
            });
        if purse.pace.open_at(now).is_some() {
            purse.silent += 1;
            return None;
        }
        purse.pace.spend(1, now);
        Some(std::mem::take(&mut purse.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agents_refusals_leave_room_for_what_is_told_of_others() {
        let mut rows = Rows::default();
        let now = Instant::now();
        // What egress tells at most in a day: thirty a minute of each kind.
        let mut written = 0;
        for minute in 0..24 * 60 {
            let now = now + Duration::from_secs(60) * minute;
            for _ in 0..30 {
                written += u64::from(rows.pay("egress.denied", "a", now).is_some());
            }
        }
        assert!((1_440..1_600).contains(&written), "{written}");
        let later = now + Duration::from_secs(24 * 60 * 60);
        assert_eq!(rows.pay("egress.denied", "a", later), Some(29));
        assert_eq!(rows.pay("egress.denied", "a", later), None);
        assert_eq!(rows.pay("egress.misplaced", "a", later), Some(0));
        assert_eq!(rows.pay("egress.denied", "b", later), Some(0));
    }
}
