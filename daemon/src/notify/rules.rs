//! A person's rules, checked, and with nothing left to inherit.

use std::collections::BTreeSet;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use wsm_api::notify::Rules as Written;

use super::event::Kind;

/// Bounds of what may be written.
const DWELL_MS_MAX: u64 = 600_000;
const COOLDOWN_S_MAX: u64 = 86_400;
const SPANS_MAX: usize = 7;

/// Where nothing is written.
const DWELL_MS: u64 = 3_000;
const COOLDOWN_S: u64 = 30;

/// Between two messages about what waits for a person, whatever the cooldown.
const ASKS_COOLDOWN_MS_MAX: u64 = 5_000;

/// What holds for one person and one agent.
#[derive(Debug, Clone)]
pub struct Rules {
    /// About what.
    pub on: BTreeSet<Kind>,
    /// Also about agents that others own.
    pub shared: bool,
    /// How long a state must last.
    pub dwell_ms: u64,
    /// Between two messages about one agent.
    pub cooldown_ms: u64,
    /// When to be quiet.
    quiet: Vec<(Time, Time)>,
    zone: TimeZone,
    /// Whether what waits for a person is told all the same.
    pub approvals_always: bool,
    /// Nothing at all.
    pub muted: bool,
}

impl Default for Rules {
    /// Those of somebody who wrote none, for an agent whose template says nothing.
    fn default() -> Rules {
        Rules {
            on: [Kind::Handoff, Kind::Lease].into(),
            shared: false,
            dwell_ms: DWELL_MS,
            cooldown_ms: COOLDOWN_S * 1000,
            quiet: Vec::new(),
            zone: TimeZone::UTC,
            approvals_always: false,
            muted: false,
        }
    }
}

/// Checks what was written.
///
/// # Errors
/// What is wrong with it.
pub fn check(written: &Written) -> Result<(), String> {
    resolve(&[written], &[]).map(|_| ())
}

/// What holds: of each key the first that is written; where none is, what `template` says.
///
/// # Errors
/// What is wrong with what was written.
pub fn resolve(layers: &[&Written], template: &[String]) -> Result<Rules, String> {
    fn first<'a, T>(layers: &[&'a Written], key: impl Fn(&'a Written) -> Option<T>) -> Option<T> {
        layers.iter().find_map(|layer| key(layer))
    }
    let on = match first(layers, |l| l.on.as_ref()) {
        Some(words) => kinds(words)?,
        None => kinds(template)?
            .into_iter()
            .chain([Kind::Handoff, Kind::Lease])
            .collect(),
    };
    let dwell_ms = first(layers, |l| l.dwell_ms).unwrap_or(DWELL_MS);
    if dwell_ms > DWELL_MS_MAX {
        return Err(format!("dwell_ms is {DWELL_MS_MAX} at most"));
    }
    let cooldown_s = first(layers, |l| l.cooldown_s).unwrap_or(COOLDOWN_S);
    if cooldown_s > COOLDOWN_S_MAX {
        return Err(format!("cooldown_s is {COOLDOWN_S_MAX} at most"));
    }
    let spans = first(layers, |l| l.quiet.as_deref()).unwrap_or_default();
    if spans.len() > SPANS_MAX {
        return Err(format!("quiet: {SPANS_MAX} spans at most"));
    }
    let zone = first(layers, |l| l.zone.as_deref()).unwrap_or("UTC");
    let zone = match zone {
        "UTC" => TimeZone::UTC,
        name if name.len() <= 64 => TimeZone::get(name)
            .map_err(|_| format!("zone: this host knows no time zone {name:?}"))?,
        _ => return Err("zone: too long".to_owned()),
    };
    Ok(Rules {
        on,
        shared: first(layers, |l| l.shared).unwrap_or(false),
        dwell_ms,
        cooldown_ms: cooldown_s * 1000,
        quiet: spans
            .iter()
            .map(|text| span(text))
            .collect::<Result<_, _>>()?,
        zone,
        approvals_always: first(layers, |l| l.approvals_always).unwrap_or(false),
        muted: first(layers, |l| l.muted).unwrap_or(false),
    })
}

fn kinds(words: &[String]) -> Result<BTreeSet<Kind>, String> {
    let one = |word: &String| {
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| {
            let all = Kind::ALL.map(Kind::as_str).join(", ");
            format!("on: {word:?} is none of {all}")
        })
    };
    words.iter().map(one).collect()
}

