//! The journal: rows are added with their link to the row before them, and read.

use std::fs::File;
use std::io;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as SqlRow, Transaction, params};

use super::{Row, Store, StoreError, Stored, signed, unsigned};
use crate::audit::{Class, Hash, Known, Link, Verdict, Verifier, WSM_ROWS_MAX, link};

/// The version of the schema that has chains.
pub(super) const CHAINED: u32 = 3;

/// How many rows go at once: it is looked at every so many rows.
const WSM_ROWS_STEP: u64 = 1_000;

const COLUMNS: &str = "seq, at_ms, actor, via, address, verb, subject, message, before, after, \
                       prev, chain";

/// What is looked for; `None`: whatever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Rows after this number.
    pub after: u64,
    /// Of this user.
    pub actor: Option<String>,
    /// On this subject.
    pub subject: Option<String>,
    /// A verb, or the beginning of one that ends with a dot.
    pub verb: Option<String>,
    /// Not before, milliseconds since the epoch.
    pub since_ms: Option<u64>,
    /// Before, milliseconds since the epoch.
    pub until_ms: Option<u64>,
    /// The newest rows rather than the oldest; still oldest first.
    pub newest: bool,
    /// How many at most.
    pub limit: u32,
}

/// Adds a row to the end of its chain.
pub(super) fn append(tx: &Transaction<'_>, row: &Row) -> Result<u64, StoreError> {
    let class = Class::of(&row.actor.user);
    let end = end(tx, class)?;
    let last: Option<i64> = tx
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")?
        .query_row([], |found| found.get(0))
        .optional()?;
    let seq = unsigned(last.unwrap_or(0)) + 1;
    let mut entry = Stored {
        seq,
        at_ms: row.at_ms,
        actor: row.actor.user.clone(),
        via: row.actor.via.clone(),
        address: row.actor.address.clone(),
        verb: row.verb.to_owned(),
        subject: row.subject.clone(),
        message: row.message.clone(),
        before: row.before.clone(),
        after: row.after.clone(),
        prev: end.seq,
        chain: Hash::default(),
    };
    entry.chain = link(&end.chain, &entry);
    tx.prepare_cached(
        "INSERT INTO journal (seq, at_ms, actor, via, address, verb, subject, message, before,
         after, prev, chain, class) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        signed(entry.seq),
        signed(entry.at_ms),
        entry.actor,
        entry.via,
        entry.address,
        entry.verb,
        entry.subject,
        entry.message,
        entry.before,
        entry.after,
        signed(entry.prev),
        entry.chain,
        class.as_str()
    ])?;
    if class == Class::Wsm && seq.is_multiple_of(WSM_ROWS_STEP) {
        shorten(tx, WSM_ROWS_MAX)?;
    }
    Ok(seq)
}

/// The newest row of a chain, or what its next one follows.
fn end(connection: &Connection, class: Class) -> Result<Link, StoreError> {
    let sql = "SELECT seq, chain FROM journal WHERE class = ?1 ORDER BY seq DESC LIMIT 1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([class.as_str()], read_link)
        .optional()?;
    match found {
        Some(end) => Ok(end),
        None => base(connection, class),
    }
}

fn base(connection: &Connection, class: Class) -> Result<Link, StoreError> {
    let sql = "SELECT seq, chain FROM journal_base WHERE class = ?1";
    let found = connection.query_row(sql, [class.as_str()], read_link);
    Ok(found.optional()?.unwrap_or_default())
}

fn read_link(row: &SqlRow<'_>) -> rusqlite::Result<Link> {
    Ok(Link {
        seq: unsigned(row.get(0)?),
        chain: row.get(1)?,
    })
}

/// Takes the oldest rows of wsm's own away; what is left goes on from the newest of them.
pub(super) fn shorten(tx: &Transaction<'_>, keep: u64) -> Result<(), StoreError> {
    let sql = "SELECT seq, chain FROM journal WHERE class = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
    let with = params![Class::Wsm.as_str(), signed(keep)];
    let newest = tx.query_row(sql, with, read_link).optional()?;
    newest.map_or(Ok(()), |newest| cut(tx, Class::Wsm, newest))
}

/// Takes the rows of both chains up to this number away.
pub(super) fn rotate(tx: &Transaction<'_>, through: u64) -> Result<(), StoreError> {
    for class in Class::ALL {
        if let Some(at) = newest(tx, class, through)? {
            cut(tx, class, at)?;
        }
    }
    Ok(())
}

/// The newest row of a chain that is not after this number.
fn newest(connection: &Connection, class: Class, through: u64) -> Result<Option<Link>, StoreError> {
    let sql = "SELECT seq, chain FROM journal WHERE class = ?1 AND seq <= ?2
               ORDER BY seq DESC LIMIT 1";
    let with = params![class.as_str(), signed(through)];
    Ok(connection.query_row(sql, with, read_link).optional()?)
}

/// A chain begins behind this row from now on.
fn cut(tx: &Transaction<'_>, class: Class, at: Link) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO journal_base (class, seq, chain) VALUES (?1, ?2, ?3)
         ON CONFLICT (class) DO UPDATE SET seq = excluded.seq, chain = excluded.chain",
        params![class.as_str(), signed(at.seq), at.chain],
    )?;
    tx.execute(
        "DELETE FROM journal WHERE class = ?1 AND seq <= ?2",
        params![class.as_str(), signed(at.seq)],
    )?;
    Ok(())
}

