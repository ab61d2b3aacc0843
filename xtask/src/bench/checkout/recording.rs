//! What a shop sends for a checkout, learnt from its database's log.
//!
//! So many checkouts are made one after another. What is sent between `BEGIN` and `COMMIT` of a session is a unit, a
//! statement outside of one a unit by itself. A unit belongs to a checkout when no statement of it is about what happens
//! after the answer (leases, the inbox, telling what is in the outbox, the journal of webhooks) and when units of just these
//! statements occurred as often as there were checkouts, or a multiple of it. The others are counted and told.
use super::log::Sent;
use crate::error::{Context, Result};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

/// The same for every checkout but for what is in `rows`.
pub(super) struct Recording {
    pub(super) units: Vec<Unit>,
    /// What differs, a row a checkout.
    pub(super) rows: Vec<Vec<String>>,
    /// How often other units occurred.
    pub(super) others: Vec<Other>,
}

pub(super) struct Unit {
    pub(super) domain: String,
    /// Whether it is a transaction of its own: begun and committed around its statements.
    pub(super) transaction: bool,
    pub(super) statements: Vec<Statement>,
}

pub(super) struct Statement {
    /// With `$1`, `$2` where values go.
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Always the same.
    Same(Option<String>),
    /// So much of the checkout's row.
    Column(usize),
}

pub(super) struct Other {
    pub(super) domain: String,
    pub(super) times: usize,
    pub(super) statements: Vec<String>,
}

/// In the order in which they began.
struct Raw {
    domain: String,
    transaction: bool,
    sent: Vec<Sent>,
}

impl Raw {
    fn shape(&self) -> (String, Vec<String>) {
        (self.domain.clone(), self.sent.iter().map(|sent| sent.sql.clone()).collect())
    }
}

impl Recording {
    /// Of so many checkouts.
    pub(super) fn of(all: Vec<Sent>, checkouts: usize) -> Result<Self> {
        let raw = units(all);
        let mut times: HashMap<_, usize> = HashMap::new();
        for unit in &raw {
            *times.entry(unit.shape()).or_default() += 1;
        }
        let asked = |unit: &Raw| {
            times[&unit.shape()].is_multiple_of(checkouts) && !unit.sent.iter().any(|sent| is_after(&sent.sql))
        };
        let (ours, others): (Vec<_>, Vec<_>) = raw.into_iter().partition(asked);
        let each = ours.len() / checkouts;
        if each == 0 {
            return Err(format!("nothing was sent just {checkouts} times").into());
        }
        let mut chunks = ours.chunks(each);
        let first = chunks.next().context("no checkout")?;
        for (index, chunk) in chunks.enumerate() {
            if !chunk.iter().map(Raw::shape).eq(first.iter().map(Raw::shape)) {
                return Err(format!("checkout {} sent other statements than the first", index + 2).into());
            }
        }
        let mut counted: BTreeMap<_, usize> = BTreeMap::new();
        for other in &others {
            *counted.entry(other.shape()).or_default() += 1;
        }
        let mut others: Vec<Other> =
            counted.into_iter().map(|((domain, statements), times)| Other { domain, times, statements }).collect();
        others.sort_by_key(|other| std::cmp::Reverse(other.times));
        let (units, rows) = learnt(&ours, each)?;
        Ok(Self { units, rows, others })
    }

    /// For people: what one checkout sends.
    pub(super) fn told(&self) -> String {
        let mut text = format!(
            "-- One checkout as PostgreSQL logged it, of {} that were recorded. :cN differs from checkout to checkout.\n",
            self.rows.len()
        );
        for unit in &self.units {
            let _ = writeln!(text, "\n-- {}", unit.domain);
            if unit.transaction {
                text.push_str("BEGIN READ WRITE;\n");
            }
            for statement in &unit.statements {
                let _ = writeln!(text, "{};", statement.with(|value| value.literal()));
            }
            if unit.transaction {
                text.push_str("COMMIT;\n");
            }
        }
        let _ = writeln!(text, "\n-- Not of the checkout itself, and how often it was sent meanwhile:");
        for other in &self.others {
            let _ = writeln!(text, "\n-- {} times, {}", other.times, other.domain);
            for statement in &other.statements {
                let _ = writeln!(text, "--   {statement};");
            }
        }
        text
    }

