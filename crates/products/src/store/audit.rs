//! What must hold of the tables of products. Each check reads its tables once, however much there is.
use database::audit::{Invariant, shown};
use products_api::{Product, Reservation, Review, Variant};
use users_api::User;

/// What holds at any moment.
pub(crate) static ALWAYS: [Invariant; 14] = [
    Invariant {
        name: "products.stock_is_its_ledger",
        holds: "what is on hand and what is reserved of a variant are the sums of its movements",
        shown: shown::<Variant>,
        rows: "SELECT s.variant_id AS subject, CASE WHEN s.on_hand <> COALESCE(m.on_hand, 0) \
               OR s.reserved <> COALESCE(m.reserved, 0) THEN s.on_hand || ' on hand, ' || s.reserved \
               || ' reserved; by the ledger ' || COALESCE(m.on_hand, 0) || ' and ' || COALESCE(m.reserved, 0) END AS detail \
               FROM stock s LEFT JOIN (SELECT variant_id, CAST(SUM(on_hand) AS bigint) AS on_hand, \
               CAST(SUM(reserved) AS bigint) AS reserved FROM stock_movements GROUP BY variant_id) m \
               ON m.variant_id = s.variant_id",
    },
    Invariant {
        name: "products.reserved_is_promised",
        holds: "what is reserved of a variant is what held and confirmed reservations have of it",
        shown: shown::<Variant>,
        rows: "SELECT s.variant_id AS subject, CASE WHEN s.reserved <> COALESCE(l.quantity, 0) THEN s.reserved \
               || ' reserved, ' || COALESCE(l.quantity, 0) || ' promised' END AS detail FROM stock s LEFT JOIN \
               (SELECT l.variant_id, CAST(SUM(l.quantity) AS bigint) AS quantity FROM reservations r \
               JOIN reservation_lines l ON l.reservation_id = r.id WHERE l.counted AND r.state IN ('held', 'confirmed') \
               GROUP BY l.variant_id) l ON l.variant_id = s.variant_id",
    },
    Invariant {
        name: "products.stock_within_bounds",
        holds: "no less than nothing of a variant is reserved, and no more than is on hand",
        shown: shown::<Variant>,
        rows: "SELECT variant_id AS subject, CASE WHEN reserved < 0 OR reserved > on_hand THEN reserved \
               || ' reserved of ' || on_hand || ' on hand' END AS detail FROM stock",
    },
    Invariant {
        name: "products.variants_have_stock",
        holds: "every variant has a row of stock, tracked or not",
        shown: shown::<Variant>,
        rows: "SELECT v.id AS subject, CASE WHEN s.variant_id IS NULL THEN 'no stock' END AS detail \
               FROM variants v LEFT JOIN stock s ON s.variant_id = v.id",
    },
    Invariant {
        name: "products.only_holds_expire",
        holds: "a held reservation has an expiry, and no other has one",
        shown: shown::<Reservation>,
        rows: "SELECT id AS subject, CASE WHEN (state = 'held') <> (expires_at IS NOT NULL) THEN state \
               || CASE WHEN expires_at IS NULL THEN ' without' ELSE ' with' END || ' an expiry' END AS detail \
               FROM reservations",
    },
    Invariant {
        name: "products.reservations_have_lines",
        holds: "a reservation says what it is of, unless it was released before anything was held",
        shown: shown::<Reservation>,
        rows: "SELECT r.id AS subject, CASE WHEN r.state <> 'released' AND l.reservation_id IS NULL THEN r.state \
               || ' without lines' END AS detail FROM reservations r LEFT JOIN \
               (SELECT DISTINCT reservation_id FROM reservation_lines) l ON l.reservation_id = r.id",
    },
    Invariant {
        name: "products.no_hold_outlives_its_time",
        holds: "a hold past its time is ended soon",
        shown: shown::<Reservation>,
        rows: "SELECT id AS subject, CASE WHEN expires_at <= :before THEN 'still held' END AS detail \
               FROM reservations WHERE state = 'held'",
    },
    // The ledger as it must be (each counted line reserved once, and ended once as the state says), minus the ledger as
    // it is: what does not cancel out is off. What had ended before the ledger was opened is not in it.
    Invariant {
        name: "products.reservations_are_in_the_ledger",
        holds: "the ledger has every counted line of a reservation as it was reserved and as it ended, and nothing else",
        shown: shown::<Reservation>,
        rows: "WITH known AS (SELECT r.id, r.state FROM reservations r CROSS JOIN \
               (SELECT MAX(at) AS at FROM stock_movements WHERE kind = 'opening') opened LEFT JOIN \
               (SELECT DISTINCT reservation_id FROM stock_movements) m ON m.reservation_id = r.id \
               WHERE opened.at IS NULL OR r.created_at > opened.at OR r.state IN ('held', 'confirmed') \
               OR m.reservation_id IS NOT NULL) \
               SELECT id AS subject, CASE WHEN MAX(state) IS NULL THEN 'movements of no reservation' \
               WHEN SUM(n) > 0 THEN MAX(state) || '; its lines and its movements differ in ' || SUM(n) END AS detail FROM (\
               SELECT id, state, 0 AS n FROM known UNION ALL SELECT id, NULL, 1 FROM (SELECT id FROM (\
               SELECT k.id, l.variant_id, 'reserved' AS kind, 1 AS n, 0 AS on_hand, l.quantity AS reserved \
               FROM known k JOIN reservation_lines l ON l.reservation_id = k.id WHERE l.counted \
               UNION ALL SELECT k.id, l.variant_id, k.state, 1, CASE k.state WHEN 'shipped' THEN -l.quantity ELSE 0 END, \
               -l.quantity FROM known k JOIN reservation_lines l ON l.reservation_id = k.id \
               WHERE l.counted AND k.state IN ('released', 'expired', 'shipped') \
               UNION ALL SELECT reservation_id, variant_id, kind, -1, -on_hand, -reserved FROM stock_movements \
               WHERE reservation_id IS NOT NULL) both_sides GROUP BY id, variant_id, kind \
               HAVING SUM(n) <> 0 OR SUM(on_hand) <> 0 OR SUM(reserved) <> 0) differing) r GROUP BY id",
    },
    Invariant {
        name: "products.reservations_were_told",
        holds: "the outbox has once that a reservation was reserved and once how it ended, as far back as it goes; of a \
                tombstone it has nothing",
        shown: shown::<Reservation>,
        rows: "SELECT subject, CASE WHEN MAX(state) IS NULL THEN 'told of, and not there' WHEN SUM(began) <> 0 \
               OR SUM(freed) <> 0 OR SUM(left_us) <> 0 THEN MAX(state) || '; not told as often as it happened: reserved ' \
               || SUM(began) || ' times more, released ' || SUM(freed) || ', shipped ' || SUM(left_us) END AS detail FROM (\
               SELECT r.id AS subject, r.state, CASE WHEN l.reservation_id IS NOT NULL AND r.created_at > :forgotten \
               THEN 1 ELSE 0 END AS began, CASE WHEN l.reservation_id IS NOT NULL AND r.state IN ('released', 'expired') \
               AND r.updated_at > :forgotten THEN 1 ELSE 0 END AS freed, \
               CASE WHEN r.state = 'shipped' AND r.updated_at > :forgotten THEN 1 ELSE 0 END AS left_us \
               FROM reservations r LEFT JOIN (SELECT DISTINCT reservation_id FROM reservation_lines) l \
               ON l.reservation_id = r.id UNION ALL SELECT subject, NULL, CASE kind WHEN 'stock.reserved' THEN -1 ELSE 0 END, \
               CASE kind WHEN 'stock.released' THEN -1 ELSE 0 END, CASE kind WHEN 'stock.shipped' THEN -1 ELSE 0 END \
               FROM outbox WHERE kind IN ('stock.reserved', 'stock.released', 'stock.shipped') AND occurred_at > :forgotten\
               ) both_sides GROUP BY subject",
    },
    Invariant {
        name: "products.lowest_prices",
        holds: "what products are sorted by is the lowest price of their variants, currency by currency",
        shown: shown::<Product>,
        rows: "SELECT product_id AS subject, CASE WHEN MAX(kept) = MAX(lowest) THEN NULL ELSE currency || ': kept is ' \
               || COALESCE(CAST(MAX(kept) AS text), 'none') || ', the lowest is ' \
               || COALESCE(CAST(MAX(lowest) AS text), 'none') END AS detail FROM (\
               SELECT product_id, currency, amount AS kept, NULL AS lowest FROM product_prices UNION ALL \
               SELECT product_id, currency, NULL, MIN(amount) FROM prices GROUP BY product_id, currency) both_sides \
               GROUP BY product_id, currency",
    },
    Invariant {
        name: "products.rating_adds_up",
        holds: "what is kept of a product's rating is the number and the sum of the marks of its published reviews",
        shown: shown::<Product>,
        rows: "SELECT p.id AS subject, CASE WHEN p.review_count <> COALESCE(r.marks, 0) OR p.mark_sum <> COALESCE(r.sum, 0) \
               THEN 'kept are ' || p.review_count || ' marks of ' || p.mark_sum || ', its reviews have ' \
               || COALESCE(r.marks, 0) || ' of ' || COALESCE(r.sum, 0) END AS detail FROM products p LEFT JOIN \
               (SELECT product_id, COUNT(*) AS marks, CAST(SUM(mark) AS bigint) AS sum FROM reviews \
               WHERE status = 'published' GROUP BY product_id) r ON r.product_id = p.id",
    },
    Invariant {
        name: "products.sold_adds_up",
        holds: "what was sold of a product is the sum of its purchases",
        shown: shown::<Product>,
        rows: "SELECT p.id AS subject, CASE WHEN p.sold <> COALESCE(b.quantity, 0) THEN p.sold || ' sold, ' \
               || COALESCE(b.quantity, 0) || ' bought' END AS detail FROM products p LEFT JOIN \
               (SELECT product_id, CAST(SUM(quantity) AS bigint) AS quantity FROM purchases GROUP BY product_id) b \
               ON b.product_id = p.id",
    },
    // Whose buyer was forgotten stays as it was.
    Invariant {
        name: "products.verified_is_bought",
        holds: "a user's review is verified where the user bought the product, and there only",
        shown: shown::<Review>,
        rows: "SELECT r.id AS subject, CASE WHEN r.verified AND b.user_id IS NULL THEN 'verified, and not bought' \
               WHEN NOT r.verified AND b.user_id IS NOT NULL THEN 'bought, and not verified' END AS detail \
               FROM reviews r LEFT JOIN (SELECT DISTINCT user_id, product_id FROM purchases WHERE user_id IS NOT NULL) b \
               ON b.user_id = r.user_id AND b.product_id = r.product_id WHERE r.user_id IS NOT NULL",
    },
    Invariant {
        name: "products.forgotten_have_nothing",
        holds: "whose account is gone has no review and no purchase",
        shown: shown::<User>,
        rows: "SELECT c.user_id AS subject, CASE WHEN c.forgotten_at IS NOT NULL AND o.user_id IS NOT NULL \
               THEN 'forgotten, and still named' END AS detail FROM customers c LEFT JOIN \
               (SELECT user_id FROM reviews UNION SELECT user_id FROM purchases) o ON o.user_id = c.user_id",
    },
];

/// What holds when nobody is buying.
pub(crate) static AT_REST: Invariant = Invariant {
    name: "products.nothing_is_held",
    holds: "at rest every hold was confirmed, released or has expired",
    shown: shown::<Reservation>,
    rows: "SELECT id AS subject, CASE state WHEN 'held' THEN 'still held' END AS detail FROM reservations",
};
