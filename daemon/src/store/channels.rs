//! Rules of notifications and the channels they go by: rows, and the closed set of their changes.

use rusqlite::{OptionalExtension, Row as SqlRow, Transaction, params};

use super::{Store, StoreError, signed, unsigned};

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// Id.
    pub id: String,
    /// Whose.
    pub user: String,
    /// `push`, `ntfy`, `webhook`, `email`.
    pub kind: String,
    /// A name for people.
    pub label: String,
    /// Endpoint, URL, mail address.
    pub address: String,
    /// What answers for its speed.
    pub origin: String,
    /// Id of the device that it ends with.
    pub device: Option<String>,
    /// What links begin with; empty: what the host says.
    pub page: String,
    /// Keys and tokens, sealed.
    pub secret: Vec<u8>,
    /// Counts subscriptions at the same endpoint.
    pub generation: u64,
    /// Since when.
    pub created_ms: u64,
}

/// A change; goes with its journal row into [`super::Change::notify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// Adds a channel. A subscription at a known endpoint, or of a known device, takes its place.
    Channel(ChannelRow),
    /// Removes a channel: id, and which generation, if not any.
    ChannelGone(String, Option<u64>),
    /// Rules of a person: user, agent's id or empty, JSON or nothing.
    Rules(String, String, Option<String>),
}

/// Columns of a channel `c`.
pub(super) const CHANNEL_COLUMNS: &str = "c.id, c.user, c.kind, c.label, c.address, c.origin, \
                                          c.device, c.page, c.secret, c.generation, c.created_ms";

/// That a channel `c` is none of a device that ended; `?1` is now.
pub(super) const LIVE: &str = "(c.device IS NULL OR EXISTS (SELECT 1 FROM device v \
                               WHERE v.id = c.device AND v.revoked_ms IS NULL \
                               AND (v.expires_ms IS NULL OR v.expires_ms > ?1)))";

/// Reads a channel whose columns begin at `at`.
pub(super) fn channel(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<ChannelRow> {
    Ok(ChannelRow {
        id: row.get(at)?,
        user: row.get(at + 1)?,
        kind: row.get(at + 2)?,
        label: row.get(at + 3)?,
        address: row.get(at + 4)?,
        origin: row.get(at + 5)?,
        device: row.get(at + 6)?,
        page: row.get(at + 7)?,
        secret: row.get(at + 8)?,
        generation: unsigned(row.get(at + 9)?),
        created_ms: unsigned(row.get(at + 10)?),
    })
}

/// Writes one change.
pub(super) fn write(tx: &Transaction<'_>, change: &Notify) -> Result<(), StoreError> {
    match change {
        Notify::Channel(channel) => write_channel(tx, channel),
        Notify::ChannelGone(id, generation) => {
            let sql = "DELETE FROM channel WHERE id = ?1 AND (?2 IS NULL OR generation = ?2)";
            match tx.execute(sql, params![id, generation.map(signed)])? {
                0 => Err(StoreError::Gone),
                _ => Ok(()),
            }
        }
        Notify::Rules(user, agent, Some(rules)) => {
            tx.execute(
                "INSERT INTO notify_rule (user, agent, rules) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user, agent) DO UPDATE SET rules = excluded.rules",
                [user, agent, rules],
            )?;
            Ok(())
        }
        Notify::Rules(user, agent, None) => {
            let sql = "DELETE FROM notify_rule WHERE user = ?1 AND agent = ?2";
            tx.execute(sql, [user, agent])?;
            Ok(())
        }
    }
}

fn write_channel(tx: &Transaction<'_>, channel: &ChannelRow) -> Result<(), StoreError> {
    let mut generation = channel.generation;
    if channel.kind == "push" {
        let sql = "SELECT generation FROM channel WHERE kind = 'push' AND address = ?1";
        let before = tx.query_row(sql, [&channel.address], |row| row.get(0));
        if let Some(before) = before.optional()? {
            generation = unsigned(before) + 1;
        }
        tx.execute(
            "DELETE FROM channel WHERE kind = 'push' AND (address = ?1 OR device = ?2)",
            params![channel.address, channel.device],
        )?;
    }
    tx.execute(
        "INSERT INTO channel (id, user, kind, label, address, origin, device, page, secret,
         generation, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            channel.id,
            channel.user,
            channel.kind,
            channel.label,
            channel.address,
            channel.origin,
            channel.device,
            channel.page,
            channel.secret,
            signed(generation),
            signed(channel.created_ms)
        ],
    )?;
    Ok(())
}

impl Store {
    /// A person's channels that are good, oldest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn channels(&self, user: &str, now_ms: u64) -> Result<Vec<ChannelRow>, StoreError> {
        let connection = self.lock();
        let sql = format!(
            "SELECT {CHANNEL_COLUMNS} FROM channel c WHERE c.user = ?2 AND {LIVE}
             ORDER BY c.created_ms, c.id"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![signed(now_ms), user], |row| channel(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A person's rules: agent's id or empty, JSON.
    ///
    /// # Errors
    /// The database said no.
    pub fn notify_rules(&self, user: &str) -> Result<Vec<(String, String)>, StoreError> {
        let connection = self.lock();
        let sql = "SELECT agent, rules FROM notify_rule WHERE user = ?1 ORDER BY agent";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
