//! What is to be told: written in the transaction of the journal row that it tells of.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Row, StoreError, now_ms, signed, unsigned};
use crate::notify::decide::{Standing, Step, on_event};
use crate::notify::event::{self, Happening, Kind, To, What};
use crate::notify::rules::{Rules, resolve};
use crate::record::Record;

mod queue;
#[cfg(test)]
mod tests;
mod together;

pub use queue::{Delivery, Due, Notice, Settled};

/// Notes whom a row has to be told to.
pub(super) fn note(
    tx: &Transaction<'_>,
    seq: u64,
    row: &Row,
    written: Option<&Record>,
) -> Result<(), StoreError> {
    if !event::may_matter(row.verb) {
        return Ok(());
    }
    let read;
    let record = match written.filter(|record| record.id.as_str() == row.subject) {
        Some(record) => record,
        None => {
            let sql = "SELECT record FROM agent WHERE id = ?1";
            let text = tx.query_row(sql, [&row.subject], |r| r.get::<_, String>(0));
            let Some(text) = text.optional()? else {
                return Ok(());
            };
            read = serde_json::from_str(&text)?;
            &read
        }
    };
    for happening in event::of(row, record) {
        for user in people(tx, &happening, record)? {
            note_one(tx, seq, row, record, &happening, &user)?;
        }
    }
    Ok(())
}

/// Whom it concerns.
fn people(
    tx: &Transaction<'_>,
    happening: &Happening,
    record: &Record,
) -> Result<Vec<String>, StoreError> {
    let id = record.id.as_str();
    let list = |sql: &str, with: &[&dyn rusqlite::ToSql]| -> Result<Vec<String>, StoreError> {
        let mut statement = tx.prepare_cached(sql)?;
        let users = statement.query_map(with, |row| row.get(0))?;
        Ok(users.collect::<Result<_, _>>()?)
    };
    match (happening.what, &happening.to) {
        (What::Over, _) => list(
            "SELECT user FROM notice WHERE topic = ?1",
            &[&happening.topic],
        ),
        (What::Tell(_), To::User(user)) => Ok(vec![user.clone()]),
        (What::Tell(_), To::Watchers) => {
            let sql = "SELECT user FROM share WHERE agent = ?1 AND user <> ?2
                       AND (expires_ms IS NULL OR expires_ms > ?3)";
            let shared = list(sql, &[&id, &record.owner, &signed(now_ms())])?;
            Ok(std::iter::once(record.owner.clone())
                .chain(shared)
                .collect())
        }
    }
}

fn note_one(
    tx: &Transaction<'_>,
    seq: u64,
    row: &Row,
    record: &Record,
    happening: &Happening,
    user: &str,
) -> Result<(), StoreError> {
    let rules = rules(tx, user, record)?;
    let theirs = happening.to == To::Watchers && *user != record.owner;
    if theirs && !rules.shared && happening.what != What::Over {
        return Ok(());
    }
    let sql = "SELECT kind, due_ms, told_kind, about FROM notice WHERE user = ?1 AND topic = ?2";
    let found = tx
        .prepare_cached(sql)?
        .query_row([user, &happening.topic], |found| {
            let kind: String = found.get(0)?;
            let told: Option<String> = found.get(2)?;
            let standing = Standing {
                kind: Kind::parse(&kind).unwrap_or(Kind::Over),
                due_ms: found.get::<_, Option<i64>>(1)?.map(unsigned),
                told: told.as_deref().and_then(Kind::parse),
            };
            Ok((standing, found.get::<_, String>(3)?))
        })
        .optional()?;
    let (standing, about) = found.unzip();
    // The answer to one question leaves another open.
    let named = |name: &&String| !name.is_empty() && !happening.about.is_empty();
    let another = about
        .as_ref()
        .filter(named)
        .is_some_and(|name| *name != happening.about);
    if happening.what == What::Over && another {
        return Ok(());
    }
    let by_themself = row.actor.user == *user;
    match on_event(happening.what, by_themself, &rules, standing, row.at_ms) {
        Step::Nothing => Ok(()),
        Step::Drop(_) => {
            let sql = "UPDATE notice SET due_ms = NULL WHERE user = ?1 AND topic = ?2";
            tx.execute(sql, [user, &happening.topic])?;
            Ok(())
        }
        Step::Queue { kind, due_ms } => {
            let lasts = standing.is_some_and(|it| it.due_ms.is_some() && it.kind == kind);
            write(tx, seq, row, happening, user, (kind, due_ms, lasts))
        }
    }
}

fn write(
    tx: &Transaction<'_>,
    seq: u64,
    row: &Row,
    happening: &Happening,
    user: &str,
    (kind, due_ms, lasts): (Kind, u64, bool),
) -> Result<(), StoreError> {
    // What lasts keeps its time, and the question that a later row does not name.
    tx.prepare_cached(
        "INSERT INTO notice (user, topic, agent, kind, about, text, actor, seq, at_ms, due_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (user, topic) DO UPDATE SET agent = excluded.agent, kind = excluded.kind,
         about = CASE WHEN ?11 AND excluded.about = '' THEN about ELSE excluded.about END,
         text = excluded.text, actor = excluded.actor, seq = excluded.seq,
         at_ms = CASE WHEN ?11 THEN at_ms ELSE excluded.at_ms END, due_ms = excluded.due_ms",
    )?
    .execute(params![
        user,
        happening.topic,
        row.subject,
        kind.as_str(),
        happening.about,
        happening.text,
        row.actor.user,
        signed(seq),
        signed(row.at_ms),
        signed(due_ms),
        lasts
    ])?;
    Ok(())
}

/// What holds for a person and an agent. What can't be read counts as nothing written: it was
/// checked when it was.
pub(super) fn rules(
    connection: &rusqlite::Connection,
    user: &str,
    record: &Record,
) -> Result<Rules, StoreError> {
    let sql = "SELECT rules FROM notify_rule WHERE user = ?1 AND agent IN ('', ?2)
               ORDER BY agent DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let texts = statement.query_map([user, record.id.as_str()], |row| row.get::<_, String>(0))?;
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let layers: Vec<_> = texts
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect();
    let layers: Vec<_> = layers.iter().collect();
    let template = &record.resolved.notify;
    let found = resolve(&layers, template).or_else(|_| resolve(&[], template));
    Ok(found.unwrap_or_default())
}
