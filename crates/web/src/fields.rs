//! What is wrong with a body, field by field: parsed into the domain's types, all complaints at once.
use crate::Problem;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// One field that is not valid.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// One of [`reason`], or an error code where a field stands for a thing.
    pub code: &'static str,
    pub detail: String,
    /// Members of its own, such as `available`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into(), more: Map::new() }
    }
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

/// Why a field is refused: the words that stand in `errors[].code`.
pub mod reason {
    pub const REQUIRED: &str = "required";
    pub const TYPE: &str = "wrong_type";
    pub const FORMAT: &str = "invalid_format";
    pub const TOO_LONG: &str = "too_long";
    pub const TOO_MANY: &str = "too_many";
    pub const RANGE: &str = "out_of_range";
    pub const DUPLICATE: &str = "duplicate";
    pub const UNKNOWN: &str = "unknown";
    /// It stands for a thing that cannot be used here, such as a draft in a cart.
    pub const NOT_USABLE: &str = "not_usable";
}

/// Where in a body we are.
#[derive(Clone, Default)]
pub struct Pointer(String);

impl Pointer {
    pub fn root() -> Self {
        Self::default()
    }
    #[must_use]
    pub fn at(&self, part: impl fmt::Display) -> Self {
        Self(format!("{}/{}", self.0, part.to_string().replace('~', "~0").replace('/', "~1")))
    }
}
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects complaints while a body is turned into domain types.
#[derive(Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn refuse(&mut self, at: &Pointer, code: &'static str, detail: impl fmt::Display) {
        self.0.push(FieldError::new(at.to_string(), code, detail.to_string()));
    }
    /// The value, or a complaint of the form `invalid_format`.
    pub fn take<T, E: fmt::Display>(&mut self, at: &Pointer, parsed: Result<T, E>) -> Option<T> {
        self.take_as(at, reason::FORMAT, parsed)
    }
    pub fn take_as<T, E: fmt::Display>(&mut self, at: &Pointer, code: &'static str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|why| self.refuse(at, code, why)).ok()
    }
    /// A text that is trimmed, without control characters but line breaks and tabs, of `min..=max` characters.
    pub fn text(&mut self, at: &Pointer, text: &str, min: usize, max: usize) -> Option<String> {
        let text = text.trim();
        let length = text.chars().count();
        if length < min {
            self.refuse(
                at,
                reason::REQUIRED,
                if min == 1 { "must not be empty".into() } else { format!("needs {min} characters or more") },
            );
        } else if length > max {
            self.refuse(at, reason::TOO_LONG, format!("at most {max} characters"));
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(at, reason::FORMAT, "has control characters");
        } else {
            return Some(text.to_owned());
        }
        None
    }
    /// The outcome: the whole, if nothing was refused.
    pub fn done<T>(self, whole: Option<T>) -> Result<T, Problem> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => Err(Problem::invalid(self.0)),
        }
    }
    pub fn check(self) -> Result<(), Problem> {
        self.done(Some(()))
    }
}