    pub(super) fn statements(&self) -> usize {
        self.units.iter().map(|unit| unit.statements.len()).sum()
    }
    pub(super) fn commits(&self) -> usize {
        self.units.iter().filter(|unit| unit.transaction).count()
    }
}

impl Statement {
    /// Its text with values in their places.
    pub(super) fn with(&self, shown: impl Fn(&Value) -> String) -> String {
        placed(&self.sql, |number| self.values.get(number - 1).map_or_else(|| format!("${number}"), &shown))
    }
}

impl Value {
    /// In PostgreSQL's words; a column is a variable of pgbench.
    pub(super) fn literal(&self) -> String {
        match self {
            Self::Same(None) => "NULL".into(),
            Self::Same(Some(value)) => format!("'{}'", value.replace('\'', "''")),
            Self::Column(column) => format!(":c{column}"),
        }
    }
}

/// What is done when the buyer has been answered, or might have been.
fn is_after(sql: &str) -> bool {
    let table = |name: &str| sql.contains(&format!("\"{name}\""));
    ["leases", "inbox", "heard", "journal", "journal_head", "deliveries", "endpoints"].into_iter().any(table)
        || (table("outbox") && !sql.starts_with("INSERT INTO \"outbox\""))
        || sql.contains("pg_notify(")
}

fn units(all: Vec<Sent>) -> Vec<Raw> {
    let mut units: Vec<Raw> = Vec::new();
    let mut open: HashMap<u32, usize> = HashMap::new();
    for sent in all {
        let word = sent.sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match (word.as_str(), open.get(&sent.session)) {
            ("BEGIN", _) => {
                open.insert(sent.session, units.len());
                units.push(Raw { domain: sent.domain, transaction: true, sent: Vec::new() });
            }
            ("COMMIT", Some(_)) => drop(open.remove(&sent.session)),
            (_, Some(unit)) => {
                let ends = word == "ROLLBACK" && !sent.sql.to_ascii_uppercase().contains(" TO ");
                let (unit, session) = (*unit, sent.session);
                units[unit].sent.push(sent);
                if ends {
                    open.remove(&session);
                }
            }
            (_, None) => units.push(Raw { domain: sent.domain.clone(), transaction: false, sent: vec![sent] }),
        }
    }
    units
}

/// Which values are always the same, and the others as rows; what is alike in every checkout is one column.
fn learnt(ours: &[Raw], each: usize) -> Result<(Vec<Unit>, Vec<Vec<String>>)> {
    let mut columns: Vec<Vec<&str>> = Vec::new();
    let mut known: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut units = Vec::with_capacity(each);
    for place in 0..each {
        let alike: Vec<&Raw> = ours.iter().skip(place).step_by(each).collect();
        let first = alike.first().context("no checkout")?;
        let mut statements = Vec::new();
        for (number, sent) in first.sent.iter().enumerate() {
            let mut values = Vec::new();
            for (at, value) in sent.values.iter().enumerate() {
                let all: Vec<Option<&str>> =
                    alike.iter().map(|raw| raw.sent[number].values.get(at).and_then(Option::as_deref)).collect();
                let same = all.iter().all(|one| *one == value.as_deref());
                // pgbench would take what follows a colon for a variable, were it in the statement.
                if same && !value.as_ref().is_some_and(|value| value.contains([':', '\\', '\n'])) {
                    values.push(Value::Same(value.clone()));
                    continue;
                }
                let all: Option<Vec<&str>> = all.into_iter().collect();
                let all = all.context(format_args!("${} is there and is not, in {}", at + 1, sent.sql))?;
                let column = *known.entry(all.clone()).or_insert_with(|| {
                    columns.push(all);
                    columns.len() - 1
                });
                values.push(Value::Column(column));
            }
            statements.push(Statement { sql: sent.sql.clone(), values });
        }
        units.push(Unit { domain: first.domain.clone(), transaction: first.transaction, statements });
    }
    let count = ours.len() / each;
    let row = |checkout: usize| columns.iter().map(|column| column[checkout].to_owned()).collect();
    Ok((units, (0..count).map(row).collect()))
}

