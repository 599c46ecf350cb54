//! The table of the decision, and what must hold whatever happens.

use proptest::prelude::*;
use wsm_api::notify::Rules as Written;

use super::*;
use crate::notify::rules::resolve;

fn rules(written: &Written) -> Rules {
    let all: Vec<String> = Kind::ALL.iter().map(|kind| kind.as_str().into()).collect();
    resolve(&[written], &all).unwrap()
}

fn waits(kind: Kind, due_ms: u64) -> Option<Standing> {
    Some(Standing {
        kind,
        due_ms: Some(due_ms),
        told: None,
    })
}

#[test]
fn a_state_is_told_when_it_has_lasted() {
    let rules = rules(&Written::default());
    let blocked = What::Tell(Kind::Blocked);
    let queued = |due_ms| Step::Queue {
        kind: Kind::Blocked,
        due_ms,
    };
    assert_eq!(on_event(blocked, false, &rules, None, 1_000), queued(4_000));
    // Another sentence for the same state does not put it off.
    let standing = waits(Kind::Blocked, 4_000);
    assert_eq!(
        on_event(blocked, false, &rules, standing, 3_500),
        queued(4_000)
    );
    let over = on_event(What::Over, false, &rules, standing, 3_500);
    assert!(matches!(over, Step::Drop(_)), "{over:?}");
    let offer = on_event(What::Tell(Kind::Handoff), false, &rules, None, 1_000);
    assert!(matches!(offer, Step::Queue { due_ms: 1_000, .. }));
}

#[test]
fn what_one_did_oneself_or_does_not_want_is_not_told() {
    let rules_ = rules(&Written {
        on: Some(vec!["blocked".into()]),
        ..Written::default()
    });
    let failed = What::Tell(Kind::Failed);
    assert_eq!(on_event(failed, false, &rules_, None, 0), Step::Nothing);
    let blocked = What::Tell(Kind::Blocked);
    assert_eq!(on_event(blocked, true, &rules_, None, 0), Step::Nothing);
    let muted = rules(&Written {
        muted: Some(true),
        ..Written::default()
    });
    assert_eq!(on_event(blocked, false, &muted, None, 0), Step::Nothing);
}

#[test]
fn an_answered_question_is_set_right_where_it_was_told() {
    let rules = rules(&Written::default());
    let told = Some(Standing {
        kind: Kind::Blocked,
        due_ms: None,
        told: Some(Kind::Blocked),
    });
    let over = Step::Queue {
        kind: Kind::Over,
        due_ms: 9,
    };
    assert_eq!(on_event(What::Over, true, &rules, told, 9), over);
    let finished = Some(Standing {
        kind: Kind::Finished,
        due_ms: None,
        told: Some(Kind::Finished),
    });
    assert_eq!(
        on_event(What::Over, false, &rules, finished, 9),
        Step::Nothing
    );
}

#[test]
fn approvals_come_in_quiet_hours_only_if_one_says_so() {
    let quiet = |always| {
        rules(&Written {
            quiet: Some(vec!["00:00-23:59".into()]),
            approvals_always: Some(always),
            ..Written::default()
        })
    };
    let moment = Moment {
        now_ms: 3_600_000,
        at_ms: 3_590_000,
        visible_until_ms: None,
        told_ms: None,
    };
    let ask = |kind, always| at_due(kind, &quiet(always), &moment);
    assert!(matches!(ask(Kind::Blocked, false), Verdict::Later(..)));
    assert_eq!(ask(Kind::Blocked, true), Verdict::Tell);
    assert!(matches!(ask(Kind::Failed, true), Verdict::Later(..)));
}

#[test]
fn who_looks_is_not_told_and_who_leaves_without_an_answer_is() {
    let rules = rules(&Written::default());
    let moment = Moment {
        now_ms: 50_000,
        at_ms: 47_000,
        visible_until_ms: Some(60_000),
        told_ms: None,
    };
    let silent = at_due(Kind::Finished, &rules, &moment);
    assert!(matches!(silent, Verdict::Silent(_)));
    let later = at_due(Kind::Blocked, &rules, &moment);
    assert!(matches!(later, Verdict::Later(60_000, _)));
    let gone = Moment {
        now_ms: 60_000,
        ..moment
    };
    assert_eq!(at_due(Kind::Blocked, &rules, &gone), Verdict::Tell);
}

