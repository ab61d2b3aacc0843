//! Each invariant of orders, broken in one row: the audit names it and no other, and is content when the row is right
//! again.
use super::{audit, ids, printed};
use crate::start;
use serde_json::json;
use testkit::{Actor, Backend, Cart, Shop};

/// A check, how it is broken, and how that is mended.
struct Case {
    check: &'static str,
    breaks: String,
    mends: String,
    /// What cannot be right either.
    and: &'static [&'static str],
}

/// Of a process that is open.
const AT_REST: &[&str] = &["orders.nothing_is_under_way"];

fn case(check: &'static str, breaks: impl Into<String>, mends: impl Into<String>) -> Case {
    Case { check, breaks: breaks.into(), mends: mends.into(), and: &[] }
}

/// The orders of the shop below, by what is the matter with them.
const STANDS: &str = "(SELECT id FROM orders WHERE status = 'placed' AND payment_status = 'authorised' AND fulfilment_status = 'unfulfilled' AND id NOT IN (SELECT order_id FROM payment_moves))";
const SENT: &str = "(SELECT id FROM orders WHERE fulfilment_status = 'fulfilled')";
const TAKEN: &str = "(SELECT order_id FROM payment_moves WHERE kind = 'capture' AND state = 'done')";
const FAILED: &str = "(SELECT id FROM orders WHERE status = 'failed')";
/// An order whose goods have left, named by what a case does not change.
const WAS_SENT: &str = "(SELECT order_id FROM shipments)";

