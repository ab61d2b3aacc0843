//! Money: integer minor units and an ISO 4217 currency. No floats, no silent overflow, no lost cent.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// Minor units (cents, yen, fils) of a currency that stands beside it. Within ±(2^53 - 1), so every JSON reader keeps it exact.
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::BigInt))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Minor(i64);

/// The amount would leave the range that is exact everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is out of range")]
pub struct BadMoney;

impl Minor {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self((1 << 53) - 1);

    pub const fn new(amount: i64) -> Result<Self, BadMoney> {
        if amount.unsigned_abs() > Self::MAX.0.unsigned_abs() { Err(BadMoney) } else { Ok(Self(amount)) }
    }
    pub const fn get(&self) -> &i64 {
        &self.0
    }
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
    pub fn plus(self, other: Self) -> Result<Self, BadMoney> {
        self.0.checked_add(other.0).ok_or(BadMoney).and_then(Self::new)
    }
    pub fn minus(self, other: Self) -> Result<Self, BadMoney> {
        self.0.checked_sub(other.0).ok_or(BadMoney).and_then(Self::new)
    }
    pub fn times(self, n: i64) -> Result<Self, BadMoney> {
        self.0.checked_mul(n).ok_or(BadMoney).and_then(Self::new)
    }
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, BadMoney> {
        amounts.into_iter().try_fold(Self::ZERO, Self::plus)
    }

    /// Splits into parts as `weights` are to each other; the parts sum to the whole. What cannot be split goes, a unit
    /// each, to the parts with the largest remainder, the earlier first. All weights zero: the first part takes all.
    ///
    /// `None` without weights.
    pub fn allocate(self, weights: &[u32]) -> Option<Vec<Self>> {
        let total: i128 = weights.iter().map(|w| i128::from(*w)).sum();
        if total == 0 {
            let mut parts = vec![Self::ZERO; weights.len()];
            *parts.first_mut()? = self;
            return Some(parts);
        }
        let (sign, whole) = (self.0.signum(), i128::from(self.0.unsigned_abs()));
        let shares: Vec<(i128, i128)> =
            weights.iter().map(|w| (whole * i128::from(*w) / total, whole * i128::from(*w) % total)).collect();
        let left = whole - shares.iter().map(|(share, _)| share).sum::<i128>();
        let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
        by_remainder.sort_by_key(|at| std::cmp::Reverse(shares[*at].1));
        let mut parts: Vec<i128> = shares.into_iter().map(|(share, _)| share).collect();
        for at in by_remainder.into_iter().take(usize::try_from(left).expect("fewer than there are parts")) {
            parts[at] += 1;
        }
        Some(parts.into_iter().map(|part| Self(sign * i64::try_from(part).expect("a part of an i64"))).collect())
    }
}
impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl Serialize for Minor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}
impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// An ISO 4217 currency whose minor unit is a whole, a hundredth or a thousandth.
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::Text))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the code of a currency with 0, 2 or 3 decimals, such as EUR")]
pub struct BadCurrency;

impl Currency {
    pub const EUR: Self = Self(iso_currency::Currency::EUR);
    pub const GBP: Self = Self(iso_currency::Currency::GBP);
    pub const USD: Self = Self(iso_currency::Currency::USD);

    pub fn code(&self) -> &'static str {
        self.0.code()
    }
    /// Decimals of the minor unit: 0, 2 or 3.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// `"19.99"` as minor units. Zeros beyond the currency's decimals are fine, other digits are not.
    pub fn parse_decimal(self, text: &str) -> Result<Minor, BadMoney> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let decimals = self.exponent() as usize;
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let kept = fraction.get(..decimals.min(fraction.len())).ok_or(BadMoney)?;
        let rest = fraction.get(kept.len()..).ok_or(BadMoney)?;
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || rest.bytes().any(|b| b != b'0') {
            return Err(BadMoney);
        }
        let amount: i64 = format!("{whole}{kept:0<decimals$}").parse().map_err(|_| BadMoney)?;
        Minor::new(if negative { -amount } else { amount })
    }
}
impl FromStr for Currency {
    type Err = BadCurrency;
    fn from_str(code: &str) -> Result<Self, BadCurrency> {
        let known = iso_currency::Currency::from_code(code).filter(|c| c.code() == code);
        known.filter(|c| matches!(c.exponent(), Some(0 | 2 | 3))).map(Self).ok_or(BadCurrency)
    }
}
impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        code.parse().map_err(de::Error::custom)
    }
}

