//! What of this domain is pure and done for many requests, for `cargo xtask instructions` to count.
use crate::domain::totals::{Priced, Totals};
use kernel::Minor;
use std::hint::black_box;

/// What a cart of ten lines costs.
pub fn totals_of_a_cart() -> impl Fn() {
    let price = |amount| Minor::new(amount).expect("in range");
    let line = |n| Priced { quantity: n, unit_price: price(999 + n), discount: price(n), tax: price(190) };
    let lines: Vec<Priced> = (1..=10).map(line).collect();
    move || {
        let _ = black_box(Totals::of(black_box(&lines).iter().copied(), price(490), false));
    }
}
