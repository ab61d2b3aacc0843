//! The audit names what is off: each check meets a row that was made wrong.
use super::*;
use crate::store::spoil::{number, spoil};
use database::Conn;

impl Shop {
    /// Every invariant holds, and is looked at.
    pub(super) async fn sound(&self) {
        for check in self.products.audit(false).await.unwrap() {
            assert_eq!((check.off, check.findings.as_slice()), (0, &[][..]), "{}", check.name);
        }
    }
    /// Makes something wrong, whatever constraints say; PostgreSQL's own way where it differs.
    async fn spoil(&self, sqlite: &'static str, postgres: &'static str) {
        self.db.write(move |tx: &mut Conn| spoil(tx, sqlite, postgres)).await.unwrap();
    }
    pub(super) async fn spoil_both(&self, how: &'static str) {
        self.spoil(how, how).await;
    }
    pub(super) async fn number(&self, select: &str) -> i64 {
        let select = select.to_owned();
        self.db.read(move |conn| number(conn, &select)).await.unwrap()
    }
    /// The names of the checks that are off.
    async fn off(&self, at_rest: bool) -> Vec<&'static str> {
        let checks = self.products.audit(at_rest).await.unwrap();
        for check in &checks {
            assert_eq!(check.findings.len() as u64, check.off.min(20), "{check:?}");
            assert!(check.findings.iter().all(|found| found.subject.contains('_') && !found.detail.is_empty()));
        }
        checks.into_iter().filter(|check| check.off > 0).map(|check| check.name).collect()
    }
}

/// What is made wrong, and who names it (among others, perhaps). The shop has a held, a confirmed, a shipped, a released
/// and an expired reservation, and a tombstone.
const SPOILT: [(&str, &str); 31] = [
    ("products.stock_is_its_ledger", "UPDATE stock SET on_hand = on_hand + 1"),
    ("products.stock_is_its_ledger", "UPDATE stock SET reserved = reserved + 1 WHERE reserved < on_hand"),
    ("products.stock_is_its_ledger", "DELETE FROM stock_movements WHERE kind = 'created'"),
    ("products.stock_is_its_ledger", "UPDATE stock_movements SET on_hand = on_hand - 1 WHERE kind = 'counted'"),
    ("products.reserved_is_promised", "UPDATE stock SET reserved = reserved + 1 WHERE reserved < on_hand"),
    ("products.reserved_is_promised", "UPDATE reservation_lines SET quantity = quantity + 1"),
    ("products.reserved_is_promised", "UPDATE reservations SET state = 'released' WHERE state = 'confirmed'"),
    ("products.variants_have_stock", "DELETE FROM stock"),
    ("products.only_holds_expire", "UPDATE reservations SET expires_at = NULL"),
    ("products.only_holds_expire", "UPDATE reservations SET expires_at = created_at WHERE state = 'confirmed'"),
    ("products.reservations_have_lines", "DELETE FROM reservation_lines"),
    ("products.reservations_are_in_the_ledger", "DELETE FROM stock_movements WHERE kind = 'shipped'"),
    ("products.reservations_are_in_the_ledger", "DELETE FROM stock_movements WHERE kind = 'reserved'"),
    ("products.reservations_are_in_the_ledger", "UPDATE stock_movements SET kind = 'released' WHERE kind = 'expired'"),
    (
        "products.reservations_are_in_the_ledger",
        "INSERT INTO stock_movements (variant_id, on_hand, reserved, kind, reservation_id, at) \
         SELECT variant_id, on_hand, reserved, kind, reservation_id, at FROM stock_movements WHERE kind = 'released'",
    ),
    (
        "products.reservations_are_in_the_ledger",
        "INSERT INTO stock_movements (variant_id, on_hand, reserved, kind, reservation_id, at) \
         SELECT variant_id, 0, 0, 'released', variant_id, at FROM stock_movements WHERE kind = 'created'",
    ),
    ("products.reservations_were_told", "DELETE FROM outbox WHERE kind = 'stock.shipped'"),
    ("products.reservations_were_told", "DELETE FROM outbox WHERE kind = 'stock.released'"),
    ("products.reservations_were_told", "UPDATE outbox SET kind = 'stock.released' WHERE kind = 'stock.reserved'"),
    ("products.reservations_were_told", "DELETE FROM reservation_lines"),
    ("products.lowest_prices", "UPDATE product_prices SET amount = amount + 1 WHERE currency = 'USD'"),
    ("products.lowest_prices", "DELETE FROM prices WHERE currency = 'USD'"),
    ("products.rating_adds_up", "UPDATE products SET mark_sum = mark_sum + 1 WHERE review_count = 1"),
    ("products.rating_adds_up", "DELETE FROM reviews WHERE status = 'published'"),
    ("products.rating_adds_up", "UPDATE reviews SET status = 'published' WHERE status = 'pending'"),
    ("products.sold_adds_up", "UPDATE products SET sold = sold + 1"),
    ("products.sold_adds_up", "DELETE FROM purchases"),
    ("products.verified_is_bought", "UPDATE reviews SET verified = NOT verified"),
    ("products.verified_is_bought", "UPDATE purchases SET user_id = NULL"),
    (
        "products.forgotten_have_nothing",
        "UPDATE reviews SET user_id = (SELECT user_id FROM customers WHERE forgotten_at IS NOT NULL) WHERE user_id IS NULL",
    ),
    (
        "products.forgotten_have_nothing",
        "UPDATE purchases SET user_id = (SELECT user_id FROM customers WHERE forgotten_at IS NOT NULL) WHERE user_id IS NULL",
    ),
];

