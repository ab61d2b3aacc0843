-- Where the journal stands: one row, made with the first event. Whoever writes to the journal, or changes what an
-- endpoint hears, locks it; so positions are in the order of commits. `purged` is the last position that is gone.
CREATE TABLE journal_head (
    id INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    purged INTEGER NOT NULL,
    CONSTRAINT journal_head_one CHECK (id = 1),
    CONSTRAINT journal_head_purged CHECK (0 <= purged AND purged <= position)
) STRICT;

-- Every event that was heard, as it is told.
CREATE TABLE journal (
    position INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    envelope TEXT NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_event ON journal (event_id);
CREATE INDEX journal_recorded_at ON journal (recorded_at);

-- `hears_from`: the events after this position are matched with the patterns as they are now. `secret` begins with a byte
-- that says how it lies here. `failures` in a row since `failing_since`.
CREATE TABLE endpoints (
    id BLOB PRIMARY KEY,
    url TEXT NOT NULL,
    description TEXT,
    paused_at INTEGER,
    paused_reason TEXT,
    secret BLOB NOT NULL,
    old_secret BLOB,
    old_secret_until INTEGER,
    hears_from INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    CONSTRAINT endpoints_paused CHECK ((paused_at IS NULL) = (paused_reason IS NULL)),
    CONSTRAINT endpoints_paused_reason CHECK (paused_reason IN ('asked', 'gone', 'failing')),
    CONSTRAINT endpoints_old_secret CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT endpoints_failing CHECK ((failures = 0) = (failing_since IS NULL))
) STRICT;

CREATE TABLE endpoint_patterns (
    endpoint_id BLOB NOT NULL REFERENCES endpoints ON DELETE CASCADE,
    pattern TEXT NOT NULL,
    PRIMARY KEY (endpoint_id, pattern)
) STRICT;

-- An event on its way to an endpoint. Whoever tries has it until `leased_until`, and ends with an UPDATE .. WHERE epoch = ?
-- What is pending at a paused endpoint is held. `tries` counts since it was last asked for, `attempts` all of them, `redelivered` how
-- often staff asked for it again.
CREATE TABLE deliveries (
    id BLOB PRIMARY KEY,
    endpoint_id BLOB NOT NULL REFERENCES endpoints,
    event_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    redelivered INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    leased_until INTEGER,
    epoch INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    CONSTRAINT deliveries_state CHECK (state IN ('pending', 'delivered', 'failed')),
    CONSTRAINT deliveries_finished CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT deliveries_tries CHECK (0 <= tries AND tries <= attempts)
) STRICT;
CREATE UNIQUE INDEX deliveries_event ON deliveries (endpoint_id, event_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, position) WHERE state = 'pending';
CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_created_at ON deliveries (created_at);

-- `status` is what the endpoint answered, or `error` why it did not.
CREATE TABLE attempts (
    delivery_id BLOB NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    answer TEXT,
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT attempts_outcome CHECK ((status IS NULL) <> (error IS NULL))
) STRICT;

-- What staff should look at: one open notice for what it is about, counted where it happens again.
CREATE TABLE notices (
    id BLOB PRIMARY KEY,
    about TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    times INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by BLOB,
    CONSTRAINT notices_acknowledged CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CONSTRAINT notices_times CHECK (times > 0)
) STRICT;
CREATE UNIQUE INDEX notices_open ON notices (about, subject) WHERE acknowledged_at IS NULL;