/// Chains in the rows of a database that knew of no chains.
pub(super) fn chain_all(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let mut ends = [Link::default(); 2];
    let mut read = tx.prepare(
        "SELECT seq, at_ms, actor, via, address, verb, subject, message, before, after, prev,
         zeroblob(32) FROM journal ORDER BY seq",
    )?;
    let mut write =
        tx.prepare("UPDATE journal SET class = ?2, prev = ?3, chain = ?4 WHERE seq = ?1")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let mut entry = stored(row)?;
        let class = Class::of(&entry.actor);
        let end = &mut ends[class as usize];
        entry.prev = end.seq;
        entry.chain = link(&end.chain, &entry);
        let (seq, prev) = (signed(entry.seq), signed(entry.prev));
        write.execute(params![seq, class.as_str(), prev, entry.chain])?;
        *end = Link {
            seq: entry.seq,
            chain: entry.chain,
        };
    }
    Ok(())
}

fn stored(row: &SqlRow<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: unsigned(row.get(0)?),
        at_ms: unsigned(row.get(1)?),
        actor: row.get(2)?,
        via: row.get(3)?,
        address: row.get(4)?,
        verb: row.get(5)?,
        subject: row.get(6)?,
        message: row.get(7)?,
        before: row.get(8)?,
        after: row.get(9)?,
        prev: unsigned(row.get(10)?),
        chain: row.get(11)?,
    })
}

impl Store {
    /// Journal rows after `after`, oldest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn journal(&self, after: u64, limit: u32) -> Result<Vec<Stored>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        self.rows(&sql, params![signed(after), limit])
    }

    /// Newest rows about one subject, newest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn about(&self, subject: &str, limit: u32) -> Result<Vec<Stored>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM journal WHERE subject = ?1 ORDER BY seq DESC LIMIT ?2");
        self.rows(&sql, params![subject, limit])
    }

    /// Rows that a query finds, oldest first.
    ///
    /// # Errors
    /// The database said no.
    pub fn query(&self, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let order = if query.newest { "DESC" } else { "ASC" };
        // A verb that ends with a dot means all that begin so.
        let sql = format!(
            "SELECT {COLUMNS} FROM journal WHERE seq > ?1
             AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR subject = ?3)
             AND (?4 IS NULL OR verb = ?4 OR (substr(?4, -1) = '.'
                  AND substr(verb, 1, length(?4)) = ?4))
             AND (?5 IS NULL OR at_ms >= ?5) AND (?6 IS NULL OR at_ms < ?6)
             ORDER BY seq {order} LIMIT ?7"
        );
        let mut rows = self.rows(
            &sql,
            params![
                signed(query.after),
                query.actor,
                query.subject,
                query.verb,
                query.since_ms.map(signed),
                query.until_ms.map(signed),
                query.limit
            ],
        )?;
        if query.newest {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Goes through the whole journal as it is at one moment, beside everything else. Takes long.
    ///
    /// # Errors
    /// The database said no, or a row can't be read.
    pub fn verify(&self, known: &Known) -> Result<Verdict, StoreError> {
        let mut connection =
            Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let tx = connection.transaction()?;
        let bases = [base(&tx, Class::Person)?, base(&tx, Class::Wsm)?];
        let mut verifier = Verifier::new(bases, known);
        let sql = format!("SELECT {COLUMNS} FROM journal ORDER BY seq");
        let mut statement = tx.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            verifier.push(&stored(row)?);
        }
        Ok(verifier.finish())
    }

    /// Where both chains begin: people's, wsm's.
    ///
    /// # Errors
    /// The database said no.
    pub fn bases(&self) -> Result<[Link; 2], StoreError> {
        let connection = self.lock();
        Ok([
            base(&connection, Class::Person)?,
            base(&connection, Class::Wsm)?,
        ])
    }

    /// Where both would begin if the rows up to this number were taken out.
    ///
    /// # Errors
    /// The database said no.
    pub fn bases_at(&self, through: u64) -> Result<[Link; 2], StoreError> {
        let connection = self.lock();
        let at = |class| match newest(&connection, class, through)? {
            Some(at) => Ok(at),
            None => base(&connection, class),
        };
        Ok([at(Class::Person)?, at(Class::Wsm)?])
    }

    /// Where both chains end: people's, wsm's.
    ///
    /// # Errors
    /// The database said no.
    pub fn ends(&self) -> Result<[Link; 2], StoreError> {
        let connection = self.lock();
        Ok([
            end(&connection, Class::Person)?,
            end(&connection, Class::Wsm)?,
        ])
    }

    /// The same, once no power cut takes these rows back: what root writes down of them stays.
    ///
    /// # Errors
    /// The database or the disk said no.
    pub fn settled_ends(&self) -> Result<[Link; 2], StoreError> {
        let ends = self.ends()?;
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        match File::open(log).and_then(|log| log.sync_data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Disk(error)),
            _ => Ok(ends),
        }
    }

    fn rows(&self, sql: &str, with: impl rusqlite::Params) -> Result<Vec<Stored>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(with, stored)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