impl Shop {
    /// A reservation of every kind.
    async fn busy(&self) {
        let red = self.create(lamp("Lamp", 2000, 20)).await.variants[0].id;
        self.service().count_stock(&call(), red, 30).await.unwrap();
        let stock = self.products.stock();
        let late = reserve(&[(red, 1, 2000)], 1);
        stock.reserve(&call(), late).await.unwrap();
        self.clock.pass(Duration::from_secs(1));
        self.service().sweep().await;
        let [_held, confirmed, shipped, released] = {
            let all = [0; 4].map(|_| reserve(&[(red, 2, 2000)], 600));
            for one in &all {
                stock.reserve(&call(), one.clone()).await.unwrap();
            }
            all.map(|one| one.reservation)
        };
        stock.confirm(&call(), confirmed).await.unwrap();
        stock.confirm(&call(), shipped).await.unwrap();
        stock.ship(&call(), shipped).await.unwrap();
        stock.release(&call(), released).await.unwrap();
        stock.release(&call(), Id::new()).await.unwrap();
        self.reviewed(red).await;
    }
    /// All tables as they are, to be put back.
    async fn saved(&self) {
        self.spoil_both(TAKE).await;
    }
    async fn restored(&self) {
        self.spoil_both(PUT).await;
    }
}

const TAKE: &str = "CREATE TABLE kept_stock AS SELECT * FROM stock; CREATE TABLE kept_movements AS SELECT * FROM stock_movements; \
    CREATE TABLE kept_reservations AS SELECT * FROM reservations; CREATE TABLE kept_lines AS SELECT * FROM reservation_lines; \
    CREATE TABLE kept_outbox AS SELECT * FROM outbox; CREATE TABLE kept_prices AS SELECT * FROM prices; \
    CREATE TABLE kept_lowest AS SELECT * FROM product_prices; CREATE TABLE kept_reviews AS SELECT * FROM reviews; \
    CREATE TABLE kept_purchases AS SELECT * FROM purchases; \
    CREATE TABLE kept_ratings AS SELECT id, review_count, mark_sum, sold FROM products;";
const PUT: &str = "DELETE FROM reservation_lines; DELETE FROM reservations; DELETE FROM stock_movements; DELETE FROM stock; \
    DELETE FROM outbox; DELETE FROM prices; DELETE FROM product_prices; DELETE FROM reviews; DELETE FROM purchases; \
    INSERT INTO stock SELECT * FROM kept_stock; INSERT INTO stock_movements SELECT * FROM kept_movements; \
    INSERT INTO reservations SELECT * FROM kept_reservations; INSERT INTO reservation_lines SELECT * FROM kept_lines; \
    INSERT INTO outbox SELECT * FROM kept_outbox; INSERT INTO prices SELECT * FROM kept_prices; \
    INSERT INTO product_prices SELECT * FROM kept_lowest; INSERT INTO reviews SELECT * FROM kept_reviews; \
    INSERT INTO purchases SELECT * FROM kept_purchases; \
    UPDATE products SET review_count = k.review_count, mark_sum = k.mark_sum, sold = k.sold FROM kept_ratings k \
    WHERE k.id = products.id;";

