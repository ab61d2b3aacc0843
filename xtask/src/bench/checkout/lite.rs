//! The limit on SQLite: what a shop was heard to send to PostgreSQL, said to SQLite by one thread that does nothing else.
//!
//! Both databases have the same tables, and the shop sends both nearly the same: where a word differs it is exchanged. The
//! files are the shop's own, one a domain, as they were before the recorded checkouts; journal and durability are the
//! shop's: WAL, `synchronous=FULL`.
use super::{
    lap::{self, Lap},
    recording::{Recording, Statement, Value, placed},
};
use crate::error::{Context, Result};
use rusqlite::{CachedStatement, Connection, types::Value as Cell};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// How it commits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Commits {
    /// Each transaction by itself, checkout after checkout.
    Each,
    /// Of so many checkouts, step by step, together: what a shop may do whose buyers come at once.
    Of(usize),
}

/// A recorded checkout, as SQLite takes it.
pub(super) struct Replay {
    units: Vec<Unit>,
    /// A row a checkout, each value as it is bound.
    rows: Vec<Vec<Vec<Cell>>>,
}

struct Unit {
    domain: String,
    transaction: bool,
    statements: Vec<(String, Vec<Bind>)>,
}

enum Bind {
    Same(Cell),
    /// That element of that column.
    Column(usize, usize),
}

impl Replay {
    pub(super) fn of(recording: &Recording) -> Result<Self> {
        let first = recording.rows.first().context("nothing was recorded")?;
        let units = recording.units.iter().map(|unit| {
            let statements = unit.statements.iter().map(|statement| translated(statement, first));
            let (domain, transaction) = (unit.domain.clone(), unit.transaction);
            Unit { domain, transaction, statements: statements.collect() }
        });
        let row = |row: &Vec<String>| row.iter().map(|text| cells(text)).collect();
        Ok(Self { units: units.collect(), rows: recording.rows.iter().map(row).collect() })
    }

    /// Until the time is over, or all that was recorded is replayed; on files like those of `from`, gone afterwards.
    pub(super) fn lap(&self, from: &Path, scratch: &Path, commits: Commits, length: Duration) -> Result<Lap> {
        let _ = fs::remove_dir_all(scratch);
        fs::create_dir_all(scratch).context("cannot make a folder for SQLite")?;
        let mut files = BTreeMap::new();
        for unit in &self.units {
            if files.contains_key(unit.domain.as_str()) {
                continue;
            }
            let name = format!("{}.db", unit.domain);
            fs::copy(from.join(&name), scratch.join(&name)).context(format_args!("cannot copy {name}"))?;
            files.insert(unit.domain.as_str(), opened(&scratch.join(name))?);
        }
        let orders = files.get("orders").context("no statement of orders was recorded")?;
        let before = placed_orders(orders)?;
        let (cpu, started, mut took) = (lap::own()?, Instant::now(), Vec::new());
        let at_once = if let Commits::Of(many) = commits { many.max(1) } else { 1 };
        for rows in self.rows.chunks(at_once) {
            if started.elapsed() >= length {
                break;
            }
            let asked = Instant::now();
            for unit in &self.units {
                let connection = files.get(unit.domain.as_str()).context("no file")?;
                self.run(connection, unit, rows).context(format_args!("SQLite, {}", unit.domain))?;
            }
            took.extend(rows.iter().map(|_| asked.elapsed()));
        }
        let (lasted, cpu) = (started.elapsed(), lap::own()?.saturating_sub(cpu));
        let grown = placed_orders(orders)? - before;
        if grown != took.len() as i64 {
            return Err(format!("{} replayed checkouts placed {grown} orders", took.len()).into());
        }
        drop(files);
        let _ = fs::remove_dir_all(scratch);
        took.sort_unstable();
        let none = Duration::ZERO;
        Ok(Lap { took, lasted, shop: none, database: cpu, generator: none, memory: 0, statements: 0 })
    }

    /// The same unit of all these checkouts, in one commit.
    fn run(&self, connection: &Connection, unit: &Unit, rows: &[Vec<Vec<Cell>>]) -> rusqlite::Result<()> {
        let control = |text: &str| connection.prepare_cached(text)?.execute([]).map(drop);
        if unit.transaction {
            control("BEGIN IMMEDIATE")?;
        }
        for row in rows {
            if rows.len() > 1 {
                control("SAVEPOINT one")?;
            }
            for (sql, binds) in &unit.statements {
                run(connection.prepare_cached(sql)?, binds, row)?;
            }
            if rows.len() > 1 {
                control("RELEASE one")?;
            }
        }
        if unit.transaction { control("COMMIT") } else { Ok(()) }
    }
}

/// To its end, reading what it answers.
fn run(mut statement: CachedStatement<'_>, binds: &[Bind], row: &[Vec<Cell>]) -> rusqlite::Result<()> {
    for (at, bind) in binds.iter().enumerate() {
        match bind {
            Bind::Same(cell) => statement.raw_bind_parameter(at + 1, cell)?,
            Bind::Column(column, element) => statement.raw_bind_parameter(at + 1, &row[*column][*element])?,
        }
    }
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

fn opened(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file).context(format_args!("cannot open {}", file.display()))?;
    connection.set_prepared_statement_cache_capacity(100);
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
    connection.execute_batch(settings).context("SQLite's settings")?;
    Ok(connection)
}

