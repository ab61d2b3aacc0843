-- Where the journal stands: one row, made with the first event. Whoever writes to the journal, or changes what an
-- endpoint hears, locks it; so positions are in the order of commits. `purged` is the last position that is gone.
CREATE TABLE journal_head (
    id bigint PRIMARY KEY,
    position bigint NOT NULL,
    purged bigint NOT NULL,
    CONSTRAINT journal_head_one CHECK (id = 1),
    CONSTRAINT journal_head_purged CHECK (0 <= purged AND purged <= position)
);

-- Every event that was heard, as it is told.
CREATE TABLE journal (
    position bigint PRIMARY KEY,
    event_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    envelope text NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX journal_event ON journal (event_id);
CREATE INDEX journal_recorded_at ON journal (recorded_at);

-- `hears_from`: the events after this position are matched with the patterns as they are now. `secret` begins with a byte
-- that says how it lies here. `failures` in a row since `failing_since`.
CREATE TABLE endpoints (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    description text,
    paused_at timestamptz,
    paused_reason text COLLATE "C",
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    hears_from bigint NOT NULL,
    failures bigint NOT NULL,
    failing_since timestamptz,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT endpoints_paused CHECK ((paused_at IS NULL) = (paused_reason IS NULL)),
    CONSTRAINT endpoints_paused_reason CHECK (paused_reason IN ('asked', 'gone', 'failing')),
    CONSTRAINT endpoints_old_secret CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT endpoints_failing CHECK ((failures = 0) = (failing_since IS NULL))
);

CREATE TABLE endpoint_patterns (
    endpoint_id uuid NOT NULL REFERENCES endpoints ON DELETE CASCADE,
    pattern text COLLATE "C" NOT NULL,
    PRIMARY KEY (endpoint_id, pattern)
);

-- An event on its way to an endpoint. Whoever tries has it until `leased_until`, and ends with an UPDATE .. WHERE epoch = ?
-- What is pending at a paused endpoint is held. `tries` counts since it was last asked for, `attempts` all of them, `redelivered` how
-- often staff asked for it again.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES endpoints,
    event_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    body text NOT NULL,
    state text COLLATE "C" NOT NULL,
    tries bigint NOT NULL,
    attempts bigint NOT NULL,
    redelivered bigint NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    epoch bigint NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT deliveries_state CHECK (state IN ('pending', 'delivered', 'failed')),
    CONSTRAINT deliveries_finished CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT deliveries_tries CHECK (0 <= tries AND tries <= attempts)
);
CREATE UNIQUE INDEX deliveries_event ON deliveries (endpoint_id, event_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, position) WHERE state = 'pending';
CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_created_at ON deliveries (created_at);

-- `status` is what the endpoint answered, or `error` why it did not.
CREATE TABLE attempts (
    delivery_id uuid NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    latency_ms bigint NOT NULL,
    status bigint,
    error text COLLATE "C",
    answer text,
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT attempts_outcome CHECK ((status IS NULL) <> (error IS NULL))
);

-- What staff should look at: one open notice for what it is about, counted where it happens again.
CREATE TABLE notices (
    id uuid PRIMARY KEY,
    about text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    data jsonb NOT NULL,
    times bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by uuid,
    CONSTRAINT notices_acknowledged CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CONSTRAINT notices_times CHECK (times > 0)
);
CREATE UNIQUE INDEX notices_open ON notices (about, subject) WHERE acknowledged_at IS NULL;
