//! What an audit says: each invariant recomputed from what is stored, and where it does not hold.
use serde::Serialize;

/// One invariant, looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `<domain>.<invariant>`, such as `products.stock_is_its_ledger`.
    pub name: &'static str,
    /// What must hold, as a sentence.
    pub holds: &'static str,
    /// How many things were looked at.
    pub looked_at: u64,
    /// How many of them are off.
    pub off: u64,
    /// The first [`Check::SHOWN`] of those.
    pub findings: Vec<Finding>,
}

/// Where an invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, by its id.
    pub subject: String,
    /// What is there, and what should be.
    pub detail: String,
}

impl Check {
    /// How many findings are kept of each check; the rest is counted.
    pub const SHOWN: usize = 20;

    pub fn new(name: &'static str, holds: &'static str) -> Self {
        Self { name, holds, looked_at: 0, off: 0, findings: Vec::new() }
    }
    pub fn found(&mut self, subject: impl ToString, detail: impl Into<String>) {
        self.off += 1;
        if self.findings.len() < Self::SHOWN {
            self.findings.push(Finding { subject: subject.to_string(), detail: detail.into() });
        }
    }
}