fn placed_orders(orders: &Connection) -> Result<i64> {
    let count = "SELECT count(*) FROM orders WHERE status = 'placed' AND number IS NOT NULL";
    orders.query_row(count, [], |row| row.get(0)).context("cannot count orders")
}

/// Lists become as many values as they have in the first checkout.
fn translated(statement: &Statement, first: &[String]) -> (String, Vec<Bind>) {
    const NOW: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
    let sql = statement.sql.replace("nextval('order_numbers')", "(SELECT coalesce(max(number), 1000) + 1 FROM orders)");
    let sql = sql.replace(" * interval '1 microsecond'", "").replace("clock_timestamp()", NOW);
    let sql = sql.replace(" = ANY($", " IN ($");
    let locks = [" FOR UPDATE", " FOR NO KEY UPDATE", " FOR SHARE", " FOR KEY SHARE"];
    let end = locks.iter().filter_map(|lock| sql.rfind(lock)).min().unwrap_or(sql.len());
    let mut binds = Vec::new();
    let sql = placed(&sql[..end], |number| {
        let before = binds.len();
        match statement.values.get(number - 1) {
            Some(Value::Same(Some(text))) => binds.extend(cells(text).into_iter().map(Bind::Same)),
            Some(Value::Column(column)) => {
                let elements = cells(&first[*column]).len();
                binds.extend((0..elements).map(|element| Bind::Column(*column, element)));
            }
            Some(Value::Same(None)) | None => binds.push(Bind::Same(Cell::Null)),
        }
        vec!["?"; binds.len() - before].join(", ")
    });
    (sql, binds)
}

/// What PostgreSQL writes as text, as the shop keeps it in SQLite: ids and bytes as blobs, times as microseconds. More
/// than one where it is a list.
fn cells(text: &str) -> Vec<Cell> {
    let list = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|list| !list.contains([':', '"']));
    match list {
        Some(list) => list.split(',').filter(|one| !one.is_empty()).map(cell).collect(),
        None => vec![cell(text)],
    }
}

fn cell(text: &str) -> Cell {
    if let Some(bytes) = text.strip_prefix("\\x").and_then(bytes) {
        return Cell::Blob(bytes);
    }
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    if text.len() == 36
        && dashes == [8, 13, 18, 23]
        && let Some(bytes) = bytes(&text.replace('-', ""))
    {
        return Cell::Blob(bytes);
    }
    match text {
        "t" => Cell::Integer(1),
        "f" => Cell::Integer(0),
        _ => match micros(text).or_else(|| text.parse().ok().filter(|_| !text.starts_with('0') || text == "0")) {
            Some(number) => Cell::Integer(number),
            None => Cell::Text(text.to_owned()),
        },
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.chunks(2).map(pair).collect() } else { None }
}

/// `2026-01-31 10:20:30.123456+00`, since 1970.
fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix("+00")?.split_once(' ')?;
    let numbers =
        |text: &str, by: char| text.split(by).map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>();
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let [hour, minute, second] = numbers(whole, ':')?.try_into().ok()?;
    // Days since 1970 in the Gregorian calendar, with years that begin in March.
    let (shifted, of_year) = (if month <= 2 { year - 1 } else { year }, (month + 9) % 12);
    let (era, in_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let in_year = (153 * of_year + 2) / 5 + day - 1;
    let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(seconds * 1_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_the_shop_keeps() {
        assert_eq!(cell("\\x00ff"), Cell::Blob(vec![0, 255]));
        assert_eq!(
            cell("00000000-0000-7000-8000-0000000000ff"),
            Cell::Blob(vec![0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 255])
        );
        assert_eq!([cell("t"), cell("1999"), cell("0")], [Cell::Integer(1), Cell::Integer(1999), Cell::Integer(0)]);
        assert_eq!(cell("00af00af"), Cell::Text("00af00af".into()));
        assert_eq!(cell("1970-01-02 00:00:01.5+00"), Cell::Integer(86_401_500_000));
        assert_eq!(cell("2026-11-24 10:00:00+00"), Cell::Integer(1_795_514_400_000_000));
        assert_eq!(cells("{a,b}"), [Cell::Text("a".into()), Cell::Text("b".into())]);
        assert_eq!(cells("{\"a\":1}"), [Cell::Text("{\"a\":1}".into())]);
    }

    #[test]
    fn a_statement_says_the_same_to_sqlite() {
        let sql = "UPDATE a SET t = (clock_timestamp() + $1 * interval '1 microsecond'), n = nextval('order_numbers') \
                   WHERE s = ANY($2) AND i = $3 FOR UPDATE OF a";
        let values = vec![Value::Same(Some("10".into())), Value::Same(Some("{x,y}".into())), Value::Column(0)];
        let (sql, binds) = translated(&Statement { sql: sql.into(), values }, &["z".to_owned()]);
        let expected = "UPDATE a SET t = (CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ?), \
                        n = (SELECT coalesce(max(number), 1000) + 1 FROM orders) WHERE s IN (?, ?) AND i = ?";
        assert_eq!((sql.as_str(), binds.len()), (expected, 4));
    }
}
