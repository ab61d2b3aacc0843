//! What Stripe can be asked for: it counts as ISO 4217 does, but for some currencies.
use kernel::{Minor, Money};

/// Without decimals, and yet with two zeros at Stripe, which kept them from before.
const WITH_ZEROS: [&str; 2] = ["ISK", "UGX"];
/// With decimals in ISO 4217, and none at Stripe.
const OTHERWISE: &str = "MGA";

fn scale(currency: kernel::Currency) -> i64 {
    if WITH_ZEROS.contains(&currency.code()) && currency.exponent() == 0 { 100 } else { 1 }
}

/// The amount as Stripe writes it, or why it cannot be said.
pub(super) fn at_stripe(money: Money) -> Result<i64, String> {
    let amount = *money.amount.get();
    // card networks take three decimals only where the last is zero
    let step = if money.currency.exponent() == 3 { 10 } else { 1 };
    if money.currency.code() == OTHERWISE {
        return Err(format!("Stripe counts {OTHERWISE} otherwise than ISO 4217"));
    }
    if amount <= 0 || amount % step != 0 {
        return Err(format!("Stripe cannot be asked for {money}"));
    }
    amount
        .checked_mul(scale(money.currency))
        .filter(|amount| *amount <= 99_999_999)
        .ok_or_else(|| format!("{money} is too much for Stripe"))
}

/// What Stripe says, in the shop's minor units.
pub(super) fn from_stripe(amount: i64, currency: kernel::Currency) -> Option<Minor> {
    let scale = scale(currency);
    (amount % scale == 0).then(|| Minor::new(amount / scale).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_said_exactly_is_refused() {
        let said = |amount, code: &str| at_stripe(Money::new(Minor::new(amount).unwrap(), code.parse().unwrap())).ok();
        assert_eq!(said(1999, "EUR"), Some(1999));
        assert_eq!(said(500, "JPY"), Some(500));
        assert_eq!(said(5120, "KWD"), Some(5120));
        assert_eq!(said(5124, "KWD"), None);
        assert_eq!(said(5, "ISK"), Some(500));
        assert_eq!(said(5, "UGX"), Some(500));
        assert_eq!(said(1045, "HUF"), Some(1045), "only payouts are whole");
        assert_eq!(said(0, "EUR"), None);
        assert_eq!(said(100_000_000, "EUR"), None);
        let isk = "ISK".parse().unwrap();
        assert_eq!(from_stripe(500, isk), Minor::new(5).ok());
        assert_eq!(from_stripe(550, isk), None);
    }
}
