//! Reading users, tokens, devices, invitations and shares.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row as SqlRow, params};

use super::{DeviceRow, InviteRow, ShareRow, TokenRow, UserRow};
use crate::role::AgentRole;
use crate::store::{Store, StoreError, signed, unsigned};

const USER: &str = "SELECT name, role, uid, created_ms FROM user";
const TOKEN: &str = "SELECT id, user, label, hash, scope, agents, created_ms, expires_ms,
                     revoked_ms, used_ms, address FROM token";
const DEVICE: &str = "SELECT id, user, label, kind, hash, credential, created_ms, expires_ms,
                      revoked_ms, used_ms, address, scope, agents, token, passkey FROM device";
const INVITE: &str = "SELECT id, hash, user, role, made_by, created_ms, expires_ms, used_ms,
                      revoked_ms, shares FROM invite";
const SHARE: &str = "SELECT agent, user, role, made_by, created_ms, expires_ms FROM share";

impl Store {
    /// The user of this name.
    ///
    /// # Errors
    /// The database said no; so for every method below.
    pub fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        self.one(&format!("{USER} WHERE name = ?1"), [name], user)
    }

    /// Every user that something is written down of, by name.
    ///
    /// # Errors
    /// The database said no.
    pub fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.many(&format!("{USER} ORDER BY name"), [], user)
    }

    /// The token whose value has this hash, whether it is good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        self.one(&format!("{TOKEN} WHERE hash = ?1"), [hash], token)
    }

    /// The token with this id, whether it is good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn token(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        self.one(&format!("{TOKEN} WHERE id = ?1"), [id], token)
    }

    /// Tokens of one user or of all, oldest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn tokens(&self, of: Option<&str>) -> Result<Vec<TokenRow>, StoreError> {
        let sql = format!("{TOKEN} WHERE ?1 IS NULL OR user = ?1 ORDER BY created_ms, id");
        self.many(&sql, [of], token)
    }

    /// A token was used.
    ///
    /// # Errors
    /// The database said no.
    pub fn token_used(&self, id: &str, at_ms: u64, address: &str) -> Result<(), StoreError> {
        let sql = "UPDATE token SET used_ms = ?2, address = ?3 WHERE id = ?1";
        self.lock()
            .execute(sql, params![id, signed(at_ms), address])?;
        Ok(())
    }

    /// The device whose cookie has this hash, whether it is good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn device_by_hash(&self, hash: &[u8; 32]) -> Result<Option<DeviceRow>, StoreError> {
        self.one(&format!("{DEVICE} WHERE hash = ?1"), [hash], device)
    }

    /// The device with this id, whether it is good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn device(&self, id: &str) -> Result<Option<DeviceRow>, StoreError> {
        self.one(&format!("{DEVICE} WHERE id = ?1"), [id], device)
    }

    /// Devices of one user or of all, oldest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn devices(&self, of: Option<&str>) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = format!("{DEVICE} WHERE ?1 IS NULL OR user = ?1 ORDER BY created_ms, id");
        self.many(&sql, [of], device)
    }

    /// A device was used.
    ///
    /// # Errors
    /// The database said no.
    pub fn device_used(&self, id: &str, at_ms: u64, address: &str) -> Result<(), StoreError> {
        let sql = "UPDATE device SET used_ms = ?2, address = ?3 WHERE id = ?1";
        self.lock()
            .execute(sql, params![id, signed(at_ms), address])?;
        Ok(())
    }

    /// The invitation whose value has this hash, whether it is good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn invite_by_hash(&self, hash: &[u8; 32]) -> Result<Option<InviteRow>, StoreError> {
        self.one(&format!("{INVITE} WHERE hash = ?1"), [hash], invite)
    }

    /// Every invitation, oldest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn invites(&self) -> Result<Vec<InviteRow>, StoreError> {
        self.many(&format!("{INVITE} ORDER BY created_ms, id"), [], invite)
    }

    /// What a user's role on an agent is by a share that holds at this time.
    ///
    /// # Errors
    /// The database said no.
    pub fn shared(
        &self,
        agent: &str,
        user: &str,
        now_ms: u64,
    ) -> Result<Option<AgentRole>, StoreError> {
        let sql = "SELECT role FROM share WHERE agent = ?1 AND user = ?2
                   AND (expires_ms IS NULL OR expires_ms > ?3)";
        let with = params![agent, user, signed(now_ms)];
        self.one(sql, with, |row| word(row, 0))
    }

    /// All that is shared with a user at this time, by the agents' ids.
    ///
    /// # Errors
    /// The database said no.
    pub fn shared_with(
        &self,
        user: &str,
        now_ms: u64,
    ) -> Result<HashMap<String, AgentRole>, StoreError> {
        let sql = "SELECT agent, role FROM share WHERE user = ?1
                   AND (expires_ms IS NULL OR expires_ms > ?2)";
        let rows = self.many(sql, params![user, signed(now_ms)], |row| {
            Ok((row.get(0)?, word(row, 1)?))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Shares of an agent, those that have ended too.
    ///
    /// # Errors
    /// The database said no.
    pub fn shares(&self, agent: &str) -> Result<Vec<ShareRow>, StoreError> {
        self.many(
            &format!("{SHARE} WHERE agent = ?1 ORDER BY user"),
            [agent],
            share,
        )
    }

    fn one<T>(
        &self,
        sql: &str,
        with: impl rusqlite::Params,
        read: fn(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_row(with, read).optional()?)
    }

    fn many<T>(
        &self,
        sql: &str,
        with: impl rusqlite::Params,
        read: fn(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(with, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// A word that must be one of those that its kind knows.
fn word<T: std::str::FromStr<Err = String>>(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    text.parse().map_err(|why: String| odd(at, why))
}

fn odd(at: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, why.into())
}

fn time(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(unsigned))
}

fn user(row: &SqlRow<'_>) -> rusqlite::Result<UserRow> {
    Ok(UserRow {
        name: row.get(0)?,
        role: word(row, 1)?,
        uid: row.get(2)?,
        created_ms: unsigned(row.get(3)?),
    })
}

fn token(row: &SqlRow<'_>) -> rusqlite::Result<TokenRow> {
    let agents: String = row.get(5)?;
    Ok(TokenRow {
        id: row.get(0)?,
        user: row.get(1)?,
        label: row.get(2)?,
        hash: row.get(3)?,
        scope: word(row, 4)?,
        agents: serde_json::from_str(&agents).map_err(|e| odd(5, e.to_string()))?,
        created_ms: unsigned(row.get(6)?),
        expires_ms: unsigned(row.get(7)?),
        revoked_ms: time(row, 8)?,
        used_ms: time(row, 9)?,
        address: row.get(10)?,
    })
}

fn device(row: &SqlRow<'_>) -> rusqlite::Result<DeviceRow> {
    let agents: String = row.get(12)?;
    Ok(DeviceRow {
        id: row.get(0)?,
        user: row.get(1)?,
        label: row.get(2)?,
        kind: row.get(3)?,
        hash: row.get(4)?,
        credential: row.get(5)?,
        scope: word(row, 11)?,
        agents: serde_json::from_str(&agents).map_err(|e| odd(12, e.to_string()))?,
        token: row.get(13)?,
        passkey: row.get(14)?,
        created_ms: unsigned(row.get(6)?),
        expires_ms: time(row, 7)?,
        revoked_ms: time(row, 8)?,
        used_ms: time(row, 9)?,
        address: row.get(10)?,
    })
}

fn invite(row: &SqlRow<'_>) -> rusqlite::Result<InviteRow> {
    let shares: String = row.get(9)?;
    Ok(InviteRow {
        id: row.get(0)?,
        hash: row.get(1)?,
        user: row.get(2)?,
        role: word(row, 3)?,
        made_by: row.get(4)?,
        created_ms: unsigned(row.get(5)?),
        expires_ms: unsigned(row.get(6)?),
        used_ms: time(row, 7)?,
        revoked_ms: time(row, 8)?,
        shares: serde_json::from_str(&shares).map_err(|e| odd(9, e.to_string()))?,
    })
}

fn share(row: &SqlRow<'_>) -> rusqlite::Result<ShareRow> {
    Ok(ShareRow {
        agent: row.get(0)?,
        user: row.get(1)?,
        role: word(row, 2)?,
        made_by: row.get(3)?,
        created_ms: unsigned(row.get(4)?),
        expires_ms: time(row, 5)?,
    })
}