#[tokio::test]
async fn what_was_made_wrong_is_named() {
    for shop in Shop::new().await {
        shop.busy().await;
        shop.sound().await;
        let checks = shop.products.audit(true).await.unwrap();
        assert!(checks.iter().all(|check| check.looked_at > 0), "{checks:?}");
        assert_eq!(shop.off(true).await, ["products.nothing_is_held"]);
        shop.saved().await;
        let mut named: Vec<_> = vec!["products.nothing_is_held"];
        for (who, spoil) in SPOILT {
            shop.spoil_both(spoil).await;
            let off = shop.off(false).await;
            assert!(off.contains(&who), "{spoil}: {who} is silent, others say {off:?}");
            named.push(who);
            shop.restored().await;
            shop.sound().await;
        }

        let sweeps = Duration::from_secs(600 + 60 + 4 * 5);
        shop.clock.pass(sweeps - Duration::from_secs(1));
        shop.sound().await;
        shop.clock.pass(Duration::from_secs(1));
        assert_eq!(shop.off(false).await, ["products.no_hold_outlives_its_time"]);
        named.push("products.no_hold_outlives_its_time");
        shop.service().sweep().await;
        assert!(shop.off(true).await.is_empty());

        // Last, since the constraint that forbids it is gone then.
        shop.spoil(
            "PRAGMA ignore_check_constraints = ON; UPDATE stock SET reserved = on_hand + 1",
            "ALTER TABLE stock DROP CONSTRAINT stock_not_oversold; UPDATE stock SET reserved = on_hand + 1",
        )
        .await;
        assert!(shop.off(false).await.contains(&"products.stock_within_bounds"));
        named.push("products.stock_within_bounds");
        for check in checks {
            assert!(named.contains(&check.name), "nothing makes {} speak", check.name);
        }
    }
}

/// What happened before the events were deleted is not looked for, what happened since is.
#[tokio::test]
async fn what_is_forgotten_is_not_missed() {
    const TOLD: &str = "SELECT COUNT(*) FROM outbox WHERE published_at IS NOT NULL";
    for shop in Shop::new().await {
        let red = shop.create(lamp("Lamp", 2000, 20)).await.variants[0].id;
        let stock = shop.products.stock();
        let [early, late] = [(); 2].map(|()| reserve(&[(red, 2, 2000)], 600));
        stock.reserve(&call(), early.clone()).await.unwrap();
        shop.spoil_both("UPDATE outbox SET published_at = occurred_at").await;
        assert_eq!(shop.number(TOLD).await, 3);
        // By the database's own clock, which is ahead of the shop's.
        assert_eq!(database::outbox::purge(&shop.db, Duration::ZERO).await.unwrap(), 3);
        assert!(shop.db.read(database::outbox::forgotten_until).await.unwrap().is_some());
        shop.sound().await;

        shop.clock.pass(Duration::from_secs(1));
        stock.release(&call(), early.reservation).await.unwrap();
        stock.reserve(&call(), late).await.unwrap();
        shop.sound().await;
        shop.saved().await;
        for gone in ["stock.released", "stock.reserved"] {
            let gone = format!("DELETE FROM outbox WHERE kind = '{gone}'");
            shop.spoil_both(Box::leak(gone.into_boxed_str())).await;
            assert_eq!(shop.off(false).await, ["products.reservations_were_told"]);
            shop.restored().await;
            shop.sound().await;
        }
    }
}

/// A shop that had stock before it had a ledger.
#[tokio::test]
async fn a_ledger_opens_with_what_is_there() {
    const SQLITE: &str =
        include_str!("../../../../migrations/products/sqlite/2026-01-04-000000_stock_movements/up.sql");
    const POSTGRES: &str =
        include_str!("../../../../migrations/products/postgres/2026-01-04-000000_stock_movements/up.sql");
    for shop in Shop::new().await {
        shop.busy().await;
        let none = shop.create(lamp("None", 2000, 0)).await.variants[0].id;
        shop.spoil_both("DROP TABLE stock_movements").await;
        shop.spoil(SQLITE, POSTGRES).await;
        shop.sound().await;
        let kinds = "SELECT COUNT(*) FROM stock_movements WHERE kind = ";
        assert_eq!(shop.number(&format!("{kinds}'opening'")).await, 4, "one of each variant");
        assert_eq!(shop.number(&format!("{kinds}'reserved'")).await, 2, "one held, one confirmed");

        shop.clock.pass(Duration::from_secs(600));
        shop.service().sweep().await;
        shop.service().count_stock(&call(), none, 3).await.unwrap();
        let sold = reserve(&[(none, 3, 2000)], 600);
        shop.products.stock().reserve(&call(), sold.clone()).await.unwrap();
        shop.products.stock().release(&call(), sold.reservation).await.unwrap();
        assert_eq!(shop.number(&format!("{kinds}'expired'")).await, 1);
        shop.sound().await;
    }
}
