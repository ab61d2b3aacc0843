//! Errors here are read by a person and acted on by none of the code: a sentence, and the cause behind it.
use std::{error::Error, fmt::Display};

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

pub(crate) trait Context<T> {
    /// Says what was being done when it failed.
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|cause| format!("{doing}: {cause}").into())
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, missing: impl Display) -> Result<T> {
        self.ok_or_else(|| missing.to_string().into())
    }
}
