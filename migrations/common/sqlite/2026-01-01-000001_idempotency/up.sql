-- A request with an Idempotency-Key: who claimed it, and its answer, encrypted under that key.
CREATE TABLE idempotency (
    record BLOB PRIMARY KEY NOT NULL,
    request BLOB NOT NULL,
    owner BLOB NOT NULL,
    leased_until INTEGER NOT NULL,
    nonce BLOB,
    answer BLOB,
    created_at INTEGER NOT NULL,
    CONSTRAINT idempotency_answer_has_nonce CHECK ((nonce IS NULL) = (answer IS NULL))
) STRICT;
CREATE INDEX idempotency_created_at ON idempotency (created_at);
