-- What is kept of a product's reviews and sales, beside them: the published ones and the sum of their marks, and the
-- pieces that were bought.
ALTER TABLE products ADD COLUMN review_count bigint NOT NULL DEFAULT 0;
ALTER TABLE products ADD COLUMN mark_sum bigint NOT NULL DEFAULT 0
    CONSTRAINT products_rating CHECK (review_count >= 0 AND mark_sum BETWEEN review_count AND 5 * review_count);
ALTER TABLE products ADD COLUMN sold bigint NOT NULL DEFAULT 0 CONSTRAINT products_sold CHECK (sold >= 0);
CREATE INDEX products_best_selling ON products (status, sold, id);

-- `user_id` and `author` are NULL once the user's account is gone. `verified`: this user bought this product.
CREATE TABLE reviews (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products,
    user_id uuid,
    author text,
    title text,
    body text,
    mark bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text,
    verified boolean NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT reviews_mark CHECK (mark BETWEEN 1 AND 5),
    CONSTRAINT reviews_status CHECK (status IN ('pending', 'published', 'rejected')),
    CONSTRAINT reviews_reason CHECK (reason IS NULL OR status = 'rejected'),
    CONSTRAINT reviews_forgotten CHECK (user_id IS NOT NULL OR author IS NULL)
);
CREATE UNIQUE INDEX reviews_author ON reviews (user_id, product_id);
CREATE INDEX reviews_newest ON reviews (product_id, status, id);
CREATE INDEX reviews_marks ON reviews (product_id, status, mark, id);

-- What was bought, as orders told: `products.sold` is their sum. `user_id` is NULL for guests, and once the account is gone.
CREATE TABLE purchases (
    order_id uuid NOT NULL,
    product_id uuid NOT NULL REFERENCES products,
    user_id uuid,
    quantity bigint NOT NULL,
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT purchases_quantity CHECK (quantity >= 1)
);
CREATE INDEX purchases_product ON purchases (product_id);
CREATE INDEX purchases_user ON purchases (user_id, product_id) WHERE user_id IS NOT NULL;

-- Orders that were heard of, be it as cancelled: their purchases are not written again.
CREATE TABLE heard_orders (
    order_id uuid PRIMARY KEY,
    heard_at timestamptz NOT NULL
);

-- Whoever writes in a user's name locks the row first. `forgotten_at`: the account is gone, and nothing is written in this
-- name any more.
CREATE TABLE customers (
    user_id uuid PRIMARY KEY,
    forgotten_at timestamptz
);
