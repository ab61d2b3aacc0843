CREATE TABLE carts (
    id uuid PRIMARY KEY,
    token_hash bytea,
    user_id uuid,
    currency text COLLATE "C" NOT NULL,
    locale text NOT NULL,
    prices_include_tax boolean NOT NULL,
    email text,
    shipping_address jsonb,
    billing_address jsonb,
    shipping_option text,
    order_id uuid,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT carts_held CHECK (token_hash IS NOT NULL OR user_id IS NOT NULL)
);

CREATE TABLE cart_lines (
    id uuid PRIMARY KEY,
    cart_id uuid NOT NULL REFERENCES carts ON DELETE CASCADE,
    variant_id uuid NOT NULL,
    title text NOT NULL,
    sku text,
    quantity bigint NOT NULL,
    unit_price bigint NOT NULL,
    CONSTRAINT cart_lines_quantity CHECK (quantity BETWEEN 1 AND 1000000)
);
CREATE UNIQUE INDEX cart_lines_variant ON cart_lines (cart_id, variant_id);

CREATE TABLE orders (
    id uuid PRIMARY KEY,
    number bigint,
    cart_id uuid NOT NULL,
    token_hash bytea,
    user_id uuid,
    status text COLLATE "C" NOT NULL,
    payment_status text COLLATE "C" NOT NULL,
    fulfilment_status text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    locale text NOT NULL,
    prices_include_tax boolean NOT NULL,
    email text NOT NULL,
    shipping_address jsonb NOT NULL,
    billing_address jsonb,
    shipping_option jsonb NOT NULL,
    subtotal bigint NOT NULL,
    discount bigint NOT NULL,
    shipping bigint NOT NULL,
    tax bigint NOT NULL,
    total bigint NOT NULL,
    cancel_reason text,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    placed_at timestamptz,
    CONSTRAINT orders_status CHECK (status IN ('pending', 'placed', 'completed', 'cancelled', 'failed')),
    CONSTRAINT orders_payment_status CHECK (payment_status IN ('pending', 'authorised', 'paid', 'partially_refunded', 'refunded', 'voided', 'failed')),
    CONSTRAINT orders_fulfilment_status CHECK (fulfilment_status IN ('unfulfilled', 'partial', 'fulfilled')),
    CONSTRAINT orders_numbered CHECK (status IN ('pending', 'failed') OR (number IS NOT NULL AND placed_at IS NOT NULL)),
    CONSTRAINT orders_total CHECK (total >= 0)
);
-- At most one attempt of a cart lives.
CREATE UNIQUE INDEX orders_cart ON orders (cart_id) WHERE status <> 'failed';
CREATE UNIQUE INDEX orders_number ON orders (number);
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_by_status ON orders (status, id);

CREATE TABLE order_lines (
    order_id uuid NOT NULL REFERENCES orders,
    position integer NOT NULL,
    id uuid NOT NULL,
    variant_id uuid NOT NULL,
    title text NOT NULL,
    sku text,
    quantity bigint NOT NULL,
    unit_price bigint NOT NULL,
    discount bigint NOT NULL,
    tax bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (order_id, position),
    CONSTRAINT order_lines_quantity CHECK (quantity > 0)
);

CREATE TABLE payments (
    order_id uuid PRIMARY KEY REFERENCES orders,
    provider text COLLATE "C" NOT NULL,
    reference text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    next_action jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT payments_status CHECK (status IN ('action', 'pending', 'authorised', 'declined', 'voided')),
    CONSTRAINT payments_amount CHECK (amount >= 0)
);
CREATE UNIQUE INDEX payments_reference ON payments (provider, reference);

-- What is under way for an order: each step is an UPDATE .. WHERE step = ? AND epoch = ?
CREATE TABLE processes (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders,
    kind text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    provider text,
    epoch bigint NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    done_at timestamptz,
    CONSTRAINT processes_kind CHECK (kind IN ('checkout', 'cancel', 'ship'))
);
CREATE UNIQUE INDEX processes_open ON processes (order_id) WHERE done_at IS NULL;
CREATE INDEX processes_due ON processes (lease_until) WHERE done_at IS NULL;

CREATE TABLE shipments (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders,
    carrier text,
    tracking_number text,
    created_at timestamptz NOT NULL
);
CREATE INDEX shipments_order ON shipments (order_id);

-- Gaps are no promise; two processes never give the same number.
CREATE SEQUENCE order_numbers START 1001;
