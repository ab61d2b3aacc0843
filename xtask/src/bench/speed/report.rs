//! From turns to tables: medians over the rounds, shares of the limit, and the targets beside their figures.
use super::{loads::Group, turn::Turn};
use serde::Serialize;
use std::fmt::Write;

/// What one lane of a group gave: the median of each figure over the rounds. Times in milliseconds, memory in MB.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) database: String,
    pub(super) load: &'static str,
    pub(super) how: String,
    pub(super) who: String,
    pub(super) rounds: usize,
    pub(super) rate: f64,
    /// The median of the rounds' own shares: of requests a second, in an open loop of the time at p50.
    pub(super) share: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) server_cpu: f64,
    pub(super) database_cpu: f64,
    pub(super) generator_cpu: f64,
    pub(super) statements: f64,
    pub(super) memory: f64,
    /// Always none: a run with errors is not reported.
    pub(super) errors: u64,
}

/// A shop's start on data that is there, and its memory.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Start {
    pub(super) database: String,
    pub(super) products: usize,
    pub(super) starts: usize,
    /// The median, and the longest.
    pub(super) cold_ms: f64,
    pub(super) cold_most_ms: f64,
    pub(super) idle_mb: f64,
    /// The most that there was under reads.
    pub(super) reads_mb: f64,
    /// After all loads, and the most that there ever was: passwords are hashed in memory.
    pub(super) loaded_mb: f64,
    pub(super) most_mb: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Target {
    what: String,
    database: String,
    figure: f64,
    target: f64,
    /// Whether less is better.
    at_most: bool,
    unit: &'static str,
}

/// A row for each lane.
pub(super) fn rows(database: &str, group: &Group, turns: &[Vec<Turn>]) -> Vec<Row> {
    let row = |(lane, own): (usize, &Vec<Turn>)| {
        let middle = |figure: &dyn Fn(&Turn) -> f64| median(own.iter().map(figure).collect());
        let limit = turns.get(group.limit).map(Vec::as_slice).unwrap_or_default();
        let share = |(one, limit): (&Turn, &Turn)| {
            if group.is_open { limit.told.p50 / one.told.p50 } else { one.rate() / limit.rate() }
        };
        Row {
            database: database.to_owned(),
            load: group.load,
            how: group.how.clone(),
            who: group.lanes[lane].who.clone(),
            rounds: own.len(),
            rate: middle(&Turn::rate),
            share: median(own.iter().zip(limit).map(share).collect()),
            p50: middle(&|turn| turn.told.p50),
            p90: middle(&|turn| turn.told.p90),
            p99: middle(&|turn| turn.told.p99),
            p999: middle(&|turn| turn.told.p999),
            server_cpu: middle(&|turn| turn.cpu[0]),
            database_cpu: middle(&|turn| turn.cpu[1]),
            generator_cpu: middle(&|turn| turn.cpu[2]),
            statements: middle(&|turn| turn.statements),
            memory: middle(&|turn| turn.memory),
            errors: own.iter().map(|turn| turn.told.errors).sum(),
        }
    };
    turns.iter().enumerate().map(row).collect()
}

pub(super) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(all.len().saturating_sub(1) / 2), at(all.len() / 2))
}

pub(super) const LIST_READY: &str = "product list, ready";
pub(super) const DETAIL_READY: &str = "product detail, ready";
pub(super) const LIST_BUILT: &str = "product list, built";
pub(super) const DETAIL_BUILT: &str = "product detail, built";
pub(super) const LIST_SIZES: &str = "product list, built, of catalogues";
pub(super) const SEARCH_SIZES: &str = "word search, built, of catalogues";

/// What was aimed at, as far as this run measured it.
pub(super) fn targets(rows: &[Row], sizes: &[Row], starts: &[Start]) -> Vec<Target> {
    let mut all = Vec::new();
    let shops = [
        (LIST_READY, 80.0, "of actix with the same bytes"),
        (DETAIL_READY, 80.0, "of actix with the same bytes"),
        (LIST_BUILT, 60.0, "of pgbench with the same SQL"),
        (DETAIL_BUILT, 60.0, "of pgbench with the same SQL"),
    ];
    for (load, target, of) in shops {
        let beside = |row: &Row, word: &str| {
            rows.iter()
                .any(|other| (other.load, &other.database) == (row.load, &row.database) && other.who.starts_with(word))
        };
        let limit = if target > 70.0 { "actix" } else { "pgbench" };
        for row in rows.iter().filter(|row| row.load == load && row.who == "shop" && beside(row, limit)) {
            let (what, database) = (format!("{load}: {of}"), row.database.clone());
            all.push(Target { what, database, figure: row.share * 100.0, target, at_most: false, unit: " %" });
        }
    }
    for load in [LIST_SIZES, SEARCH_SIZES] {
        let mut of_load: Vec<&Row> = sizes.iter().filter(|row| row.load == load).collect();
        while let Some(smallest) = of_load.first().copied() {
            let (same, other): (Vec<_>, Vec<_>) = of_load.iter().partition(|row| row.database == smallest.database);
            let largest = same.last().copied().unwrap_or(smallest);
            if same.len() > 1 {
                let (what, database) =
                    (format!("{load}: p99 of {} : of {}", largest.who, smallest.who), largest.database.clone());
                let figure = largest.p99 / smallest.p99;
                all.push(Target { what, database, figure, target: 1.5, at_most: true, unit: "×" });
            }
            of_load = other;
        }
    }
    for start in starts {
        let mut add = |what: &str, figure, target, unit| {
            let (what, database) = (what.to_owned(), start.database.clone());
            all.push(Target { what, database, figure, target, at_most: true, unit });
        };
        add("start on existing data, to the first list", start.cold_ms, 100.0, " ms");
        add("resident memory, idle", start.idle_mb, 60.0, " MB");
        let products = start.products;
        add(&format!("resident memory, the most under reads, {products} products"), start.reads_mb, 150.0, " MB");
        add(&format!("resident memory, the most under all loads, {products} products"), start.most_mb, 150.0, " MB");
    }
    all
}