/// What can happen to one agent, as one person sees it.
#[derive(Debug, Clone, Copy)]
enum Event {
    Becomes(Option<Kind>),
    Looks(bool),
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let kinds = vec![
        None,
        Some(Kind::Finished),
        Some(Kind::Blocked),
        Some(Kind::Failed),
    ];
    let event = prop_oneof![
        4 => proptest::sample::select(kinds).prop_map(Event::Becomes),
        1 => any::<bool>().prop_map(Event::Looks),
    ];
    (1_u64..20_000, event)
}

/// The loop of the notifier, on one topic.
struct World {
    rules: Rules,
    now: u64,
    at: u64,
    standing: Option<Standing>,
    visible_until: Option<u64>,
    told: Vec<(u64, Kind, u64)>,
    last_told: Option<u64>,
}

impl World {
    fn run_until(&mut self, end: u64) {
        while let Some(standing) = self.standing {
            let Some(due) = standing.due_ms.filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            let moment = Moment {
                now_ms: self.now,
                at_ms: self.at,
                visible_until_ms: self.visible_until,
                told_ms: self.last_told,
            };
            let mut next = Standing {
                due_ms: None,
                ..standing
            };
            match at_due(standing.kind, &self.rules, &moment) {
                Verdict::Tell => {
                    self.told.push((self.now, standing.kind, self.at));
                    next.told = Some(standing.kind);
                    if standing.kind != Kind::Over {
                        self.last_told = Some(self.now);
                    }
                }
                Verdict::Later(at, _) => {
                    assert!(at > self.now, "it does not turn in a circle");
                    next.due_ms = Some(at);
                }
                Verdict::Silent(_) => {}
            }
            self.standing = Some(next);
        }
        self.now = end;
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Looks(looks) => self.visible_until = looks.then_some(self.now + 30_000),
            Event::Becomes(kind) => {
                let what = kind.map_or(What::Over, What::Tell);
                let step = on_event(what, false, &self.rules, self.standing, self.now);
                let told = self.standing.and_then(|it| it.told);
                match step {
                    Step::Nothing => {}
                    Step::Queue { kind, due_ms } => {
                        let before = self.standing.filter(|it| it.due_ms.is_some());
                        if before.is_none_or(|it| it.kind != kind) {
                            self.at = self.now;
                        }
                        self.standing = Some(Standing {
                            kind,
                            due_ms: Some(due_ms),
                            told,
                        });
                    }
                    Step::Drop(_) => {
                        self.standing = self.standing.map(|it| Standing { due_ms: None, ..it });
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn dwell_cooldown_and_presence_hold_and_what_lasts_is_told(
        events in prop::collection::vec(event(), 1..40),
        dwell in 2_000_u64..5_000,
    ) {
        let mut world = World {
            rules: rules(&Written { dwell_ms: Some(dwell), ..Written::default() }),
            now: 0,
            at: 0,
            standing: None,
            visible_until: None,
            told: Vec::new(),
            last_told: None,
        };
        let mut state = None;
        for (pause, event) in events {
            let before = world.told.len();
            let end = world.now + pause;
            world.run_until(end);
            for (at, kind, _) in &world.told[before..] {
                if *kind != Kind::Over {
                    prop_assert_eq!(Some(*kind), state, "told is what is so");
                    prop_assert!(world.visible_until.is_none_or(|until| until <= *at));
                }
            }
            if let Event::Becomes(kind) = event {
                state = kind;
            }
            world.take(event);
        }
        // Nothing happens any more: what still is so is told before long.
        world.run_until(world.now + 120_000);
        prop_assert!(world.standing.is_none_or(|it| it.due_ms.is_none()));
        if state == Some(Kind::Blocked) {
            let last = world.told.last().map(|(_, kind, _)| *kind);
            prop_assert_eq!(last, Some(Kind::Blocked));
        }
        let loud: Vec<_> = world.told.iter().filter(|(_, kind, _)| *kind != Kind::Over).collect();
        for (at, kind, since) in &loud {
            prop_assert!(*at >= since + dwell, "{kind:?} was told {at} of {since}");
        }
        for pair in loud.windows(2) {
            prop_assert!(pair[1].0 >= pair[0].0 + world.rules.cooldown_ms(pair[1].1));
        }
    }
}
