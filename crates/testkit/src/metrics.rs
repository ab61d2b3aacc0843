//! What a shop measured, read from its `/metrics`.
use std::collections::BTreeMap;

/// Statements and transactions so far, by domain; calls to domains that run elsewhere, and further tries of them, by
/// method, such as `cleave.products.v1.Stock/reserve`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub statements: BTreeMap<String, u64>,
    pub transactions: BTreeMap<String, u64>,
    pub calls: BTreeMap<String, u64>,
    pub retries: BTreeMap<String, u64>,
    /// How often memory was asked for, and how many bytes of it.
    pub allocations: u64,
    pub allocated_bytes: u64,
}

impl Counters {
    /// What one process tells.
    pub(crate) fn add(&mut self, text: &str) {
        sum(&mut self.statements, counted(text, "cleave_database_statements_total", &["database"]));
        sum(&mut self.transactions, counted(text, "cleave_database_transactions_total", &["database"]));
        sum(&mut self.calls, counted(text, "cleave_remote_calls_total", &["service", "method"]));
        sum(&mut self.retries, counted(text, "cleave_remote_retries_total", &["service", "method"]));
        self.allocations += alone(text, "cleave_allocations_total ");
        self.allocated_bytes += alone(text, "cleave_allocated_bytes_total ");
    }
    /// What came since `before`, all domains together: statements, transactions.
    pub fn since(&self, before: &Self) -> (u64, u64) {
        let sum = |all: &BTreeMap<String, u64>| all.values().sum::<u64>();
        (sum(&self.statements) - sum(&before.statements), sum(&self.transactions) - sum(&before.transactions))
    }
    /// The calls that came since `before`, by method.
    pub fn calls_since(&self, before: &Self) -> BTreeMap<String, u64> {
        let more = |(method, count): (&String, &u64)| {
            let more = count - before.calls.get(method).copied().unwrap_or_default();
            (more > 0).then(|| (method.clone(), more))
        };
        self.calls.iter().filter_map(more).collect()
    }
}

fn sum(all: &mut BTreeMap<String, u64>, more: Vec<(String, u64)>) {
    more.into_iter().for_each(|(name, count)| *all.entry(name).or_default() += count);
}

/// A counter without labels.
fn alone(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or_default()
}

/// A counter's lines: the values of `labels`, and how many.
fn counted(text: &str, name: &str, labels: &[&str]) -> Vec<(String, u64)> {
    let line = |line: &str| {
        let (given, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once('}')?;
        let label = |label: &&str| {
            let value = |one: &str| Some(one.strip_prefix(label)?.strip_prefix("=\"")?.strip_suffix('"')?.to_owned());
            given.split(',').find_map(value)
        };
        let values: Option<Vec<String>> = labels.iter().map(label).collect();
        Some((values?.join("/"), value.trim().parse::<f64>().ok()? as u64))
    };
    text.lines().filter_map(line).collect()
}
