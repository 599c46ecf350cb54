-- Sessions reach as far as what they were made with; invitations bring shares along.

ALTER TABLE device ADD COLUMN scope  TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE device ADD COLUMN agents TEXT NOT NULL DEFAULT 'null';  -- as of a token
ALTER TABLE device ADD COLUMN token  TEXT;             -- the token that it was made with, and ends with
ALTER TABLE device ADD COLUMN passkey TEXT;            -- the passkey (a device) that it was made with

ALTER TABLE invite ADD COLUMN revoked_ms INTEGER;
ALTER TABLE invite ADD COLUMN shares TEXT NOT NULL DEFAULT '[]';    -- JSON list of agent and role

CREATE INDEX device_token ON device (token);
