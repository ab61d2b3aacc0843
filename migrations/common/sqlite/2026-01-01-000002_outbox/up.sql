-- What happened, written in the transaction that made it happen. `position` orders the events of one subject.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    payload TEXT NOT NULL,
    trace TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    published_at INTEGER
) STRICT;
CREATE UNIQUE INDEX outbox_id ON outbox (id);
CREATE INDEX outbox_unpublished ON outbox (position) WHERE published_at IS NULL;