fn span(text: &str) -> Result<(Time, Time), String> {
    let wrong = || format!("quiet: {text:?} is no span; write 22:00-07:00");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (time(from), time(to));
    let (from, to) = from.zip(to).ok_or_else(wrong)?;
    if from == to {
        return Err(format!("quiet: {text:?} is empty; `muted` is for always"));
    }
    Ok((from, to))
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

impl Rules {
    /// When the quiet hours end that are now.
    #[must_use]
    pub fn quiet_until(&self, now_ms: u64) -> Option<u64> {
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
        let now = now.to_zoned(self.zone.clone());
        let time = now.time();
        let within = |(from, to): &(Time, Time)| match from < to {
            true => (*from..*to).contains(&time),
            false => time >= *from || time < *to,
        };
        let ends = self.quiet.iter().filter(|span| within(span));
        let ends = ends.filter_map(|(_, to)| {
            let day = match *to > time {
                true => now.date(),
                false => now.date().checked_add(1.day()).ok()?,
            };
            let end = day.to_datetime(*to).to_zoned(self.zone.clone()).ok()?;
            u64::try_from(end.timestamp().as_millisecond()).ok()
        });
        // Never now: a clock that is set back at night must not make it a loop.
        ends.max().map(|end| end.max(now_ms + 60_000))
    }

    /// How long it is told nothing more about an agent after it was told something.
    #[must_use]
    pub fn cooldown_ms(&self, kind: Kind) -> u64 {
        match kind.asks() || kind == Kind::Security {
            true => self.cooldown_ms.min(ASKS_COOLDOWN_MS_MAX),
            false => self.cooldown_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        let at: Timestamp = text.parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    }

    fn rules(written: &Written) -> Rules {
        resolve(&[written], &["blocked".to_owned()]).unwrap()
    }

    #[test]
    fn what_is_not_written_is_inherited() {
        let own = Written {
            dwell_ms: Some(2_000),
            muted: Some(true),
            ..Written::default()
        };
        let agents = Written {
            muted: Some(false),
            on: Some(vec!["limit".to_owned()]),
            ..Written::default()
        };
        let template = ["finished".to_owned()];
        let both = resolve(&[&agents, &own], &template).unwrap();
        assert!(!both.muted);
        assert_eq!(both.dwell_ms, 2_000);
        assert_eq!(both.on, [Kind::Limit].into());
        let plain = resolve(&[&own], &template).unwrap();
        assert!(plain.muted);
        assert_eq!(
            plain.on,
            [Kind::Finished, Kind::Handoff, Kind::Lease].into()
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let text = |text: &str| Some(vec![text.to_owned()]);
        for wrong in [
            Written {
                on: text("done"),
                ..Written::default()
            },
            Written {
                on: text("test"),
                ..Written::default()
            },
            Written {
                quiet: text("22-7"),
                ..Written::default()
            },
            Written {
                quiet: text("24:00-07:00"),
                ..Written::default()
            },
            Written {
                quiet: text("07:00-07:00"),
                ..Written::default()
            },
            Written {
                zone: Some("../../etc/passwd".into()),
                ..Written::default()
            },
            Written {
                dwell_ms: Some(DWELL_MS_MAX + 1),
                ..Written::default()
            },
            Written {
                cooldown_s: Some(COOLDOWN_S_MAX + 1),
                ..Written::default()
            },
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn quiet_hours_end_in_their_own_zone() {
        let written = Written {
            quiet: Some(vec!["22:00-07:00".into(), "12:30-13:00".into()]),
            zone: Some("UTC".into()),
            ..Written::default()
        };
        let rules = rules(&written);
        for (now, until) in [
            ("2026-03-01T21:59:59Z", None),
            ("2026-03-01T22:00:00Z", Some("2026-03-02T07:00:00Z")),
            ("2026-03-02T03:00:00Z", Some("2026-03-02T07:00:00Z")),
            ("2026-03-02T07:00:00Z", None),
            ("2026-03-02T12:45:00Z", Some("2026-03-02T13:00:00Z")),
        ] {
            assert_eq!(rules.quiet_until(ms(now)), until.map(ms), "{now}");
        }
    }

    #[test]
    fn quiet_hours_follow_summer_time() {
        let written = Written {
            quiet: Some(vec!["22:00-07:00".into()]),
            zone: Some("Europe/Berlin".into()),
            ..Written::default()
        };
        let rules = rules(&written);
        // The clocks go forward in that night: seven is five in UTC, not six.
        let until = rules.quiet_until(ms("2026-03-28T22:00:00Z"));
        assert_eq!(until, Some(ms("2026-03-29T05:00:00Z")));
    }

    #[test]
    fn who_waits_for_a_person_waits_five_seconds_at_most() {
        let rules = rules(&Written::default());
        assert_eq!(rules.cooldown_ms(Kind::Finished), 30_000);
        assert_eq!(rules.cooldown_ms(Kind::Blocked), 5_000);
    }
}
