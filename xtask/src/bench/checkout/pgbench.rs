//! The limit on PostgreSQL: `pgbench` sends what a shop was heard to send, to a copy of the database as it was before.
//!
//! A transaction of the script is a checkout: the recorded transactions with their statements, prepared, in their order.
//! What differs from checkout to checkout comes from a table, by one more statement in front; a script of that statement
//! alone tells what it costs.
use super::{
    lap::{Lap, ended_children},
    psql::Psql,
    recording::{Recording, Statement, Unit, Value},
};
use crate::{
    bench::cpu,
    error::{Context, Result},
};
use std::{fmt::Write, fs, path::Path, process::Command, time::Duration};

/// Tables that every domain has: said with their schema, the others are found on the path.
const COMMON: [&str; 6] = ["idempotency", "outbox", "inbox", "leases", "heard", "forgotten"];
const SEARCH_PATH: &str = "-c search_path=orders,products,users,webhooks,public";

/// What is counted before and after a replay: each must have grown by one a checkout.
const DONE: [&str; 8] = [
    "orders.orders WHERE status = 'placed' AND payment_status = 'authorised' AND number IS NOT NULL",
    "orders.carts WHERE order_id IS NOT NULL",
    "orders.order_lines",
    "orders.payments WHERE status = 'authorised'",
    "orders.outbox WHERE kind = 'order.placed'",
    "products.reservations WHERE state = 'confirmed'",
    "products.stock_movements WHERE kind = 'reserved'",
    "products.outbox WHERE kind = 'stock.reserved'",
];

/// Which script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Checkout,
    /// Without the statements of the checkout.
    RowsOnly,
}

/// The table of what differs, as statements for `psql`.
pub(super) fn table(recording: &Recording) -> String {
    let count = recording.rows.first().map_or(0, Vec::len);
    let columns: String = (0..count).map(|column| format!(", c{column} text NOT NULL")).collect();
    let mut text = format!(
        "CREATE TABLE public.bench_rows (n bigint PRIMARY KEY{columns});\nCOPY public.bench_rows FROM STDIN;\n"
    );
    for (number, row) in recording.rows.iter().enumerate() {
        let _ = write!(text, "{number}");
        for value in row {
            text.push('\t');
            for letter in value.chars() {
                match letter {
                    '\\' => text.push_str("\\\\"),
                    '\t' => text.push_str("\\t"),
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    other => text.push(other),
                }
            }
        }
        text.push('\n');
    }
    text.push_str("\\.\nVACUUM ANALYZE public.bench_rows;\n");
    text
}

/// Each client has rows of its own, one after another.
pub(super) fn script(recording: &Recording, which: Script) -> String {
    let columns: Vec<String> = (0..recording.rows.first().map_or(0, Vec::len)).map(|c| format!("c{c}")).collect();
    let columns = columns.join(", ");
    let mut text = format!(
        "\\set n :client_id * :each + :done\n\\set done :done + 1\n\
         SELECT {columns} FROM public.bench_rows WHERE n = :n \\gset\n"
    );
    if which == Script::RowsOnly {
        return text;
    }
    for unit in &recording.units {
        if unit.transaction {
            text.push_str("BEGIN READ WRITE;\n");
        }
        for statement in &unit.statements {
            let _ = writeln!(text, "{};", qualified(unit, statement));
        }
        if unit.transaction {
            text.push_str("COMMIT;\n");
        }
    }
    text
}

fn qualified(unit: &Unit, statement: &Statement) -> String {
    let mut sql = statement.with(Value::literal);
    for name in COMMON {
        for word in ["INTO", "FROM", "UPDATE", "JOIN"] {
            let (plain, full) = (format!("{word} \"{name}\""), format!("{word} {}.\"{name}\"", unit.domain));
            sql = sql.replace(&plain, &full);
        }
    }
    sql
}

/// Replays `each` checkouts by each of so many clients, on a copy of `from` that is gone afterwards.
pub(super) fn lap(
    psql: &Psql<'_>,
    from: &str,
    script: (&Path, Script),
    (clients, each): (usize, usize),
) -> Result<Lap> {
    const COPY: &str = "replay";
    let (script, which) = script;
    psql.drop(COPY)?;
    psql.copy(from, COPY)?;
    // What the copying wrote is not written out while it is measured.
    psql.run("postgres", "CHECKPOINT;")?;
    let before = done(psql, COPY)?;
    let folder = script.parent().context("a script in no folder")?;
    let logs = folder.join(format!("pgbench-log-{}", if which == Script::Checkout { "all" } else { "rows" }));
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs).context("cannot make a folder for pgbench's log")?;
    let server = [psql.server.id()];
    let (database, tool) = (cpu::used(&server)?, ended_children()?);
    let output = Command::new(&psql.clients.pgbench)
        .env("PGOPTIONS", SEARCH_PATH)
        .args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", "1", "-t", &each.to_string()])
        .args(["-D", "done=0", "-D", &format!("each={each}"), "-l"])
        .arg(format!("--log-prefix={}", logs.join("log").display()))
        .arg("-f")
        .arg(script)
        .arg(psql.server.url(COPY))
        .output()
        .context("cannot run pgbench")?;
    let (tool, database) = (ended_children()?.saturating_sub(tool), cpu::used(&server)?.saturating_sub(database));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let asked = clients * each;
    let rate = told(&said, asked)?;
    let took = latencies(&logs)?;
    if took.len() != asked {
        return Err(format!("pgbench logged {} of {asked} transactions", took.len()).into());
    }
    let grown = if which == Script::Checkout { asked } else { 0 };
    for ((what, before), after) in DONE.iter().zip(before).zip(done(psql, COPY)?) {
        if after != before + grown as u64 {
            return Err(format!("{asked} replayed checkouts made {} of {what}", after - before).into());
        }
    }
    psql.drop(COPY)?;
    let lasted = Duration::from_secs_f64(asked as f64 / rate);
    Ok(Lap { took, lasted, shop: Duration::ZERO, database, generator: tool, memory: 0, statements: 0 })
}

