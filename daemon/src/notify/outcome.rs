//! What an answer means for a message: done, again later, or never. Pure.

use super::post::{Answer, PostError};

/// First pause between two tries, doubled each time up to the longest.
const PAUSE_MS: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 300_000;

/// Longest that somebody may have us wait.
const RETRY_AFTER_MS_MAX: u64 = 86_400_000;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent(String),
    /// The subscription is none any more.
    Gone(String),
    /// It is tried again.
    Again {
        /// In so many milliseconds.
        pause_ms: u64,
        /// Whether nothing at all shall go to that service until then.
        all: bool,
        /// Why.
        why: String,
    },
    /// It never will be taken.
    Failed(String),
}

/// Reads an answer.
#[must_use]
pub fn of(
    answer: &Result<Answer, PostError>,
    push: bool,
    attempts: u32,
    now_ms: u64,
    chance: u64,
) -> Outcome {
    let answer = match answer {
        Err(PostError::Refused(why)) => return Outcome::Failed(why.clone()),
        Err(PostError::Away(why)) => return again(attempts, chance, why.clone()),
        Ok(answer) => answer,
    };
    let said = match answer.text.trim() {
        "" => answer.status.to_string(),
        text => format!("{}: {text}", answer.status),
    };
    match answer.status {
        200..=299 => Outcome::Sent(answer.status.to_string()),
        404 | 410 if push => Outcome::Gone(format!("the subscription is gone ({said})")),
        300..=399 => Outcome::Failed(format!(
            "it leads elsewhere, which is not followed ({said})"
        )),
        408 | 425 | 429 | 500..=599 => {
            let wait = answer.retry_after.as_deref();
            match wait.and_then(|text| retry_after_ms(text, now_ms)) {
                Some(pause_ms) => Outcome::Again {
                    pause_ms: pause_ms.max(PAUSE_MS),
                    all: true,
                    why: said,
                },
                None => again(attempts, chance, said),
            }
        }
        // 400, 401, 403, 413: something is wrong here, and trying again mends nothing.
        _ => Outcome::Failed(said),
    }
}

fn again(attempts: u32, chance: u64, why: String) -> Outcome {
    let pause = PAUSE_MS << attempts.min(16);
    let pause = pause.min(PAUSE_MS_MAX);
    Outcome::Again {
        // Between half of it and all of it: what failed together does not come back together.
        pause_ms: pause / 2 + chance % (pause / 2 + 1),
        all: false,
        why,
    }
}

/// Seconds, or a date as HTTP writes it.
fn retry_after_ms(text: &str, now_ms: u64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000).min(RETRY_AFTER_MS_MAX));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    let at = u64::try_from(at.timestamp().as_millisecond()).ok()?;
    Some(at.saturating_sub(now_ms).min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(status: u16, retry_after: Option<&str>, push: bool) -> Outcome {
        let answer = Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            text: String::new(),
        };
        of(&Ok(answer), push, 0, 1_700_000_000_000, 0)
    }

    #[test]
    fn every_status_has_its_meaning() {
        for status in [200, 201, 202, 204] {
            assert!(matches!(ask(status, None, true), Outcome::Sent(_)));
        }
        for status in [404, 410] {
            assert!(matches!(ask(status, None, true), Outcome::Gone(_)));
            assert!(matches!(ask(status, None, false), Outcome::Failed(_)));
        }
        for status in [301, 307, 400, 401, 403, 413] {
            assert!(matches!(ask(status, None, true), Outcome::Failed(_)));
        }
        for status in [408, 429, 500, 502, 503] {
            assert!(matches!(
                ask(status, None, true),
                Outcome::Again { all: false, .. }
            ));
        }
    }

    #[test]
    fn who_says_when_is_believed() {
        let pause = |text| match ask(429, Some(text), true) {
            Outcome::Again {
                pause_ms,
                all: true,
                ..
            } => pause_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(pause("120"), 120_000);
        assert_eq!(pause("0"), PAUSE_MS);
        assert_eq!(pause("Tue, 14 Nov 2023 22:14:20 GMT"), 60_000);
    }

    #[test]
    fn tries_get_rarer_and_never_come_together() {
        let pause = |attempts, chance| match again(attempts, chance, String::new()) {
            Outcome::Again { pause_ms, .. } => pause_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(pause(0, 0), 500);
        assert_eq!(pause(3, 0), 4_000);
        assert_eq!(pause(60, 0), PAUSE_MS_MAX / 2);
        assert!((500..=1_000).contains(&pause(0, 12_345)));
    }
}
