-- A request with an Idempotency-Key: who claimed it, and its answer, encrypted under that key.
CREATE TABLE idempotency (
    record bytea PRIMARY KEY,
    request bytea NOT NULL,
    owner uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    nonce bytea,
    answer bytea,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_answer_has_nonce CHECK ((nonce IS NULL) = (answer IS NULL))
);
CREATE INDEX idempotency_created_at ON idempotency (created_at);
