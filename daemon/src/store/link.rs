//! Links to watch an agent by: rows, and how they are read.

use rusqlite::{Row as SqlRow, Transaction, params};

use super::{Store, StoreError, signed, unsigned};

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Id.
    pub id: String,
    /// Id of the agent.
    pub agent: String,
    /// Who owned it then: the link is good under no other.
    pub owner: String,
    /// SHA-256 of its value.
    pub hash: [u8; 32],
    /// Who made it.
    pub made_by: String,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
    /// When it was used last.
    pub used_ms: Option<u64>,
    /// From where.
    pub address: String,
}

const LINK: &str =
    "SELECT id, agent, owner, hash, made_by, created_ms, expires_ms, used_ms, address
                    FROM link";

/// Adds one.
pub(super) fn add(tx: &Transaction<'_>, link: &LinkRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO link (id, agent, owner, hash, made_by, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            link.id,
            link.agent,
            link.owner,
            link.hash,
            link.made_by,
            signed(link.created_ms),
            signed(link.expires_ms)
        ],
    )?;
    Ok(())
}

/// Removes one; how many there were.
pub(super) fn remove(tx: &Transaction<'_>, id: &str) -> Result<usize, StoreError> {
    Ok(tx.execute("DELETE FROM link WHERE id = ?1", [id])?)
}

/// Ends those of an agent that were made under another owner: nothing brings them back.
pub(super) fn owned_by(tx: &Transaction<'_>, agent: &str, owner: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM link WHERE agent = ?1 AND owner <> ?2";
    tx.prepare_cached(sql)?.execute([agent, owner])?;
    Ok(())
}

/// Ends those that a user made of what was others' then.
pub(super) fn of_others(tx: &Transaction<'_>, made_by: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM link WHERE made_by = ?1 AND owner <> ?1";
    tx.execute(sql, [made_by])?;
    Ok(())
}

impl Store {
    /// The link whose value has this hash, whether it is good or not.
    ///
    /// # Errors
    /// The database said no; so for every method below.
    pub fn link_by_hash(&self, hash: &[u8; 32]) -> Result<Option<LinkRow>, StoreError> {
        self.one(&format!("{LINK} WHERE hash = ?1"), [hash], link)
    }

    /// The link of this id, whether it is good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn link(&self, id: &str) -> Result<Option<LinkRow>, StoreError> {
        self.one(&format!("{LINK} WHERE id = ?1"), [id], link)
    }

    /// Links of an agent, oldest first, whether they are good or not.
    ///
    /// # Errors
    /// The database said no.
    pub fn links(&self, agent: &str) -> Result<Vec<LinkRow>, StoreError> {
        let sql = format!("{LINK} WHERE agent = ?1 ORDER BY created_ms, id");
        self.many(&sql, [agent], link)
    }

    /// Links that have ended by themselves at this time.
    ///
    /// # Errors
    /// The database said no.
    pub fn ended_links(&self, now_ms: u64) -> Result<Vec<LinkRow>, StoreError> {
        let sql = format!("{LINK} WHERE expires_ms <= ?1 ORDER BY expires_ms");
        self.many(&sql, [signed(now_ms)], link)
    }

    /// A link was used.
    ///
    /// # Errors
    /// The database said no.
    pub fn link_used(&self, id: &str, at_ms: u64, address: &str) -> Result<(), StoreError> {
        let sql = "UPDATE link SET used_ms = ?2, address = ?3 WHERE id = ?1";
        self.lock()
            .execute(sql, params![id, signed(at_ms), address])?;
        Ok(())
    }
}

fn link(row: &SqlRow<'_>) -> rusqlite::Result<LinkRow> {
    Ok(LinkRow {
        id: row.get(0)?,
        agent: row.get(1)?,
        owner: row.get(2)?,
        hash: row.get(3)?,
        made_by: row.get(4)?,
        created_ms: unsigned(row.get(5)?),
        expires_ms: unsigned(row.get(6)?),
        used_ms: row.get::<_, Option<i64>>(7)?.map(unsigned),
        address: row.get(8)?,
    })
}
