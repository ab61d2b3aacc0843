//! The errors of orders as problem documents.
use crate::service::{CheckoutError, Error, NotSold};
use kernel::Code;
use std::{fmt, time::Duration};
use web::{FieldError, Problem, reason};

impl fmt::Display for NotSold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no such variant",
            Self::Draft => "it is not for sale",
            Self::NoPrice => "it has no price in the cart's currency",
        })
    }
}

fn invalid(pointer: &str, code: &'static str, error: &Error) -> Problem {
    Problem::invalid(vec![FieldError::new(pointer, code, error.to_string())])
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found(),
            Error::Stale => Code::VersionMismatch.into(),
            Error::CartLocked => Self::from(Code::CartLocked).retry_after(Duration::from_secs(1)),
            Error::CartCompleted => Code::CartCompleted.into(),
            Error::NoCheckout => Code::NoCheckout.into(),
            Error::TooMany(pointer) => invalid(pointer, reason::TOO_MANY, &error),
            Error::NotSold(refused) => {
                let all = refused.into_iter().map(|(n, why)| {
                    FieldError::new(format!("/lines/{n}/variant_id"), reason::NOT_USABLE, why.to_string())
                });
                Self::invalid(all.collect())
            }
            Error::TooExpensive => invalid("", reason::RANGE, &error),
            Error::ShippingOption => invalid("/shipping_option_id", reason::UNKNOWN, &error),
            Error::OrderBusy => Self::from(Code::OrderBusy).retry_after(Duration::from_secs(1)),
            Error::NotCancellable => Code::OrderNotCancellable.into(),
            Error::NotShippable => Code::OrderNotShippable.into(),
            Error::NotCapturable => Code::OrderNotCapturable.into(),
            Error::NotRefundable => Code::OrderNotRefundable.into(),
            Error::WrongCurrency(_) => invalid("/amount/currency", reason::NOT_USABLE, &error),
            Error::PaymentRefused(why) => Self::new(Code::PaymentRefused, why),
            Error::BadEvent => Code::InvalidEvent.into(),
            Error::ProviderGone(_) | Error::Unreadable => Self::internal(error.to_string()),
            Error::BadMoney(_) => Self::internal("the amounts of a payment cannot be counted"),
            Error::Neighbour(failure) => failure.into(),
            Error::Once(refused) => refused.into(),
            Error::Database(error) => error.into(),
        }
    }
}

impl From<CheckoutError> for Problem {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Incomplete(pointers) => {
                let all = pointers
                    .into_iter()
                    .map(|pointer| FieldError::new(pointer, reason::REQUIRED, "the cart needs it first"));
                Self::from(Code::CartIncomplete).with_errors(all.collect())
            }
            CheckoutError::Provider(there) => {
                let detail = format!("not one of the shop's payment providers: {there}");
                Self::invalid(vec![FieldError::new("/payment/provider", reason::UNKNOWN, detail)])
            }
            CheckoutError::OutOfStock(short) => {
                let first = short.first().map(|(_, short)| *short);
                let all = short.into_iter().map(|(n, short)| {
                    let detail = format!("only {} are left", short.available);
                    FieldError::new(format!("/lines/{n}"), Code::OutOfStock.as_str(), detail)
                        .with("variant", short.variant.to_string())
                        .with("available", short.available)
                });
                let problem = Self::from(Code::OutOfStock).with_errors(all.collect());
                match first {
                    Some(short) => {
                        problem.with("variant", short.variant.to_string()).with("available", short.available)
                    }
                    None => problem,
                }
            }
            CheckoutError::TooLate => Self::new(
                Code::OutOfStock,
                "The hold on the goods ran out while the payment was made; nothing was taken.",
            ),
            CheckoutError::Changed(moved) => {
                let all = moved.into_iter().map(|(n, now)| {
                    let detail = if now.price.is_some() { "its price has moved" } else { "it is no longer sold" };
                    FieldError::new(format!("/lines/{n}"), Code::CartChanged.as_str(), detail)
                        .with("variant", now.variant.to_string())
                });
                Self::from(Code::CartChanged).with_errors(all.collect())
            }
            CheckoutError::Other(error) => error.into(),
        }
    }
}
