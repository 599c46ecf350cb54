//! The notifier's side: what is due, and what became of it. No journal rows: these say what was told
//! of those that are there.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, Transaction, params};

use crate::notify::event::Kind;
use crate::notify::message::Message;
use crate::notify::rules::Rules;
use crate::record::Record;
use crate::store::channels::{CHANNEL_COLUMNS, ChannelRow, LIVE, channel};
use crate::store::{Store, StoreError, signed, unsigned};

/// Deliveries that are done and kept for people to look at, per person.
const KEPT: u32 = 200;

/// Why nothing was sent to somebody who is to be told.
pub(super) const NO_CHANNEL: &str =
    "there is no channel: `wsm notify add`, or subscribe in the browser";

/// What is to be told to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whom.
    pub user: String,
    /// Topic.
    pub topic: String,
    /// Id of the agent.
    pub agent: String,
    /// About what.
    pub kind: Kind,
    /// A question or a service.
    pub about: String,
    /// One sentence.
    pub text: String,
    /// Who did it.
    pub actor: String,
    /// Journal row.
    pub seq: u64,
    /// When it happened.
    pub at_ms: u64,
    /// What was told last of this topic.
    pub told: Option<Kind>,
}

/// A notice with all that decides on it.
#[derive(Debug)]
pub struct Due {
    /// The notice.
    pub notice: Notice,
    /// The agent; `None` when it is gone.
    pub record: Option<Record>,
    /// Whether this person may still see it.
    pub may_see: bool,
    /// The person's rules.
    pub rules: Rules,
    /// When this person was last told anything about this agent.
    pub told_ms: Option<u64>,
}

/// What becomes of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is told.
    Told {
        /// What.
        message: Box<Message>,
        /// Until when it is worth it.
        expires_ms: u64,
    },
    /// It is decided again then.
    Later(u64),
    /// It is not told; why, for the person's list.
    HeldBack(Box<Message>, String),
    /// It is not told, and nobody need know.
    Forgotten,
}

/// One message on its way to one channel.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Number.
    pub id: u64,
    /// Whom.
    pub user: String,
    /// Topic.
    pub topic: String,
    /// What.
    pub message: Message,
    /// When it was to be told.
    pub created_ms: u64,
    /// Until when it is worth it.
    pub expires_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// `waiting`, or how it ended.
    pub status: String,
    /// In words.
    pub outcome: String,
    /// When it ended.
    pub done_ms: Option<u64>,
    /// Where to; `None` when it was held back, or the channel was removed.
    pub channel: Option<ChannelRow>,
}

impl Store {
    /// When a notice is due, and a delivery that is not due yet: what is due is under way, or waits
    /// for something that is.
    ///
    /// # Errors
    /// The database said no.
    pub fn next_due(&self, now_ms: u64) -> Result<(Option<u64>, Option<u64>), StoreError> {
        let connection = self.lock();
        let first = |sql: &str, after: i64| -> Result<Option<u64>, StoreError> {
            let found = connection
                .prepare_cached(sql)?
                .query_row([after], |row| row.get::<_, Option<i64>>(0))?;
            Ok(found.map(unsigned))
        };
        let notice = first("SELECT min(due_ms) FROM notice WHERE due_ms > ?1", -1)?;
        let delivery = first(
            "SELECT min(next_ms) FROM delivery WHERE next_ms > ?1",
            signed(now_ms),
        )?;
        Ok((notice, delivery))
    }

