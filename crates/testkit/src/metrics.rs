//! What a shop measured, read from its `/metrics`.
use std::collections::BTreeMap;

/// Statements and transactions so far, by domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub statements: BTreeMap<String, u64>,
    pub transactions: BTreeMap<String, u64>,
}

impl Counters {
    /// What one process tells.
    pub(crate) fn add(&mut self, text: &str) {
        sum(&mut self.statements, by_database(text, "cleave_database_statements_total"));
        sum(&mut self.transactions, by_database(text, "cleave_database_transactions_total"));
    }
    /// What came since `before`, all domains together: statements, transactions.
    pub fn since(&self, before: &Self) -> (u64, u64) {
        let sum = |all: &BTreeMap<String, u64>| all.values().sum::<u64>();
        (sum(&self.statements) - sum(&before.statements), sum(&self.transactions) - sum(&before.transactions))
    }
}

fn sum(all: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    more.into_iter().for_each(|(database, count)| *all.entry(database).or_default() += count);
}

fn by_database(text: &str, name: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once('}')?;
        let database = labels.split(',').find_map(|label| label.strip_prefix("database=\"")?.strip_suffix('"'))?;
        Some((database.to_owned(), value.trim().parse::<f64>().ok()? as u64))
    };
    text.lines().filter_map(line).collect()
}
