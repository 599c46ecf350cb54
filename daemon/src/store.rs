//! SQLite: the agents, the journal, and the one way to change both together.
//!
//! One connection behind a lock; every statement is short (WAL, one page or two). SQL lives here
//! and below, nowhere else.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::watch;

use crate::actor::Who;
use crate::fault;
use crate::record::Record;

mod channels;
mod journal;
mod link;
mod outbox;
mod people;
mod repositories;
#[cfg(test)]
mod tests;
mod usage;

/// A journal row as stored.
pub use crate::audit::Entry as Stored;
pub use channels::{ChannelRow, Notify};
pub use journal::Query;
pub use link::LinkRow;
pub use outbox::{Delivery, Due, Notice, Settled};
pub use people::{DeviceRow, InviteRow, People, ShareRow, TokenRow, UserRow};
pub use repositories::{RepositoryChange, RepositoryRow};
pub use usage::UsageStore;

/// What leads from each version of the schema to the next; the first makes an empty database.
const SCHEMA: [&str; SCHEMA_VERSION as usize] = [
    include_str!("store/schema/1.sql"),
    include_str!("store/schema/2.sql"),
    include_str!("store/schema/3.sql"),
    include_str!("store/schema/4.sql"),
    include_str!("store/schema/5.sql"),
    include_str!("store/schema/6.sql"),
    include_str!("store/schema/7.sql"),
];

/// Version of the schema; a database with a newer one is refused.
const SCHEMA_VERSION: u32 = 7;

/// The database could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The disk said no.
    #[error("disk: {0}")]
    Disk(std::io::Error),
    /// A stored document does not read back.
    #[error("stored document: {0}")]
    Document(#[from] serde_json::Error),
    /// Written by a newer wsm.
    #[error(
        "the database was written by a newer wsm (schema {0}, this one knows {SCHEMA_VERSION})"
    )]
    Newer(u32),
    /// The name is in use, by an agent or in the trash.
    #[error("an agent named {0} exists, or lies in the trash")]
    NameTaken(String),
    /// It was done already, or there is no such thing.
    #[error("there is no such thing any more")]
    Gone,
}

impl StoreError {
    /// There is no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let StoreError::Sql(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}

/// A journal row to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When it happened, milliseconds since the epoch.
    pub at_ms: u64,
    /// Who: a wsm user, or `wsm`.
    pub actor: Who,
    /// What: `agent.created` …
    pub verb: &'static str,
    /// On what: an agent's id, or `host`.
    pub subject: String,
    /// In words.
    pub message: String,
    /// What it was before, where that can be said in a word.
    pub before: String,
    /// What it is now.
    pub after: String,
}

impl Row {
    /// Says what it was, and what it is now.
    #[must_use]
    pub fn changed(mut self, before: &str, after: &str) -> Row {
        self.before = before.to_owned();
        self.after = after.to_owned();
        self
    }
}

/// A change: never without a row. Agents and ports change in the same transaction.
#[derive(Debug)]
pub struct Change<'a> {
    row: Row,
    more: Vec<Row>,
    agent: Option<&'a Record>,
    erased: Option<&'a str>,
    trust: Option<(&'a str, &'a str, &'a str)>,
    people: Vec<People>,
    notify: Vec<Notify>,
    repository: Option<RepositoryChange>,
    rotated: Option<u64>,
}

impl<'a> Change<'a> {
    /// A change that this row tells of.
    #[must_use]
    pub fn new(row: Row) -> Change<'a> {
        Change {
            row,
            more: Vec::new(),
            agent: None,
            erased: None,
            trust: None,
            people: Vec::new(),
            notify: Vec::new(),
            repository: None,
            rotated: None,
        }
    }

    /// Writes the agent's record and its port leases.
    #[must_use]
    pub fn agent(mut self, record: &'a Record) -> Change<'a> {
        self.agent = Some(record);
        self
    }

    /// Another row of the same change.
    #[must_use]
    pub fn row(mut self, row: Row) -> Change<'a> {
        self.more.push(row);
        self
    }

    /// Deletes the agent with this id; its journal rows stay.
    #[must_use]
    pub fn erased(mut self, id: &'a str) -> Change<'a> {
        self.erased = Some(id);
        self
    }

    /// Remembers that `owner` trusts what `repository` brings (by digest).
    #[must_use]
    pub fn trust(mut self, owner: &'a str, repository: &'a str, digest: &'a str) -> Change<'a> {
        self.trust = Some((owner, repository, digest));
        self
    }

    /// Takes all rows up to this number out of the journal; those after it go on from them.
    #[must_use]
    pub fn rotated(mut self, through: u64) -> Change<'a> {
        self.rotated = Some(through);
        self
    }

    /// Changes users, tokens, devices, invitations or shares; in the order of the calls.
    #[must_use]
    pub fn people(mut self, people: People) -> Change<'a> {
        self.people.push(people);
        self
    }

    /// Changes rules and channels of notifications; in the order of the calls.
    #[must_use]
    pub fn notify(mut self, notify: Notify) -> Change<'a> {
        self.notify.push(notify);
        self
    }

    /// Registers a repository, or takes one out.
    #[must_use]
    pub fn repository(mut self, change: RepositoryChange) -> Change<'a> {
        self.repository = Some(change);
        self
    }
}

/// The database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    path: Arc<Path>,
    connection: Arc<Mutex<Connection>>,
    newest: Arc<watch::Sender<u64>>,
    rights: Arc<watch::Sender<()>>,
}