pub(super) fn targets_table(targets: &[Target]) -> String {
    let mut text = String::from("| what | database | figure | target | |\n|---|---|---|---|---|\n");
    for Target { what, database, figure, target, at_most, unit } in targets {
        let met = if *at_most { figure <= target } else { figure >= target };
        let (bound, met) = (if *at_most { "at most" } else { "at least" }, if met { "met" } else { "not met" });
        let digits = if figure.abs() < 10.0 { 2 } else { 1 };
        let _ = writeln!(text, "| {what} | {database} | {figure:.digits$}{unit} | {bound} {target}{unit} | {met} |");
    }
    text
}

pub(super) fn table(rows: &[Row], share: &str) -> String {
    let mut text = format!(
        "| load | loop | who | a second | {share} | p50 ms | p90 | p99 | p99.9 | errors | CPU ms: server | PostgreSQL | \
         generator | statements | memory MB |\n|{}\n",
        "---|".repeat(15)
    );
    for row in rows {
        let Row { load, how, who, rate, share, p50, p90, p99, p999, errors, .. } = row;
        let Row { server_cpu, database_cpu, generator_cpu, statements, memory, .. } = row;
        let share = share * 100.0;
        let or_none = |figure: f64, text: String| if figure > 0.0 { text } else { String::new() };
        let _ = writeln!(
            text,
            "| {load} | {how} | {who} | {rate:.0} | {share:.0} % | {p50:.2} | {p90:.2} | {p99:.2} | {p999:.2} | {errors} | \
             {} | {} | {generator_cpu:.3} | {} | {} |",
            or_none(*server_cpu, format!("{server_cpu:.3}")),
            or_none(*database_cpu, format!("{database_cpu:.3}")),
            or_none(*statements, format!("{statements:.1}")),
            or_none(*memory, format!("{memory:.0}")),
        );
    }
    text
}

pub(super) fn starts_table(starts: &[Start]) -> String {
    let mut text = String::from(
        "| database | products | starts | to the first list, ms | the longest | idle MB | the most under reads | after all loads | the most |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for start in starts {
        let Start { database, products, starts, cold_ms, cold_most_ms, idle_mb, reads_mb, loaded_mb, most_mb } = start;
        let _ = writeln!(
            text,
            "| {database} | {products} | {starts} | {cold_ms:.0} | {cold_most_ms:.0} | {idle_mb:.0} | {reads_mb:.0} | {loaded_mb:.0} | \
             {most_mb:.0} |"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &'static str, who: &str, share: f64, p99: f64) -> Row {
        Row {
            database: "D".into(),
            load,
            how: "closed, 16".into(),
            who: who.into(),
            rounds: 3,
            rate: 100.0,
            share,
            p50: 1.0,
            p90: 1.0,
            p99,
            p999: 9.0,
            server_cpu: 0.1,
            database_cpu: 0.0,
            generator_cpu: 0.05,
            statements: 2.0,
            memory: 50.0,
            errors: 0,
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(vec![9.0, 1.0, 2.0]), median(vec![1.0, 2.0])), (2.0, 1.5));
    }

    #[test]
    fn figures_stand_beside_their_targets() {
        let rows = [
            row(LIST_READY, "shop", 0.85, 1.0),
            row(LIST_READY, "actix alone", 1.0, 1.0),
            row(LIST_BUILT, "shop", 0.5, 1.0),
            row(LIST_BUILT, "pgbench, the same SQL", 1.0, 1.0),
            // SQLite has no pgbench: no such target.
            row(DETAIL_BUILT, "shop", 0.5, 1.0),
            row(DETAIL_BUILT, "actix alone", 1.0, 1.0),
        ];
        let sizes = [row(LIST_SIZES, "1000 products", 1.0, 2.0), row(LIST_SIZES, "100000 products", 1.0, 4.0)];
        let start = Start {
            database: "D".into(),
            products: 10_000,
            starts: 3,
            cold_ms: 80.0,
            cold_most_ms: 90.0,
            idle_mb: 50.0,
            reads_mb: 90.0,
            loaded_mb: 100.0,
            most_mb: 160.0,
        };
        let text = targets_table(&targets(&rows, &sizes, &[start]));
        let line =
            |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {text}"));
        assert!(line(LIST_READY).contains("| 85.0 % | at least 80 % | met |"));
        assert!(line(LIST_BUILT).contains("| 50.0 % | at least 60 % | not met |"));
        assert!(line("p99 of 100000").contains("| 2.00× | at most 1.5× | not met |"));
        assert!(line("start on").contains("| met |") && line("the most under all loads").contains("| not met |"));
        assert!(!text.contains(DETAIL_BUILT));
    }

    #[test]
    fn every_table_tells_the_share() {
        let text = table(&[row(LIST_READY, "shop", 0.853, 1.0)], "share of the limit");
        assert!(text.contains("share of the limit") && text.contains("| 85 % |"), "{text}");
        assert!(text.lines().all(|line| line.matches('|').count() == 16), "{text}");
    }
}
