//! Whether a person is told, now, later or not: pure.
//!
//! A row of the journal makes, replaces or ends what waits ([`on_event`]); when its time has come it
//! is told, waits on, or stays untold ([`at_due`]).

use super::event::{Kind, What};
use super::rules::Rules;

/// What stands of a topic for one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it is about.
    pub kind: Kind,
    /// When it is to be told; `None`: that is decided.
    pub due_ms: Option<u64>,
    /// What was told last of this topic.
    pub told: Option<Kind>,
}

/// What a row does to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// This waits from now on, instead of what did.
    Queue {
        /// What.
        kind: Kind,
        /// Until when.
        due_ms: u64,
    },
    /// What waits is not told any more.
    Drop(&'static str),
}

/// Decides on a row.
#[must_use]
pub fn on_event(
    what: What,
    by_themself: bool,
    rules: &Rules,
    standing: Option<Standing>,
    now_ms: u64,
) -> Step {
    let wanted = match what {
        What::Tell(kind) if !by_themself && !rules.muted && rules.on.contains(&kind) => Some(kind),
        _ => None,
    };
    let waiting = standing.and_then(|it| it.due_ms.map(|due| (it.kind, due)));
    if let Some(kind) = wanted {
        let dwell = if kind.dwells() { rules.dwell_ms } else { 0 };
        let due_ms = match waiting {
            // What lasts is not put off by saying it again.
            Some((before, due)) if before == kind => due,
            _ => now_ms + dwell,
        };
        return Step::Queue { kind, due_ms };
    }
    // A screen that shows what somebody should do is set right when it was done.
    let told = standing.and_then(|it| it.told);
    let stale = told.is_some_and(|told| told.asks() || told == Kind::ServiceDown);
    match waiting {
        Some((Kind::Over, _)) => Step::Nothing,
        _ if stale => Step::Queue {
            kind: Kind::Over,
            due_ms: now_ms,
        },
        Some(_) => Step::Drop("it was over before it was told"),
        None => Step::Nothing,
    }
}

/// What is known when the time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub now_ms: u64,
    /// When it happened.
    pub at_ms: u64,
    /// Until when a page that shows the agent counts as looked at, if one does.
    pub visible_until_ms: Option<u64>,
    /// When this person was last told anything about this agent.
    pub told_ms: Option<u64>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Tell,
    /// It is decided again then.
    Later(u64, &'static str),
    /// It is not told.
    Silent(&'static str),
}

/// Decides when it is due.
#[must_use]
pub fn at_due(kind: Kind, rules: &Rules, moment: &Moment) -> Verdict {
    let now = moment.now_ms;
    // Sets a screen right and makes no sound: no reason to wait.
    if kind == Kind::Over {
        return Verdict::Tell;
    }
    if now >= moment.at_ms + kind.ttl_s() * 1000 && !kind.asks() {
        return Verdict::Silent("it was too old");
    }
    let told_all_the_same = kind == Kind::Blocked && rules.approvals_always;
    if let Some(end) = rules.quiet_until(now).filter(|_| !told_all_the_same) {
        return Verdict::Later(end, "quiet hours");
    }
    if let Some(until) = moment.visible_until_ms.filter(|until| *until > now) {
        // Who looks knows; but who goes without an answer has not seen to it.
        return match kind.asks() {
            true => Verdict::Later(until, "a page of yours shows it"),
            false => Verdict::Silent("a page of yours showed it"),
        };
    }
    let next = moment.told_ms.map(|told| told + rules.cooldown_ms(kind));
    match next.filter(|next| *next > now) {
        Some(next) => Verdict::Later(next, "cooldown"),
        None => Verdict::Tell,
    }
}

#[cfg(test)]
mod tests;
