//! What must hold of the tables of orders.
use super::schema::{order_lines, orders, processes};
use crate::domain::{
    cart::CartKind,
    order::{FulfilmentStatus, Status},
};
use database::{
    Conn, Result,
    audit::{Invariant, shown},
};
use diesel::{dsl::exists, prelude::*};
use orders_api::{Order, OrderId};
use products_api::{StockLine, VariantId};
use std::collections::{BTreeMap, HashMap};

/// What holds at any moment.
pub(crate) static ALWAYS: [Invariant; 13] = [
    Invariant {
        name: "orders.cart_has_one_living_order",
        holds: "of a cart's attempts one lives at most",
        shown: shown::<CartKind>,
        rows: "SELECT cart_id AS subject, CASE WHEN SUM(CASE WHEN status <> 'failed' THEN 1 ELSE 0 END) > 1 \
               THEN 'more than one of its orders lives' END AS detail FROM orders GROUP BY cart_id",
    },
    Invariant {
        name: "orders.cart_is_locked_by_its_order",
        holds: "a cart is locked by its living order, and by no other",
        shown: shown::<CartKind>,
        rows: "SELECT c.id AS subject, CASE WHEN c.order_id IS NOT NULL AND o.id IS NULL \
               THEN 'locked by an order that does not live or is another''s' WHEN c.order_id IS NULL AND l.id IS NOT NULL \
               THEN 'open, and its order lives' END AS detail FROM carts c \
               LEFT JOIN orders o ON o.id = c.order_id AND o.cart_id = c.id AND o.status <> 'failed' \
               LEFT JOIN orders l ON l.cart_id = c.id AND l.status <> 'failed'",
    },
    Invariant {
        name: "orders.pending_is_under_way",
        holds: "an order is pending while its checkout is under way, and then only",
        shown: shown::<Order>,
        rows: "SELECT o.id AS subject, CASE WHEN o.status = 'pending' AND p.id IS NULL THEN 'pending, and nothing is under way' \
               WHEN o.status <> 'pending' AND p.id IS NOT NULL THEN o.status || ', and its checkout is under way' END AS detail \
               FROM orders o LEFT JOIN processes p ON p.order_id = o.id AND p.kind = 'checkout' AND p.done_at IS NULL",
    },
    Invariant {
        name: "orders.nothing_lies_about",
        holds: "what is due is driven on soon",
        shown: shown::<Order>,
        rows: "SELECT order_id AS subject, CASE WHEN lease_until < :minutes_ago AND (wake_at IS NULL OR wake_at < :before) \
               THEN kind || ' has been due at ' || step || ' for minutes' END AS detail FROM processes WHERE done_at IS NULL",
    },
    Invariant {
        name: "orders.totals_add_up",
        holds: "an order costs what its lines and its shipping cost",
        shown: shown::<Order>,
        rows: "SELECT o.id AS subject, CASE WHEN l.order_id IS NULL THEN 'no lines' \
               WHEN l.wrong > 0 THEN 'a line does not cost its price times its quantity' \
               WHEN o.subtotal <> l.subtotal OR o.discount <> l.discount OR o.tax <> l.tax \
               THEN 'its lines come to ' || l.subtotal || ', its subtotal is ' || o.subtotal \
               WHEN o.total <> o.subtotal - o.discount + o.shipping + CASE WHEN o.prices_include_tax THEN 0 ELSE o.tax END \
               THEN 'its total of ' || o.total || ' is not the sum of its parts' END AS detail \
               FROM orders o LEFT JOIN (SELECT order_id, CAST(SUM(unit_price * quantity) AS bigint) AS subtotal, \
               CAST(SUM(discount) AS bigint) AS discount, CAST(SUM(tax) AS bigint) AS tax, \
               SUM(CASE WHEN total <> unit_price * quantity - discount THEN 1 ELSE 0 END) AS wrong \
               FROM order_lines GROUP BY order_id) l ON l.order_id = o.id",
    },
    Invariant {
        name: "orders.placed_is_numbered",
        holds: "an order that was placed has a number and a day, one that was not has none",
        shown: shown::<Order>,
        rows: "SELECT id AS subject, CASE WHEN (status IN ('pending', 'failed')) <> (number IS NULL) \
               OR (number IS NULL) <> (placed_at IS NULL) THEN status || CASE WHEN number IS NULL THEN ' without' \
               ELSE ' with' END || ' a number' END AS detail FROM orders",
    },
    Invariant {
        name: "orders.placed_is_paid_for",
        holds: "an order that was placed has a payment of just its total",
        shown: shown::<Order>,
        rows: "SELECT o.id AS subject, CASE WHEN p.order_id IS NULL THEN 'placed without a payment' \
               WHEN p.amount <> o.total OR p.currency <> o.currency THEN 'costs ' || o.total || ' ' || o.currency \
               || ', its payment is of ' || p.amount || ' ' || p.currency \
               WHEN p.status NOT IN ('pending', 'authorised', 'voided') THEN 'placed with a payment that is ' || p.status \
               END AS detail FROM orders o LEFT JOIN payments p ON p.order_id = o.id \
               WHERE o.status NOT IN ('pending', 'failed')",
    },
    Invariant {
        name: "orders.payment_status_is_derived",
        holds: "an order's payment status is what its payment says",
        shown: shown::<Order>,
        rows: "SELECT subject, CASE WHEN payment_status <> derived THEN payment_status || ', by its payment ' || derived \
               END AS detail FROM (SELECT o.id AS subject, o.payment_status, CASE \
               WHEN p.captured > 0 AND p.refunded = p.captured THEN 'refunded' \
               WHEN p.captured > 0 AND p.refunded > 0 THEN 'partially_refunded' \
               WHEN p.captured > 0 AND p.captured = p.amount - p.released THEN 'paid' \
               WHEN o.status = 'failed' OR p.status = 'declined' THEN 'failed' WHEN p.status = 'voided' THEN 'voided' \
               WHEN p.status = 'authorised' AND p.amount = 0 THEN 'paid' \
               WHEN p.status = 'authorised' THEN 'authorised' ELSE 'pending' END AS derived \
               FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.status <> 'pending' \
               AND NOT EXISTS (SELECT 1 FROM processes r WHERE r.order_id = o.id AND r.done_at IS NULL)) both_sides",
    },
    Invariant {
        name: "orders.payment_is_its_moves",
        holds: "what was captured and refunded, and what is asked to be, are the sums of the captures and refunds",
        shown: shown::<Order>,
        rows: "SELECT p.order_id AS subject, CASE WHEN p.captured <> COALESCE(m.captured, 0) \
               OR p.refunded <> COALESCE(m.refunded, 0) OR p.capture_asked <> COALESCE(m.capture_asked, 0) \
               OR p.refund_asked <> COALESCE(m.refund_asked, 0) THEN 'captured ' || p.captured || ' of ' || p.capture_asked \
               || ' asked, refunded ' || p.refunded || ' of ' || p.refund_asked || '; its moves come to ' \
               || COALESCE(m.captured, 0) || ' of ' || COALESCE(m.capture_asked, 0) || ', ' || COALESCE(m.refunded, 0) \
               || ' of ' || COALESCE(m.refund_asked, 0) END AS detail FROM payments p LEFT JOIN (SELECT order_id, \
               CAST(SUM(CASE WHEN kind = 'capture' AND state = 'done' THEN amount ELSE 0 END) AS bigint) AS captured, \
               CAST(SUM(CASE WHEN kind = 'refund' AND state = 'done' THEN amount ELSE 0 END) AS bigint) AS refunded, \
               CAST(SUM(CASE WHEN kind = 'capture' AND state <> 'refused' THEN amount ELSE 0 END) AS bigint) AS capture_asked, \
               CAST(SUM(CASE WHEN kind = 'refund' AND state <> 'refused' THEN amount ELSE 0 END) AS bigint) AS refund_asked \
               FROM payment_moves GROUP BY order_id) m ON m.order_id = p.order_id",
    },
    // Else the amount stays promised, and nobody can ever capture or refund it.
    Invariant {
        name: "orders.promised_is_under_way",
        holds: "a capture or refund that was promised and is not settled is under way",
        shown: shown::<Order>,
        rows: "SELECT m.order_id AS subject, CASE WHEN m.state = 'asked' AND p.id IS NULL THEN 'a ' || m.kind || ' of ' \
               || m.amount || ' is promised, and nothing is under way' END AS detail FROM payment_moves m \
               LEFT JOIN processes p ON p.order_id = m.order_id AND p.kind = m.kind AND p.done_at IS NULL",
    },
    Invariant {
        name: "orders.nothing_is_kept_of_what_failed",
        holds: "no money stays secured or taken for an order that failed or was cancelled",
        shown: shown::<Order>,
        rows: "SELECT o.id AS subject, CASE WHEN p.status = 'authorised' THEN o.status || ', and its money is still secured' \
               WHEN p.captured <> p.refunded THEN o.status || ', and ' || (p.captured - p.refunded) || ' was not given back' \
               END AS detail FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.status IN ('failed', 'cancelled') \
               AND NOT EXISTS (SELECT 1 FROM processes r WHERE r.order_id = o.id AND r.done_at IS NULL)",
    },
    Invariant {
        name: "orders.fulfilled_was_sent",
        holds: "an order is fulfilled when it has a shipment, and completed when it is paid as well",
        shown: shown::<Order>,
        rows: "SELECT o.id AS subject, CASE WHEN (o.fulfilment_status = 'fulfilled') <> (s.order_id IS NOT NULL) \
               THEN o.fulfilment_status || CASE WHEN s.order_id IS NULL THEN ' without' ELSE ' with' END || ' a shipment' \
               WHEN o.fulfilment_status = 'fulfilled' AND o.status NOT IN ('placed', 'completed') \
               THEN 'sent, and ' || o.status WHEN o.status = 'completed' AND (o.fulfilment_status <> 'fulfilled' \
               OR o.payment_status NOT IN ('paid', 'partially_refunded', 'refunded')) THEN 'completed, ' \
               || o.fulfilment_status || ' and ' || o.payment_status END AS detail \
               FROM orders o LEFT JOIN (SELECT DISTINCT order_id FROM shipments) s ON s.order_id = o.id",
    },
    Invariant {
        name: "orders.changes_were_told",
        holds: "the outbox has once whatever happened to an order that is told, as far back as it goes",
        shown: shown::<Order>,
        rows: "SELECT subject, CASE WHEN MAX(here) = 0 THEN 'told of, and not there' \
               WHEN SUM(CASE WHEN n <> 0 THEN 1 ELSE 0 END) > 0 THEN MIN(CASE WHEN n <> 0 THEN kind END) || ' is not told as often as it happened' END AS detail \
               FROM (SELECT subject, kind, MAX(here) AS here, SUM(n) AS n FROM (\
               SELECT id AS subject, '' AS kind, 1 AS here, 0 AS n FROM orders \
               UNION ALL SELECT id, 'order.placed', 0, 1 FROM orders WHERE placed_at > :forgotten \
               UNION ALL SELECT id, 'order.paid', 0, 1 FROM orders WHERE paid_at > :forgotten \
               UNION ALL SELECT id, 'order.' || status, 0, 1 FROM orders WHERE status IN ('failed', 'cancelled') \
               AND COALESCE(ended_at, updated_at) > :forgotten \
               UNION ALL SELECT id, 'order.completed', 0, 1 FROM orders WHERE status = 'completed' AND ended_at > :forgotten \
               UNION ALL SELECT order_id, 'order.shipped', 0, 1 FROM shipments WHERE created_at > :forgotten \
               UNION ALL SELECT order_id, CASE kind WHEN 'capture' THEN 'order.payment_captured' ELSE 'order.refunded' END, 0, 1 \
               FROM payment_moves WHERE state = 'done' AND settled_at > :forgotten \
               UNION ALL SELECT subject, kind, 0, -1 FROM outbox WHERE kind IN ('order.placed', 'order.paid', 'order.failed', \
               'order.cancelled', 'order.completed', 'order.shipped', 'order.payment_captured', 'order.refunded') \
               AND occurred_at > :forgotten) both_sides GROUP BY subject, kind) counted GROUP BY subject",
    },
];

