CREATE TABLE products (
    id BLOB PRIMARY KEY NOT NULL,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    options TEXT NOT NULL,
    tags TEXT NOT NULL,
    images TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT products_status_known CHECK (status IN ('draft', 'active', 'archived'))
) STRICT;
CREATE UNIQUE INDEX products_slug ON products (slug);
CREATE INDEX products_newest ON products (status, id);
CREATE INDEX products_title ON products (status, title_key, id);

CREATE TABLE variants (
    id BLOB PRIMARY KEY NOT NULL,
    product_id BLOB NOT NULL REFERENCES products ON DELETE CASCADE,
    position INTEGER NOT NULL,
    sku TEXT,
    options_key TEXT NOT NULL,
    option_values TEXT NOT NULL,
    track_stock INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX variants_options ON variants (product_id, options_key);
CREATE INDEX variants_sku ON variants (sku) WHERE sku IS NOT NULL;

CREATE TABLE prices (
    variant_id BLOB NOT NULL REFERENCES variants ON DELETE CASCADE,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    product_id BLOB NOT NULL REFERENCES products ON DELETE CASCADE,
    PRIMARY KEY (variant_id, currency),
    CONSTRAINT prices_not_negative CHECK (amount >= 0)
) STRICT;
CREATE INDEX prices_product ON prices (product_id, currency, amount);
CREATE INDEX prices_amount ON prices (currency, amount, product_id);

-- The lowest price of each product: what a list is sorted by.
CREATE TABLE product_prices (
    product_id BLOB NOT NULL REFERENCES products ON DELETE CASCADE,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (product_id, currency)
) STRICT;
CREATE INDEX product_prices_amount ON product_prices (currency, amount, product_id);

CREATE TABLE categories (
    id BLOB PRIMARY KEY NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    parent_id BLOB REFERENCES categories
) STRICT;
CREATE UNIQUE INDEX categories_slug ON categories (slug);
CREATE INDEX categories_parent ON categories (parent_id);

CREATE TABLE product_categories (
    product_id BLOB NOT NULL REFERENCES products ON DELETE CASCADE,
    category_id BLOB NOT NULL REFERENCES categories,
    PRIMARY KEY (product_id, category_id)
) STRICT;
CREATE INDEX product_categories_category ON product_categories (category_id, product_id);

-- What a product is found by: folded words of its title, tags, SKUs and categories.
CREATE TABLE words (
    product_id BLOB NOT NULL REFERENCES products ON DELETE CASCADE,
    word TEXT NOT NULL,
    PRIMARY KEY (product_id, word)
) STRICT;
CREATE INDEX words_word ON words (word, product_id);

-- A row for every variant, tracked or not.
CREATE TABLE stock (
    variant_id BLOB PRIMARY KEY NOT NULL REFERENCES variants ON DELETE CASCADE,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    CONSTRAINT stock_not_oversold CHECK (reserved >= 0 AND reserved <= on_hand)
) STRICT;

CREATE TABLE reservations (
    id BLOB PRIMARY KEY NOT NULL,
    state TEXT NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT reservations_state_known CHECK (state IN ('held', 'confirmed', 'shipped', 'released', 'expired'))
) STRICT;
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'held';

-- `counted`: the line is part of `stock.reserved`; a variant that is not tracked is written down only.
CREATE TABLE reservation_lines (
    reservation_id BLOB NOT NULL REFERENCES reservations ON DELETE CASCADE,
    variant_id BLOB NOT NULL REFERENCES variants,
    quantity INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    PRIMARY KEY (reservation_id, variant_id),
    CONSTRAINT reservation_lines_quantity CHECK (quantity >= 1)
) STRICT;
CREATE INDEX reservation_lines_variant ON reservation_lines (variant_id);

CREATE TABLE imports (
    id BLOB PRIMARY KEY NOT NULL,
    status TEXT NOT NULL,
    format TEXT NOT NULL,
    currency TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    errors TEXT NOT NULL,
    error_count INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT imports_status_known CHECK (status IN ('pending', 'running', 'done', 'failed'))
) STRICT;
CREATE INDEX imports_open ON imports (lease_until) WHERE status IN ('pending', 'running');
