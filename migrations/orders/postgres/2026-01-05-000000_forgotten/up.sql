-- Users whose account is gone, for as long as something here may still name them: an order that is under way, which needs
-- its address, and whatever an access token that outlives its account may make. An order that was anonymised has no user,
-- no token, an empty email address and null as its shipping address.
CREATE TABLE forgotten_users (
    user_id uuid PRIMARY KEY,
    heard_at timestamptz NOT NULL
);
ALTER TABLE orders ADD COLUMN anonymised_at timestamptz;
CREATE INDEX carts_user ON carts (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX carts_order ON carts (order_id) WHERE order_id IS NOT NULL;