/// A statement's text, with what stands for `$1` and so on; texts in quotes are left alone.
pub(super) fn placed(sql: &str, mut shown: impl FnMut(usize) -> String) -> String {
    let (mut text, mut rest, mut quoted) = (String::with_capacity(sql.len()), sql, false);
    while let Some(at) = rest.find(['\'', '$']) {
        let (before, found) = rest.split_at(at);
        text.push_str(before);
        let digits = found[1..].bytes().take_while(u8::is_ascii_digit).count();
        if found.starts_with('$') && !quoted && digits > 0 {
            let number = found[1..=digits].parse().unwrap_or_default();
            text.push_str(&shown(number));
            rest = &found[1 + digits..];
        } else {
            quoted ^= found.starts_with('\'');
            text.push_str(&found[..1]);
            rest = &found[1..];
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn sent(session: u32, domain: &str, sql: &str, values: &[&str]) -> Sent {
        let values = values.iter().map(|value| (*value != "-").then(|| (*value).to_owned())).collect();
        Sent { session, domain: domain.into(), sql: sql.into(), values }
    }

    /// Of two checkouts, and what a relay and a worker sent between.
    pub(in crate::bench::checkout) fn recorded() -> Recording {
        let mut all = Vec::new();
        for order in ["o1", "o2"] {
            all.push(sent(1, "orders", "BEGIN READ WRITE", &[]));
            all.push(sent(2, "products", "BEGIN READ WRITE", &[]));
            all.push(sent(1, "orders", "INSERT INTO \"orders\" VALUES ($1, $2, $3)", &[order, "it's", "-"]));
            all.push(sent(2, "products", "UPDATE \"outbox\" SET \"published_at\" = $1", &[order]));
            all.push(sent(1, "orders", "COMMIT", &[]));
            all.push(sent(2, "products", "COMMIT", &[]));
            all.push(sent(3, "products", "SELECT '$1', a FROM b WHERE c = $1", &[order]));
        }
        all.push(sent(4, "orders", "SELECT 1", &[]));
        Recording::of(all, 2).unwrap()
    }

    #[test]
    fn a_checkout_is_what_is_sent_for_each() {
        let recording = recorded();
        assert_eq!((recording.units.len(), recording.statements(), recording.commits()), (2, 2, 1));
        assert_eq!(recording.rows, [["o1"], ["o2"]]);
        let values = &recording.units[0].statements[0].values;
        assert_eq!(values[..], [Value::Column(0), Value::Same(Some("it's".into())), Value::Same(None)]);
        assert_eq!(recording.units[1].statements[0].with(Value::literal), "SELECT '$1', a FROM b WHERE c = :c0");
        let others: Vec<_> = recording.others.iter().map(|other| (other.domain.as_str(), other.times)).collect();
        assert_eq!(others, [("products", 2), ("orders", 1)]);
        assert!(recording.told().contains("VALUES (:c0, 'it''s', NULL);\nCOMMIT;"), "{}", recording.told());
    }

    #[test]
    fn another_order_of_statements_is_refused() {
        let all = [("a", "SELECT 1"), ("a", "SELECT 2"), ("a", "SELECT 2"), ("a", "SELECT 1")];
        let all = all.map(|(domain, sql)| sent(1, domain, sql, &[])).into();
        assert!(Recording::of(all, 2).err().unwrap().to_string().contains("checkout 2"));
    }

    #[test]
    fn what_has_a_colon_is_no_literal() {
        let all = (0..2).map(|_| sent(1, "a", "SELECT $1", &["{\"a\":true}"])).collect();
        assert_eq!(Recording::of(all, 2).unwrap().rows.len(), 2);
    }
}
