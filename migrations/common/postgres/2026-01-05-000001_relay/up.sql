-- Who does what only one process may do at a time, and until when by this database's clock.
CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY,
    owner uuid NOT NULL,
    leased_until timestamptz NOT NULL
);
-- What this domain was told, each event once, in the order in which it came.
CREATE TABLE inbox (
    position bigserial PRIMARY KEY,
    id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    event jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    tries bigint NOT NULL,
    due_at timestamptz,
    error text,
    handled_at timestamptz,
    dead_at timestamptz,
    CONSTRAINT inbox_ended_once CHECK (handled_at IS NULL OR dead_at IS NULL)
);
CREATE UNIQUE INDEX inbox_id ON inbox (id);
CREATE INDEX inbox_waiting ON inbox (position) WHERE handled_at IS NULL AND dead_at IS NULL;
CREATE INDEX inbox_unhandled ON inbox (subject, position) WHERE handled_at IS NULL;
CREATE INDEX inbox_handled_at ON inbox (handled_at) WHERE handled_at IS NOT NULL;
-- How far a broker's stream was kept in the inbox.
CREATE TABLE heard (
    stream text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL
);
-- What is complete only since then: what was older is deleted when its time is over.
CREATE TABLE forgotten (
    name text COLLATE "C" PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE INDEX outbox_published_at ON outbox (published_at) WHERE published_at IS NOT NULL;
