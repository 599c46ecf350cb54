//! What becomes of each notice that is due: told, alone or with others, later, or never.

use std::collections::BTreeMap;

use super::decide::{Moment, Verdict, at_due};
use super::event::Kind;
use super::message::Message;
use super::pace::{Plan, Rings, gathers, window_ms};
use crate::agent::evidence::whole;
use crate::engine::{Engine, WSM};
use crate::fault;
use crate::store::{Due, Notice, Settled, StoreError};

/// What is looked at in one turn.
const TURN_MAX: u32 = 64;

/// One that is told, and until when that is worth it.
type Told<'a> = (&'a Notice, Box<Message>, u64);

/// Decides on what is due, and writes it down.
pub(super) fn all(engine: &Engine, rings: &mut Rings, now_ms: u64) -> Result<(), StoreError> {
    let due = engine.store.due(now_ms, TURN_MAX)?;
    let mut gathered: BTreeMap<&str, (u64, Vec<Told<'_>>)> = BTreeMap::new();
    for one in &due {
        let notice = &one.notice;
        let mut settled = of(engine, one, now_ms);
        if let Settled::Told {
            message,
            expires_ms,
        } = &mut settled
        {
            let window_ms = window_ms(&one.rules, notice.kind);
            if gathers(notice.kind) {
                let (window, told) = gathered.entry(&notice.user).or_default();
                *window = window_ms.max(*window);
                told.push((notice, message.clone(), *expires_ms));
                continue;
            }
            if !message.silent && rings.rings(&notice.user, window_ms, now_ms) {
                rings.rang(&notice.user, true, now_ms);
            } else {
                message.silent = true;
            }
        }
        write(engine, notice, &settled, now_ms)?;
    }
    for (user, (window_ms, told)) in gathered {
        match rings.plan(user, told.len(), window_ms, now_ms) {
            Plan::Later(at) => {
                for (notice, ..) in told {
                    write(engine, notice, &Settled::Later(at), now_ms)?;
                }
            }
            Plan::Apart => {
                for (notice, message, expires_ms) in told {
                    rings.rang(user, false, now_ms);
                    let settled = Settled::Told {
                        message,
                        expires_ms,
                    };
                    write(engine, notice, &settled, now_ms)?;
                }
            }
            Plan::Together => {
                rings.rang(user, false, now_ms);
                together(engine, &told, now_ms)?;
            }
        }
    }
    Ok(())
}

fn write(
    engine: &Engine,
    notice: &Notice,
    settled: &Settled,
    now_ms: u64,
) -> Result<(), StoreError> {
    let act = fault::act("notify", &notice.kind.as_str());
    engine.store.settle(notice, settled, now_ms)?;
    act.done();
    Ok(())
}

fn together(engine: &Engine, told: &[Told<'_>], now_ms: u64) -> Result<(), StoreError> {
    let messages: Vec<&Message> = told.iter().map(|(_, message, _)| &**message).collect();
    let until = told.iter().map(|(.., expires_ms)| *expires_ms).max();
    let (Some(summary), Some(until)) = (Message::many(&messages), until) else {
        return Ok(());
    };
    let act = fault::act("notify", &"many");
    let told: Vec<_> = told
        .iter()
        .map(|(notice, message, _)| (*notice, &**message))
        .collect();
    engine
        .store
        .settle_together(&told, &summary, (now_ms, until))?;
    act.done();
    Ok(())
}

fn of(engine: &Engine, due: &Due, now_ms: u64) -> Settled {
    let notice = &due.notice;
    let Some(record) = due.record.as_ref().filter(|_| due.may_see) else {
        return Settled::Forgotten;
    };
    let moment = Moment {
        now_ms,
        at_ms: notice.at_ms,
        visible_until_ms: engine
            .notify
            .presence
            .visible_until(&notice.user, &notice.agent, now_ms),
        told_ms: due.told_ms,
    };
    let text = match notice.kind {
        Kind::Over => over(notice),
        _ => notice.text.clone(),
    };
    let mut message = Message {
        tag: notice.topic.clone(),
        seq: notice.seq,
        at_ms: notice.at_ms,
        ..Message::new(notice.kind, &record.name, &text)
    };
    if notice.kind == Kind::Blocked {
        message.question.clone_from(&notice.about);
        let questions = &record.heard.questions;
        let asked = questions.iter().find(|it| it.id == notice.about);
        message.whole = asked.is_some_and(|it| whole(&it.asking, &message.body));
    }
    let message = Box::new(message);
    match at_due(notice.kind, &due.rules, &moment) {
        Verdict::Tell => Settled::Told {
            message,
            expires_ms: now_ms + notice.kind.ttl_s() * 1000,
        },
        Verdict::Later(at, _) => Settled::Later(at),
        Verdict::Silent(why) => Settled::HeldBack(message, why.to_owned()),
    }
}

/// What stands there instead of what was told.
fn over(notice: &Notice) -> String {
    match (notice.told, notice.actor.as_str()) {
        (Some(Kind::ServiceDown), _) => format!("{} is no longer down", notice.about),
        (_, WSM) => "it goes on".to_owned(),
        (_, actor) => format!("answered by {actor}"),
    }
}
