//! Why a shop was not started: a sentence for whoever wanted it.
use std::{error::Error, fmt};

#[derive(Debug)]
pub struct Failed(pub(crate) String);

pub type Result<T, E = Failed> = std::result::Result<T, E>;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Error for Failed {}

/// Says what was being done when it failed.
pub(crate) trait Context<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}
impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Failed(format!("{doing}: {cause}")))
    }
}
