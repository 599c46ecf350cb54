-- The journal's chains (audit.rs). Rows that stood before are chained in when this is run.

ALTER TABLE journal ADD COLUMN via     TEXT NOT NULL DEFAULT '';   -- uid:N, device:ID, token:ID
ALTER TABLE journal ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN before  TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN after   TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN class   TEXT NOT NULL DEFAULT '';   -- person, wsm
ALTER TABLE journal ADD COLUMN prev    INTEGER NOT NULL DEFAULT 0; -- number of the row before it
ALTER TABLE journal ADD COLUMN chain   BLOB NOT NULL DEFAULT x'';  -- SHA-256

CREATE INDEX journal_class ON journal (class, seq);

-- The newest row that is gone from the old end of a chain.
CREATE TABLE journal_base (
    class TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL,
    chain BLOB NOT NULL
) STRICT;
