CREATE TABLE orders (
    id uuid PRIMARY KEY, cart_id uuid NOT NULL, status text COLLATE "C" NOT NULL, currency text NOT NULL, total bigint NOT NULL,
    note text, address jsonb NOT NULL, placed_at timestamptz, created_at timestamptz NOT NULL,
    CONSTRAINT orders_total_positive CHECK (total >= 0)
);
CREATE UNIQUE INDEX orders_cart_open ON orders (cart_id) WHERE status <> 'failed';
CREATE TABLE lines (
    order_id uuid NOT NULL REFERENCES orders, position integer NOT NULL, variant_id uuid NOT NULL, quantity bigint NOT NULL,
    price bigint NOT NULL, PRIMARY KEY (order_id, position)
);
CREATE TABLE stock (
    variant_id uuid PRIMARY KEY, on_hand bigint NOT NULL, reserved bigint NOT NULL,
    CONSTRAINT stock_not_oversold CHECK (reserved BETWEEN 0 AND on_hand)
);
