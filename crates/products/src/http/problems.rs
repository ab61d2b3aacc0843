//! The errors of products as problem documents.
use crate::{domain::stock::MAX_STOCK, service::Error};
use kernel::Code;
use web::{FieldError, Pointer, Problem, reason};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        let field = |at: Pointer, code, said: String| Self::invalid(vec![FieldError::new(at.to_string(), code, said)]);
        let root = Pointer::root();
        match error {
            Error::NotFound => Self::not_found(),
            Error::Stale => Code::VersionMismatch.into(),
            Error::SlugTaken => Code::SlugTaken.into(),
            Error::AlreadyReviewed => Code::AlreadyReviewed.into(),
            Error::AccountGone => Code::InvalidToken.into(),
            Error::OptionsTaken => Code::OptionsTaken.into(),
            Error::Inconsistent => field(root.at("options"), reason::NOT_USABLE, said),
            Error::UnknownCategories(places) => {
                let at = |n: usize| root.at("categories").at(n).to_string();
                Self::invalid(places.iter().map(|n| FieldError::new(at(*n), reason::UNKNOWN, said.as_str())).collect())
            }
            Error::UnknownParent => field(root.at("parent"), reason::UNKNOWN, said),
            Error::TooManyVariants => field(root, reason::TOO_MANY, said),
            Error::Unfitting => field(root.at("options"), reason::UNKNOWN, said),
            Error::BelowReserved => Code::BelowReserved.into(),
            Error::TooMuch => field(root.at("delta"), reason::RANGE, format!("at most {MAX_STOCK} on hand")),
            Error::Once(refused) => refused.into(),
            Error::Database(error) => error.into(),
        }
    }
}
