//! What can be seen from outside: of the shop by asking it, of the model by looking.
use super::rules::{At, Hold, Pay, Shop, Status};
use std::{collections::BTreeMap, fmt::Write};

/// Goods, pieces, price.
pub(super) type Lines = Vec<(usize, i64, i64)>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// On hand, reserved.
    pub stock: Vec<(i64, i64)>,
    /// Those that were looked at.
    pub carts: BTreeMap<usize, Lines>,
    pub orders: BTreeMap<At, SeenOrder>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenOrder {
    pub status: String,
    pub payment_status: String,
    pub sent: bool,
    pub lines: Lines,
    pub payment: String,
    pub captured: i64,
    pub refunded: i64,
    pub late: bool,
    /// As products says, with its pieces.
    pub hold: Option<(String, Vec<(usize, i64)>)>,
}

/// As the model would be seen, looked at where `like` was.
pub(super) fn seen(shop: &Shop, like: &Seen) -> Seen {
    let stock = shop.goods.iter().enumerate().map(|(n, goods)| (goods.on_hand, shop.reserved(n))).collect();
    let cart = |cart: usize| {
        let lines = shop.carts.get(cart)?.lines.iter();
        Some((cart, lines.map(|(goods, line)| (*goods, line.quantity, line.price)).collect()))
    };
    let carts = like.carts.keys().filter_map(|n| cart(*n)).collect();
    let mut orders = BTreeMap::new();
    for (c, cart) in shop.carts.iter().enumerate() {
        for (n, order) in cart.orders.iter().enumerate() {
            let pieces = || order.lines.iter().map(|(goods, (quantity, _))| (*goods, *quantity)).collect();
            let seen = SeenOrder {
                status: status(order.status).into(),
                payment_status: order.payment_status().into(),
                sent: order.sent,
                lines: order.lines.iter().map(|(goods, (quantity, price))| (*goods, *quantity, *price)).collect(),
                payment: payment(order.pay).into(),
                captured: order.captured,
                refunded: order.refunded,
                late: order.late,
                hold: hold(order.hold).map(|word| (word.into(), pieces())),
            };
            orders.insert((c, n), seen);
        }
    }
    Seen { stock, carts, orders }
}

const fn status(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Placed => "placed",
        Status::Completed => "completed",
        Status::Cancelled => "cancelled",
        Status::Failed => "failed",
    }
}
const fn payment(pay: Pay) -> &'static str {
    match pay {
        Pay::Open => "open",
        Pay::Action => "action",
        Pay::Declined => "declined",
        Pay::Authorised => "authorised",
        Pay::Voided => "voided",
    }
}
const fn hold(hold: Hold) -> Option<&'static str> {
    match hold {
        Hold::None => None,
        Hold::Held { .. } => Some("held"),
        Hold::Confirmed => Some("confirmed"),
        Hold::Shipped => Some("shipped"),
        Hold::Released => Some("released"),
        Hold::Expired => Some("expired"),
    }
}

/// Where two differ, a line each.
pub(super) fn difference(model: &Seen, shop: &Seen) -> String {
    let mut text = String::new();
    let mut tell = |what: String, model: String, shop: String| {
        if model != shop {
            writeln!(text, "  {what}\n    model: {model}\n    shop:  {shop}").expect("text");
        }
    };
    for n in 0..model.stock.len().max(shop.stock.len()) {
        let show =
            |seen: &Seen| seen.stock.get(n).map_or_else(String::new, |(h, r)| format!("{h} on hand, {r} reserved"));
        tell(format!("goods {n}"), show(model), show(shop));
    }
    for n in model.carts.keys().chain(shop.carts.keys()) {
        tell(format!("cart {n}"), format!("{:?}", model.carts.get(n)), format!("{:?}", shop.carts.get(n)));
    }
    for at in model.orders.keys().chain(shop.orders.keys().filter(|at| !model.orders.contains_key(at))) {
        let show = |seen: &Seen| format!("{:?}", seen.orders.get(at));
        tell(format!("order {} of cart {}", at.1, at.0), show(model), show(shop));
    }
    text
}
