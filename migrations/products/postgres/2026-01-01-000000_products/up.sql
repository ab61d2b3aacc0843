-- What is sorted or compared is collated "C": both databases then answer in the same order.
CREATE TABLE products (
    id uuid PRIMARY KEY,
    slug text COLLATE "C" NOT NULL,
    title text NOT NULL,
    title_key text COLLATE "C" NOT NULL,
    description text NOT NULL,
    status text COLLATE "C" NOT NULL,
    options jsonb NOT NULL,
    tags jsonb NOT NULL,
    images jsonb NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT products_status_known CHECK (status IN ('draft', 'active', 'archived'))
);
CREATE UNIQUE INDEX products_slug ON products (slug);
CREATE INDEX products_newest ON products (status, id);
CREATE INDEX products_title ON products (status, title_key, id);

CREATE TABLE variants (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    position bigint NOT NULL,
    sku text COLLATE "C",
    options_key text COLLATE "C" NOT NULL,
    option_values jsonb NOT NULL,
    track_stock boolean NOT NULL
);
CREATE UNIQUE INDEX variants_options ON variants (product_id, options_key);
CREATE INDEX variants_sku ON variants (sku) WHERE sku IS NOT NULL;

CREATE TABLE prices (
    variant_id uuid NOT NULL REFERENCES variants ON DELETE CASCADE,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    PRIMARY KEY (variant_id, currency),
    CONSTRAINT prices_not_negative CHECK (amount >= 0)
);
CREATE INDEX prices_product ON prices (product_id, currency, amount);
CREATE INDEX prices_amount ON prices (currency, amount, product_id);

-- The lowest price of each product: what a list is sorted by.
CREATE TABLE product_prices (
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (product_id, currency)
);
CREATE INDEX product_prices_amount ON product_prices (currency, amount, product_id);

CREATE TABLE categories (
    id uuid PRIMARY KEY,
    slug text COLLATE "C" NOT NULL,
    name text NOT NULL,
    parent_id uuid REFERENCES categories
);
CREATE UNIQUE INDEX categories_slug ON categories (slug);
CREATE INDEX categories_parent ON categories (parent_id);

CREATE TABLE product_categories (
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    category_id uuid NOT NULL REFERENCES categories,
    PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_categories_category ON product_categories (category_id, product_id);

-- What a product is found by: folded words of its title, tags, SKUs and categories.
CREATE TABLE words (
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    word text COLLATE "C" NOT NULL,
    PRIMARY KEY (product_id, word)
);
CREATE INDEX words_word ON words (word, product_id);

-- A row for every variant, tracked or not.
CREATE TABLE stock (
    variant_id uuid PRIMARY KEY REFERENCES variants ON DELETE CASCADE,
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL,
    CONSTRAINT stock_not_oversold CHECK (reserved >= 0 AND reserved <= on_hand)
);

CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    state text COLLATE "C" NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT reservations_state_known CHECK (state IN ('held', 'confirmed', 'shipped', 'released', 'expired'))
);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'held';

-- `counted`: the line is part of `stock.reserved`; a variant that is not tracked is written down only.
CREATE TABLE reservation_lines (
    reservation_id uuid NOT NULL REFERENCES reservations ON DELETE CASCADE,
    variant_id uuid NOT NULL REFERENCES variants,
    quantity bigint NOT NULL,
    counted boolean NOT NULL,
    PRIMARY KEY (reservation_id, variant_id),
    CONSTRAINT reservation_lines_quantity CHECK (quantity >= 1)
);
CREATE INDEX reservation_lines_variant ON reservation_lines (variant_id);

CREATE TABLE imports (
    id uuid PRIMARY KEY,
    status text COLLATE "C" NOT NULL,
    format text NOT NULL,
    currency text COLLATE "C" NOT NULL,
    dry_run boolean NOT NULL,
    rows bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    errors jsonb NOT NULL,
    error_count bigint NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT imports_status_known CHECK (status IN ('pending', 'running', 'done', 'failed'))
);
CREATE INDEX imports_open ON imports (lease_until) WHERE status IN ('pending', 'running');
