//! RFC 9457 problem documents: the one shape in which a request fails.
use crate::{FieldError, edge::current_request_id};
use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use kernel::{CallError, Code, Failure};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt, time::Duration};

/// Why a request failed, ready to be shown. The cause of an internal error is logged where it becomes a problem and
/// never travels in it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { code, detail: detail.into(), errors: Vec::new(), more: Map::new(), retry_after: None }))
    }
    pub fn not_found() -> Self {
        Self::from(Code::NotFound)
    }
    /// 422, with what is wrong in each field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::from(Code::Invalid);
        problem.0.errors = errors;
        problem
    }
    /// Logs the whole chain; the client learns only that it happened and the request id to ask about.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::from(Code::Internal)
    }
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::from(Code::Unavailable).retry_after(retry_after)
    }
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }
    /// A member of its own in the document, such as `available` of `out_of_stock`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }
    pub fn code(&self) -> Code {
        self.0.code
    }
    /// Status, headers and body, for answers that are kept.
    pub fn reply(&self) -> crate::Reply {
        crate::Reply::problem(self.0.code.status(), self.body())
    }

    fn body(&self) -> Vec<u8> {
        let Inner { code, detail, errors, more, .. } = &*self.0;
        let document = Document {
            r#type: format!("/docs/errors#{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            detail,
            code: code.as_str(),
            request_id: current_request_id(),
            errors,
            more,
        };
        serde_json::to_vec(&document).expect("a problem is plain data")
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code, code.title())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).expect("the table has statuses")
    }
    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.content_type("application/problem+json");
        if let Some(after) = self.0.retry_after {
            answer.insert_header(("Retry-After", after.as_secs_f64().ceil().max(1.0).to_string()));
        }
        if self.0.code.status() == 401 {
            answer.insert_header(("WWW-Authenticate", "Bearer"));
        }
        answer.body(self.body())
    }
}

const SOON: Duration = Duration::from_secs(1);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied => Code::Forbidden.into(),
            Failure::Unavailable { retry_after } => Self::unavailable(retry_after.unwrap_or(SOON)),
            Failure::Unknown => Self::from(Code::OutcomeUnknown).retry_after(SOON),
        }
    }
}
impl<E: Into<Problem>> From<CallError<E>> for Problem {
    fn from(error: CallError<E>) -> Self {
        match error.split() {
            Ok(domain) => domain.into(),
            Err(failure) => failure.into(),
        }
    }
}
impl From<std::convert::Infallible> for Problem {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
impl From<database::Error> for Problem {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::Busy => Self::unavailable(SOON),
            database::Error::Unavailable(cause) => {
                tracing::error!(%cause, "the database is unavailable");
                Self::unavailable(SOON)
            }
            database::Error::Unknown(cause) => {
                tracing::error!(%cause, "the outcome of a transaction is unknown");
                Self::from(Code::OutcomeUnknown).retry_after(SOON)
            }
            database::Error::Panicked => Self::internal("a unit of work panicked"),
            database::Error::Query(cause) => Self::internal(cause),
        }
    }
}
impl From<database::once::Refused> for Problem {
    fn from(refused: database::once::Refused) -> Self {
        match refused {
            database::once::Refused::Reused => Code::IdempotencyKeyReused.into(),
            database::once::Refused::InProgress => Self::from(Code::IdempotencyInProgress).retry_after(SOON),
        }
    }
}
impl From<kernel::BadCursor> for Problem {
    fn from(_: kernel::BadCursor) -> Self {
        Code::InvalidCursor.into()
    }
}
