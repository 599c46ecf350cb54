-- Links to watch an agent by: who has one needs to be no user (ADR 26).

CREATE TABLE link (
    id         TEXT PRIMARY KEY,
    agent      TEXT NOT NULL REFERENCES agent (id),
    owner      TEXT NOT NULL,         -- of the agent when it was made: good under no other
    hash       BLOB NOT NULL UNIQUE,  -- SHA-256 of 256 random bits
    made_by    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms    INTEGER,               -- to the minute; changes without a journal row
    address    TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX link_agent ON link (agent);
