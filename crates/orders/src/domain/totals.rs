//! What it costs: computed here for carts and orders alike.
use kernel::{BadMoney, Minor};

/// What of a line counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Priced {
    pub quantity: i64,
    pub unit_price: Minor,
    pub discount: Minor,
    pub tax: Minor,
}

impl Priced {
    /// Price times quantity less discount; tax is not in it unless prices include tax.
    pub(crate) fn total(self) -> Result<Minor, BadMoney> {
        self.unit_price.times(self.quantity)?.minus(self.discount)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub subtotal: Minor,
    pub discount: Minor,
    pub shipping: Minor,
    pub tax: Minor,
    /// subtotal - discount + shipping, plus tax where prices exclude it.
    pub total: Minor,
}

impl Totals {
    pub(crate) fn of(
        lines: impl Iterator<Item = Priced>,
        shipping: Minor,
        prices_include_tax: bool,
    ) -> Result<Self, BadMoney> {
        let (mut subtotal, mut discount, mut tax) = (Minor::ZERO, Minor::ZERO, Minor::ZERO);
        for line in lines {
            subtotal = subtotal.plus(line.unit_price.times(line.quantity)?)?;
            discount = discount.plus(line.discount)?;
            tax = tax.plus(line.tax)?;
        }
        let net = subtotal.minus(discount)?.plus(shipping)?;
        let total = if prices_include_tax { net } else { net.plus(tax)? };
        Ok(Self { subtotal, discount, shipping, tax, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minor(amount: i64) -> Minor {
        Minor::new(amount).unwrap()
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_its_parts(
            lines in prop::collection::vec((1_i64..1000, 0_i64..1_000_000, 0_i64..100, 0_i64..100), 0..50),
            shipping in 0_i64..10_000,
            includes in any::<bool>(),
        ) {
            let priced = lines.iter().map(|(quantity, price, discount, tax)| Priced {
                quantity: *quantity, unit_price: minor(*price), discount: minor(*discount), tax: minor(*tax),
            });
            let totals = Totals::of(priced.clone(), minor(shipping), includes).unwrap();
            let of_lines: i64 = priced.map(|line| *line.total().unwrap().get()).sum();
            let tax = if includes { 0 } else { *totals.tax.get() };
            prop_assert_eq!(*totals.total.get(), of_lines + shipping + tax);
        }
    }

    #[test]
    fn too_much_is_refused_and_not_wrapped() {
        let line = Priced { quantity: 1_000_000, unit_price: Minor::MAX, discount: Minor::ZERO, tax: Minor::ZERO };
        assert!(Totals::of([line].into_iter(), Minor::ZERO, true).is_err());
        assert!(line.total().is_err());
    }
}
