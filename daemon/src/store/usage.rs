//! What agents used over the last day: a file of its own, which may be lost.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::{StoreError, signed};
use crate::usage::Sample;

/// Each row is five minutes of one agent.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS sample (
    agent  TEXT NOT NULL,
    at_ms  INTEGER NOT NULL,
    sample TEXT NOT NULL,
    PRIMARY KEY (agent, at_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sample_at ON sample (at_ms);";

/// The file; cheap to clone.
#[derive(Debug, Clone)]
pub struct UsageStore(Arc<Mutex<Connection>>);

impl UsageStore {
    /// Opens or makes it; one that can't be used is made anew.
    ///
    /// # Errors
    /// It can't be made.
    pub fn open(path: &Path) -> Result<UsageStore, StoreError> {
        let connection = match open(path) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "what agents used is forgotten");
                for ending in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(ending);
                    // What is not there need not go; what stays is told of below.
                    drop(std::fs::remove_file(name));
                }
                open(path)?
            }
        };
        Ok(UsageStore(Arc::new(Mutex::new(connection))))
    }

    /// Adds samples, and forgets those from before `keep_ms`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn add(&self, samples: &[(String, Sample)], keep_ms: u64) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        {
            let sql = "INSERT OR REPLACE INTO sample (agent, at_ms, sample) VALUES (?1, ?2, ?3)";
            let mut insert = tx.prepare_cached(sql)?;
            for (agent, sample) in samples {
                let text = serde_json::to_string(sample)?;
                insert.execute(params![agent, signed(sample.at_ms), text])?;
            }
        }
        tx.execute("DELETE FROM sample WHERE at_ms < ?1", [signed(keep_ms)])?;
        tx.commit()?;
        Ok(())
    }

    /// An agent's samples that ended after `since_ms`, oldest first.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn of(&self, agent: &str, since_ms: u64) -> Result<Vec<Sample>, StoreError> {
        let connection = self.lock();
        let sql = "SELECT sample FROM sample WHERE agent = ?1 AND at_ms > ?2 ORDER BY at_ms";
        let mut statement = connection.prepare_cached(sql)?;
        let texts = statement.query_map(params![agent, signed(since_ms)], |row| {
            row.get::<_, String>(0)
        })?;
        texts
            .map(|text| Ok(serde_json::from_str(&text?)?))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // It may be lost: nothing waits for the disk.
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_kept_and_a_broken_file_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage.db");
        let sample = |at_ms| Sample {
            at_ms,
            ms: 300_000,
            ..Sample::default()
        };
        let store = UsageStore::open(&path).unwrap();
        let two = [("a".to_owned(), sample(10)), ("a".to_owned(), sample(20))];
        store.add(&two, 0).unwrap();
        store.add(&[("b".to_owned(), sample(30))], 20).unwrap();
        drop(store);
        let store = UsageStore::open(&path).unwrap();
        assert_eq!(store.of("a", 0).unwrap(), [sample(20)]);
        assert_eq!(store.of("a", 20).unwrap(), []);
        assert_eq!(store.of("b", 0).unwrap(), [sample(30)]);
        drop(store);
        std::fs::write(&path, "no database at all, but long enough to be looked at").unwrap();
        assert_eq!(UsageStore::open(&path).unwrap().of("b", 0).unwrap(), []);
    }
}
