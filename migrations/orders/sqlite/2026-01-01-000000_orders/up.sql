CREATE TABLE carts (
    id BLOB PRIMARY KEY,
    token_hash BLOB,
    user_id BLOB,
    currency TEXT NOT NULL,
    locale TEXT NOT NULL,
    prices_include_tax INTEGER NOT NULL,
    email TEXT,
    shipping_address TEXT,
    billing_address TEXT,
    shipping_option TEXT,
    order_id BLOB,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT carts_held CHECK (token_hash IS NOT NULL OR user_id IS NOT NULL)
) STRICT;

CREATE TABLE cart_lines (
    id BLOB PRIMARY KEY,
    cart_id BLOB NOT NULL REFERENCES carts ON DELETE CASCADE,
    variant_id BLOB NOT NULL,
    title TEXT NOT NULL,
    sku TEXT,
    quantity INTEGER NOT NULL,
    unit_price INTEGER NOT NULL,
    CONSTRAINT cart_lines_quantity CHECK (quantity BETWEEN 1 AND 1000000)
) STRICT;
CREATE UNIQUE INDEX cart_lines_variant ON cart_lines (cart_id, variant_id);

CREATE TABLE orders (
    id BLOB PRIMARY KEY,
    number INTEGER,
    cart_id BLOB NOT NULL,
    token_hash BLOB,
    user_id BLOB,
    status TEXT NOT NULL,
    payment_status TEXT NOT NULL,
    fulfilment_status TEXT NOT NULL,
    currency TEXT NOT NULL,
    locale TEXT NOT NULL,
    prices_include_tax INTEGER NOT NULL,
    email TEXT NOT NULL,
    shipping_address TEXT NOT NULL,
    billing_address TEXT,
    shipping_option TEXT NOT NULL,
    subtotal INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    shipping INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    total INTEGER NOT NULL,
    cancel_reason TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    placed_at INTEGER,
    CONSTRAINT orders_status CHECK (status IN ('pending', 'placed', 'completed', 'cancelled', 'failed')),
    CONSTRAINT orders_payment_status CHECK (payment_status IN ('pending', 'authorised', 'paid', 'partially_refunded', 'refunded', 'voided', 'failed')),
    CONSTRAINT orders_fulfilment_status CHECK (fulfilment_status IN ('unfulfilled', 'partial', 'fulfilled')),
    CONSTRAINT orders_numbered CHECK (status IN ('pending', 'failed') OR (number IS NOT NULL AND placed_at IS NOT NULL)),
    CONSTRAINT orders_total CHECK (total >= 0)
) STRICT;
-- At most one attempt of a cart lives.
CREATE UNIQUE INDEX orders_cart ON orders (cart_id) WHERE status <> 'failed';
CREATE UNIQUE INDEX orders_number ON orders (number);
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_by_status ON orders (status, id);

CREATE TABLE order_lines (
    order_id BLOB NOT NULL REFERENCES orders,
    position INTEGER NOT NULL,
    id BLOB NOT NULL,
    variant_id BLOB NOT NULL,
    title TEXT NOT NULL,
    sku TEXT,
    quantity INTEGER NOT NULL,
    unit_price INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (order_id, position),
    CONSTRAINT order_lines_quantity CHECK (quantity > 0)
) STRICT;

CREATE TABLE payments (
    order_id BLOB PRIMARY KEY REFERENCES orders,
    provider TEXT NOT NULL,
    reference TEXT NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    next_action TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT payments_status CHECK (status IN ('action', 'pending', 'authorised', 'declined', 'voided')),
    CONSTRAINT payments_amount CHECK (amount >= 0)
) STRICT;
CREATE UNIQUE INDEX payments_reference ON payments (provider, reference);

-- What is under way for an order: each step is an UPDATE .. WHERE step = ? AND epoch = ?
CREATE TABLE processes (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders,
    kind TEXT NOT NULL,
    step TEXT NOT NULL,
    provider TEXT,
    epoch INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    CONSTRAINT processes_kind CHECK (kind IN ('checkout', 'cancel', 'ship'))
) STRICT;
CREATE UNIQUE INDEX processes_open ON processes (order_id) WHERE done_at IS NULL;
CREATE INDEX processes_due ON processes (lease_until) WHERE done_at IS NULL;

CREATE TABLE shipments (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders,
    carrier TEXT,
    tracking_number TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX shipments_order ON shipments (order_id);