/// An amount of one currency.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: 1999 of EUR are 19.99 euro.
    #[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64))]
    pub amount: Minor,
    /// ISO 4217.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Z]{3}$"))]
    pub currency: Currency,
}

impl Money {
    pub const fn new(amount: Minor, currency: Currency) -> Self {
        Self { amount, currency }
    }
}
/// `19.99 EUR`
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, decimals) = (self.amount.0, self.currency.exponent());
        let (unit, sign) = (10_u64.pow(decimals), if amount < 0 { "-" } else { "" });
        let (whole, part) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
        match decimals {
            0 => write!(f, "{sign}{whole} {}", self.currency),
            _ => write!(f, "{sign}{whole}.{part:0width$} {}", self.currency, width = decimals as usize),
        }
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use super::Currency;
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    impl utoipa::PartialSchema for Currency {
        fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some("ISO 4217"))
                .pattern(Some("^[A-Z]{3}$"))
                .build()
                .into()
        }
    }
    impl utoipa::ToSchema for Currency {}
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
        fn allocation_loses_nothing(amount in -Minor::MAX.0..=Minor::MAX.0, weights in prop::collection::vec(any::<u32>(), 1..40)) {
            let parts = minor(amount).allocate(&weights).unwrap();
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(parts.iter().map(|p| i128::from(p.0)).sum::<i128>(), i128::from(amount));
            let total: i128 = weights.iter().map(|w| i128::from(*w)).sum();
            if total > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    // within one unit of its exact share
                    let off = i128::from(part.0) * total - i128::from(amount) * i128::from(*weight);
                    prop_assert!(off.abs() < total);
                }
            }
        }

        #[test]
        fn arithmetic_is_exact_or_refused(a in any::<i64>(), b in any::<i64>(), n in any::<i64>()) {
            if let (Ok(a), Ok(b)) = (Minor::new(a), Minor::new(b)) {
                let exact = |wide: i128| i64::try_from(wide).ok().and_then(|v| Minor::new(v).ok()).ok_or(BadMoney);
                prop_assert_eq!(a.plus(b), exact(i128::from(a.0) + i128::from(b.0)));
                prop_assert_eq!(a.minus(b), exact(i128::from(a.0) - i128::from(b.0)));
                prop_assert_eq!(a.times(n), exact(i128::from(a.0) * i128::from(n)));
            }
        }

        #[test]
        fn text_of_money_comes_back(amount in -Minor::MAX.0..=Minor::MAX.0, code in prop::sample::select(vec!["EUR", "JPY", "KWD"])) {
            let money = Money::new(minor(amount), code.parse().unwrap());
            let text = money.to_string();
            let decimal = text.strip_suffix(&format!(" {code}")).unwrap();
            prop_assert_eq!(money.currency.parse_decimal(decimal), Ok(money.amount));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,12}") {
            let _ = Currency::EUR.parse_decimal(&text);
        }
    }

    #[test]
    fn decimals_follow_the_currency() {
        let parse = |code: &str, text| code.parse::<Currency>().unwrap().parse_decimal(text).map(|m| m.0);
        assert_eq!(parse("EUR", "19.9"), Ok(1990));
        assert_eq!(parse("EUR", "40.000"), Ok(4000));
        assert_eq!(parse("JPY", "500.0"), Ok(500));
        assert_eq!(parse("KWD", "1.234"), Ok(1234));
        for (code, text) in [
            ("EUR", "0.001"),
            ("JPY", "0.5"),
            ("EUR", ""),
            ("EUR", "."),
            ("EUR", "1e3"),
            ("EUR", "99999999999999999"),
            ("EUR", "1,00"),
        ] {
            assert_eq!(parse(code, text), Err(BadMoney), "{code} {text}");
        }
    }

    #[test]
    fn only_live_codes_in_capitals() {
        for code in ["eur", "EURO", "XXX", "CLF", "", "ZZZ"] {
            assert_eq!(code.parse::<Currency>(), Err(BadCurrency), "{code}");
        }
        assert_eq!(minor(100).allocate(&[]), None);
        assert_eq!(minor(7).allocate(&[0, 0]), Some(vec![minor(7), minor(0)]));
    }
}
