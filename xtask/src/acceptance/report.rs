//! What was expected beside what was found.
use crate::error::Result;
use std::fmt::Display;

#[derive(Default)]
pub(super) struct Report(Vec<Row>);

struct Row {
    what: String,
    expected: String,
    found: String,
    holds: bool,
}

impl Report {
    pub(super) fn equal<T: Display + PartialEq>(&mut self, what: impl Into<String>, expected: T, found: T) {
        let holds = expected == found;
        self.0.push(Row { what: what.into(), expected: expected.to_string(), found: found.to_string(), holds });
    }

    pub(super) fn at_most(&mut self, what: impl Into<String>, limit: u64, found: u64) {
        let expected = format!("<= {limit}");
        self.0.push(Row { what: what.into(), expected, found: found.to_string(), holds: found <= limit });
    }

    pub(super) fn print(&self) {
        let width = |of: fn(&Row) -> &str, least: usize| {
            self.0.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).max(least)
        };
        let (what, expected, found) = (width(|r| &r.what, 4), width(|r| &r.expected, 8), width(|r| &r.found, 5));
        println!("\n{:<what$}  {:>expected$}  {:>found$}", "what", "expected", "found");
        for row in &self.0 {
            let mark = if row.holds { "" } else { "  DIFFERS" };
            println!("{:<what$}  {:>expected$}  {:>found$}{mark}", row.what, row.expected, row.found);
        }
        println!();
    }

    pub(super) fn verdict(&self) -> Result<()> {
        match self.0.iter().filter(|row| !row.holds).count() {
            0 => Ok(()),
            differ => Err(format!("{differ} of {} comparisons differ; the table says which", self.0.len()).into()),
        }
    }
}
