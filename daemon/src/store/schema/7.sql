-- Repositories that whoever is not on the machine may make agents of.

CREATE TABLE repository (
    user       TEXT NOT NULL REFERENCES user (name),
    name       TEXT NOT NULL,
    grant_id   TEXT NOT NULL,         -- the broker's, which checks it at every use
    path       TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (user, name)
) STRICT;
