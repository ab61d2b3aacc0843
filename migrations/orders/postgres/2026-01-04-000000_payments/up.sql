-- A payment is there before its provider is asked, so that whoever speaks first finds it. `captured` and `refunded` is
-- what was moved, `capture_asked` and `refund_asked` what was promised to be: never beyond what was paid. `released` is
-- what the provider let go of uncaptured.
ALTER TABLE payments
    ALTER COLUMN reference DROP NOT NULL,
    ADD COLUMN captured bigint NOT NULL DEFAULT 0,
    ADD COLUMN capture_asked bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
    ADD COLUMN refund_asked bigint NOT NULL DEFAULT 0,
    ADD COLUMN released bigint NOT NULL DEFAULT 0,
    -- Why it was declined, for the buyer.
    ADD COLUMN reason text,
    -- The provider took money for an order that had failed by then; it was given back.
    ADD COLUMN late_at timestamptz,
    DROP CONSTRAINT payments_status,
    ADD CONSTRAINT payments_status CHECK (status IN ('open', 'action', 'pending', 'authorised', 'declined', 'voided')),
    ADD CONSTRAINT payments_captured CHECK (0 <= captured AND captured <= capture_asked AND 0 <= released AND capture_asked + released <= amount),
    ADD CONSTRAINT payments_refunded CHECK (0 <= refunded AND refunded <= refund_asked AND refund_asked <= captured);

-- Captures and refunds: each is a wish of its own, and its id the provider's idempotency key.
CREATE TABLE payment_moves (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders,
    kind text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    reason text,
    state text COLLATE "C" NOT NULL,
    reference text COLLATE "C",
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT payment_moves_kind CHECK (kind IN ('capture', 'refund')),
    CONSTRAINT payment_moves_state CHECK (state IN ('asked', 'done', 'refused')),
    CONSTRAINT payment_moves_amount CHECK (amount > 0)
);
CREATE INDEX payment_moves_order ON payment_moves (order_id);

-- What is asked for is kept, so that whoever drives a process on needs nobody to ask again: `input` is the reason, the
-- parcel, the move; `claim` the Idempotency-Key's record, so that a retry finds the process it began; `wake_at` until
-- when, by the shop's clock, its buyer is waited for; `turn` counts what the provider answered with an error of its own.
ALTER TABLE processes
    ADD COLUMN input jsonb,
    ADD COLUMN claim bytea,
    ADD COLUMN wake_at timestamptz,
    ADD COLUMN tries bigint NOT NULL DEFAULT 0,
    ADD COLUMN turn bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT processes_kind,
    ADD CONSTRAINT processes_kind CHECK (kind IN ('checkout', 'cancel', 'ship', 'capture', 'refund', 'revert'));
CREATE UNIQUE INDEX processes_claim ON processes (claim) WHERE claim IS NOT NULL;
-- Whose buyer was waited for when nobody said how long, is waited for as long as goods are held.
UPDATE processes SET wake_at = created_at + interval '15 minutes' WHERE step = 'action' AND done_at IS NULL;