fn cases(shop: &Shop) -> Vec<Case> {
    let nobody = ids(shop);
    let an_hour_ago = match shop.backend {
        Backend::Sqlite => "created_at - 3600000000",
        Backend::Postgres => "created_at - interval '1 hour'",
    };
    let checkout_of_standing = format!("kind = 'checkout' AND order_id = {STANDS}");
    vec![
        Case {
            and: &["orders.cart_is_locked_by_its_order"],
            ..case(
                "orders.cart_has_one_living_order",
                format!(
                    "DROP INDEX orders_cart; UPDATE orders SET cart_id = (SELECT cart_id FROM orders WHERE id = {STANDS}) WHERE id = {SENT}"
                ),
                format!(
                    "UPDATE orders SET cart_id = (SELECT id FROM carts WHERE order_id = orders.id) WHERE id = {SENT}"
                ),
            )
        },
        case(
            "orders.cart_is_locked_by_its_order",
            format!("UPDATE carts SET order_id = NULL WHERE order_id = {STANDS}"),
            format!("UPDATE carts SET order_id = {STANDS} WHERE id = (SELECT cart_id FROM orders WHERE id = {STANDS})"),
        ),
        Case {
            and: AT_REST,
            ..case(
                "orders.pending_is_under_way",
                format!("UPDATE processes SET done_at = NULL WHERE {checkout_of_standing}"),
                "UPDATE processes SET done_at = created_at WHERE done_at IS NULL",
            )
        },
        Case {
            and: AT_REST,
            ..case(
                "orders.nothing_lies_about",
                format!(
                    "UPDATE processes SET done_at = NULL, kind = 'ship', step = 'settle', lease_until = {an_hour_ago} WHERE {checkout_of_standing}"
                ),
                "UPDATE processes SET done_at = created_at, kind = 'checkout', step = 'done' WHERE done_at IS NULL",
            )
        },
        case(
            "orders.nothing_is_under_way",
            format!(
                "UPDATE processes SET done_at = NULL, kind = 'ship', step = 'settle', lease_until = created_at WHERE {checkout_of_standing}"
            ),
            "UPDATE processes SET done_at = created_at, kind = 'checkout', step = 'done' WHERE done_at IS NULL",
        ),
        case(
            "orders.totals_add_up",
            format!("UPDATE order_lines SET total = total + 1 WHERE order_id = {STANDS}"),
            format!("UPDATE order_lines SET total = total - 1 WHERE order_id = {STANDS}"),
        ),
        case(
            "orders.placed_is_numbered",
            format!("UPDATE orders SET placed_at = created_at WHERE id = {FAILED}"),
            format!("UPDATE orders SET placed_at = NULL WHERE id = {FAILED}"),
        ),
        case(
            "orders.placed_is_paid_for",
            format!("UPDATE payments SET amount = amount + 1 WHERE order_id = {STANDS}"),
            format!("UPDATE payments SET amount = amount - 1 WHERE order_id = {STANDS}"),
        ),
        case(
            "orders.payment_status_is_derived",
            format!("UPDATE orders SET payment_status = 'voided' WHERE id = {SENT}"),
            format!("UPDATE orders SET payment_status = 'authorised' WHERE id = {SENT}"),
        ),
        case(
            "orders.payment_is_its_moves",
            format!("UPDATE payments SET capture_asked = capture_asked + 1 WHERE order_id = {TAKEN}"),
            format!("UPDATE payments SET capture_asked = capture_asked - 1 WHERE order_id = {TAKEN}"),
        ),
        case(
            "orders.promised_is_under_way",
            format!(
                "INSERT INTO payment_moves (id, order_id, kind, amount, state, created_at) SELECT {nobody}, order_id, 'capture', 1, 'asked', created_at FROM payments WHERE order_id = {TAKEN}; UPDATE payments SET capture_asked = capture_asked + 1 WHERE order_id = {TAKEN}"
            ),
            format!(
                "DELETE FROM payment_moves WHERE id = {nobody}; UPDATE payments SET capture_asked = capture_asked - 1 WHERE order_id = {TAKEN}"
            ),
        ),
        case(
            "orders.nothing_is_kept_of_what_failed",
            format!("UPDATE payments SET status = 'authorised' WHERE order_id = {FAILED}"),
            format!("UPDATE payments SET status = 'declined' WHERE order_id = {FAILED}"),
        ),
        case(
            "orders.fulfilled_was_sent",
            format!("UPDATE orders SET status = 'completed' WHERE id = {WAS_SENT}"),
            format!("UPDATE orders SET status = 'placed' WHERE id = {WAS_SENT}"),
        ),
        Case {
            and: &["orders.changes_were_told"],
            ..case(
                "orders.anonymised_know_nobody",
                format!("UPDATE orders SET anonymised_at = created_at WHERE id = {FAILED}"),
                format!("UPDATE orders SET anonymised_at = NULL WHERE id = {FAILED}"),
            )
        },
        case(
            "orders.forgotten_are_anonymised",
            format!(
                "INSERT INTO forgotten_users (user_id, heard_at) SELECT {nobody}, {an_hour_ago} FROM orders WHERE id = {FAILED}; UPDATE orders SET user_id = {nobody}, updated_at = {an_hour_ago} WHERE id = {FAILED}"
            ),
            "DELETE FROM forgotten_users; UPDATE orders SET user_id = NULL, updated_at = created_at WHERE user_id IS NOT NULL",
        ),
        case(
            "orders.changes_were_told",
            format!("UPDATE outbox SET kind = 'order.hushed' WHERE kind = 'order.placed' AND subject = {STANDS}"),
            "UPDATE outbox SET kind = 'order.placed' WHERE kind = 'order.hushed'",
        ),
        case(
            "orders.changes_were_told",
            format!("UPDATE orders SET paid_at = placed_at WHERE id = {STANDS}"),
            format!("UPDATE orders SET paid_at = NULL WHERE id = {STANDS}"),
        ),
        case(
            "orders.changes_were_told",
            format!("UPDATE outbox SET kind = 'order.hushed' WHERE kind = 'order.failed' AND subject = {FAILED}"),
            "UPDATE outbox SET kind = 'order.failed' WHERE kind = 'order.hushed'",
        ),
        case(
            "orders.goods_are_kept_for_orders",
            format!("UPDATE order_lines SET variant_id = {nobody} WHERE order_id = {STANDS}"),
            format!(
                "UPDATE order_lines SET variant_id = (SELECT variant_id FROM order_lines WHERE order_id = {SENT}) WHERE order_id = {STANDS}"
            ),
        ),
    ]
}

/// The checks that the cases make speak, by their names.
pub(super) fn spoken() -> Vec<&'static str> {
    let mut all = CHECKS.to_vec();
    all.sort_unstable();
    all.dedup();
    all
}

/// Of each case, in their order.
const CHECKS: [&str; 19] = [
    "orders.cart_has_one_living_order",
    "orders.cart_is_locked_by_its_order",
    "orders.pending_is_under_way",
    "orders.nothing_lies_about",
    "orders.nothing_is_under_way",
    "orders.totals_add_up",
    "orders.placed_is_numbered",
    "orders.placed_is_paid_for",
    "orders.payment_status_is_derived",
    "orders.payment_is_its_moves",
    "orders.promised_is_under_way",
    "orders.nothing_is_kept_of_what_failed",
    "orders.fulfilled_was_sent",
    "orders.anonymised_know_nobody",
    "orders.forgotten_are_anonymised",
    "orders.changes_were_told",
    "orders.changes_were_told",
    "orders.changes_were_told",
    "orders.goods_are_kept_for_orders",
];

