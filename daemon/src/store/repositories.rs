//! Repositories that were registered for users.

use rusqlite::{OptionalExtension, Row as SqlRow, Transaction, params};

use super::{Store, StoreError, signed, unsigned};

const COLUMNS: &str = "user, name, grant_id, path, made_by, created_ms";

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Who may make agents of it.
    pub user: String,
    /// Name, one of each for a user.
    pub name: String,
    /// The broker's grant.
    pub grant: String,
    /// Its working tree when it was registered.
    pub path: String,
    /// Who registered it.
    pub made_by: String,
    /// When.
    pub created_ms: u64,
}

/// A change; goes with its journal row into [`super::Change::repository`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryChange {
    /// It is registered.
    Added(RepositoryRow),
    /// It is not any more: user, name.
    Removed(String, String),
}

pub(super) fn write(tx: &Transaction<'_>, change: &RepositoryChange) -> Result<(), StoreError> {
    match change {
        RepositoryChange::Added(row) => tx.execute(
            &format!("INSERT INTO repository ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![
                row.user,
                row.name,
                row.grant,
                row.path,
                row.made_by,
                signed(row.created_ms)
            ],
        )?,
        RepositoryChange::Removed(user, name) => tx.execute(
            "DELETE FROM repository WHERE user = ?1 AND name = ?2",
            [user, name],
        )?,
    };
    Ok(())
}

fn repository(row: &SqlRow<'_>) -> rusqlite::Result<RepositoryRow> {
    Ok(RepositoryRow {
        user: row.get(0)?,
        name: row.get(1)?,
        grant: row.get(2)?,
        path: row.get(3)?,
        made_by: row.get(4)?,
        created_ms: unsigned(row.get(5)?),
    })
}

impl Store {
    /// Every registered repository, by user and name.
    ///
    /// # Errors
    /// The database said no.
    pub fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM repository ORDER BY user, name");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], repository)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One of a user's.
    ///
    /// # Errors
    /// The database said no.
    pub fn repository(&self, user: &str, name: &str) -> Result<Option<RepositoryRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM repository WHERE user = ?1 AND name = ?2");
        let found = self.lock().query_row(&sql, [user, name], repository);
        Ok(found.optional()?)
    }
}
