-- Who does what only one process may do at a time, and until when by this database's clock.
CREATE TABLE leases (
    name TEXT PRIMARY KEY NOT NULL,
    owner BLOB NOT NULL,
    leased_until INTEGER NOT NULL
) STRICT;
-- What this domain was told, each event once, in the order in which it came.
CREATE TABLE inbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    event TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER,
    error TEXT,
    handled_at INTEGER,
    dead_at INTEGER,
    CONSTRAINT inbox_ended_once CHECK (handled_at IS NULL OR dead_at IS NULL)
) STRICT;
CREATE UNIQUE INDEX inbox_id ON inbox (id);
CREATE INDEX inbox_waiting ON inbox (position) WHERE handled_at IS NULL AND dead_at IS NULL;
CREATE INDEX inbox_unhandled ON inbox (subject, position) WHERE handled_at IS NULL;
CREATE INDEX inbox_handled_at ON inbox (handled_at) WHERE handled_at IS NOT NULL;
-- How far a broker's stream was kept in the inbox.
CREATE TABLE heard (
    stream TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL
) STRICT;
-- What is complete only since then: what was older is deleted when its time is over.
CREATE TABLE forgotten (
    name TEXT PRIMARY KEY NOT NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_published_at ON outbox (published_at) WHERE published_at IS NOT NULL;
