-- A payment is there before its provider is asked, so that whoever speaks first finds it. `captured` and `refunded` is
-- what was moved, `capture_asked` and `refund_asked` what was promised to be: never beyond what was paid. `released` is
-- what the provider let go of uncaptured. `late_at`: the provider took money for an order that had failed by then; it
-- was given back.
CREATE TABLE payments_new (
    order_id BLOB PRIMARY KEY REFERENCES orders,
    provider TEXT NOT NULL,
    reference TEXT,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    next_action TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    captured INTEGER NOT NULL DEFAULT 0,
    capture_asked INTEGER NOT NULL DEFAULT 0,
    refunded INTEGER NOT NULL DEFAULT 0,
    refund_asked INTEGER NOT NULL DEFAULT 0,
    released INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    late_at INTEGER,
    CONSTRAINT payments_status CHECK (status IN ('open', 'action', 'pending', 'authorised', 'declined', 'voided')),
    CONSTRAINT payments_amount CHECK (amount >= 0),
    CONSTRAINT payments_captured CHECK (0 <= captured AND captured <= capture_asked AND 0 <= released AND capture_asked + released <= amount),
    CONSTRAINT payments_refunded CHECK (0 <= refunded AND refunded <= refund_asked AND refund_asked <= captured)
) STRICT;
INSERT INTO payments_new (order_id, provider, reference, status, amount, currency, next_action, created_at, updated_at)
    SELECT order_id, provider, reference, status, amount, currency, next_action, created_at, updated_at FROM payments;
DROP TABLE payments;
ALTER TABLE payments_new RENAME TO payments;
CREATE UNIQUE INDEX payments_reference ON payments (provider, reference);

-- Captures and refunds: each is a wish of its own, and its id the provider's idempotency key.
CREATE TABLE payment_moves (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    reason TEXT,
    state TEXT NOT NULL,
    reference TEXT,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    CONSTRAINT payment_moves_kind CHECK (kind IN ('capture', 'refund')),
    CONSTRAINT payment_moves_state CHECK (state IN ('asked', 'done', 'refused')),
    CONSTRAINT payment_moves_amount CHECK (amount > 0)
) STRICT;
CREATE INDEX payment_moves_order ON payment_moves (order_id);

-- What is asked for is kept, so that whoever drives a process on needs nobody to ask again: `input` is the reason, the
-- parcel, the move; `claim` the Idempotency-Key's record, so that a retry finds the process it began; `wake_at` until
-- when, by the shop's clock, its buyer is waited for; `turn` counts what the provider answered with an error of its own.
CREATE TABLE processes_new (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders,
    kind TEXT NOT NULL,
    step TEXT NOT NULL,
    provider TEXT,
    epoch INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    input TEXT,
    claim BLOB,
    wake_at INTEGER,
    tries INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT processes_kind CHECK (kind IN ('checkout', 'cancel', 'ship', 'capture', 'refund', 'revert'))
) STRICT;
INSERT INTO processes_new (id, order_id, kind, step, provider, epoch, lease_until, created_at, done_at)
    SELECT id, order_id, kind, step, provider, epoch, lease_until, created_at, done_at FROM processes;
DROP TABLE processes;
ALTER TABLE processes_new RENAME TO processes;
CREATE UNIQUE INDEX processes_open ON processes (order_id) WHERE done_at IS NULL;
CREATE INDEX processes_due ON processes (lease_until) WHERE done_at IS NULL;
CREATE UNIQUE INDEX processes_claim ON processes (claim) WHERE claim IS NOT NULL;
-- Whose buyer was waited for when nobody said how long, is waited for as long as goods are held.
UPDATE processes SET wake_at = created_at + 900000000 WHERE step = 'action' AND done_at IS NULL;
