CREATE TABLE orders (
    id BLOB PRIMARY KEY NOT NULL, cart_id BLOB NOT NULL, status TEXT NOT NULL, currency TEXT NOT NULL, total INTEGER NOT NULL,
    note TEXT, address TEXT NOT NULL, placed_at INTEGER, created_at INTEGER NOT NULL,
    CONSTRAINT orders_total_positive CHECK (total >= 0)
) STRICT;
CREATE UNIQUE INDEX orders_cart_open ON orders (cart_id) WHERE status <> 'failed';
CREATE TABLE lines (
    order_id BLOB NOT NULL REFERENCES orders, position INTEGER NOT NULL, variant_id BLOB NOT NULL, quantity INTEGER NOT NULL,
    price INTEGER NOT NULL, PRIMARY KEY (order_id, position)
) STRICT;
CREATE TABLE stock (
    variant_id BLOB PRIMARY KEY NOT NULL, on_hand INTEGER NOT NULL, reserved INTEGER NOT NULL,
    CONSTRAINT stock_not_oversold CHECK (reserved BETWEEN 0 AND on_hand)
) STRICT;
