//! What becomes of each notice that is due: told, alone or with others, later, or never.

use std::collections::BTreeMap;

use super::decide::{Moment, Verdict, at_due};
use super::event::Kind;
use super::message::Message;
use super::pace::{Plan, Rings, gathers, window_ms};
use crate::agent::evidence::{Question, whole, words};
use crate::engine::{Engine, WSM};
use crate::fault;
use crate::record::Record;
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
    // A screen is set right, whatever ended since; by whom is told to those who may know.
    let is_over = notice.kind == Kind::Over;
    let Some(record) = due.record.as_ref().filter(|_| due.may_see || is_over) else {
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
    let message = message(due, record);
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

fn message(due: &Due, record: &Record) -> Message {
    let notice = &due.notice;
    let text = match notice.kind {
        Kind::Over if due.may_see || notice.actor == notice.user => over(notice),
        Kind::Over => "it is over".to_owned(),
        _ => notice.text.clone(),
    };
    let mut message = Message {
        tag: notice.topic.clone(),
        seq: notice.seq,
        at_ms: notice.at_ms,
        ..Message::new(notice.kind, &record.name, &text)
    };
    if notice.kind == Kind::Blocked {
        let questions = &record.heard.questions;
        let named = questions.iter().find(|it| it.id == notice.about);
        // A later row of the same state names none, and takes the place of what was shown: it is
        // the question that its text begins with.
        let told = |it: &&Question| !it.doubtful && message.body.starts_with(&words(&it.asking));
        if let Some(asked) = named.or(questions.iter().find(told)) {
            message.question.clone_from(&asked.id);
            message.whole = whole(&asked.asking, &message.body);
        }
    }
    message
}

/// What stands there instead of what was told.
fn over(notice: &Notice) -> String {
    match (notice.told, notice.actor.as_str()) {
        (Some(Kind::ServiceDown), _) => format!("{} is no longer down", notice.about),
        (_, WSM) => "it goes on".to_owned(),
        (_, actor) => format!("answered by {actor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::rules::Rules;
    use crate::record::tests::record;
    use wsm_terminal::protocol::Asking;

    fn question(id: &str, command: &str) -> Question {
        let asking = Asking {
            tool: "Bash".into(),
            command: command.into(),
            answerable: true,
            permission: true,
            ..Asking::default()
        };
        Question {
            id: id.into(),
            seq: 1,
            session: String::new(),
            asking,
            since_ms: 1,
            doubtful: false,
        }
    }

    fn due(about: &str) -> Due {
        let notice = Notice {
            user: "ada".into(),
            topic: "a-state".into(),
            agent: "a".into(),
            kind: Kind::Blocked,
            about: about.into(),
            text: "waits for permission: Bash `make`".into(),
            actor: WSM.into(),
            seq: 7,
            at_ms: 1,
            told: None,
        };
        Due {
            notice,
            record: None,
            may_see: true,
            rules: Rules::default(),
            told_ms: None,
        }
    }

    #[test]
    fn what_takes_the_place_of_a_question_still_asks_it() {
        let mut record = record();
        record.heard.questions = vec![question("1-1", "rm -r x"), question("1-4", "make")];
        let told = |about: &str, record: &Record| {
            let message = message(&due(about), record);
            (message.question, message.whole)
        };
        assert_eq!(told("1-4", &record), ("1-4".into(), true));
        assert_eq!(told("1-1", &record), ("1-1".into(), false), "not in words");
        // Of a later row of the same state, which names none; or the one that it names is answered.
        assert_eq!(told("", &record), ("1-4".into(), true));
        assert_eq!(told("1-3", &record), ("1-4".into(), true));
        // Another question than the text's is not answered by its buttons.
        record.heard.questions.pop();
        assert_eq!(told("", &record), (String::new(), false));
        record.heard.questions.clear();
        assert_eq!(told("1-4", &record), (String::new(), false));
    }
}
