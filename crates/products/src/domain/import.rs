//! Imports and how far they are.
use super::shopify::RowError;
use kernel::{Currency, Id, Kind, Time};
use std::str::FromStr;

#[derive(Debug)]
pub(crate) enum File {}
impl Kind for File {
    const PREFIX: &'static str = "imp";
}
pub(crate) type ImportId = Id<File>;

/// Errors that are kept; the rest are counted.
const KEPT: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Import {
    pub id: ImportId,
    pub status: ImportStatus,
    pub format: String,
    pub currency: Currency,
    pub dry_run: bool,
    pub progress: Progress,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImportStatus {
    Pending,
    Running,
    Done,
    Failed,
}

impl ImportStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}
impl FromStr for ImportStatus {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Pending, Self::Running, Self::Done, Self::Failed];
        all.into_iter().find(|status| status.as_str() == text).ok_or("not an import's status")
    }
}

/// What came of a file so far: rows read, and products.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    pub rows: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// The first thousand.
    pub errors: Vec<RowError>,
    pub error_count: u64,
}

impl Progress {
    pub(crate) fn complain(&mut self, errors: Vec<RowError>) {
        self.error_count += errors.len() as u64;
        let room = KEPT.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(room));
    }
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Shopify,
}

impl Format {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shopify => "shopify",
        }
    }
}
impl FromStr for Format {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "shopify" { Ok(Self::Shopify) } else { Err("the one format there is is shopify") }
    }
}