impl Store {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// It can't be opened, is damaged, or is newer than this program.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        upgrade(&mut connection)?;
        let newest: i64 =
            connection.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |r| {
                r.get(0)
            })?;
        let (newest, _) = watch::channel(unsigned(newest));
        Ok(Store {
            path: path.into(),
            connection: Arc::new(Mutex::new(connection)),
            newest: Arc::new(newest),
            rights: Arc::new(watch::channel(()).0),
        })
    }

    /// Writes a change and its rows, or nothing.
    ///
    /// # Errors
    /// The database said no; nothing was changed.
    pub fn commit(&self, change: &Change<'_>) -> Result<u64, StoreError> {
        let act = fault::commit(&change.row);
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        if let Some(record) = change.agent {
            write_agent(&tx, record)?;
        }
        if let Some(id) = change.erased {
            tx.execute("DELETE FROM port WHERE agent = ?1", [id])?;
            tx.execute("DELETE FROM share WHERE agent = ?1", [id])?;
            tx.execute("DELETE FROM link WHERE agent = ?1", [id])?;
            tx.execute("DELETE FROM agent WHERE id = ?1", [id])?;
        }
        if let Some((owner, repository, digest)) = change.trust {
            tx.execute(
                "INSERT OR IGNORE INTO trust (owner, repository, digest) VALUES (?1, ?2, ?3)",
                [owner, repository, digest],
            )?;
        }
        for one in &change.people {
            people::write(&tx, one)?;
        }
        for one in &change.notify {
            channels::write(&tx, one)?;
        }
        if let Some(change) = &change.repository {
            repositories::write(&tx, change)?;
        }
        if let Some(through) = change.rotated {
            journal::rotate(&tx, through)?;
        }
        let mut seq = 0;
        for row in std::iter::once(&change.row).chain(&change.more) {
            seq = journal::append(&tx, row)?;
            outbox::note(&tx, seq, row, change.agent)?;
        }
        tx.commit()?;
        drop(connection);
        act.done();
        self.newest.send_replace(seq);
        if !change.people.is_empty() {
            self.rights_changed();
        }
        Ok(seq)
    }

    /// Wakes whoever follows the newest sequence number, which stays: there is something to deliver.
    fn notice_soon(&self) {
        self.newest.send_modify(|_| {});
    }

    /// Somebody may have another right than before.
    pub fn rights_changed(&self) {
        self.rights.send_replace(());
    }

    /// Is told whenever somebody may have another right than before.
    #[must_use]
    pub fn rights(&self) -> watch::Receiver<()> {
        self.rights.subscribe()
    }

    /// Follows the newest sequence number.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Every agent, the trash included.
    ///
    /// # Errors
    /// The database said no.
    pub fn agents(&self) -> Result<Vec<Record>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT record FROM agent ORDER BY name")?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
        texts
            .map(|text| Ok(serde_json::from_str(&text?)?))
            .collect()
    }

    /// Host ports that are leased.
    ///
    /// # Errors
    /// The database said no.
    pub fn leased_ports(&self) -> Result<HashSet<u16>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT port FROM port")?;
        let ports = statement.query_map([], |row| row.get::<_, u16>(0))?;
        Ok(ports.collect::<Result<_, _>>()?)
    }

    /// Whether `owner` trusts what `repository` brings.
    ///
    /// # Errors
    /// The database said no.
    pub fn trusts(&self, owner: &str, repository: &str, digest: &str) -> Result<bool, StoreError> {
        let found = self
            .lock()
            .query_row(
                "SELECT 1 FROM trust WHERE owner = ?1 AND repository = ?2 AND digest = ?3",
                [owner, repository, digest],
                |_| Ok(()),
            )
            .optional()?;
        Ok(found.is_some())
    }

    /// Lets the database grow by this many pages from now on; `None`: as far as the disk goes.
    #[cfg(test)]
    pub(crate) fn leave_pages(&self, pages: Option<u32>) {
        let connection = self.lock();
        let count: u32 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .expect("it reads");
        let most = pages.map_or(u32::MAX - 1, |pages| count + pages);
        connection
            .pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))
            .expect("a bound");
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while the lock is held rolled its transaction back: the connection is sound.
        self.connection
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Brings an older database, or an empty one, to this version: each step whole or not at all.
fn upgrade(connection: &mut Connection) -> Result<(), StoreError> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer(version));
    }
    for (version, sql) in (1..).zip(SCHEMA).skip(version as usize) {
        let tx = connection.transaction()?;
        tx.execute_batch(sql)?;
        if version == journal::CHAINED {
            journal::chain_all(&tx)?;
        }
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

fn write_agent(tx: &Transaction<'_>, record: &Record) -> Result<(), StoreError> {
    let id = record.id.as_str();
    let taken = tx
        .query_row(
            "SELECT id FROM agent WHERE name = ?1 AND id <> ?2",
            [record.name.as_str(), id],
            |_| Ok(()),
        )
        .optional()?;
    if taken.is_some() {
        return Err(StoreError::NameTaken(record.name.to_string()));
    }
    let text = serde_json::to_string(record)?;
    tx.execute(
        "INSERT INTO agent (id, name, record) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        [id, record.name.as_str(), &text],
    )?;
    link::owned_by(tx, id, &record.owner)?;
    tx.execute("DELETE FROM port WHERE agent = ?1", [id])?;
    for port in &record.ports {
        if let Some(outside) = port.outside {
            tx.execute(
                "INSERT INTO port (port, agent, name) VALUES (?1, ?2, ?3)",
                params![outside, id, port.name],
            )?;
        }
    }
    Ok(())
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC, to the millisecond.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX));
    time.map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