/// The checks that are off.
fn off(shop: &Shop) -> Vec<String> {
    let told = audit(shop, "orders", &["--at-rest"]);
    let said = printed(&told);
    let off = said.lines().filter_map(|line| line.strip_prefix("OFF")?.split_whitespace().next().map(str::to_owned));
    let off: Vec<String> = off.collect();
    assert_eq!(told.status.code(), Some(i32::from(!off.is_empty())), "{said}");
    assert!(off.is_empty() || said.contains("\n     "), "it says which: {said}");
    off
}

async fn order(shop: &Shop, variant: &str) -> (Cart, String) {
    let cart = shop.guest_cart(&[(variant, 1)]).await;
    let order = cart.bought().await.text("/id");
    (cart, order)
}

async fn posts(staff: &Actor, order: &str, what: &str, body: serde_json::Value) {
    staff.post(&format!("/v1/orders/{order}/{what}"), body).send().await.expect(201);
}

#[tokio::test]
async fn each_invariant_of_orders_is_named_when_a_row_breaks_it() {
    let mut shop = start();
    let (goods, staff) = (shop.goods(1250, 50).await, shop.admin().await);
    order(&shop, &goods.variant).await;
    let (_, sent) = order(&shop, &goods.variant).await;
    posts(&staff, &sent, "shipments", json!({})).await;
    let (_, taken) = order(&shop, &goods.variant).await;
    posts(&staff, &taken, "captures", json!({ "amount": { "amount": 100, "currency": "EUR" } })).await;
    let declined = shop.guest_cart(&[(&goods.variant, 1)]).await;
    declined.checkout("tok_declined").send().await.problem(402, "payment_declined");
    shop.settled().await;
    // What the worker would drive on must stay as it is left.
    shop.stop();
    assert_eq!(off(&shop), [""; 0]);
    let cases = cases(&shop);
    assert_eq!(cases.iter().map(|case| case.check).collect::<Vec<_>>(), CHECKS);
    for Case { check, breaks, mends, and } in &cases {
        shop.corrupt("orders", breaks);
        let mut expected: Vec<&str> = [&[*check][..], and].concat();
        let mut named = off(&shop);
        expected.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, expected, "{breaks}");
        shop.corrupt("orders", mends);
        assert_eq!(off(&shop), [""; 0], "{mends}");
    }
}

/// Deletes all events of a domain, as the purge does with those that are old.
fn forget(shop: &Shop, domain: &str) {
    shop.corrupt(
        domain,
        "INSERT INTO forgotten (name, until) SELECT 'outbox', max(occurred_at) FROM outbox; DELETE FROM outbox",
    );
}

/// What happened before the events were deleted is not looked for, what happened since is.
#[tokio::test]
async fn what_is_forgotten_is_not_missed() {
    let mut shop = start();
    let goods = shop.goods(1250, 50).await;
    let (_, early) = order(&shop, &goods.variant).await;
    shop.customer().await;
    shop.settled().await;
    shop.stop();
    ["users", "orders"].into_iter().for_each(|domain| forget(&shop, domain));
    assert_eq!(shop.audit(), [""; 0]);

    shop.resume();
    let staff = shop.admin().await;
    posts(&staff, &early, "shipments", json!({})).await;
    posts(&staff, &early, "captures", json!({})).await;
    order(&shop, &goods.variant).await;
    shop.customer().await;
    shop.settled().await;
    shop.stop();
    for (domain, kind, check) in [
        ("orders", "order.shipped", "orders.changes_were_told"),
        ("orders", "order.paid", "orders.changes_were_told"),
        ("orders", "order.completed", "orders.changes_were_told"),
        ("orders", "order.placed", "orders.changes_were_told"),
        ("users", "user.registered", "users.account_was_told"),
    ] {
        let named = |from: &str, to: &str| format!("UPDATE outbox SET kind = '{to}' WHERE kind = '{from}'");
        shop.corrupt(domain, &named(kind, "order.hushed"));
        let off = printed(&audit(&shop, domain, &[]));
        let off: Vec<_> = off.lines().filter(|line| line.starts_with("OFF")).collect();
        assert!(off.len() == 1 && off[0].contains(check), "{kind}: {off:?}");
        shop.corrupt(domain, &named("order.hushed", kind));
    }
    assert_eq!(shop.audit(), [""; 0]);
}
