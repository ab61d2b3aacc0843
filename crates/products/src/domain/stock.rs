//! What is there, what is promised, and the states of a promise.
use kernel::{Minor, Time};
use products_api::{MAX_LINES, PriceNow, ReservationId, Reserve, Short, StockLine, VariantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// What a count came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub level: Level,
    /// It was not what the books said.
    pub changed: bool,
}

/// Why stock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Made with its variant.
    Created,
    /// The same, by a file.
    Imported,
    Counted,
    Adjusted,
    Reserved,
    Released,
    Expired,
    Shipped,
}

impl Kind {
    /// As it is kept; the first migration of the ledger also wrote `opening`, and nobody does any more.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Imported => "imported",
            Self::Counted => "counted",
            Self::Adjusted => "adjusted",
            Self::Reserved => "reserved",
            Self::Released => state::RELEASED,
            Self::Expired => state::EXPIRED,
            Self::Shipped => state::SHIPPED,
        }
    }
    /// What it does to what is on hand and to what is reserved, by each piece of a reservation's line.
    pub(crate) const fn of_a_piece(self) -> (i64, i64) {
        match self {
            Self::Created | Self::Imported | Self::Counted | Self::Adjusted => (1, 0),
            Self::Reserved => (0, 1),
            Self::Released | Self::Expired => (0, -1),
            Self::Shipped => (-1, -1),
        }
    }
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// A [`Kind`], or `opening`.
    pub kind: String,
    /// By how much what is on hand changed.
    pub on_hand: i64,
    /// By how much what is reserved changed.
    pub reserved: i64,
    pub reservation: Option<ReservationId>,
    pub reason: Option<String>,
    pub at: Time,
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

/// What is to be reserved: each variant once, in their order, with the sum of its lines. `None`: it cannot be at all.
pub(crate) fn summed(request: &Reserve) -> Option<Vec<StockLine>> {
    let lines = &request.lines;
    let fine = |quantity: &i64| (1..=MAX_QUANTITY).contains(quantity);
    if !(1..=MAX_LINES).contains(&lines.len()) || !lines.iter().all(|line| fine(&line.quantity)) {
        return None;
    }
    let mut sums: BTreeMap<VariantId, i64> = BTreeMap::new();
    for line in lines {
        *sums.entry(line.variant).or_default() += line.quantity; // both bounds together stay far from the type's
    }
    let line = |(variant_id, quantity)| StockLine { variant_id, quantity };
    sums.values().all(fine).then(|| sums.into_iter().map(line).collect())
}

/// The variants that have a line whose price is not today's, with that: so of two prices for one variant, one moved.
pub(crate) fn changed(request: &Reserve, offers: &HashMap<VariantId, Offer>) -> Vec<PriceNow> {
    let price = |variant| offers.get(variant).filter(|offer| offer.sold).and_then(|offer| offer.price);
    let lines = request.lines.iter().map(|line| (line, price(&line.variant)));
    let mut told = BTreeSet::new();
    let changed = lines.filter(|(line, price)| *price != Some(line.unit_price) && told.insert(line.variant));
    changed.map(|(line, price)| PriceNow { variant: line.variant, price }).collect()
}

/// The variants of which there is not enough.
pub(crate) fn short(lines: &[StockLine], offers: &HashMap<VariantId, Offer>) -> Vec<Short> {
    let lines = lines.iter().filter_map(|line| Some((line, offers.get(&line.variant_id)?)));
    let short = lines.filter(|(line, offer)| offer.tracked && offer.level.available() < line.quantity);
    short.map(|(line, offer)| Short { variant: line.variant_id, available: offer.level.available() }).collect()
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
    fn lines_are_bounded_and_summed() {
        let (a, b) = (Id::new(), Id::new());
        let sums = |lines: &[(VariantId, i64, i64)]| {
            let summed = summed(&request(lines))?;
            Some(summed.into_iter().map(|line| (line.variant_id, line.quantity)).collect::<Vec<_>>())
        };
        assert_eq!(sums(&[(b, 1_000_000, 0), (a, 1, 5)]), Some(vec![(a, 1), (b, 1_000_000)]));
        assert_eq!(sums(&[(b, 2, 5), (a, 1, 5), (b, 3, 5)]), Some(vec![(a, 1), (b, 5)]));
        let too_much = vec![(a, 1_000_000, 5), (a, 1, 5)];
        for bad in [vec![], vec![(a, 0, 5)], vec![(a, -1, 5)], vec![(a, 3, 5), (a, -1, 5)], too_much] {
            assert_eq!(sums(&bad), None, "{bad:?}");
        }
        assert_eq!(sums(&(0..=MAX_LINES).map(|_| (Id::new(), 1, 1)).collect::<Vec<_>>()), None);
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
        let missing = |request: &Reserve| short(&summed(request).unwrap(), &offers);
        assert!(changed(&fine, &offers).is_empty() && missing(&fine).is_empty());
        let twice = request(&[(tracked, 1, 100), (loose, 1, 100), (tracked, 2, 100)]);
        assert_eq!(missing(&twice), [Short { variant: tracked, available: 2 }]);
        let two_prices = request(&[(tracked, 1, 100), (tracked, 1, 99), (tracked, 1, 98)]);
        let today = Some(Minor::new(100).unwrap());
        assert_eq!(changed(&two_prices, &offers), [PriceNow { variant: tracked, price: today }]);
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
