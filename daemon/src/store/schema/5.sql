-- Notifications. `notice` is written in the transaction of the journal row that it tells of; the
-- notifier makes deliveries of it. Both are queues of what the journal says: their changes have no
-- rows of their own. Rules and channels have.

CREATE TABLE notice (
    user      TEXT NOT NULL,
    topic     TEXT NOT NULL,           -- one row per person and topic: the newest
    agent     TEXT NOT NULL,           -- id
    kind      TEXT NOT NULL,
    about     TEXT NOT NULL,           -- a question or a service
    text      TEXT NOT NULL,
    actor     TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    due_ms    INTEGER,                 -- NULL: decided
    told_kind TEXT,                    -- what was told last of this topic
    told_ms   INTEGER,
    PRIMARY KEY (user, topic)
) STRICT;

CREATE INDEX notice_due ON notice (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX notice_agent ON notice (agent);

CREATE TABLE notify_rule (
    user  TEXT NOT NULL,
    agent TEXT NOT NULL,               -- id; empty: every agent
    rules TEXT NOT NULL,               -- JSON
    PRIMARY KEY (user, agent)
) STRICT;

CREATE TABLE channel (
    id         TEXT PRIMARY KEY,
    user       TEXT NOT NULL,
    kind       TEXT NOT NULL,          -- push, ntfy, webhook, email
    label      TEXT NOT NULL,
    address    TEXT NOT NULL,          -- endpoint, URL, mail address
    origin     TEXT NOT NULL,          -- what answers for its speed
    device     TEXT,                   -- ends with it
    page       TEXT NOT NULL,          -- what links begin with
    secret     BLOB NOT NULL,          -- keys and tokens, sealed with a key that lies beside the database
    generation INTEGER NOT NULL,       -- counts subscriptions at the same endpoint
    created_ms INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX channel_endpoint ON channel (address) WHERE kind = 'push';
CREATE INDEX channel_user ON channel (user);

CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user       TEXT NOT NULL,
    channel    TEXT NOT NULL,          -- empty: held back from all
    topic      TEXT NOT NULL,
    message    TEXT NOT NULL,          -- JSON
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    next_ms    INTEGER,                -- NULL: done
    status     TEXT NOT NULL,          -- waiting, sent, failed, gone, expired, replaced, held-back
    outcome    TEXT NOT NULL,
    done_ms    INTEGER
) STRICT;

CREATE INDEX delivery_next ON delivery (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX delivery_user ON delivery (user, id);
CREATE INDEX delivery_channel ON delivery (channel, id);

-- Whatever ends a person, a device or an agent ends what hangs on it.
CREATE TRIGGER channel_of_user AFTER DELETE ON user BEGIN
    DELETE FROM channel WHERE user = OLD.name;
    DELETE FROM notice WHERE user = OLD.name;
    DELETE FROM notify_rule WHERE user = OLD.name;
END;

CREATE TRIGGER channel_of_device AFTER UPDATE OF revoked_ms ON device
WHEN NEW.revoked_ms IS NOT NULL BEGIN
    DELETE FROM channel WHERE device = NEW.id;
END;

CREATE TRIGGER channel_of_lost_device AFTER DELETE ON device BEGIN
    DELETE FROM channel WHERE device = OLD.id;
END;

CREATE TRIGGER notice_of_agent AFTER DELETE ON agent BEGIN
    DELETE FROM notice WHERE agent = OLD.id;
    DELETE FROM notify_rule WHERE agent = OLD.id;
END;

CREATE TRIGGER delivery_of_channel AFTER DELETE ON channel BEGIN
    UPDATE delivery SET next_ms = NULL, status = 'gone', outcome = 'the channel was removed'
    WHERE channel = OLD.id AND next_ms IS NOT NULL;
END;
