-- What happened, written in the transaction that made it happen. `position` orders the events of one subject.
CREATE TABLE outbox (
    position bigserial PRIMARY KEY,
    id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject uuid NOT NULL,
    payload jsonb NOT NULL,
    trace text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    published_at timestamptz
);
CREATE UNIQUE INDEX outbox_id ON outbox (id);
CREATE INDEX outbox_unpublished ON outbox (position) WHERE published_at IS NULL;