    /// Notices whose time has come.
    ///
    /// # Errors
    /// The database said no.
    pub fn due(&self, now_ms: u64, limit: u32) -> Result<Vec<Due>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT n.user, n.topic, n.agent, n.kind, n.about, n.text, n.actor, n.seq, n.at_ms,
             n.told_kind, a.record,
             (SELECT max(told_ms) FROM notice o WHERE o.user = n.user AND o.agent = n.agent),
             EXISTS (SELECT 1 FROM share s WHERE s.agent = n.agent AND s.user = n.user
                     AND (s.expires_ms IS NULL OR s.expires_ms > ?1))
             FROM notice n LEFT JOIN agent a ON a.id = n.agent
             WHERE n.due_ms <= ?1 ORDER BY n.due_ms LIMIT ?2",
        )?;
        let rows = statement.query_map(params![signed(now_ms), limit], |row| {
            let notice = notice(row)?;
            let record: Option<String> = row.get(10)?;
            let told: Option<i64> = row.get(11)?;
            Ok((notice, record, told.map(unsigned), row.get::<_, bool>(12)?))
        })?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let mut due = Vec::new();
        for (notice, record, told_ms, shared) in rows {
            let record: Option<Record> = record.map(|r| serde_json::from_str(&r)).transpose()?;
            let rules = match &record {
                Some(record) => super::rules(&connection, &notice.user, record)?,
                None => Rules::default(),
            };
            let offered = |record: &Record| {
                let offer = record.offered(now_ms);
                offer.is_some_and(|offer| offer.to == notice.user)
            };
            // Of an agent that was handed over its former owner is told just that.
            let may_see = record.as_ref().is_some_and(|record| {
                record.owner == notice.user
                    || shared
                    || offered(record)
                    || notice.topic.ends_with("-handed-over")
                    || notice.kind == Kind::Over
            });
            due.push(Due {
                notice,
                record,
                may_see,
                rules,
                told_ms,
            });
        }
        Ok(due)
    }

    /// Writes down what becomes of a notice, with its deliveries; nothing if a newer one replaced it.
    ///
    /// # Errors
    /// The database said no.
    pub fn settle(
        &self,
        notice: &Notice,
        settled: &Settled,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        let due = match settled {
            Settled::Later(at) => Some(signed(*at)),
            _ => None,
        };
        let changed = tx.execute(
            "UPDATE notice SET due_ms = ?4 WHERE user = ?1 AND topic = ?2 AND seq = ?3
             AND due_ms IS NOT NULL",
            params![notice.user, notice.topic, signed(notice.seq), due],
        )?;
        if changed == 0 {
            return Ok(());
        }
        match settled {
            Settled::Later(_) | Settled::Forgotten => {}
            Settled::HeldBack(message, why) => {
                held_back(&tx, notice, message, why, now_ms)?;
            }
            Settled::Told {
                message,
                expires_ms,
            } => {
                told(&tx, notice, now_ms)?;
                let message = &counted(&tx, &notice.user, message)?;
                let channels = told_to(&tx, notice, now_ms)?;
                if channels.is_empty() && notice.kind != Kind::Over {
                    held_back(&tx, notice, message, NO_CHANNEL, now_ms)?;
                }
                let topic = notice.topic.as_str();
                for channel in channels {
                    deliver(&tx, &channel, topic, message, now_ms, *expires_ms)?;
                }
            }
        }
        prune(&tx, &notice.user)?;
        tx.commit()?;
        Ok(())
    }

    /// Sends a message to these channels, whatever the rules say.
    ///
    /// # Errors
    /// The database said no.
    pub fn send_now(
        &self,
        channels: &[ChannelRow],
        topic: &str,
        message: &Message,
        (now_ms, expires_ms): (u64, u64),
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        for channel in channels {
            deliver(&tx, channel, topic, message, now_ms, expires_ms)?;
            prune(&tx, &channel.user)?;
        }
        tx.commit()?;
        self.notice_soon();
        Ok(())
    }

    /// Deliveries whose time has come, the oldest of each channel.
    ///
    /// # Errors
    /// The database said no.
    pub fn deliverable(&self, now_ms: u64, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let connection = self.lock();
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS}, {CHANNEL_COLUMNS} FROM delivery d
             LEFT JOIN channel c ON c.id = d.channel AND {LIVE}
             WHERE d.id IN (SELECT min(id) FROM delivery WHERE next_ms <= ?1 GROUP BY channel)
             ORDER BY d.id LIMIT ?2"
        );
        read(&connection, &sql, params![signed(now_ms), limit])
    }

    /// A person's deliveries, newest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn deliveries(&self, user: &str, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let connection = self.lock();
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS}, {CHANNEL_COLUMNS} FROM delivery d
             LEFT JOIN channel c ON c.id = d.channel
             WHERE d.user = ?1 ORDER BY d.id DESC LIMIT ?2"
        );
        read(&connection, &sql, params![user, limit])
    }

    /// A delivery ended, unless it had already.
    ///
    /// # Errors
    /// The database said no.
    pub fn delivered(
        &self,
        id: u64,
        status: &str,
        outcome: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.lock().execute(
            "UPDATE delivery SET status = ?2, outcome = ?3, done_ms = ?4, next_ms = NULL,
             attempts = attempts + 1 WHERE id = ?1 AND next_ms IS NOT NULL",
            params![signed(id), status, outcome, signed(now_ms)],
        )?;
        Ok(())
    }

    /// A delivery is tried again; with `origin`, all that goes there waits as long.
    ///
    /// # Errors
    /// The database said no.
    pub fn deliver_again(
        &self,
        id: u64,
        why: &str,
        next_ms: u64,
        origin: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        tx.execute(
            "UPDATE delivery SET outcome = ?2, next_ms = ?3, attempts = attempts + 1
             WHERE id = ?1 AND next_ms IS NOT NULL",
            params![signed(id), why, signed(next_ms)],
        )?;
        if let Some(origin) = origin {
            tx.execute(
                "UPDATE delivery SET next_ms = max(next_ms, ?2) WHERE next_ms IS NOT NULL
                 AND channel IN (SELECT id FROM channel WHERE origin = ?1)",
                params![origin, signed(next_ms)],
            )?;
        }
        tx.commit()?;
        Ok(())
    }
}

const DELIVERY_COLUMNS: &str = "d.id, d.user, d.topic, d.message, d.created_ms, d.expires_ms, \
                                d.attempts, d.status, d.outcome, d.done_ms";

fn read(
    connection: &Connection,
    sql: &str,
    with: impl rusqlite::Params,
) -> Result<Vec<Delivery>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(with, |row| {
        let message: String = row.get(3)?;
        Ok((message, delivery(row)?))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (message, mut delivery) = row?;
        delivery.message = serde_json::from_str(&message)?;
        all.push(delivery);
    }
    Ok(all)
}

