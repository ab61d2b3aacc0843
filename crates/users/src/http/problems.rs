//! The errors of users as problem documents.
use crate::service::{Error, PageError};
use kernel::Code;
use std::time::Duration;
use web::{FieldError, Problem, reason};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::EmailTaken => Code::EmailTaken.into(),
            Error::InvalidCredentials => Code::InvalidCredentials.into(),
            Error::Crowded => Self::from(Code::TooManyRequests).retry_after(Duration::from_secs(1)),
            Error::InvalidRefreshToken => Code::InvalidRefreshToken.into(),
            Error::RefreshTokenReused => Code::RefreshTokenReused.into(),
            Error::NotFound => Self::not_found(),
            Error::Stale => Code::VersionMismatch.into(),
            Error::LastAdministrator => Code::LastAdministrator.into(),
            Error::TooManyAddresses => Self::invalid(vec![FieldError::new("", reason::TOO_MANY, error.to_string())]),
            Error::Once(refused) => refused.into(),
            Error::Database(error) => error.into(),
        }
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Cursor(bad) => bad.into(),
            PageError::Database(error) => error.into(),
        }
    }
}