/// What holds when nobody is buying.
pub(crate) static AT_REST: Invariant = Invariant {
    name: "orders.nothing_is_under_way",
    holds: "at rest no process is open",
    shown: shown::<Order>,
    rows: "SELECT order_id AS subject, CASE WHEN done_at IS NULL THEN kind || ' stands at ' || step END AS detail FROM processes",
};

/// An order, as far as its goods are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bought {
    pub status: Status,
    pub fulfilment: FulfilmentStatus,
    pub version: i64,
    /// Something is under way for it.
    pub open: bool,
    /// Pieces of each variant.
    pub lines: Vec<StockLine>,
}

/// The orders after `after`, up to and with `last` where that is said, at most `limit`; by their ids.
pub(crate) fn bought(
    conn: &mut Conn,
    after: Option<OrderId>,
    last: Option<OrderId>,
    limit: i64,
) -> Result<BTreeMap<OrderId, Bought>> {
    let open = exists(processes::table.filter(processes::order_id.eq(orders::id)).filter(processes::done_at.is_null()));
    let mut rows = orders::table
        .select((orders::id, orders::status, orders::fulfilment_status, orders::version, open))
        .order(orders::id)
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        rows = rows.filter(orders::id.gt(after));
    }
    if let Some(last) = last {
        rows = rows.filter(orders::id.le(last));
    }
    let rows: Vec<(OrderId, String, String, i64, bool)> = rows.load(conn)?;
    let mut of: HashMap<OrderId, Vec<StockLine>> = HashMap::new();
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let lines = order_lines::table
            .filter(order_lines::order_id.between(first.0, last.0))
            .select((order_lines::order_id, order_lines::variant_id, order_lines::quantity))
            .order((order_lines::order_id, order_lines::variant_id));
        for (order, variant_id, quantity) in lines.load::<(OrderId, VariantId, i64)>(conn)? {
            let lines = of.entry(order).or_default();
            match lines.last_mut() {
                Some(line) if line.variant_id == variant_id => line.quantity += quantity,
                _ => lines.push(StockLine { variant_id, quantity }),
            }
        }
    }
    let read = |(id, status, fulfilment, version, open): (OrderId, String, String, i64, bool)| {
        let status = status.parse().map_err(super::wrong)?;
        let fulfilment = fulfilment.parse().map_err(super::wrong)?;
        let lines = of.remove(&id).unwrap_or_default();
        Ok((id, Bought { status, fulfilment, version, open, lines }))
    };
    rows.into_iter().map(read).collect()
}
