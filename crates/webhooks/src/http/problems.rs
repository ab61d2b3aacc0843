//! The errors of webhooks as problem documents.
use crate::service::Error;
use kernel::Code;
use std::time::Duration;
use web::{FieldError, Problem, reason};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found(),
            Error::Stale => Code::VersionMismatch.into(),
            Error::TooManyEndpoints => Self::invalid(vec![FieldError::new("", reason::TOO_MANY, error.to_string())]),
            Error::Paused => Code::EndpointPaused.into(),
            Error::UnderWay => Self::from(Code::DeliveryUnderWay).retry_after(Duration::from_secs(1)),
            Error::TooManyStreams => Self::unavailable(Duration::from_secs(5)),
            Error::Shut(shut) => Self::internal(shut),
            Error::Cursor(bad) => bad.into(),
            Error::Once(refused) => refused.into(),
            Error::Database(error) => error.into(),
        }
    }
}
