//! What is there, what is promised, and the states of a promise.
use kernel::Minor;
use products_api::{MAX_LINES, PriceNow, Reserve, Short, VariantId};
use std::collections::{HashMap, HashSet};

/// The most of one variant that a shop has.
pub(crate) const MAX_STOCK: i64 = 1_000_000_000;
/// The most of one variant that one reservation holds.
const MAX_QUANTITY: i64 = 1_000_000;

/// What there is of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub variant: VariantId,
    pub on_hand: i64,
    pub reserved: i64,
}

impl Level {
    pub(crate) fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// `held` becomes `confirmed` (the pivot), `released` or `expired`; `confirmed` becomes `shipped` or `released`.
pub(crate) mod state {
    pub(crate) const HELD: &str = "held";
    pub(crate) const CONFIRMED: &str = "confirmed";
    pub(crate) const SHIPPED: &str = "shipped";
    pub(crate) const RELEASED: &str = "released";
    pub(crate) const EXPIRED: &str = "expired";
}

/// A variant as it stands while it is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub level: Level,
    pub tracked: bool,
    /// Its product is active.
    pub sold: bool,
    /// In the currency asked for.
    pub price: Option<Minor>,
}

/// Whether the lines can be reserved at all.
pub(crate) fn valid(request: &Reserve) -> bool {
    let lines = &request.lines;
    let unique: HashSet<VariantId> = lines.iter().map(|line| line.variant).collect();
    (1..=MAX_LINES).contains(&lines.len())
        && unique.len() == lines.len()
        && lines.iter().all(|line| (1..=MAX_QUANTITY).contains(&line.quantity))
}

/// The lines whose price is not the expected one, with the price of today.
pub(crate) fn changed(request: &Reserve, offers: &HashMap<VariantId, Offer>) -> Vec<PriceNow> {
    let price = |variant| offers.get(variant).filter(|offer| offer.sold).and_then(|offer| offer.price);
    let lines = request.lines.iter().map(|line| (line, price(&line.variant)));
    let changed = lines.filter(|(line, price)| *price != Some(line.unit_price));
    changed.map(|(line, price)| PriceNow { variant: line.variant, price }).collect()
}

/// The lines of which there is not enough.
pub(crate) fn short(request: &Reserve, offers: &HashMap<VariantId, Offer>) -> Vec<Short> {
    let lines = request.lines.iter().filter_map(|line| Some((line, offers.get(&line.variant)?)));
    let short = lines.filter(|(line, offer)| offer.tracked && offer.level.available() < line.quantity);
    short.map(|(line, offer)| Short { variant: line.variant, available: offer.level.available() }).collect()
}

/// How a quote's title reads: the values behind the product's title.
pub(crate) fn title(product: &str, values: &[String]) -> String {
    if values.is_empty() { product.to_owned() } else { format!("{product} \u{2013} {}", values.join(" / ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Currency, Id};
    use products_api::ReserveLine;
    use std::time::Duration;

    fn request(lines: &[(VariantId, i64, i64)]) -> Reserve {
        let line =
            |&(variant, quantity, price): &_| ReserveLine { variant, quantity, unit_price: Minor::new(price).unwrap() };
        Reserve {
            reservation: Id::new(),
            currency: Currency::EUR,
            lines: lines.iter().map(line).collect(),
            hold_for: Duration::from_secs(60),
        }
    }

    #[test]
    fn lines_are_bounded_and_unique() {
        let (a, b) = (Id::new(), Id::new());
        assert!(valid(&request(&[(a, 1, 5), (b, 1_000_000, 0)])));
        for bad in [vec![], vec![(a, 0, 5)], vec![(a, -1, 5)], vec![(a, 1_000_001, 5)], vec![(a, 1, 5), (a, 2, 5)]] {
            assert!(!valid(&request(&bad)), "{bad:?}");
        }
        assert!(!valid(&request(&(0..=MAX_LINES).map(|_| (Id::new(), 1, 1)).collect::<Vec<_>>())));
    }

    #[test]
    fn what_moved_and_what_is_short() {
        let (tracked, loose, draft) = (Id::new(), Id::new(), Id::new());
        let offer = |variant, tracked, sold| Offer {
            level: Level { variant, on_hand: 3, reserved: 1 },
            tracked,
            sold,
            price: Some(Minor::new(100).unwrap()),
        };
        let offers = HashMap::from([
            (tracked, offer(tracked, true, true)),
            (loose, offer(loose, false, true)),
            (draft, offer(draft, true, false)),
        ]);
        let fine = request(&[(tracked, 2, 100), (loose, 99, 100)]);
        assert!(changed(&fine, &offers).is_empty() && short(&fine, &offers).is_empty());
        assert_eq!(short(&request(&[(tracked, 3, 100)]), &offers), [Short { variant: tracked, available: 2 }]);
        let unknown = Id::new();
        let moved = changed(&request(&[(tracked, 1, 99), (draft, 1, 100), (unknown, 1, 1)]), &offers);
        let price = Some(Minor::new(100).unwrap());
        assert_eq!(
            moved,
            [
                PriceNow { variant: tracked, price },
                PriceNow { variant: draft, price: None },
                PriceNow { variant: unknown, price: None }
            ]
        );
    }

    #[test]
    fn titles_carry_their_values() {
        assert_eq!(title("Lamp", &[]), "Lamp");
        assert_eq!(title("Lamp", &["Red".into(), "L".into()]), "Lamp – Red / L");
    }
}