fn done(psql: &Psql<'_>, database: &str) -> Result<Vec<u64>> {
    let counts: Vec<String> = DONE.iter().map(|what| format!("(SELECT count(*) FROM {what})")).collect();
    let told = psql.run(database, &format!("SELECT {};", counts.join(", ")))?;
    let counts = told.trim().split('|').map(|count| count.parse::<u64>());
    counts.collect::<std::result::Result<_, _>>().context(format_args!("no counts: {told}"))
}

/// Transactions a second, when all were made and none failed.
fn told(said: &str, asked: usize) -> Result<f64> {
    let after = |label: &str| said.lines().find_map(|line| line.strip_prefix(label)).map(str::trim);
    let whole = format!("{asked}/{asked}");
    let none_failed = after("number of failed transactions:").is_none_or(|failed| failed.starts_with("0 "));
    if after("number of transactions actually processed:") != Some(&whole) || !none_failed {
        return Err(format!("pgbench did not make its {asked} transactions: {}", said.trim()).into());
    }
    let rate = after("tps = ").and_then(|rate| rate.split(' ').next()).and_then(|rate| rate.parse().ok());
    rate.context(format_args!("pgbench told no rate: {said}"))
}

/// Its log has a line a transaction; the third number is its microseconds. Sorted.
fn latencies(folder: &Path) -> Result<Vec<Duration>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).context("no log of pgbench")?.flatten() {
        let text = fs::read_to_string(entry.path()).context("cannot read pgbench's log")?;
        let took = |line: &str| line.split(' ').nth(2)?.parse().ok().map(Duration::from_micros);
        all.extend(text.lines().filter_map(took));
    }
    all.sort_unstable();
    Ok(all)
}

/// What the rate would be without the statement that brings the row: the time that it takes alone is taken off.
pub(super) fn corrected(rate: f64, rows_only: f64) -> f64 {
    1.0 / (1.0 / rate - 1.0 / rows_only)
}

#[cfg(test)]
mod tests {
    use super::{super::recording::tests::recorded, *};

    #[test]
    fn a_script_is_the_recording_with_variables() {
        let text = script(&recorded(), Script::Checkout);
        let (rows, rest) = text.split_once("\\gset\n").unwrap();
        assert!(rows.ends_with("SELECT c0 FROM public.bench_rows WHERE n = :n "), "{rows}");
        let expected = "BEGIN READ WRITE;\nINSERT INTO \"orders\" VALUES (:c0, 'it''s', NULL);\nCOMMIT;\n\
                        SELECT '$1', a FROM b WHERE c = :c0;\n";
        assert_eq!(rest, expected);
        assert!(script(&recorded(), Script::RowsOnly).ends_with("\\gset\n"));
    }

    #[test]
    fn common_tables_are_their_domains() {
        let statement = Statement { sql: "INSERT INTO \"outbox\" (\"id\") VALUES ($1)".into(), values: vec![] };
        let unit = Unit { domain: "products".into(), transaction: true, statements: Vec::new() };
        assert_eq!(qualified(&unit, &statement), "INSERT INTO products.\"outbox\" (\"id\") VALUES ($1)");
    }

    #[test]
    fn rows_are_copied_as_they_are() {
        let mut recording = recorded();
        recording.rows = vec![vec!["a\\b\tc\nd".into()]];
        assert!(table(&recording).contains("\n0\ta\\\\b\\tc\\nd\n\\.\n"));
    }

    #[test]
    fn a_run_that_is_not_whole_is_refused() {
        let said = "number of transactions actually processed: 20/20\nnumber of failed transactions: 0 (0.000%)\n\
                    tps = 123.4 (without initial connection time)\n";
        assert_eq!(told(said, 20).unwrap(), 123.4);
        assert!(told(said, 21).is_err() && told(&said.replace(": 0 (", ": 1 ("), 20).is_err());
    }

    #[test]
    fn what_the_rows_cost_is_taken_off() {
        assert!((corrected(500.0, 1000.0) - 1000.0).abs() < 1e-6);
    }
}