fn delivery(row: &SqlRow<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: unsigned(row.get(0)?),
        user: row.get(1)?,
        topic: row.get(2)?,
        message: Message::test("", 0),
        created_ms: unsigned(row.get(4)?),
        expires_ms: unsigned(row.get(5)?),
        attempts: row.get(6)?,
        status: row.get(7)?,
        outcome: row.get(8)?,
        done_ms: row.get::<_, Option<i64>>(9)?.map(unsigned),
        channel: match row.get::<_, Option<String>>(10)? {
            Some(_) => Some(channel(row, 10)?),
            None => None,
        },
    })
}

fn notice(row: &SqlRow<'_>) -> rusqlite::Result<Notice> {
    let kind: String = row.get(3)?;
    let told: Option<String> = row.get(9)?;
    Ok(Notice {
        user: row.get(0)?,
        topic: row.get(1)?,
        agent: row.get(2)?,
        kind: Kind::parse(&kind).unwrap_or(Kind::Over),
        about: row.get(4)?,
        text: row.get(5)?,
        actor: row.get(6)?,
        seq: unsigned(row.get(7)?),
        at_ms: unsigned(row.get(8)?),
        told: told.as_deref().and_then(Kind::parse),
    })
}

/// It was told: what is over is told without a sound.
pub(super) fn told(tx: &Transaction<'_>, notice: &Notice, now_ms: u64) -> Result<(), StoreError> {
    let loud = (notice.kind != Kind::Over).then_some(signed(now_ms));
    tx.execute(
        "UPDATE notice SET told_kind = ?3, told_ms = coalesce(?4, told_ms)
         WHERE user = ?1 AND topic = ?2",
        params![notice.user, notice.topic, notice.kind.as_str(), loud],
    )?;
    Ok(())
}

/// With how many of the agents that this person was told of wait for an answer.
pub(super) fn counted(
    tx: &Transaction<'_>,
    user: &str,
    message: &Message,
) -> Result<Message, StoreError> {
    let sql = "SELECT count(*) FROM notice WHERE user = ?1 AND told_kind = 'blocked'";
    let badge = tx.query_row(sql, [user], |row| row.get(0))?;
    Ok(Message {
        badge: Some(badge),
        ..message.clone()
    })
}

/// Where a notice goes: everywhere, or where it sets right what was told, and can.
pub(super) fn told_to(
    tx: &Transaction<'_>,
    notice: &Notice,
    now_ms: u64,
) -> Result<Vec<ChannelRow>, StoreError> {
    let over = notice.kind == Kind::Over;
    let sql = format!(
        "SELECT {CHANNEL_COLUMNS} FROM channel c WHERE c.user = ?2 AND {LIVE} AND (NOT ?3
         OR c.kind <> 'email' AND EXISTS (SELECT 1 FROM delivery d WHERE d.channel = c.id
            AND d.topic = ?4 AND d.status IN ('sent', 'waiting')))"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let with = params![signed(now_ms), notice.user, over, notice.topic];
    let rows = statement.query_map(with, |row| channel(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn deliver(
    tx: &Transaction<'_>,
    channel: &ChannelRow,
    topic: &str,
    message: &Message,
    now_ms: u64,
    expires_ms: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE delivery SET next_ms = NULL, status = 'replaced', done_ms = ?3,
         outcome = 'a newer one took its place'
         WHERE channel = ?1 AND topic = ?2 AND next_ms IS NOT NULL",
        params![channel.id, topic, signed(now_ms)],
    )?;
    tx.execute(
        "INSERT INTO delivery (user, channel, topic, message, created_ms, expires_ms, attempts,
         next_ms, status, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?5, 'waiting', '')",
        params![
            channel.user,
            channel.id,
            topic,
            serde_json::to_string(message)?,
            signed(now_ms),
            signed(expires_ms)
        ],
    )?;
    Ok(())
}

pub(super) fn held_back(
    tx: &Transaction<'_>,
    notice: &Notice,
    message: &Message,
    why: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO delivery (user, channel, topic, message, created_ms, expires_ms, attempts,
         status, outcome, done_ms) VALUES (?1, '', ?2, ?3, ?4, ?4, 0, 'held-back', ?5, ?4)",
        params![
            notice.user,
            notice.topic,
            serde_json::to_string(message)?,
            signed(now_ms),
            why
        ],
    )?;
    Ok(())
}

/// Forgets the oldest of what is done.
pub(super) fn prune(tx: &Transaction<'_>, user: &str) -> Result<(), StoreError> {
    let oldest: Option<i64> = tx
        .prepare_cached(
            "SELECT id FROM delivery WHERE user = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![user, KEPT], |row| row.get(0))
        .optional()?;
    if let Some(oldest) = oldest {
        tx.execute(
            "DELETE FROM delivery WHERE user = ?1 AND id <= ?2 AND next_ms IS NULL",
            params![user, oldest],
        )?;
    }
    Ok(())
}
