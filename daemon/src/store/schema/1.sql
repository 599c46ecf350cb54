-- Every change of `agent`, `port` or `trust` is committed together with its `journal` row.

CREATE TABLE agent (
    id     TEXT PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,      -- the trash included: names become host names
    record TEXT NOT NULL              -- JSON, see record.rs
) STRICT;

CREATE TABLE port (
    port  INTEGER PRIMARY KEY,        -- on the host
    agent TEXT NOT NULL REFERENCES agent (id),
    name  TEXT NOT NULL
) STRICT;

CREATE TABLE trust (
    owner      TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    PRIMARY KEY (owner, repository, digest)
) STRICT;

CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    verb    TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX journal_subject ON journal (subject, seq);
