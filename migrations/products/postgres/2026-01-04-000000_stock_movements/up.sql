-- The ledger of stock: what changed a row of `stock`, and by how much. The sums of a variant's movements are its balance.
-- Nothing is ever taken out of it, so a variant with movements cannot be deleted (a product that is not sold any more is
-- archived). `reservation_id` has no foreign key: old reservations may be cleared away one day, the ledger stays.
CREATE TABLE stock_movements (
    position bigserial PRIMARY KEY,
    variant_id uuid NOT NULL REFERENCES variants,
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    reservation_id uuid,
    reason text,
    at timestamptz NOT NULL,
    CONSTRAINT stock_movements_kind CHECK (kind IN ('opening', 'created', 'imported', 'counted', 'adjusted', 'reserved', 'released', 'expired', 'shipped')),
    CONSTRAINT stock_movements_whose CHECK ((reservation_id IS NOT NULL) = (kind IN ('reserved', 'released', 'expired', 'shipped')))
);
CREATE INDEX stock_movements_variant ON stock_movements (variant_id, position);

-- What is there opens the ledger, a row for every variant; what is promised just now is written as it was promised.
INSERT INTO stock_movements (variant_id, on_hand, reserved, kind, at)
    SELECT s.variant_id, s.on_hand, s.reserved - COALESCE(l.quantity, 0), 'opening', now()
    FROM stock s LEFT JOIN (
        SELECT l.variant_id, CAST(SUM(l.quantity) AS bigint) AS quantity
        FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id
        WHERE l.counted AND r.state IN ('held', 'confirmed') GROUP BY l.variant_id
    ) l ON l.variant_id = s.variant_id
    ORDER BY s.variant_id;
INSERT INTO stock_movements (variant_id, on_hand, reserved, kind, reservation_id, at)
    SELECT l.variant_id, 0, l.quantity, 'reserved', r.id, r.created_at
    FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id
    WHERE l.counted AND r.state IN ('held', 'confirmed') ORDER BY r.id, l.variant_id;
