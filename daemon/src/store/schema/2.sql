-- People. A local account needs no row until something is written down of it.

CREATE TABLE user (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    uid        INTEGER,               -- the Unix account that comes in as this user and owns the files
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
    id         TEXT PRIMARY KEY,
    user       TEXT NOT NULL REFERENCES user (name),
    label      TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,  -- SHA-256 of 256 random bits: the value itself is nowhere
    scope      TEXT NOT NULL,
    agents     TEXT NOT NULL,         -- JSON list of ids, or null for all
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    used_ms    INTEGER,               -- to the minute; changes without a journal row
    address    TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE device (
    id         TEXT PRIMARY KEY,
    user       TEXT NOT NULL REFERENCES user (name),
    label      TEXT NOT NULL,
    kind       TEXT NOT NULL,         -- session, passkey
    hash       BLOB UNIQUE,           -- of a session's cookie
    credential TEXT,                  -- a passkey's public half, JSON
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    used_ms    INTEGER,               -- as above
    address    TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE invite (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    user       TEXT NOT NULL,
    role       TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms    INTEGER
) STRICT;

CREATE TABLE share (
    agent      TEXT NOT NULL REFERENCES agent (id),
    user       TEXT NOT NULL REFERENCES user (name),
    role       TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    PRIMARY KEY (agent, user)
) STRICT;

CREATE INDEX token_user ON token (user);
CREATE INDEX device_user ON device (user);
CREATE INDEX share_user ON share (user);
